"""`/v1/measures`: how the loop itself is doing, and what delay does to it; each share with its n and interval."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import Query, Request
from pydantic import BaseModel
from sqlalchemy import Row

from libs.events.database import Tx
from libs.statistics.means import mean
from libs.statistics.proportions import Share, share
from libs.webapi.app import database_of
from libs.webapi.instants import Instant
from libs.webapi.problem import FieldError, Problem
from libs.webapi.strict_json import Router
from services.casework.api.access import ID_PATTERN, MeasureReader
from services.casework.domain.names import Tier
from services.casework.store import measures, resolutions
from services.casework.store.measures import Grouping
from services.casework.store.resolutions import EffortGrouping

router: Final = Router(prefix="/v1/measures", tags=["measures"])

SPAN: Final = timedelta(days=90)
DELAYS: Final = (0.0, 4.0, 24.0, 48.0, 96.0)
"""Where the groups of delays begin, in hours."""
_HOUR: Final = 3600.0

_Since = Annotated[Instant | None, Query(alias="from", description="Cases opened from then on; absent: 90 days ago.")]
_Until = Annotated[Instant | None, Query(alias="to", description="Cases opened before then; absent: now.")]
_Text = Annotated[str | None, Query(min_length=1, max_length=200)]
_Id = Annotated[str | None, Query(pattern=ID_PATTERN)]


class Portion(BaseModel):
    """`count` of `n`, as a part of 1, with Wilson's 95 % interval; null where n is 0."""

    n: int
    count: int
    value: float | None
    ci_low: float | None
    ci_high: float | None


class Middle(BaseModel):
    """The median of `n` times, in hours from the customer's answer."""

    n: int
    hours: float | None


class Health(BaseModel):
    """How well the loop of these cases was closed."""

    group: str | None
    cases: int
    running: int
    """Open or contacted: the owner has work to do."""
    contacted_within_48_hours: Portion
    """Of the cases that were contacted or whose 48 hours are over."""
    time_to_contact: Middle
    time_to_resolve: Middle
    """To the latest resolution, of cases that have not been reopened since."""
    confirmed: Portion
    """Of the cases that were closed after a resolution: the customer said that it is solved."""
    unconfirmed: Portion
    """Of the same: the customer was silent."""
    reopened: Portion
    """Of the cases that were resolved at least once."""
    escalated: Portion
    """Of all cases: above the frontline."""


class InitiativesTold(BaseModel):
    """What became of changes in this time."""

    shipped: int
    communicated_within_a_quarter: Portion
    """Of the initiatives that were told of in this time, or whose quarter ended in it."""


class LoopHealth(BaseModel):
    """The health of the loop in a time."""

    since: datetime
    until: datetime
    groups: list[Health]
    initiatives: InitiativesTold


class GroupNames(BaseModel):
    """By id, those that are no longer in use too: what they did is still counted."""

    teams: dict[str, str]
    departments: dict[str, str]


class Delay(BaseModel):
    """How cases ended whose first contact came after this many hours."""

    from_hours: float
    to_hours: float | None
    cases: int
    confirmed: Portion
    reopened: Portion


class MeanContacts(BaseModel):
    """The mean of `n` answers to how often the customer had to get in touch, with its 95 % interval."""

    n: int
    value: float | None
    ci_low: float | None
    ci_high: float | None


class EffortOfGroup(BaseModel):
    """What it took customers until their problems were solved."""

    group: str | None
    resolutions: int
    contacts: MeanContacts
    once: Portion
    """Solved with one contact, of those where it was asked."""
    passed_on: Portion
    """Passed from one to another, of those where it was asked."""


@router.get("/loop", summary="The health of the loop")
async def loop_health(
    request: Request,
    principal: MeasureReader,  # noqa: ARG001 - the rule
    since: _Since = None,
    until: _Until = None,
    by: Grouping | None = None,
    team: _Id = None,
    department: _Id = None,
    tier: Tier | None = None,
    program: _Text = None,
) -> LoopHealth:
    """The 48 hours run from the customer's answer, whatever the company's policy allows itself."""
    async with database_of(request).reading() as tx:
        since, until = _time(tx, since, until)
        rows = await measures.health(
            tx, since=since, until=until, by=by, team=team, department=department, tier=tier, program=program
        )
        told = await measures.initiatives(tx, since=since, until=until, department=department)
    return LoopHealth(
        since=since,
        until=until,
        groups=[_health(row) for row in rows],
        initiatives=InitiativesTold(
            shipped=told.shipped if told else 0,
            communicated_within_a_quarter=portion(share(told.told_in_time, told.due) if told else share(0, 0)),
        ),
    )


@router.get("/groups", summary="What teams and departments are called")
async def names_of_groups(request: Request, principal: MeasureReader) -> GroupNames:  # noqa: ARG001 - the rule
    """For whoever reads the measures, and may not see how the company is set up."""
    async with database_of(request).reading() as tx:
        rows = await measures.group_names(tx)
    teams, departments = ({row.id: row.name for row in rows if row.kind == kind} for kind in ("team", "department"))
    return GroupNames(teams=teams, departments=departments)


@router.get("/delay", summary="What delay does")
async def effect_of_delay(
    request: Request,
    principal: MeasureReader,  # noqa: ARG001 - the rule
    since: _Since = None,
    until: _Until = None,
    tier: Tier | None = None,
    program: _Text = None,
) -> list[Delay]:
    """By how late the first contact was. What goes with delay need not come from it: hard cases may be put off."""
    async with database_of(request).reading() as tx:
        since, until = _time(tx, since, until)
        rows = await measures.delay(tx, bounds=DELAYS, since=since, until=until, tier=tier, program=program)
    # A clock of the vendor's that ran ahead makes a contact before the answer: that is no delay.
    found = {max(row.bucket, 1): row for row in rows}
    ends = (*DELAYS[1:], None)
    return [
        _delay(begin, end, found.get(bucket)) for bucket, (begin, end) in enumerate(zip(DELAYS, ends, strict=True), 1)
    ]


@router.get("/effort", summary="The effort that it took customers")
async def effort_of_customers(
    request: Request,
    principal: MeasureReader,  # noqa: ARG001 - the rule
    since: _Since = None,
    until: _Until = None,
    by: EffortGrouping | None = None,
    tier: Tier | None = None,
    program: _Text = None,
) -> list[EffortOfGroup]:
    """As owners asked when they resolved the cases; each case by its latest resolution."""
    async with database_of(request).reading() as tx:
        since, until = _time(tx, since, until)
        rows = await resolutions.effort(tx, since=since, until=until, by=by, tier=tier, program=program)
    groups: dict[str | None, list[Row[Any]]] = {}
    for row in rows:
        groups.setdefault(row.grouped, []).append(row)
    return [_effort(group, rows) for group, rows in groups.items()]


def _effort(group: str | None, rows: Sequence[Row[Any]]) -> EffortOfGroup:
    told = {row.customer_contacts: row.resolutions for row in rows if row.customer_contacts is not None}
    contacts = mean(told)
    return EffortOfGroup(
        group=group,
        resolutions=sum(row.resolutions for row in rows),
        contacts=MeanContacts(n=contacts.n, value=contacts.value, ci_low=contacts.low, ci_high=contacts.high),
        once=portion(share(told.get(1, 0), contacts.n)),
        passed_on=portion(share(sum(row.passed_on for row in rows), sum(row.asked for row in rows))),
    )


def portion(found: Share) -> Portion:
    """A share as it is shown."""
    return Portion(n=found.n, count=found.count, value=found.value, ci_low=found.low, ci_high=found.high)


def _time(tx: Tx, since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
    until = until or tx.now + timedelta(seconds=1)  # what was opened at this moment belongs to it
    since = since or until - SPAN
    if since >= until:
        errors: list[FieldError] = [{"pointer": "/from", "in": "query", "detail": "is not before `to`"}]
        raise Problem(422, "invalid", "The request is not valid", errors=errors)
    return since, until


def _health(row: Row[Any]) -> Health:
    return Health(
        group=row.grouped,
        cases=row.cases,
        running=row.running,
        contacted_within_48_hours=portion(share(row.contacted_in_time, row.due)),
        time_to_contact=_middle(row.contacted, row.median_to_contact),
        time_to_resolve=_middle(row.standing, row.median_to_resolve),
        confirmed=portion(share(row.confirmed, row.closed)),
        unconfirmed=portion(share(row.unconfirmed, row.closed)),
        reopened=portion(share(row.reopened, row.resolved)),
        escalated=portion(share(row.escalated, row.cases)),
    )


def _middle(n: int, seconds: float | None) -> Middle:
    return Middle(n=n, hours=None if seconds is None else max(0.0, float(seconds)) / _HOUR)


def _delay(begin: float, end: float | None, row: Row[Any] | None) -> Delay:
    if row is None:
        return Delay(
            from_hours=begin, to_hours=end, cases=0, confirmed=portion(share(0, 0)), reopened=portion(share(0, 0))
        )
    return Delay(
        from_hours=begin,
        to_hours=end,
        cases=row.cases,
        confirmed=portion(share(row.confirmed, row.closed)),
        reopened=portion(share(row.reopened, row.resolved)),
    )
