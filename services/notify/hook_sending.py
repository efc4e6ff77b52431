"""The loop that delivers events to subscribers, and what becomes of subscriptions by that.

claim       transaction: the row is ours until `claimed_until`        killed after it: taken again when that is over
POST; no transaction is open                                         killed after the receiver's yes: sent once more,
settle      transaction: outcomes of many, and the next claim                 under the same `webhook-id`
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import structlog

from libs.events.contracts.subscriptions import SubscriptionDisabled
from libs.events.crashpoint import crashpoint
from libs.events.event import Event, derived_id
from services.notify import announcements
from services.notify.domain.hook_outcomes import judge
from services.notify.domain.hook_signatures import key_of, signature
from services.notify.domain.mailboxes import is_address
from services.notify.domain.messages import Notice, Status, message_id
from services.notify.domain.subscriptions import FAILING_FOR, Disabled
from services.notify.domain.visibility import read
from services.notify.hook_handlers import narrowed
from services.notify.hook_lanes import Lanes
from services.notify.store import hook_deliveries, ledger, subscriptions
from services.notify.store.hook_deliveries import Settled
from services.notify.telemetry import HOOKS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from libs.events.database import Database, Tx
    from services.notify.domain.subscriptions import Subscription, SubscriptionId
    from services.notify.hook_lanes import Lane
    from services.notify.receivers import Receivers
    from services.notify.store.hook_deliveries import Claimed

log: Final = structlog.get_logger()

_OURS_FOR: Final = timedelta(minutes=2)
"""Far beyond the longest time that an attempt takes: what has not been settled by then is anybody's."""
_GATHERED: Final = 0.02
_QUIET: Final = 1.0
_PATIENCE: Final = timedelta(seconds=3)

ItemT = TypeVar("ItemT")


class HookSender:
    """Delivers what is due, many at a time; no receiver waits for another."""

    def __init__(
        self,
        database: Database,
        receivers: Receivers,
        *,
        in_flight: int,
        per_subscription: int,
        random: Random | None = None,
        failing_for: timedelta = FAILING_FOR,
        ours_for: timedelta = _OURS_FOR,
    ) -> None:
        """`in_flight` to all receivers at once, `per_subscription` to one; `ours_for`: after it, a claim is over."""
        self._database = database
        self._receivers = receivers
        self._in_flight = in_flight
        self._lanes = Lanes(most=per_subscription)
        self._random = random or Random()  # noqa: S311 - jitter spreads retries; nobody guesses at it
        self._failing_for = failing_for
        self._ours_for = ours_for
        # What has waited in our hands so long is given back: it would not be over before the claim is.
        self._stale = ours_for / 2
        self._settled: list[Settled] = []
        self._released: list[Claimed] = []
        self._on_their_way: set[asyncio.Task[None]] = set()
        self._defect: BaseException | None = None
        self._claimed_at: datetime | None = None
        self._news = asyncio.Event()

    async def step(self) -> bool:
        """Settle what came back, claim what is due, and wait for more to come back; whether to come again at once."""
        if self._defect is not None:
            raise self._defect
        if not self._has_something_in_hand and not await self._is_any_due():
            return False
        await self._settle_and_claim()
        self._set_out()
        if not self._has_something_in_hand:
            return False
        await self._until_there_is_news()
        return True

    async def close(self) -> None:
        """Let what is on its way come back for a moment, note it, and give back the rest."""
        self._released += self._lanes.take_waiting()
        if self._on_their_way:
            await asyncio.wait(self._on_their_way, timeout=_PATIENCE.total_seconds())
        for task in self._on_their_way:
            task.cancel()
        await asyncio.gather(*self._on_their_way, return_exceptions=True)
        async with self._database.transaction() as tx:
            await self._settle(tx, self._settled, self._released)
        self._settled, self._released = [], []
        await self._receivers.close()

    @property
    def _has_something_in_hand(self) -> bool:
        return bool(self._settled or self._released or self._on_their_way or self._lanes.waiting)

    async def _is_any_due(self) -> bool:
        async with self._database.reading() as tx:
            return await hook_deliveries.is_any_due(tx)

    async def _settle_and_claim(self) -> None:
        self._give_back_what_is_stale()
        settled, released = _taken(self._settled), _taken(self._released)
        try:
            async with self._database.transaction() as tx:
                await self._settle(tx, settled, released)
                enabled = await subscriptions.enabled(tx)
                now = tx.now
                self._released += self._lanes.follow(
                    each for each in enabled if each.paused_until is None or each.paused_until <= now
                )
                rooms = self._lanes.rooms()
                claimed = await hook_deliveries.claim(tx, rooms, until=now + self._ours_for) if rooms else []
        except BaseException:
            # Nothing of it is committed, and it is tried again with the next step.
            self._settled[:0], self._released[:0] = settled, released
            raise
        for outcome, amount in Counter(map(_outcome, settled)).items():
            HOOKS.labels(outcome).inc(amount)
        if claimed:
            self._claimed_at = now
            self._lanes.add(claimed)

    def _give_back_what_is_stale(self) -> None:
        if self._claimed_at is not None and self._database.clock() - self._claimed_at > self._stale:
            self._released += self._lanes.take_waiting()
            self._claimed_at = None

    async def _settle(self, tx: Tx, settled: Sequence[Settled], released: Sequence[Claimed]) -> None:
        if released:
            await hook_deliveries.release(tx, released)
        if not settled:
            return
        await hook_deliveries.settle(tx, settled)
        worked = {each.claimed.subscription_id for each in settled if each.attempt.is_success}
        gone = {each.claimed.subscription_id for each in settled if each.attempt.is_gone}
        failed = {each.claimed.subscription_id for each in settled} - worked
        if worked:
            await subscriptions.worked(tx, worked)
        failing = await subscriptions.failed(tx, failed, failing_for=self._failing_for) if failed else set()
        pauses = {
            each.claimed.subscription_id: each.verdict.paused_until
            for each in settled
            if each.verdict.paused_until is not None
        }
        if pauses:
            await subscriptions.pause(tx, pauses)
        await disable(tx, gone, "gone")
        await disable(tx, failing - gone, "failing")

    async def _until_there_is_news(self) -> None:
        """Until it is worth while to ask the database again: little waits in our hands, and some came back."""
        self._news.clear()
        try:
            async with asyncio.timeout(_QUIET):
                await self._news.wait()
        except TimeoutError:
            return
        try:
            async with asyncio.timeout(_GATHERED):
                while self._on_their_way and self._lanes.waiting > self._in_flight:
                    self._news.clear()
                    await self._news.wait()
                while self._on_their_way and len(self._settled) < self._in_flight:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return

    def _set_out(self) -> None:
        """Have as many on their way as may be."""
        while len(self._on_their_way) < self._in_flight and (following := self._lanes.next()) is not None:
            task = asyncio.create_task(self._deliver_one_after_another(*following))
            self._on_their_way.add(task)
            task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._on_their_way.discard(task)
        if not task.cancelled() and (defect := task.exception()) is not None:
            self._defect = defect
        self._news.set()

    async def _deliver_one_after_another(self, lane: Lane, claimed: Claimed) -> None:
        """Deliver, and go on with whatever is next: a task for each delivery would cost a good part of it."""
        while True:
            settled = await self._deliver(lane, claimed)
            lane.back(well=settled.attempt.is_success)
            self._settled.append(settled)
            if settled.attempt.is_gone or settled.verdict.paused_until is not None:
                self._released += self._lanes.take_waiting(claimed.subscription_id)
            self._news.set()
            following = self._lanes.next()
            if following is None:
                return
            lane, claimed = following
            self._set_out()

    async def _deliver(self, lane: Lane, claimed: Claimed) -> Settled:
        subscription = lane.subscription
        now = self._database.clock()
        body = claimed.body
        if not read(claimed.sees) <= subscription.sees:
            body = narrowed(body, subscription.sees)
        attempt = await self._receivers.post(subscription.url, headers_of(claimed, subscription, body, now), body)
        if attempt.is_success:
            crashpoint("notify.after_hook_accepted")
        return Settled(claimed, attempt, judge(attempt, claimed.failures, self._database.clock(), self._random))


def headers_of(claimed: Claimed, subscription: Subscription, body: bytes, now: datetime) -> dict[str, str]:
    """The headers of Standard Webhooks; the id is the event's, so it is the same at every attempt and replay."""
    id_, timestamp = str(claimed.event_id), int(now.timestamp())
    keys = [key_of(secret) for secret in subscription.secrets(now)]
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(keys, id_=id_, timestamp=timestamp, body=body),
    }


async def disable(tx: Tx, ids: set[SubscriptionId], why: Literal["gone", "failing"]) -> None:
    """Disable these where they are not, and tell everybody, and the contact of each by mail."""
    if not ids:
        return
    disabled = await subscriptions.disable(tx, ids, Disabled(why))
    notices = [_announced(tx, each, why) for each in disabled]
    if not notices:
        return
    placed = [
        (notice, Status.QUEUED, None) if reachable else (notice, Status.SUPPRESSED, "no_address")
        for notice, reachable in notices
    ]
    await ledger.write(tx, placed, profile_by=tx.now)  # type: ignore[arg-type]  # literals, widened by the list
    for notice, reachable in notices:
        if reachable:
            announcements.queued(tx, notice)
        else:
            announcements.suppressed(tx, notice, "no_address")


def _announced(tx: Tx, subscription: Subscription, why: Literal["gone", "failing"]) -> tuple[Notice, bool]:
    """Publish that a subscription is disabled; the notice for its contact, and whether they can be written to."""
    log.warning("subscription.disabled", subscription_id=str(subscription.id), reason=why)
    contact = subscription.contact
    event = Event.caused_by_command(
        derived_id(subscription.id, SubscriptionDisabled.TYPE, str(subscription.version)),
        SubscriptionDisabled(subscription_id=str(subscription.id), reason=why, owner=contact, disabled_at=tx.now),
        subject=str(subscription.id),
        time=tx.now,
        source=announcements.SOURCE,
    )
    tx.emit(event, key=contact.employee_id)
    recipient = f"employee:{contact.employee_id}"
    notice = Notice(
        id=message_id(event.id, recipient),
        cause_id=event.id,
        kind="subscription_disabled",
        recipient=recipient,
        case_id=None,
        case_version=0,
        customer_id=None,
        employee_id=contact.employee_id,
        employee=contact,
        facts={"subscription": subscription.name, "reason": why},
    )
    return notice, is_address(contact.email)


def _outcome(settled: Settled) -> str:
    trouble = settled.attempt.trouble
    return "delivered" if trouble is None else str(trouble)


def _taken(items: list[ItemT]) -> list[ItemT]:
    """What is in a list, which is empty afterwards."""
    taken = items[:]
    items.clear()
    return taken


async def forget_old_deliveries(database: Database, kept: timedelta, erasures_kept: timedelta) -> bool:
    """Forget deliveries that are older than `kept`; whether there may be more."""
    async with database.transaction() as tx:
        return await hook_deliveries.prune(tx, kept=kept, erasures_kept=erasures_kept)
