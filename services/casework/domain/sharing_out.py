"""Many cases decided about at once, each for itself: who leaves or is away hands over, and bulk work in lists.

Whoever leaves hands over every case that is not closed. Whoever is away keeps those of which the customer knows them
already, if nothing of the case falls due before they are back: one name stays, where it can. The others go to one named
person, or are shared out by the routing rule as if the person were not there, the first due first.

What was decided about one case does not depend on whether another could be decided about; what is refused says why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec
from msgspec.structs import replace

from libs.events.event import named
from services.casework.domain import commands, levels
from services.casework.domain.agents import Agent, Staff
from services.casework.domain.cases import Case, Decision, Status
from services.casework.domain.errors import AlreadyClosed, NobodyToAssign, Refused
from services.casework.domain.routing import Demand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from services.casework.domain.casebook import Casebook
    from services.casework.domain.routing import Desk
    from services.casework.domain.timeline import Cause, Details

SAID: Final[Mapping[str, Details]] = {"leaves": {"owner_left": True}, "absent": {"owner_absent": True}}
"""What the choice of an owner says of why there had to be one."""
Result = Literal["changed", "unchanged", "refused"]


class Outcome(msgspec.Struct, frozen=True):
    """What became of one case, or would."""

    before: Case
    after: Case
    result: Result
    because: str | None = None
    """The code of the refusal, or why it stays as it is."""


def decide_each(
    book: Casebook, cases: Iterable[Case], staff: Staff, cause: Cause, decide: Callable[[Case, Cause], Decision]
) -> list[Outcome]:
    """Decide about each of these cases of the book; events of each have ids of their own."""
    outcomes = []
    for case in cases:
        own = replace(cause, id=named(cause.id, f"case/{case.id}"))
        try:
            decision = decide(levels.answered(case, own.actor, staff), own)
        except Refused as refused:
            outcomes.append(Outcome(case, case, "refused", refused.code))
        except NobodyToAssign:
            outcomes.append(Outcome(case, case, "refused", "nobody-to-assign"))
        else:
            if decision.steps:
                outcomes.append(Outcome(case, book.put(decision), "changed"))
            else:
                outcomes.append(Outcome(case, case, "unchanged"))
    return outcomes


def without(staff: Staff, leaver: Agent) -> Staff:
    """The staff as routing sees it where this person takes nothing."""
    return Staff.of(agent for agent in staff.agents.values() if agent.id != leaver.id)


def keeps(case: Case, back_at: datetime | None) -> bool:
    """Whether the case waits for its owner, who is back then: the customer knows them, and nothing is due before."""
    if back_at is None or case.first_contacted_at is None:
        return False
    due_at = case.next_due_at
    return due_at is None or due_at > back_at


def routed(case: Case, desk: Desk, why: Details, cause: Cause, *, note: str | None = None) -> Decision:
    """The case handed to whom the routing rule names, nothing where that is its owner; NobodyToAssign.

    `why`: what is to be said of the choice besides.
    """
    if case.status is Status.CLOSED:
        raise AlreadyClosed(case.id)
    choice = desk.choose(case.tier, None, Demand(case.program, case.touchpoint, (), case.language))
    if choice.agent.id == case.owner_id:
        return Decision(case)
    details: Details = {**choice.details, **why}
    return commands.hand_over(case, choice.agent, choice.reason, details, cause, previous=case.owner_id, note=note)


def back_at(leaver: Agent, now: datetime) -> datetime | None:
    """When the absence that holds now ends, or the next one that is planned; None where nobody knows."""
    spans = [(start, end) for start, end in leaver.absences if end > now]
    if leaver.absent_until is not None and leaver.absent_until > now:
        spans.append((leaver.absent_from or now, leaver.absent_until))
    return min(spans)[1] if spans else None
