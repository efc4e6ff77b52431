"""What notify takes from the streams: customers' profiles, and what happens to cases."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from libs.events.contracts.cases import CaseResolved
from libs.events.contracts.customers import CustomerErased, CustomerProfileChanged
from libs.events.contracts.initiatives import InitiativeShipped
from libs.events.contracts.scores import ResponseRescored, ResponseRetracted, ResponseScored
from services.notify import announcements
from services.notify.domain.messages import Notice, Profile, Status, notices_of
from services.notify.domain.rounds import rounds_of
from services.notify.store import confirmations, contacts, digests, ledger, profiles, voices

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from libs.events.contracts.messages import SuppressionReason
    from libs.events.database import Tx
    from libs.events.event import Event

PROFILE_WAIT: Final = timedelta(minutes=15)
"""How long a message waits for its customer's profile, which comes on another topic and may come later."""


async def handle_customers(tx: Tx, events: Sequence[Event[Any]]) -> None:
    """Keep the latest profiles; forget the erased, and hold back what was not sent to them yet."""
    latest: dict[str, Profile] = {}
    consented: dict[str, datetime] = {}
    erased: set[str] = set()
    for event in events:
        match event.payload:
            case CustomerProfileChanged() as changed:
                known = latest.get(changed.customer_id)
                if known is None or known.version < changed.version:
                    latest[changed.customer_id] = _profile(changed)
                    if changed.email_consented_at is not None:
                        consented[changed.customer_id] = changed.email_consented_at
            case CustomerErased(customer_id=customer_id):
                erased.add(customer_id)
                latest.pop(customer_id, None)
                consented.pop(customer_id, None)
            case _:
                continue
    if erased:
        for entry in await profiles.forget(tx, erased):
            announcements.suppressed(tx, entry, "erased")
        await voices.forget(tx, erased)
        await digests.forget(tx, erased)
    if latest:
        # In one order, so that two processes that replay the same customers cannot wait for each other.
        await profiles.put_profiles(tx, [latest[customer_id] for customer_id in sorted(latest)])
    if consented:
        await contacts.lift(tx, {customer_id: consented[customer_id] for customer_id in sorted(consented)})


def _profile(changed: CustomerProfileChanged) -> Profile:
    return Profile(
        customer_id=changed.customer_id,
        version=changed.version,
        name=changed.name,
        email=changed.email,
        language=changed.language,
        time_zone=changed.time_zone,
        email_consent=changed.email_consent,
        phone=changed.phone,
        tier=changed.tier,
    )


def cases_handler(*, profile_wait: timedelta = PROFILE_WAIT) -> Callable[[Tx, Sequence[Event[Any]]], Awaitable[None]]:
    """The handler of cases, with how long a message waits for a profile."""

    async def handle_cases(tx: Tx, events: Sequence[Event[Any]]) -> None:
        await _keep_resolutions(tx, events)
        begun, ended = rounds_of(events)
        if begun:
            await confirmations.begin(tx, begun)
        if ended:
            await confirmations.end(tx, ended)
            for entry in await ledger.outdate(tx, ended):
                announcements.suppressed(tx, entry, "outdated")
        over = {each.message_id for each in begun if each.ended is not None}
        notices = [notice for event in events for notice in notices_of(event)]
        if not notices:
            return
        customer_ids = {notice.customer_id for notice in notices if notice.customer_id is not None}
        known = await profiles.get_profiles(tx, customer_ids) if customer_ids else {}
        noted = [
            (notice, *_place(notice, known.get(notice.customer_id or ""), over=notice.id in over)) for notice in notices
        ]
        written = await ledger.write(tx, noted, profile_by=tx.now + profile_wait)
        for notice, status, reason in noted:
            if notice.id not in written:
                continue
            if reason is not None:
                announcements.suppressed(tx, notice, reason)
            elif status is Status.QUEUED:
                announcements.queued(tx, notice)

    return handle_cases


async def _keep_resolutions(tx: Tx, events: Sequence[Event[Any]]) -> None:
    """What cases were found to come from, for audiences."""
    resolved = [event.payload for event in events if isinstance(event.payload, CaseResolved)]
    if resolved:
        latest = {each.case_id: each for each in sorted(resolved, key=lambda each: each.version)}
        await voices.put_resolutions(tx, [latest[case_id] for case_id in sorted(latest)])


async def handle_scores(tx: Tx, events: Sequence[Event[Any]]) -> None:
    """Who answered when, and about what; for audiences."""
    latest: dict[str, ResponseScored | ResponseRescored] = {}
    withdrawn: set[str] = set()
    for event in events:
        match event.payload:
            case ResponseScored() | ResponseRescored() as scored:
                latest[scored.response_id] = scored
                withdrawn.discard(scored.response_id)
            case ResponseRetracted(response_id=response_id):
                withdrawn.add(response_id)
                latest.pop(response_id, None)
            case _:
                continue
    if withdrawn:
        await voices.drop_answers(tx, withdrawn)
    if latest:
        await voices.put_answers(tx, [latest[response_id] for response_id in sorted(latest)])


async def handle_initiatives(tx: Tx, events: Sequence[Event[Any]]) -> None:
    """What changed and can be told."""
    for event in events:
        if isinstance(event.payload, InitiativeShipped):
            await voices.put_initiative(tx, event.payload, event.time)


def _place(notice: Notice, profile: Profile | None, *, over: bool) -> tuple[Status, SuppressionReason | None]:
    """Where a new message begins."""
    if over:
        return Status.SUPPRESSED, "outdated"
    reason = notice.hold(profile)
    if reason is None:
        return Status.QUEUED, None
    if reason == "no_profile" and notice.customer_id is not None:
        return Status.WAITING, None
    return Status.SUPPRESSED, reason
