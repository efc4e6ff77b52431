"""`/v1/segment-rules`: what makes a customer key, high, standard or low; and who would move if it were otherwise."""

import asyncio
from collections import Counter
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Body, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from libs.events.contracts.scores import Tier
from libs.events.database import Database, Tx
from libs.webapi.etag import IfMatch, changed, etag
from libs.webapi.idempotency import once
from libs.webapi.problem import Problem
from libs.webapi.strict_json import Router
from services.scoring.api.access import REPEATABLE, RulesReader, RulesWriter, database_of
from services.scoring.domain.segments import (
    MAX_CHOICES,
    MAX_CONDITIONS,
    MAX_RULES,
    InvalidRules,
    Operator,
    Rules,
    as_document,
    parse,
    valued,
)
from services.scoring.store import customers, locks, rules
from services.scoring.store.rules import RulesVersion

router: Final = Router(prefix="/v1/segment-rules", tags=["segment rules"])

_CUSTOMERS_AT_ONCE: Final = 2000
_MOVERS_SHOWN: Final = 100

Value = str | bool | int | float


class ConditionBody(BaseModel):
    """One field of a customer against one value, or against a choice of values (`in`)."""

    field: str = Field(description="current_value, potential_value, account_role or attributes.<name>.")
    op: Operator
    value: Value | Annotated[list[Value], Field(min_length=1, max_length=MAX_CHOICES)]


class RuleBody(BaseModel):
    """A tier for customers who meet all the conditions."""

    tier: Tier
    when: Annotated[list[ConditionBody], Field(min_length=1, max_length=MAX_CONDITIONS)]


class RulesBody(BaseModel):
    """The rules in their order: the first that matches decides, and where none does, the default."""

    model_config = ConfigDict(extra="forbid")

    default: Tier = "standard"
    rules: Annotated[list[RuleBody], Field(max_length=MAX_RULES)] = []


class RulesInForce(RulesBody):
    """The rules with their version. `customers_waiting` still have their tier by an older one."""

    version: int
    created_at: datetime
    created_by: str
    customers_waiting: int


class Move(BaseModel):
    """How many customers would go from one tier to another."""

    from_tier: Tier
    to_tier: Tier
    customers: int


class Mover(BaseModel):
    """One who would move."""

    id: str
    from_tier: Tier
    to_tier: Tier
    reason: str


class DryRun(BaseModel):
    """What rules would do to the present customers: all moves counted, the first movers named."""

    customers: int
    moves: list[Move]
    movers: list[Mover]


# Read by the domain and not by these models, because its errors are better; the models say what it reads.
_SCHEMA: Final = RulesBody.model_json_schema(ref_template="#/components/schemas/{model}")
del _SCHEMA["$defs"]
Document = Annotated[dict[str, Any], Body(), WithJsonSchema(_SCHEMA)]


@router.get("", summary="The segment rules in force")
async def get(request: Request, response: Response, principal: RulesReader) -> RulesInForce:  # noqa: ARG001 - the rule
    """Their version as `ETag`."""
    async with database_of(request).reading() as tx:
        in_force = await rules.current(tx)
        waiting = await customers.count_outdated(tx, in_force.version)
    response.headers["ETag"] = etag(in_force.version)
    return _body(in_force, waiting)


@router.put(
    "",
    responses={200: {"model": RulesInForce | DryRun}},
    openapi_extra=REPEATABLE,
    summary="Put segment rules into force, or see what they would do",
)
async def put(
    request: Request,
    principal: RulesWriter,
    document: Document,
    seen: IfMatch,
    dry_run: Annotated[bool, Query(description="Change nothing; tell who would move.")] = False,  # noqa: FBT002 - a query
) -> Response:
    """The tiers of all customers follow within moments; those that change are announced as changed profiles."""
    proposed = _parsed(document)
    database = database_of(request)
    if dry_run:
        found = await _dry_run(database, proposed)
        return Response(found.model_dump_json(), media_type="application/json")

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:  # noqa: ARG001 - nothing to announce
        await locks.changing_rules(tx)
        in_force = await rules.current(tx)
        if seen not in {None, in_force.version}:
            raise changed(in_force.version)
        if proposed != in_force.rules:
            in_force = RulesVersion(in_force.version + 1, proposed, tx.now, principal.subject)
            await rules.add(tx, in_force)
        waiting = await customers.count_outdated(tx, in_force.version)
        return 200, _body(in_force, waiting), {"ETag": etag(in_force.version)}

    return await once(database, request, principal, command)


def _parsed(document: object) -> Rules:
    try:
        return parse(document)
    except InvalidRules as error:
        raise Problem(
            422,
            "invalid-segment-rules",
            "The segment rules are not valid",
            errors=[{"pointer": each.pointer, "detail": each.detail} for each in error.errors],
        ) from error


async def _dry_run(database: Database, proposed: Rules) -> DryRun:
    looked_at = 0
    moves: Counter[tuple[Tier, Tier]] = Counter()
    movers: list[Mover] = []
    after = ""
    while True:
        async with database.reading() as tx:
            some = await customers.after(tx, after, _CUSTOMERS_AT_ONCE)
        for customer in some:
            valuation = valued(customer.profile.worth, proposed)
            if valuation.tier == customer.tier:
                continue
            moves[customer.tier, valuation.tier] += 1
            if len(movers) < _MOVERS_SHOWN:
                movers.append(
                    Mover(
                        id=customer.profile.id,
                        from_tier=customer.tier,
                        to_tier=valuation.tier,
                        reason=valuation.reason,
                    )
                )
        looked_at += len(some)
        if len(some) < _CUSTOMERS_AT_ONCE:
            break
        after = some[-1].profile.id
        await asyncio.sleep(0)  # other requests between two pages
    return DryRun(
        customers=looked_at,
        moves=[Move(from_tier=old, to_tier=new, customers=n) for (old, new), n in sorted(moves.items())],
        movers=movers,
    )


def _body(in_force: RulesVersion, waiting: int) -> RulesInForce:
    return RulesInForce(
        **as_document(in_force.rules),
        version=in_force.version,
        created_at=in_force.created_at,
        created_by=in_force.created_by,
        customers_waiting=waiting,
    )
