"""`/v1/segment-rules/dry-runs`: who would move by other rules; among few customers told at once."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Path, Request, Response
from pydantic import BaseModel, Field

from libs.events.contracts.scores import Tier
from libs.events.database import Database, Tx
from libs.webapi.app import database_of
from libs.webapi.auth import Principal
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.paging import Cursor, Limit, Page, decode_cursor, encode_cursor
from libs.webapi.problem import Problem, of_status
from libs.webapi.strict_json import Router
from services.scoring.api import profiles
from services.scoring.api.access import RulesReader, RulesWriter
from services.scoring.api.bodies import Fact
from services.scoring.api.rule_bodies import CutPoint, RulesBody, cut_points_of
from services.scoring.domain.dry_runs import MOVERS_SHOWN, Moves
from services.scoring.domain.dry_runs import Mover as Moving
from services.scoring.domain.segments import Cuts, Rules, cuts_of, looked_at, quantiles, with_cuts
from services.scoring.store import customers, dry_runs, rules
from services.scoring.store.dry_runs import Run, Status

router: Final = Router(prefix="/v1/segment-rules/dry-runs", tags=["segment rules"])

ANSWERED_AT_ONCE: Final = 20_000
"""Customers; of more the answer would take longer than a request should."""
_CUSTOMERS_AT_ONCE: Final = 2000
_LAST_ID: Final = UUID(int=2**128 - 1)
_END_OF_TIME: Final = datetime(9000, 1, 1, tzinfo=UTC)

RunId = Annotated[UUID, Path(alias="dry_run_id")]


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


class DryRunProgress(BaseModel):
    """How far a dry run has come."""

    id: UUID
    status: Status
    asked_at: datetime
    asked_by: str
    ended_at: datetime | None
    customers_seen: int
    customers: int | None = Field(description="How many there were when it began; null before.")
    rules_version: int = Field(description="Of the rules in force when it was asked for.")
    outdated: bool = Field(
        description="Other rules or cut points have come into force since it was asked for: customers get other tiers "
        "meanwhile, and what it tells of those they have may not hold any more."
    )
    failure: str | None = Field(description="The name of the error that ended it.")


class DryRunState(DryRunProgress):
    """How far a dry run has come, of which rules, and once it is done what it found."""

    rules: RulesBody
    result: DryRun | None


@router.get("", summary="Dry runs")
async def latest(
    request: Request,
    principal: RulesReader,  # noqa: ARG001 - the rule
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[DryRunProgress]:
    """The latest first; those of the last thirty days."""
    before = (_END_OF_TIME, _LAST_ID) if cursor is None else decode_cursor(cursor, tuple[datetime, UUID])
    async with database_of(request).reading() as tx:
        valuation = (await rules.current(tx)).valuation
        found = await dry_runs.latest(tx, before=before, limit=limit)
    last = (found[-1].asked_at, found[-1].id) if len(found) == limit else None
    items = [DryRunProgress(**_progress(each, valuation)) for each in found]
    return Page(items=items, next_cursor=None if last is None else encode_cursor(last))


@router.get("/{dry_run_id}", summary="A dry run")
async def get(request: Request, principal: RulesReader, dry_run_id: RunId) -> DryRunState:  # noqa: ARG001 - the rule
    """How far it has come; what it found once it is done."""
    async with database_of(request).reading() as tx:
        return await _state(tx, dry_run_id)


@router.post(
    "/{dry_run_id}/cancel",
    responses={200: {"model": DryRunState}},
    openapi_extra=REPEATABLE,
    summary="End a dry run",
)
async def cancel(request: Request, principal: RulesWriter, dry_run_id: RunId) -> Response:
    """One that has ended stays as it is."""

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:  # noqa: ARG001 - nothing to announce
        await dry_runs.cancel(tx, dry_run_id)
        return 200, await _state(tx, dry_run_id), {}

    return await once(database_of(request), request, principal, command)


async def tried(database: Database, request: Request, principal: Principal, proposed: Rules) -> Response:
    """200 and who would move; where there are too many to look at in a request, 202 and where that will be told."""
    async with database.reading() as tx:
        few = await customers.no_more_than(tx, ANSWERED_AT_ONCE)
    if few:
        found = await _found(database, proposed)
        return Response(found.model_dump_json(), media_type="application/json")

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        in_force = await rules.current(tx)
        taken_up = await dry_runs.ask(
            tx,
            command_id,
            proposed,
            rules_version=in_force.version,
            valuation=in_force.valuation,
            asked_by=principal.subject,
        )
        if not taken_up:
            detail = f"No more than {dry_runs.MOST_RUNNING} at once. Wait until one is done, or cancel one."
            raise Problem(409, "too-many-dry-runs", "Too many dry runs are going on", detail=detail)
        return 202, await _state(tx, command_id), {"Location": f"{router.prefix}/{command_id}"}

    return await once(database, request, principal, command)


async def _found(database: Database, proposed: Rules) -> DryRun:
    async with database.reading() as tx:
        known = with_cuts(proposed, await rules.cut_points(tx, quantiles(proposed)))
    fields = looked_at(known)
    moves = Moves(shown=MOVERS_SHOWN)
    after = ""
    while True:
        async with database.reading() as tx:
            some = await customers.worths(tx, after, _CUSTOMERS_AT_ONCE, fields)
        for index, each in enumerate(some):
            moves.look(each.id, each.tier, each.worth, known)
            if index % profiles.BREATH == 0:
                await asyncio.sleep(0)  # other requests meanwhile
        if len(some) < _CUSTOMERS_AT_ONCE:
            break
        after = some[-1].id
    movers = sorted(moves.movers, key=lambda each: (each.from_tier, each.valuation.tier))
    return _told(moves.counts, movers, cuts_of(known))


async def _state(tx: Tx, id_: UUID) -> DryRunState:
    run = await dry_runs.find(tx, id_)
    if run is None:
        raise of_status(404, detail="No such dry run.")
    result = None
    if run.status == "done" and run.cuts is not None:
        result = _told(run.counts, await dry_runs.movers(tx, id_), run.cuts)
    valuation = (await rules.current(tx)).valuation
    return DryRunState(**_progress(run, valuation), rules=RulesBody(**run.document), result=result)


def _progress(run: Run, valuation: int) -> dict[str, Any]:
    return {
        "id": run.id,
        "status": run.status,
        "asked_at": run.asked_at,
        "asked_by": run.asked_by,
        "ended_at": run.ended_at,
        "customers_seen": run.seen,
        "customers": run.customers,
        "rules_version": run.rules_version,
        "outdated": run.valuation != valuation,
        "failure": run.failure,
    }


def _told(counts: Mapping[tuple[Tier, Tier], int], movers: Sequence[Moving], cuts: Cuts) -> DryRun:
    counted = [Move(from_tier=old, to_tier=new, customers=n) for (old, new), n in sorted(counts.items())]
    return DryRun(
        customers=sum(counts.values()),
        matrix=counted,
        moves=[each for each in counted if each.from_tier != each.to_tier],
        movers=[mover(each) for each in movers],
        cut_points=cut_points_of(cuts),
    )


def mover(moving: Moving) -> Mover:
    """One who would move, as it is told."""
    return Mover(
        id=moving.id,
        from_tier=moving.from_tier,
        to_tier=moving.valuation.tier,
        reason=moving.valuation.reason,
        facts=[Fact.of(each) for each in moving.valuation.facts],
    )
