"""`/v1/segment-rules`: what makes a customer key, high, standard or low; and who would move if it were otherwise."""

import asyncio
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Body, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from libs.events.contracts.scores import Tier
from libs.events.database import Database, Tx
from libs.webapi.app import database_of
from libs.webapi.etag import IfMatch, changed, etag
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.paging import Cursor, Limit, Page, decode_cursor, encode_cursor
from libs.webapi.problem import Problem
from libs.webapi.strict_json import Router
from services.scoring.api import profiles
from services.scoring.api.access import RulesReader, RulesWriter
from services.scoring.api.bodies import Fact
from services.scoring.api.field_errors import field_errors
from services.scoring.domain.conditions import Operator
from services.scoring.domain.dry_runs import Mover as Moving
from services.scoring.domain.dry_runs import Moves
from services.scoring.domain.segment_documents import (
    MAX_CHOICES,
    MAX_CONDITIONS,
    MAX_DAYS,
    MAX_RULES,
    MAX_WEIGHT,
    InvalidRules,
    as_document,
    parse,
)
from services.scoring.domain.segments import AccountScoring, Rules, cuts_of, quantiles, valued, with_cuts
from services.scoring.store import account_scores, customers, locks, rules
from services.scoring.store.rules import InForce

router: Final = Router(prefix="/v1/segment-rules", tags=["segment rules"])

_CUSTOMERS_AT_ONCE: Final = 2000
_MOVERS_SHOWN: Final = 20
_LOOKED_AT: Final = 50_000
"""Of how many customers a page of movers is looked for: a rare move among a million ends in a page with few."""

Value = str | bool | int | float
Weight = Annotated[float, Field(ge=0, le=MAX_WEIGHT)]


class ConditionBody(BaseModel):
    """One field of a customer against one value, a choice of values (`in`), or a share of all (`top`, `bottom`)."""

    field: str = Field(
        description="current_value, potential_value, account_role, account_id, product, attributes.<name> of the "
        "customer or account.<name> of the account."
    )
    op: Operator
    value: Value | Annotated[list[Value], Field(min_length=1, max_length=MAX_CHOICES)]


class RuleBody(BaseModel):
    """A tier for customers who meet all the conditions."""

    tier: Tier
    when: Annotated[list[ConditionBody], Field(min_length=1, max_length=MAX_CONDITIONS)]


class RuleSetBody(BaseModel):
    """Rules in their order: the first that matches decides, and where none does, the default."""

    model_config = ConfigDict(extra="forbid")

    default: Tier = "standard"
    rules: Annotated[list[RuleBody], Field(max_length=MAX_RULES)] = []


class AccountsBody(BaseModel):
    """How the latest answers of an account's contacts become its score."""

    decision_maker: Weight = AccountScoring().decision_maker
    end_user: Weight = AccountScoring().end_user
    other: Weight = AccountScoring().other
    days: Annotated[int, Field(ge=1, le=MAX_DAYS, description="Older answers do not count.")] = AccountScoring().days


class RulesBody(RuleSetBody):
    """The main rules, which give a customer's tier; and rules by which a program values its own answers."""

    programs: dict[str, RuleSetBody] = {}
    accounts: AccountsBody = AccountsBody()


class CutPoint(BaseModel):
    """Where a share begins; null where no customer has the value. Equal values are all in."""

    field: str
    op: Operator
    share: float
    cut: float | None


class RulesInForce(RulesBody):
    """The rules with their version. `customers_waiting` still have their tier by older rules or cut points."""

    version: int
    created_at: datetime
    created_by: str
    customers_waiting: int
    cut_points: list[CutPoint] = Field(description="Counted when the rules are put into force, and every day.")
    cut_points_at: datetime
    cut_points_customers: int = Field(description="How many customers there were then.")


class Move(BaseModel):
    """How many customers would go from one tier to another, or stay where they are."""

    from_tier: Tier
    to_tier: Tier
    customers: int


class Mover(BaseModel):
    """One who would move."""

    id: str
    from_tier: Tier
    to_tier: Tier
    reason: str
    facts: list[Fact]


class DryRun(BaseModel):
    """What the main rules would do to the present customers: all counted, the first movers of each move named."""

    customers: int
    matrix: list[Move] = Field(description="Everybody, those who stay among them.")
    moves: list[Move] = Field(description="Only those who would move.")
    movers: list[Mover]
    cut_points: list[CutPoint]


# Read by the domain and not by these models, because its errors are better; the models say what it reads.
_SCHEMA: Final = RulesBody.model_json_schema(ref_template="#/components/schemas/{model}")
del _SCHEMA["$defs"]
Document = Annotated[dict[str, Any], Body(), WithJsonSchema(_SCHEMA)]


@router.get("", summary="The segment rules in force")
async def get(request: Request, response: Response, principal: RulesReader) -> RulesInForce:  # noqa: ARG001 - the rule
    """Their version as `ETag`."""
    async with database_of(request).reading() as tx:
        in_force = await rules.current(tx)
        waiting = await customers.count_outdated(tx, in_force.valuation)
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
            if proposed.accounts != in_force.rules.accounts:
                await account_scores.all_due(tx)
            in_force = await rules.put_into_force(tx, proposed, in_force, principal.subject)
        waiting = await customers.count_outdated(tx, in_force.valuation)
        return 200, _body(in_force, waiting), {"ETag": etag(in_force.version)}

    return await once(database, request, principal, command)


@router.post("/movers", summary="Who would move from one tier to another by other rules")
async def movers(
    request: Request,
    principal: RulesReader,  # noqa: ARG001 - the rule
    document: Document,
    from_tier: Annotated[Tier, Query()],
    to_tier: Annotated[Tier, Query()],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Mover]:
    """In the order of their ids. A page may hold few or none, and go on all the same: see `next_cursor`."""
    proposed = _parsed(document)
    after = "" if cursor is None else decode_cursor(cursor, str)
    found: list[Mover] = []
    database = database_of(request)
    async with database.reading() as tx:
        known = with_cuts(proposed, await rules.cut_points(tx, quantiles(proposed)))
    for _ in range(0, _LOOKED_AT, _CUSTOMERS_AT_ONCE):
        async with database.reading() as tx:
            some = await customers.worths(tx, after, _CUSTOMERS_AT_ONCE)
        for each in some:
            after = each.id
            if each.tier != from_tier or (valuation := valued(each.worth, known)).tier != to_tier:
                continue
            found.append(_mover(Moving(each.id, each.tier, valuation)))
            if len(found) == limit:
                return Page(items=found, next_cursor=encode_cursor(after))
        if len(some) < _CUSTOMERS_AT_ONCE:
            return Page(items=found)
    return Page(items=found, next_cursor=encode_cursor(after))


def _parsed(document: object) -> Rules:
    try:
        return parse(document)
    except InvalidRules as error:
        raise Problem(
            422,
            "invalid-segment-rules",
            "The segment rules are not valid",
            errors=field_errors(error.errors),
        ) from error


async def _dry_run(database: Database, proposed: Rules) -> DryRun:
    async with database.reading() as tx:
        known = with_cuts(proposed, await rules.cut_points(tx, quantiles(proposed)))
    moves = Moves(shown=_MOVERS_SHOWN)
    after = ""
    while True:
        async with database.reading() as tx:
            some = await customers.worths(tx, after, _CUSTOMERS_AT_ONCE)
        for index, each in enumerate(some):
            moves.look(each.id, each.tier, each.worth, known)
            if index % profiles.BREATH == 0:
                await asyncio.sleep(0)  # other requests meanwhile
        if len(some) < _CUSTOMERS_AT_ONCE:
            break
        after = some[-1].id
    counted = [Move(from_tier=old, to_tier=new, customers=n) for (old, new), n in sorted(moves.counts.items())]
    return DryRun(
        customers=moves.customers,
        matrix=counted,
        moves=[each for each in counted if each.from_tier != each.to_tier],
        movers=[_mover(each) for _, first in sorted(moves.movers.items()) for each in first],
        cut_points=_cut_points(known),
    )


def _mover(moving: Moving) -> Mover:
    return Mover(
        id=moving.id,
        from_tier=moving.from_tier,
        to_tier=moving.valuation.tier,
        reason=moving.valuation.reason,
        facts=[Fact.of(each) for each in moving.valuation.facts],
    )


def _cut_points(known: Rules) -> list[CutPoint]:
    return [
        CutPoint(field=quantile.field, op=quantile.op, share=quantile.share, cut=cut)
        for quantile, cut in cuts_of(known).items()
    ]


def _body(in_force: InForce, waiting: int) -> RulesInForce:
    return RulesInForce(
        **as_document(in_force.rules),
        version=in_force.version,
        created_at=in_force.created_at,
        created_by=in_force.created_by,
        customers_waiting=waiting,
        cut_points=_cut_points(in_force.rules),
        cut_points_at=in_force.computed_at,
        cut_points_customers=in_force.customers,
    )
