"""`/v1/segment-rules`: what makes a customer key, high, standard or low; and who would move if it were otherwise."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Query, Request, Response

from libs.events.contracts.scores import Tier
from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.etag import IfMatch, changed, etag
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.paging import Cursor, Limit, Page, decode_cursor, encode_cursor
from libs.webapi.strict_json import Router
from services.scoring.api import dry_runs
from services.scoring.api.access import RulesReader, RulesWriter
from services.scoring.api.dry_runs import DryRun, DryRunState, Mover
from services.scoring.api.rule_bodies import Document, RulesInForce, cut_points_of, parsed
from services.scoring.domain.dry_runs import Mover as Moving
from services.scoring.domain.segment_documents import as_document
from services.scoring.domain.segments import cuts_of, looked_at, quantiles, valued, with_cuts
from services.scoring.store import account_scores, customers, locks, rules
from services.scoring.store.rules import InForce

router: Final = Router(prefix="/v1/segment-rules", tags=["segment rules"])

_CUSTOMERS_AT_ONCE: Final = 2000
_LOOKED_AT: Final = 50_000
"""Of how many customers a page of movers is looked for: a rare move among a million ends in a page with few."""


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
    responses={
        200: {"model": RulesInForce | DryRun},
        202: {"model": DryRunState, "description": "A dry run among many customers goes on; `Location` tells of it."},
    },
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
    proposed = parsed(document)
    database = database_of(request)
    if dry_run:
        return await dry_runs.tried(database, request, principal, proposed)

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
    proposed = parsed(document)
    after = "" if cursor is None else decode_cursor(cursor, str)
    found: list[Mover] = []
    database = database_of(request)
    async with database.reading() as tx:
        known = with_cuts(proposed, await rules.cut_points(tx, quantiles(proposed)))
    fields = looked_at(known)
    for _ in range(0, _LOOKED_AT, _CUSTOMERS_AT_ONCE):
        async with database.reading() as tx:
            some = await customers.worths(tx, after, _CUSTOMERS_AT_ONCE, fields)
        for each in some:
            after = each.id
            if each.tier != from_tier or (valuation := valued(each.worth, known)).tier != to_tier:
                continue
            found.append(dry_runs.mover(Moving(each.id, each.tier, valuation)))
            if len(found) == limit:
                return Page(items=found, next_cursor=encode_cursor(after))
        if len(some) < _CUSTOMERS_AT_ONCE:
            return Page(items=found)
    return Page(items=found, next_cursor=encode_cursor(after))


def _body(in_force: InForce, waiting: int) -> RulesInForce:
    return RulesInForce(
        **as_document(in_force.rules),
        version=in_force.version,
        created_at=in_force.created_at,
        created_by=in_force.created_by,
        customers_waiting=waiting,
        cut_points=cut_points_of(cuts_of(in_force.rules)),
        cut_points_at=in_force.computed_at,
        cut_points_customers=in_force.customers,
    )
