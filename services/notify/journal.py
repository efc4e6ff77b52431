"""What senders write down while mails are in flight: how far each got, and what came of it; many at once.

Whoever comes while a write is under way shares the next one: one transaction for all mails that wait, however many
connections there are.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import structlog

from libs.events.database import outgoing
from libs.events.errors import is_unavailable
from libs.events.retry import OUTAGE
from services.notify import announcements, bounces
from services.notify.domain.messages import Status
from services.notify.domain.outcomes import Settlement
from services.notify.domain.returns import refused_for_good
from services.notify.store import campaigns, delivery
from services.notify.telemetry import MESSAGES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from libs.events.contracts.messages import MessageChannel
    from libs.events.database import Database, Tx
    from services.notify.domain.messages import Entry, MessageId
    from services.notify.store.delivery import Settled

log: Final = structlog.get_logger()

_LINGER: Final = timedelta(milliseconds=10)
"""No connection waits for an outcome to be written; a kill meanwhile leaves that many more in doubt."""

_SENT: Final = Settlement(status=Status.SENT)
_RECALLED: Final = Settlement(status=Status.SUPPRESSED, reason="cancelled")

ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")


class Together(Generic[ItemT, AnswerT]):
    """Does `write` for items that wait at the same time in one go; each caller gets its own answer."""

    def __init__(
        self, write: Callable[[Sequence[ItemT]], Awaitable[Sequence[AnswerT]]], *, linger: timedelta | None = None
    ) -> None:
        """`linger`: how long the first to come waits for others."""
        self._write = write
        self._linger = linger
        self._waiting: list[tuple[ItemT, asyncio.Future[AnswerT]]] = []
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, item: ItemT) -> AnswerT:
        """The answer for `item`. A caller that is cancelled does not cancel the write."""
        answer: asyncio.Future[AnswerT] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        return await answer

    async def drain(self) -> None:
        """Wait until nothing is being written."""
        if self._task is not None:
            await self._task

    async def _work(self) -> None:
        while self._waiting:
            if self._linger is not None:
                await asyncio.sleep(self._linger.total_seconds())
            taken, self._waiting = self._waiting, []
            try:
                answers = await self._write([item for item, _ in taken])
            except Exception as error:  # noqa: BLE001 - not swallowed: it is raised where the item came from
                for _, answer in taken:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for (_, answer), value in zip(taken, answers, strict=True):
                if not answer.done():
                    answer.set_result(value)


class Journal:
    """The senders' notes in the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._marks: Together[Entry, bool] = Together(self._mark)
        self._outcomes: Together[tuple[Entry, Settlement], None] = Together(self._settle, linger=_LINGER)

    async def before_last_dot(self, entry: Entry) -> bool:
        """Note that the last dot of this mail is next; False where it is not ours to send any more.

        Raises what the database raises: then the dot is not sent.
        """
        return await self._marks(entry)

    async def before_asking(
        self, entry: Entry, *, channel: MessageChannel, provider: str | None, until: datetime | None
    ) -> bool:
        """The same, where somebody other than the mail server is asked next."""
        async with self._database.transaction() as tx:
            return await delivery.mark_asked(tx, entry, channel=channel, provider=provider, until=until)

    async def outcome(self, entry: Entry, settlement: Settlement) -> None:
        """Note what became of the mail, however long the database is away: only we know it."""
        await self._outcomes((entry, settlement))

    async def drain(self, patience: timedelta) -> None:
        """Let what is being written be written, for as long as `patience`."""
        async with asyncio.timeout(patience.total_seconds()):
            await self._marks.drain()
            await self._outcomes.drain()

    async def _mark(self, asked: Sequence[Entry]) -> list[bool]:
        # In one order, here and below: whoever cancels a campaign holds many of these rows.
        entries = sorted(asked, key=_by_id)
        ours = await delivery.mark_transmitting(self._database, entries)
        return [entry.id in ours for entry in asked]

    async def _settle(self, known: Sequence[tuple[Entry, Settlement]]) -> list[None]:
        known = sorted(known, key=lambda each: _by_id(each[0]))
        sent = [entry for entry, settlement in known if settlement == _SENT]
        others = [(entry.id, entry.attempt, settlement) for entry, settlement in known if settlement != _SENT]
        if sent:
            await self._outlasting(len(sent), lambda: self._sent(sent))
        if others:
            await self._outlasting(len(others), lambda: self._record(others))
        return [None] * len(known)

    async def _sent(self, entries: Sequence[Entry]) -> None:
        """What went well, which is nearly all there is: one statement, where each way to the server tells."""
        now = self._database.clock()
        records = [(entry, outgoing(announcements.of_sent(entry, now), entry.key)) for entry in entries]
        news = await delivery.settle_sent(self._database, records, now=now)
        for kind, amount in Counter(entry.kind for entry in entries if entry.id in news).items():
            MESSAGES.labels(kind, str(Status.SENT)).inc(amount)

    async def _record(self, known: Sequence[tuple[MessageId, int, Settlement]]) -> None:
        async with self._database.transaction() as tx:
            await record(tx, known)

    async def _outlasting(self, outcomes: int, write: Callable[[], Awaitable[None]]) -> None:
        """Write, however often the database is away. What was written already is no news the second time."""
        outages = 0
        while True:
            try:
                return await write()
            except Exception as error:
                # Broad, because what an absent database looks like has many types; all others go up.
                if not is_unavailable(error):
                    raise
                outages += 1
                log.warning("journal.outage", outcomes=outcomes, attempt=outages)
                wait = OUTAGE.next(outages) or OUTAGE.longest
                await asyncio.sleep(wait.total_seconds())


async def record(tx: Tx, known: Sequence[tuple[MessageId, int, Settlement]]) -> list[Settled]:
    """Settle attempts (message, attempt, settlement), and announce those that it is news for.

    What would be tried again of a campaign that was cancelled meanwhile is held back instead.
    """
    again = [id_ for id_, _, settlement in known if settlement.status is Status.QUEUED]
    if again and (recalled := await campaigns.recalled(tx, again)):
        known = [
            (id_, attempt, _RECALLED if id_ in recalled and settlement.status is Status.QUEUED else settlement)
            for id_, attempt, settlement in known
        ]
    settled = await delivery.settle(tx, known)
    for each in settled:
        _announce(tx, each)
    failed = {each.entry: each.reason or "" for each in settled if each.status is Status.FAILED}
    if failed:
        gone = {entry: code for entry, reason in failed.items() if (code := refused_for_good(reason)) is not None}
        await bounces.refused(tx, gone)
    for (kind, status), amount in Counter((each.entry.kind, each.status) for each in settled).items():
        MESSAGES.labels(kind, str(status)).inc(amount)
    return settled


def _by_id(entry: Entry) -> MessageId:
    return entry.id


def _announce(tx: Tx, settled: Settled) -> None:
    """Tell what became of a message; that it is tried again later is no news to anybody.

    What went well is logged nowhere: the ledger lists it, and a line in the log costs a tenth of sending the mail.
    """
    entry = settled.entry
    reason = settled.reason or ""
    match settled.status:
        case Status.SENT:
            announcements.sent(tx, entry)
        case Status.FAILED:
            announcements.failed(tx, entry, reason)
            log.warning("message.failed", message_id=str(entry.id), kind=entry.kind, reason=reason)
        case Status.DOUBTFUL:
            announcements.doubtful(tx, entry, reason)
            log.warning("message.doubtful", message_id=str(entry.id), kind=entry.kind, reason=reason)
        case Status.SUPPRESSED:
            announcements.suppressed(tx, entry, "cancelled")
        case _:
            log.info("message.deferred", message_id=str(entry.id), kind=entry.kind, reason=reason)
