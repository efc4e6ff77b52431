"""Callbacks: contacts that were agreed with the customer for a time, and what becomes of them.

                    moved ┌──┐                      ┌──────> kept (late): somebody tried after all
    agreed ───────────────┴──> agreed ──grace over──> missed ──nobody made up for it──> the case climbs
                                 │ ├─ an attempt at the time, or named as this one ──> kept
                                 └─┴─ cancelled ──> cancelled

A case has one agreed callback at a time, and only while it is open or contacted: who resolves it keeps the promise
first, or takes it back with a reason. The instants at which a callback is missed and at which it climbs are stored,
and do not move when the rules change.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal
from uuid import UUID

import msgspec
from msgspec.structs import replace

from libs.events.contracts.cases import (
    CaseCallbackAgreed,
    CaseCallbackCancelled,
    CaseCallbackKept,
    CaseCallbackMissed,
    CaseCallbackMoved,
)
from libs.events.event import named
from services.casework.domain.cases import Decision, Status, decided
from services.casework.domain.errors import AlreadyClosed, AlreadyResolved, CallbackAgreed, CallbackTime, NoCallback
from services.casework.domain.levels import asked_again, can_climb, climb
from services.casework.domain.names import CaseId, ContactChannel, ContactOutcome

if TYPE_CHECKING:
    from services.casework.domain.agents import Staff
    from services.casework.domain.cases import Case
    from services.casework.domain.contacting import ContactRules
    from services.casework.domain.policies import Policy
    from services.casework.domain.timeline import Cause, Details

CallbackState = Literal["agreed", "kept", "missed", "cancelled"]
MoveReason = Literal["customer_asked", "owner_unavailable", "other"]
CancelReason = Literal["customer_asked", "no_longer_needed", "other"]

LONGEST_AHEAD: Final = timedelta(days=90)


class Callback(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One agreed contact."""

    id: UUID
    case_id: CaseId
    at: datetime
    channel: ContactChannel
    state: CallbackState
    agreed_at: datetime
    agreed_by: str
    moves: int = 0
    """How often it was moved."""
    settled_at: datetime | None = None
    """When it was kept, or cancelled; of a missed one, when somebody made up for it."""
    outcome: ContactOutcome | None = None
    """Of the attempt that kept it, or made up for it."""
    fires_at: datetime | None = None
    """When it is missed; of a missed one, when it climbs; None when nothing happens by itself any more."""

    @property
    def is_pending(self) -> bool:
        """Whether somebody still has to call."""
        return self.state == "agreed" or (self.state == "missed" and self.fires_at is not None)


class Promised(msgspec.Struct, frozen=True, gc=False):
    """What was decided: the case with its steps, and the callback as it is now."""

    callback: Callback
    decision: Decision


def agree(
    case: Case,
    id_: UUID,
    at: datetime,
    channel: ContactChannel,
    rules: ContactRules,
    staff: Staff,
    cause: Cause,
    *,
    earlier: Callback | None = None,
    note: str | None = None,
) -> Promised:
    """The customer and we agreed on a time. `earlier` is the case's pending callback, if it has one."""
    match case.status:
        case Status.CLOSED:
            raise AlreadyClosed(case.id)
        case Status.RESOLVED:
            raise AlreadyResolved(case.id)
        case Status.OPEN | Status.CONTACTED:
            pass
    if earlier is not None and earlier.state == "agreed":
        raise CallbackAgreed(case.id)
    at = _ahead(case, at, cause)
    callback = Callback(
        id=id_,
        case_id=case.id,
        at=at,
        channel=channel,
        state="agreed",
        agreed_at=cause.at,
        agreed_by=cause.actor.id,
        fires_at=at + rules.grace,
    )
    decision = decided(
        replace(case, version=case.version + 1),
        cause,
        "callback_agreed",
        lambda heading: CaseCallbackAgreed(
            **heading, callback_id=str(id_), at=at, channel=channel, owner=staff.employee(case.owner_id)
        ),
        details={"callback_id": str(id_), "at": at.isoformat(), "channel": channel},
        text=note,
    )
    return Promised(callback, decision)


def superseded(callback: Callback, cause: Cause) -> Callback:
    """A missed callback after another one was agreed: nothing more happens for it."""
    return replace(callback, settled_at=cause.at, fires_at=None)


def move(
    case: Case,
    callback: Callback,
    at: datetime,
    reason: MoveReason,
    rules: ContactRules,
    staff: Staff,
    cause: Cause,
    *,
    note: str | None = None,
) -> Promised:
    """Another time was agreed; whoever was invited is told the new one."""
    if callback.state != "agreed":
        raise NoCallback(case.id)
    at = _ahead(case, at, cause)
    moved = replace(callback, at=at, moves=callback.moves + 1, fires_at=at + rules.grace)
    decision = decided(
        replace(case, version=case.version + 1),
        cause,
        "callback_moved",
        lambda heading: CaseCallbackMoved(
            **heading,
            callback_id=str(callback.id),
            at=at,
            channel=callback.channel,
            owner=staff.employee(case.owner_id),
            moved_from=callback.at,
            moves=moved.moves,
            reason=reason,
        ),
        details={
            "callback_id": str(callback.id),
            "at": at.isoformat(),
            "moved_from": callback.at.isoformat(),
            "reason": reason,
        },
        text=note,
    )
    return Promised(moved, decision)


def cancel(
    case: Case,
    callback: Callback,
    reason: CancelReason | Literal["customer_erased"],
    staff: Staff,
    cause: Cause,
    *,
    note: str | None = None,
) -> Promised:
    """Nobody will call at that time."""
    if callback.state != "agreed":
        raise NoCallback(case.id)
    decision = decided(
        replace(case, version=case.version + 1),
        cause,
        "callback_cancelled",
        lambda heading: CaseCallbackCancelled(
            **heading,
            callback_id=str(callback.id),
            at=callback.at,
            channel=callback.channel,
            owner=staff.employee(case.owner_id),
            reason=reason,
        ),
        details={"callback_id": str(callback.id), "at": callback.at.isoformat(), "reason": reason},
        text=note,
    )
    return Promised(replace(callback, state="cancelled", settled_at=cause.at, fires_at=None), decision)


def forget(case: Case, callback: Callback, staff: Staff, cause: Cause) -> Promised:
    """The customer asked to be forgotten: nobody calls, and nothing more happens for a call that was missed."""
    if callback.state == "agreed":
        return cancel(case, callback, "customer_erased", staff, cause)
    return Promised(superseded(callback, cause), Decision(case))


def keeps(callback: Callback, at: datetime, rules: ContactRules) -> bool:
    """Whether an attempt at `at` is the one that was agreed, or makes up for one that was missed."""
    return callback.is_pending and (callback.state == "missed" or at >= callback.at - rules.early)


def kept(case: Case, callback: Callback, outcome: ContactOutcome, staff: Staff, cause: Cause) -> Promised:
    """Somebody tried, as it was agreed, or late; whether the customer answered is the customer's business."""
    late = callback.state == "missed"
    decision = decided(
        replace(case, version=case.version + 1),
        cause,
        "callback_kept",
        lambda heading: CaseCallbackKept(
            **heading,
            callback_id=str(callback.id),
            at=callback.at,
            channel=callback.channel,
            owner=staff.employee(case.owner_id),
            outcome=outcome,
            late=late,
        ),
        details={"callback_id": str(callback.id), "at": callback.at.isoformat(), "outcome": outcome, "late": late},
    )
    state: CallbackState = "missed" if late else "kept"
    settled = replace(callback, state=state, settled_at=cause.at, outcome=outcome, fires_at=None)
    return Promised(settled, decision)


def fire(
    case: Case,
    callback: Callback,
    rules: ContactRules,
    policy: Policy,
    staff: Staff,
    cause: Cause,
) -> Promised:
    """What the callback's clock makes happen now: it is missed, or a missed one climbs."""
    if callback.state == "agreed":
        responsible = None if case.responsible_id is None else staff.employee(case.responsible_id)
        decision = decided(
            replace(case, version=case.version + 1),
            cause,
            "callback_missed",
            lambda heading: CaseCallbackMissed(
                **heading,
                callback_id=str(callback.id),
                at=callback.at,
                channel=callback.channel,
                owner=staff.employee(case.owner_id),
                responsible=responsible,
            ),
            details={"callback_id": str(callback.id), "at": callback.at.isoformat()},
        )
        climbs_at = callback.at + rules.grace + rules.climbs_after
        return Promised(replace(callback, state="missed", fires_at=climbs_at), decision)
    silent = replace(callback, fires_at=None)
    if can_climb(case.level):
        return Promised(silent, climb(case, "callback_missed", policy, staff, cause))
    # Nobody is above: the level's own clock starts again, and reminds.
    asked = replace(asked_again(case, policy, cause.at), version=case.version + 1)
    details: Details = {"callback_id": str(callback.id), "at": callback.at.isoformat(), "at_the_top": True}
    return Promised(silent, decided(asked, cause, "callback_missed", details=details))


def firing_id(callback: Callback) -> UUID:
    """The cause of what the callback's clock makes happen next: the same for whoever comes first."""
    at = "" if callback.fires_at is None else callback.fires_at.astimezone(UTC).isoformat()
    return named(callback.id, f"{callback.state}/{callback.moves}/{at}")


def _ahead(case: Case, at: datetime, cause: Cause) -> datetime:
    latest = cause.at + LONGEST_AHEAD
    if not cause.at < at <= latest:
        raise CallbackTime(case.id, latest)
    return at.astimezone(UTC)
