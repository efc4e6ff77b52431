"""The case: one customer's problem, from the answer that opened it to the customer's own word that it is solved.

                   contact: reached             resolve               yes (confirmed), silence (unconfirmed)
           open ───────────────────> contacted ─────────> resolved ──────────────────> closed
            ^                                                │                           │ └ a late yes: unconfirmed
            │                                                │                           │   becomes confirmed
            └────── reopened: no, by hand, a worse answer ───┴───────────────────────────┘

No other arrow exists, but one: when the customer asks to be forgotten, a case closes (unconfirmed) from any state,
because nobody may call any more. What each state allows:

               contact attempt   assign   escalate   resolve   wait   reopen   note   clocks that run
    open            x              x         x          -        -       -       x    first contact, resolution
    contacted       x              x         x          x        x       -       x    resolution, but not while waiting
    resolved        x              x         -          -        -       x       x    confirmation
    closed          -              -         -          -        -       x       x    none

To de-escalate is possible where to escalate is. A contacted case is resolved once the departments that were asked have
answered (`tasks`), which may be asked while it is open or contacted.

Above the frontline the escalation clock runs beside them, while the case is open or contacted, until somebody of the
level has acted (`levels`). A contacted case may wait for the customer (`waiting`).

`round` counts the resolutions; the customer is asked about each of them, and an answer about an earlier one changes
nothing. Every decision is the new state with one step per line of the timeline; each raises the version by one.
This module holds the state; what people do is in `commands` and `waiting`, what customers do in `replies`, what clocks
do in `alarms`, how a case climbs and comes down in `levels`, and what lifts it besides clocks in `signals`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal, TypedDict

import msgspec

from libs.events.contracts.scores import PriorityPart
from services.casework.domain.clocks import Deadline, started_at
from services.casework.domain.names import AgentId, CaseId, CustomerId, Level, ResponseId, RootCauseId, Signal, Tier
from services.casework.domain.timeline import Details, Entry, Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from libs.events.event import Contract
    from services.casework.domain.timeline import Cause, EntryKind

CLOSED_FROM: Final = datetime(9000, 1, 1, tzinfo=UTC)
"""In the order of the list, whatever is not closed comes before this and whatever is closed after."""
_FAR: Final = datetime(9990, 1, 1, tzinfo=UTC)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Status(StrEnum):
    """Where the case stands."""

    OPEN = "open"
    CONTACTED = "contacted"
    RESOLVED = "resolved"
    CLOSED = "closed"


Outcome = Literal["confirmed", "unconfirmed"]
"""How a closed case ended."""


CaseKind = Literal["full", "light"]

WaitReason = Literal["customer_information", "customer_decision", "customer_trying", "customer_away", "other"]
"""What the case waits for: something the customer sends, or decides, or tries out, or the customer's return."""


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """The case waits for the customer: since when, until when at the latest, and what for."""

    since: datetime
    until: datetime
    reason: WaitReason


class Case(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One case at one version."""

    id: CaseId
    event_key: str
    """The key of all its events: the customer at opening, else the response; it never changes, so order holds."""
    customer_id: CustomerId | None
    opening_response_id: ResponseId
    program: str
    touchpoint: str | None
    language: str | None
    score: int
    """Of the answer that opened it, at its latest revision."""
    tier: Tier
    """At opening; it set the clocks. The customer's present tier is in the profile."""
    status: Status
    outcome: Outcome | None
    level: Level
    owner_id: AgentId
    owner_reason: str
    owner_reason_details: Details
    responsible_id: AgentId | None
    round: int
    """How often it was resolved."""
    reopenings: int
    """How often it was opened again."""
    version: int
    answered_at: datetime
    opened_at: datetime
    first_contact: Deadline
    first_contacted_at: datetime | None
    """When somebody spoke with the customer for the first time, in whichever round."""
    resolution: Deadline
    resolved_at: datetime | None
    root_cause_id: RootCauseId | None
    confirm_by: datetime | None
    closed_at: datetime | None
    clocks_since: datetime | None = None
    """From when the clocks of a further round count; None in the first, which counts from the answer."""
    escalated_at: datetime | None = None
    """When the case came to its level; None where `escalation` is."""
    escalation: Deadline | None = None
    """By when somebody of its level has to act; None on the frontline, and once somebody has."""
    waiting: Waiting | None = None
    pauses: tuple[tuple[datetime, datetime], ...] = ()
    """When in this round the case waited for the customer."""
    priority: int | None = None
    """Whom to call first, 0 to 100: the highest that scoring told of an answer of the case."""
    priority_parts: tuple[PriorityPart, ...] = ()
    """What it is the sum of."""
    kind: CaseKind = "full"
    """`light`: a rule opened it for an answer that is no detractor's; its clocks go by policies of their own."""
    signals: tuple[Signal, ...] = ()
    """The signs that it has shown (`signals`), in their order; each lifts it at most once."""

    @property
    def began_at(self) -> datetime:
        """From when the clocks of this round count."""
        return self.clocks_since or started_at(self.answered_at, self.opened_at)

    @property
    def is_running(self) -> bool:
        """Whether the owner has work to do."""
        return self.status in (Status.OPEN, Status.CONTACTED)

    @property
    def next_due_at(self) -> datetime | None:
        """The earliest instant by which something is (or was) due; None when closed."""
        match self.status:
            case Status.OPEN:
                due_at = min(self.first_contact.due_at, self.resolution.due_at)
            case Status.CONTACTED:
                due_at = self.resolution.due_at if self.waiting is None else self.waiting.until
            case Status.RESOLVED:
                return self.confirm_by
            case Status.CLOSED:
                return None
        return due_at if self.escalation is None else min(due_at, self.escalation.due_at)

    @property
    def fires_at(self) -> datetime | None:
        """The earliest instant at which a clock makes something happen; None when all are silent."""
        match self.status:
            case Status.OPEN:
                fires_at = _earlier(self.first_contact.fires_at, self.resolution.fires_at)
            case Status.CONTACTED:
                fires_at = self.resolution.fires_at if self.waiting is None else self.waiting.until
            case Status.RESOLVED:
                return self.confirm_by
            case Status.CLOSED:
                return None
        return fires_at if self.escalation is None else _earlier(fires_at, self.escalation.fires_at)

    @property
    def listed_at(self) -> datetime:
        """Its place in a list: by the next due time, then the closed ones, the latest first, in one order."""
        if self.next_due_at is not None:
            return self.next_due_at
        return _FAR - ((self.closed_at or self.opened_at) - _EPOCH)


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    if one is None or other is None:
        return one or other
    return min(one, other)


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What was decided: the case as it is now, and the steps that led there."""

    case: Case
    steps: tuple[Step, ...] = ()

    def then(self, decide: Callable[[Case], Decision]) -> Decision:
        """This decision followed by what `decide` makes of its case."""
        following = decide(self.case)
        return Decision(following.case, self.steps + following.steps)


class Heading(TypedDict):
    """The fields with which every event of a case begins."""

    case_id: str
    customer_id: str | None
    version: int


def heading(case: Case) -> Heading:
    """The heading of an event that tells of this version of the case."""
    return {"case_id": str(case.id), "customer_id": case.customer_id, "version": case.version}


def decided(
    case: Case,
    cause: Cause,
    kind: EntryKind,
    tell: Callable[[Heading], Contract] | None = None,
    *,
    details: Details | None = None,
    text: str | None = None,
) -> Decision:
    """One step to `case`, which is at its new version: its line in the timeline, and its event if any."""
    entry = Entry(
        case_id=case.id,
        version=case.version,
        kind=kind,
        at=cause.at,
        actor=cause.actor,
        details=details or {},
        text=text,
    )
    return Decision(case, (Step(entry, cause, tell(heading(case)) if tell is not None else None),))
