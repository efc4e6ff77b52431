"""Waiting for the customer: the only thing that pauses a clock, and only that of the resolution.

    wait      a contacted case, for a reason, until an instant; in one round for no longer than the policy allows
    resume    by hand; by the limit, by itself; by the customer: a new answer, a word, or speaking with us
    ends, too, with the resolution and with the close

The first-contact clock is never paused, as only who was reached can be waited for; the escalation clock neither, as a
level that was asked can answer while the customer thinks. What is paused comes later by the time paused.
"""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from libs.events.contracts.cases import CaseResumed, CaseWaiting
from services.casework.domain.calendars import between
from services.casework.domain.cases import Case, Decision, Status, Waiting, decided
from services.casework.domain.errors import (
    AlreadyClosed,
    AlreadyResolved,
    AlreadyWaiting,
    NotContacted,
    NotWaiting,
    WaitTooLong,
)

if TYPE_CHECKING:
    from datetime import datetime

    from services.casework.domain.cases import WaitReason
    from services.casework.domain.policies import Policy
    from services.casework.domain.timeline import Cause

Ended = Literal["by_hand", "limit", "customer_answered", "customer_reached", "resolved"]
"""Why the case waits no more."""


def wait(
    case: Case, reason: WaitReason, until: datetime, policy: Policy, cause: Cause, *, note: str | None = None
) -> Decision:
    """The customer has the word now. `until` lies ahead, and within what is left of the policy's limit."""
    match case.status:
        case Status.CLOSED:
            raise AlreadyClosed(case.id)
        case Status.RESOLVED:
            raise AlreadyResolved(case.id)
        case Status.OPEN:
            raise NotContacted(case.id)
        case Status.CONTACTED:
            pass
    if case.waiting is not None:
        raise AlreadyWaiting(case.id)
    latest = cause.at + policy.longest_wait - waited(case)
    if not cause.at < until <= latest:
        raise WaitTooLong(case.id, latest)
    until = until.astimezone(UTC)
    return decided(
        replace(case, version=case.version + 1, waiting=Waiting(cause.at, until, reason)),
        cause,
        "waiting",
        lambda heading: CaseWaiting(**heading, reason=reason, until=until),
        details={"reason": reason, "until": until.isoformat()},
        text=note,
    )


def waited(case: Case) -> timedelta:
    """How long the case has waited in this round, but for what it waits now."""
    return sum((until - since for since, until in case.pauses), timedelta(0))


def resume(case: Case, policy: Policy, cause: Cause, *, note: str | None = None) -> Decision:
    """By hand: the work goes on before the time is over."""
    if case.waiting is None:
        raise NotWaiting(case.id)
    return resumed(case, "by_hand", policy, cause, cause.at, note=note)


def resumed(
    case: Case, reason: Ended, policy: Policy, cause: Cause, at: datetime, *, note: str | None = None
) -> Decision:
    """The work goes on since `at`, and the resolution is due as much later; nothing where the case does not wait."""
    if case.waiting is None:
        return Decision(case)
    since = case.waiting.since
    at = min(at, case.waiting.until)
    resolution = case.resolution.moved(policy.calendar, between(policy.calendar, since, at))
    return decided(
        replace(
            case,
            version=case.version + 1,
            waiting=None,
            pauses=(*case.pauses, (since, at)),
            resolution=resolution,
        ),
        cause,
        "resumed",
        lambda heading: CaseResumed(**heading, reason=reason, waited_since=since, resolution_due_at=resolution.due_at),
        details={
            "reason": reason,
            "waited_since": since.isoformat(),
            "resolution_due_at": resolution.due_at.isoformat(),
        },
        text=note,
    )
