"""`POST /v1/sla-policies/recompute`: clocks of open cases counted anew, set by set; and how the clocks are checked."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool
from sqlalchemy import Row

from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.paging import Cursor, Limit, Page, decode_cursor, encode_cursor
from libs.webapi.problem import of_status
from libs.webapi.strict_json import Router
from services.casework.api.access import ID_PATTERN, SettingsReader, SettingsWriter, actor_of, refused_field
from services.casework.domain.names import Level, Tier
from services.casework.domain.recomputing import Recomputation
from services.casework.domain.watchdog import Alarm, ClockLoop
from services.casework.store import checking, policies, recomputations

router: Final = Router(prefix="/v1", tags=["policies"])

_LATEST: Final = (datetime(9999, 1, 1, tzinfo=UTC), UUID(int=2**128 - 1))


class RecomputeBody(BaseModel):
    """Of which open cases, all where nothing is said; `dry_run` only counts what would change and breach."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dry_run: StrictBool
    program: Annotated[str | None, Field(min_length=1, max_length=512)] = None
    tier: Tier | None = None
    level: Level | None = None
    calendar_id: Annotated[
        str | None, Field(pattern=ID_PATTERN, description="Only cases whose policy names this calendar.")
    ] = None


class RecomputationView(BaseModel):
    """How far a recomputation has come."""

    id: UUID
    dry_run: bool
    program: str | None
    tier: Tier | None
    level: Level | None
    calendar_id: str | None
    asked_by: str
    asked_at: datetime
    status: Literal["running", "done", "failed"]
    seen: int
    """Open cases that were looked at."""
    changed: int
    """Those of which a clock moved, or would."""
    breached: int
    """Those of which a clock breached at once, or would."""
    failure: str | None
    """The name of the error that ended it; what had been done stays."""
    ended_at: datetime | None


class RecomputedBreach(BaseModel):
    """A case of which these clocks breached at once, or would."""

    case_id: UUID
    clocks: list[Literal["first_contact", "resolution", "escalation"]]


class ClockCheck(BaseModel):
    """Whether the clocks are being checked. `alarm` is null when they are."""

    checked_at: datetime = Field(description="By the loop that was silent longest.")
    silent: list[ClockLoop] = Field(description="Whose clocks nobody looks at.")
    late_seconds: float
    """For how long the longest overdue clock has waited to be dealt with."""
    alarm: Alarm | None


@router.post(
    "/sla-policies/recompute",
    status_code=202,
    responses={202: {"model": RecomputationView, "description": "Taken up; `Location` tells how far it has come."}},
    openapi_extra=REPEATABLE,
    summary="Count the clocks of open cases anew",
)
async def recompute(request: Request, principal: SettingsWriter, body: RecomputeBody) -> Response:
    """By the policies and calendars of now: the only act by which they move instants that are stored.

    Breaches that happened stay. What is too late by the new instant breaches at once, and climbs. Each case that
    changes says so on its timeline and by an event. The work is done set by set, in the order of the cases' ids.
    """

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        if body.calendar_id is not None and await policies.find_calendar(tx, body.calendar_id) is None:
            raise refused_field("/calendar_id", "is no calendar", slug="unknown-calendar", title="No such calendar")
        asked = Recomputation(id=command_id, actor=actor_of(principal), **body.model_dump())
        await recomputations.ask(tx, asked)
        row = await recomputations.find(tx, command_id)
        if row is None:
            raise of_status(404)
        return 202, _view(row), {"Location": f"/v1/sla-policies/recomputations/{command_id}"}

    return await once(database_of(request), request, principal, command)


@router.get("/sla-policies/recomputations", summary="Recomputations")
async def list_recomputations(
    request: Request,
    principal: SettingsReader,  # noqa: ARG001 - the rule
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[RecomputationView]:
    """The latest first."""
    before = _LATEST if cursor is None else decode_cursor(cursor, tuple[datetime, UUID])
    async with database_of(request).reading() as tx:
        rows = await recomputations.list_latest(tx, before=before, limit=limit + 1)
    shown = rows[:limit]
    more = len(rows) > limit
    return Page[RecomputationView](
        items=[_view(row) for row in shown],
        next_cursor=encode_cursor((shown[-1].asked_at, shown[-1].id)) if more else None,
    )


@router.get("/sla-policies/recomputations/{recomputation_id}", summary="One recomputation")
async def get_recomputation(
    request: Request,
    principal: SettingsReader,  # noqa: ARG001 - the rule
    recomputation_id: UUID,
) -> RecomputationView:
    """Still running, or what came of it."""
    async with database_of(request).reading() as tx:
        row = await recomputations.find(tx, recomputation_id)
    if row is None:
        raise of_status(404)
    return _view(row)


@router.get("/sla-policies/recomputations/{recomputation_id}/breaches", summary="What a recomputation makes breach")
async def list_breaches(
    request: Request,
    principal: SettingsReader,  # noqa: ARG001 - the rule
    recomputation_id: UUID,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[RecomputedBreach]:
    """The cases of which a clock breached at once, or would; in the order of their ids."""
    after = None if cursor is None else decode_cursor(cursor, UUID)
    async with database_of(request).reading() as tx:
        if await recomputations.find(tx, recomputation_id) is None:
            raise of_status(404)
        rows = await recomputations.breaches(tx, recomputation_id, after=after, limit=limit + 1)
    shown = rows[:limit]
    return Page[RecomputedBreach](
        items=[RecomputedBreach.model_validate(row, from_attributes=True) for row in shown],
        next_cursor=encode_cursor(shown[-1].case_id) if len(rows) > limit else None,
    )


@router.get("/clocks", summary="Whether the clocks are being checked")
async def get_clocks(request: Request, principal: SettingsReader) -> ClockCheck:  # noqa: ARG001 - the rule
    """`not_checked`: no process looks at them. `late`: they are looked at, and do not keep up."""
    async with database_of(request).reading() as tx:
        found = await checking.read(tx)
    late = found.late.total_seconds()
    return ClockCheck(checked_at=found.checked_at, silent=list(found.silent), late_seconds=late, alarm=found.alarm)


def _view(row: Row[Any]) -> RecomputationView:
    return RecomputationView.model_validate({**row._mapping, "asked_by": row.actor_id})  # noqa: SLF001 - the public name of it
