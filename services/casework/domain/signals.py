"""What lifts a case by itself besides a clock: signs that the frontline alone will not do. Each once in a case's life.

    key_customer          a key customer's score of 3 or lower
    urgent                a comment that cannot wait: leaving, suing, danger
    several_touchpoints   unhappy answers of the case came from different places, so from different departments
    no_answer             so many attempts in a row, by the policy, and nobody was reached
    reopened_again        the third reopening

A sign lifts a case from the frontline to management. Where a level above is asked already, by a breach or another
sign, the sign is written into the timeline for them and lifts nothing; the third reopening alone lifts a case from any
level, unless the same act has lifted it. What has been said once is known for ever: a case that was sent down again
does not climb for the same sign.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from libs.events.event import named
from services.casework.domain.cases import Case, Decision, decided
from services.casework.domain.levels import can_climb, climb
from services.casework.domain.timeline import CLOCK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from services.casework.domain.agents import Staff
    from services.casework.domain.answers import Answer
    from services.casework.domain.names import ContactOutcome, Signal
    from services.casework.domain.policies import Policy
    from services.casework.domain.timeline import Cause

KEY_SCORE: Final = 3
"""A key customer who gives this or less is heard by management at once."""
REOPENINGS: Final = 3
UNANSWERED: Final[frozenset[ContactOutcome]] = frozenset({"no_answer", "wrong_number"})
"""The outcomes of an attempt at which nobody was there."""


def signs_of(case: Case, answer: Answer) -> list[Signal]:
    """What an answer of the case says, in the order in which one would give it as the reason."""
    found: list[Signal] = []
    if answer.urgent:
        found.append("urgent")
    if not answer.is_detractor:
        return found
    if answer.tier == "key" and answer.score is not None and answer.score <= KEY_SCORE:
        found.append("key_customer")
    if (
        answer.response_id != case.opening_response_id
        and answer.touchpoint is not None
        and case.touchpoint is not None
        and answer.touchpoint != case.touchpoint
    ):
        found.append("several_touchpoints")
    return found


def heard(case: Case, answer: Answer, policy: Policy, staff: Staff, cause: Cause) -> Decision:
    """The case after the signs of this answer."""
    if not answer.urgent and not answer.is_detractor:
        return Decision(case)
    return noticed(case, signs_of(case, answer), policy, staff, cause)


def not_reached(case: Case, attempts: int, policy: Policy, staff: Staff, cause: Cause) -> Decision:
    """The case after so many attempts in a row, the last one among them, at which nobody was reached."""
    if not policy.unanswered_attempts or attempts < policy.unanswered_attempts:
        return Decision(case)
    return noticed(case, ["no_answer"], policy, staff, cause)


def reopened(case: Case, policy: Policy, staff: Staff, cause: Cause, *, lifts: bool) -> Decision:
    """The case after a reopening. `lifts`: nothing else in this act has lifted it."""
    if case.reopenings < REOPENINGS:
        return Decision(case)
    return noticed(case, ["reopened_again"], policy, staff, cause, lifts=lifts)


def noticed(
    case: Case, signs: Iterable[Signal], policy: Policy, staff: Staff, cause: Cause, *, lifts: bool = True
) -> Decision:
    """The case after these signs; nothing for those that it has shown before. Only a running case is lifted."""
    decision = Decision(case)
    if not case.is_running:
        return decision
    for sign in signs:
        if sign in decision.case.signals:
            continue
        # One act may show several signs, and each of their events has an id of its own.
        shown = replace(cause, id=named(cause.id, f"signal/{sign}"), actor=CLOCK)
        known = replace(decision.case, signals=(*decision.case.signals, sign))
        from_here = known.level == "frontline" or (sign == "reopened_again" and can_climb(known.level))
        if lifts and from_here:
            following = climb(known, sign, policy, staff, shown)
        else:
            following = decided(
                replace(known, version=known.version + 1),
                shown,
                "signalled",
                details={"reason": sign, "level": known.level},
            )
        decision = Decision(following.case, decision.steps + following.steps)
    return decision
