"""What is told about callbacks: as casework's events come, and shortly before the time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from libs.events.contracts.cases import CaseAssigned, CaseContacted
from libs.events.contracts.customers import CustomerErased
from services.notify import announcements
from services.notify.domain.callbacks import (
    CALLBACK_EVENTS,
    callback_of,
    handed,
    notice_to_former,
    notices_of_event,
    offer_of,
    reminders_of,
)
from services.notify.domain.messages import Status
from services.notify.store import callbacks, ledger, profiles

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from libs.events.contracts.messages import SuppressionReason
    from libs.events.database import Database, Tx
    from libs.events.event import Event
    from services.notify.domain.callbacks import Callback
    from services.notify.domain.messages import Notice, Profile

_WANTED: Final = frozenset({*(contract.TYPE for contract in CALLBACK_EVENTS), CaseAssigned.TYPE, CaseContacted.TYPE})
_BATCH: Final = 500


async def wanted_of_cases(_tx: Tx) -> frozenset[str]:
    """The few types of cases that are about callbacks."""
    return _WANTED


async def wanted_of_customers(_tx: Tx) -> frozenset[str]:
    """Erasures alone: profiles are another consumer's."""
    return frozenset({CustomerErased.TYPE})


async def handle_erasures(tx: Tx, events: Sequence[Event[Any]]) -> None:
    """Forget the callbacks of customers who are erased."""
    erased = {event.payload.customer_id for event in events if isinstance(event.payload, CustomerErased)}
    if erased:
        await callbacks.forget(tx, erased)


def callbacks_handler(
    *, profile_wait: timedelta, offers: bool
) -> Callable[[Tx, Sequence[Event[Any]]], Awaitable[None]]:
    """The handler of what cases say about callbacks. `offers`: whether customers can choose a time by a link."""

    async def handle_callbacks(tx: Tx, events: Sequence[Event[Any]]) -> None:
        notices = [offer for event in events if offers and (offer := offer_of(event)) is not None]
        about = [event for event in events if isinstance(event.payload, (CaseAssigned, *CALLBACK_EVENTS))]
        before = await callbacks.agreed_of(tx, sorted({event.payload.case_id for event in about})) if about else {}
        latest, causes = _latest(about, before, tx.now)
        changed = await callbacks.put(tx, list(latest.values())) if latest else []
        if changed:
            for entry in await callbacks.outdate(tx, changed):
                announcements.suppressed(tx, entry, "outdated")
            for each in changed:
                cause = causes[each.callback_id]
                notices += notices_of_event(cause, each)
                known = before.get(each.callback_id)
                if known is not None and (former := notice_to_former(known.agent, each, cause.id)) is not None:
                    notices.append(former)
        if notices:
            await _write(tx, notices, profile_wait)

    return handle_callbacks


def _latest(
    events: Sequence[Event[Any]], before: Mapping[UUID, Callback], now: datetime
) -> tuple[dict[UUID, Callback], dict[UUID, Event[Any]]]:
    """What has changed, and by what: of several changes in one batch people are told the last, which alone holds."""
    standing = dict(before)
    latest: dict[UUID, Callback] = {}
    causes: dict[UUID, Event[Any]] = {}
    for event in events:
        callback = callback_of(event, now)
        if callback is not None:
            changed = [callback]
        else:
            changed = [handed(each, event) for each in standing.values() if each.case_id == event.payload.case_id]
        for each in changed:
            known = standing.get(each.callback_id)
            if known is None or known.case_version < each.case_version:
                standing[each.callback_id] = latest[each.callback_id] = each
                causes[each.callback_id] = event
    return latest, causes


async def remind(database: Database, profile_wait: timedelta) -> bool:
    """Remind of callbacks that are near; whether there may be more."""
    async with database.transaction() as tx:
        due = await callbacks.due_for_reminder(tx, limit=_BATCH)
        if due:
            await _write(tx, [notice for each in due for notice in reminders_of(each)], profile_wait)
    return len(due) == _BATCH


async def forget_old_callbacks(database: Database, kept: timedelta) -> bool:
    """Forget callbacks that have not changed for `kept`; whether there may be more."""
    async with database.transaction() as tx:
        return await callbacks.prune(tx, kept=kept)


async def _write(tx: Tx, notices: Sequence[Notice], profile_wait: timedelta) -> None:
    customer_ids = {notice.customer_id for notice in notices if notice.customer_id is not None}
    known = await profiles.get_profiles(tx, customer_ids) if customer_ids else {}
    placed = [(notice, *_place(notice, known.get(notice.customer_id or ""))) for notice in notices]
    written = await ledger.write(tx, placed, profile_by=tx.now + profile_wait)
    for notice, status, reason in placed:
        if notice.id not in written:
            continue
        if reason is not None:
            announcements.suppressed(tx, notice, reason)
        elif status is Status.QUEUED:
            announcements.queued(tx, notice)


def _place(notice: Notice, profile: Profile | None) -> tuple[Status, SuppressionReason | None]:
    reason = notice.hold(profile)
    if reason is None:
        return Status.QUEUED, None
    if reason == "no_profile" and notice.customer_id is not None:
        return Status.WAITING, None
    return Status.SUPPRESSED, reason
