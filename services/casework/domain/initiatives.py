"""The initiative: a structural change that many cases ask for, from the proposal to the word to everybody.

    proposed ──approve──> approved ──start──> in progress ──ship──> shipped ──the campaign was sent──> (communicated)
       │                      │
       └──────decline─────────┴──> declined, with the reason

The quarter clock: customers are told what changed within three months of the earliest feedback behind the initiative
(`domain.md`: "broad communication within one quarter of the feedback"). It is a stored instant; earlier feedback that
is added moves it nearer, nothing moves it away. It warns once, breaches once, and is silent when the initiative is
declined or communicated. Only a campaign that was sent stops it: what shipped and was never told is not a closed loop.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal, NewType, TypedDict
from uuid import UUID

import msgspec
from msgspec.structs import replace

from libs.events.contracts.initiatives import (
    InitiativeApproved,
    InitiativeClockBreached,
    InitiativeClockWarned,
    InitiativeCommunicated,
    InitiativeDeclined,
    InitiativeProposed,
    InitiativeShipped,
    InitiativeStarted,
)
from libs.events.event import Contract, named
from services.casework.domain.clocks import Stage
from services.casework.domain.errors import InitiativeRefused
from services.casework.domain.names import AgentId, RootCauseId
from services.casework.domain.timeline import Cause

if TYPE_CHECKING:
    from libs.events.contracts.cases import Employee

InitiativeId = NewType("InitiativeId", UUID)

QUARTER_MONTHS: Final = 3
WARN_AFTER: Final = 2 / 3
"""The share of the quarter after which the owner is reminded: a month is left."""


class Status(StrEnum):
    """Where the initiative stands."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    IN_PROGRESS = "in_progress"
    SHIPPED = "shipped"
    DECLINED = "declined"


HistoryKind = Literal[
    "proposed",
    "edited",
    "cases_added",
    "approved",
    "declined",
    "started",
    "shipped",
    "communicated",
    "clock_warned",
    "clock_breached",
]


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """What customers said that is behind an initiative."""

    cases: int
    customers: int
    value_at_stake: float | None
    earliest_feedback_at: datetime | None


class Initiative(msgspec.Struct, frozen=True, kw_only=True):
    """One initiative at one version."""

    id: InitiativeId
    title: str
    problem: str
    root_causes: tuple[RootCauseId, ...]
    themes: tuple[str, ...]
    department_id: str
    owner_id: AgentId
    status: Status
    proposed_at: datetime
    budget: float | None = None
    currency: str | None = None
    due_on: date | None = None
    decision_reason: str | None = None
    decided_at: datetime | None = None
    started_at: datetime | None = None
    shipped_at: datetime | None = None
    learned: str | None = None
    changed: str | None = None
    next_steps: str | None = None
    communicated_at: datetime | None = None
    campaign_id: str | None = None
    feedback_since: datetime | None = None
    communicate_by: datetime | None = None
    clock_stage: Stage = Stage.RUNNING
    version: int = 1

    @property
    def is_ended(self) -> bool:
        """Whether nothing more is expected of it."""
        return self.status is Status.DECLINED or self.communicated_at is not None

    @property
    def fires_at(self) -> datetime | None:
        """The instant at which the quarter clock makes something happen next; None when it is silent."""
        if self.is_ended or self.communicate_by is None or self.feedback_since is None:
            return None
        match self.clock_stage:
            case Stage.RUNNING:
                return self.feedback_since + (self.communicate_by - self.feedback_since) * WARN_AFTER
            case Stage.WARNED:
                return self.communicate_by
            case Stage.BREACHED | Stage.REMINDING:
                return None


class Moment(msgspec.Struct, frozen=True):
    """One line of an initiative's history, with the event that tells others about it, if it is their business."""

    initiative: Initiative
    kind: HistoryKind
    cause: Cause
    details: Mapping[str, str | int | bool | float | None]
    text: str | None
    payload: Contract | None


class Heading(TypedDict):
    """The fields with which every event of an initiative begins."""

    initiative_id: str
    version: int
    title: str
    root_causes: tuple[str, ...]
    themes: tuple[str, ...]
    department_id: str
    owner: Employee
    communicate_by: datetime | None


def a_quarter_after(instant: datetime) -> datetime:
    """Three calendar months later at the same time in UTC; the last day of a month that is shorter."""
    start = instant.astimezone(UTC)
    months = start.month - 1 + QUARTER_MONTHS
    year, month = start.year + months // 12, months % 12 + 1
    return start.replace(year=year, month=month, day=min(start.day, calendar.monthrange(year, month)[1]))


def with_feedback(initiative: Initiative, earliest: datetime | None) -> Initiative:
    """The initiative with the quarter clock of its earliest feedback."""
    if earliest is None or (initiative.feedback_since is not None and initiative.feedback_since <= earliest):
        return initiative
    return replace(initiative, feedback_since=earliest, communicate_by=a_quarter_after(earliest))


def propose(initiative: Initiative, evidence: Evidence, owner: Employee, cause: Cause) -> Moment:
    """Put an initiative forward."""
    proposed = with_feedback(initiative, evidence.earliest_feedback_at)
    return _moment(
        proposed,
        "proposed",
        cause,
        owner,
        lambda heading: InitiativeProposed(
            **heading,
            cases=evidence.cases,
            customers=evidence.customers,
            value_at_stake=evidence.value_at_stake,
        ),
        details={
            "cases": evidence.cases,
            "customers": evidence.customers,
            "value_at_stake": evidence.value_at_stake,
        },
    )


def edit(
    initiative: Initiative,
    cause: Cause,
    *,
    title: str,
    problem: str,
    root_causes: tuple[RootCauseId, ...],
    themes: tuple[str, ...],
    department_id: str,
    owner_id: AgentId,
) -> Moment | None:
    """Say it better, or give it to somebody else; None where nothing is new."""
    _refuse_if_ended(initiative)
    edited = replace(
        initiative,
        title=title,
        problem=problem,
        root_causes=root_causes,
        themes=themes,
        department_id=department_id,
        owner_id=owner_id,
    )
    if edited == initiative:
        return None
    return _moment(_next(edited), "edited", cause, None, None, details={"owner_id": owner_id})


def add_cases(initiative: Initiative, added: int, earliest: datetime | None, cause: Cause) -> Moment | None:
    """More cases stand behind it; None where they did already."""
    _refuse_if_ended(initiative)
    if not added:
        return None
    return _moment(
        _next(with_feedback(initiative, earliest)), "cases_added", cause, None, None, details={"cases": added}
    )


def approve(
    initiative: Initiative,
    owner: Employee,
    cause: Cause,
    *,
    due_on: date,
    budget: float | None,
    currency: str | None,
    reason: str | None,
) -> Moment:
    """Decide to do it."""
    _expect(initiative, Status.PROPOSED)
    approved = replace(
        _next(initiative),
        status=Status.APPROVED,
        decided_at=cause.at,
        decision_reason=reason,
        budget=budget,
        currency=currency,
        due_on=due_on,
    )
    return _moment(
        approved,
        "approved",
        cause,
        owner,
        lambda heading: InitiativeApproved(**heading, budget=budget, currency=currency, due_on=due_on.isoformat()),
        details={"budget": budget, "currency": currency, "due_on": due_on.isoformat()},
        text=reason,
    )


def decline(initiative: Initiative, owner: Employee, cause: Cause, *, reason: str) -> Moment:
    """Decide not to do it; also one that was approved and on which nobody has begun."""
    _expect(initiative, Status.PROPOSED, Status.APPROVED)
    declined = replace(_next(initiative), status=Status.DECLINED, decided_at=cause.at, decision_reason=reason)
    return _moment(
        declined,
        "declined",
        cause,
        owner,
        lambda heading: InitiativeDeclined(**heading, reason=reason),
        text=reason,
    )


def start(initiative: Initiative, owner: Employee, cause: Cause) -> Moment:
    """Begin the work."""
    _expect(initiative, Status.APPROVED)
    started = replace(_next(initiative), status=Status.IN_PROGRESS, started_at=cause.at)
    return _moment(started, "started", cause, owner, lambda heading: InitiativeStarted(**heading))


def ship(
    initiative: Initiative, owner: Employee, cause: Cause, *, learned: str, changed: str, next_steps: str | None
) -> Moment:
    """The change is in force; in words that can be told to customers."""
    _expect(initiative, Status.IN_PROGRESS)
    shipped = replace(
        _next(initiative),
        status=Status.SHIPPED,
        shipped_at=cause.at,
        learned=learned,
        changed=changed,
        next_steps=next_steps,
    )
    return _moment(
        shipped,
        "shipped",
        cause,
        owner,
        lambda heading: InitiativeShipped(**heading, learned=learned, changed=changed, next_steps=next_steps),
        text=changed,
    )


def communicated(
    initiative: Initiative, owner: Employee, cause: Cause, *, campaign_id: str, sent_at: datetime
) -> Moment | None:
    """Everybody was told; None where they had been told before, or where there is nothing to tell of."""
    if initiative.status is not Status.SHIPPED or initiative.communicated_at is not None:
        return None
    in_time = None if initiative.communicate_by is None else sent_at <= initiative.communicate_by
    told = replace(_next(initiative), communicated_at=sent_at, campaign_id=campaign_id)
    return _moment(
        told,
        "communicated",
        cause,
        owner,
        lambda heading: InitiativeCommunicated(
            **heading, campaign_id=campaign_id, communicated_at=sent_at, in_time=in_time
        ),
        details={"campaign_id": campaign_id, "in_time": in_time},
    )


def fire(initiative: Initiative, owner: Employee, now: datetime, cause_of: Callable[[UUID], Cause]) -> Moment | None:
    """What the quarter clock makes happen by `now`: found late, it breaches without a warning after the fact."""
    if initiative.fires_at is None or initiative.communicate_by is None or initiative.fires_at > now:
        return None
    breached = initiative.communicate_by <= now
    stage = Stage.BREACHED if breached else Stage.WARNED
    cause = cause_of(named(initiative.id, f"{stage}/{initiative.communicate_by.astimezone(UTC).isoformat()}"))
    return _moment(
        replace(_next(initiative), clock_stage=stage),
        "clock_breached" if breached else "clock_warned",
        cause,
        owner,
        (lambda heading: InitiativeClockBreached(**heading))
        if breached
        else (lambda heading: InitiativeClockWarned(**heading)),
    )


def effect_windows(initiative: Initiative, span: timedelta, now: datetime) -> tuple[tuple[datetime, datetime], ...]:
    """Before the work began and after it shipped, each `span` long or as long as there is; empty before it ships."""
    if initiative.shipped_at is None:
        return ()
    begun = initiative.started_at or initiative.shipped_at
    return (begun - span, begun), (initiative.shipped_at, min(initiative.shipped_at + span, now))


def _next(initiative: Initiative) -> Initiative:
    return replace(initiative, version=initiative.version + 1)


def _expect(initiative: Initiative, *statuses: Status) -> None:
    if initiative.status not in statuses:
        raise InitiativeRefused(initiative.id, initiative.status.value)


def _refuse_if_ended(initiative: Initiative) -> None:
    if initiative.is_ended:
        raise InitiativeRefused(initiative.id, initiative.status.value)


def _moment(
    initiative: Initiative,
    kind: HistoryKind,
    cause: Cause,
    owner: Employee | None,
    tell: Callable[[Heading], Contract] | None,
    *,
    details: Mapping[str, str | int | bool | float | None] | None = None,
    text: str | None = None,
) -> Moment:
    payload = None
    if tell is not None and owner is not None:
        payload = tell(
            {
                "initiative_id": str(initiative.id),
                "version": initiative.version,
                "title": initiative.title,
                "root_causes": initiative.root_causes,
                "themes": initiative.themes,
                "department_id": initiative.department_id,
                "owner": owner,
                "communicate_by": initiative.communicate_by,
            }
        )
    return Moment(initiative, kind, cause, details or {}, text, payload)
