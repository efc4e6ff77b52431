"""The claim loops: sending what is due, waiting for profiles, taking up what a dead sender left, settling doubts.

Sending one message, and what a kill at each point leaves behind (the rule stands in `domain.outcomes`):

    claim        transaction: `sending`, attempt + 1, by this process       killed after it: gone, so tried again
    sift         transaction: what may not go now, unless told otherwise    likewise
    MAIL, RCPT, DATA, the whole body; no transaction is open                likewise
    mark         transaction: `transmitting`, if the row is still ours      killed after it: doubtful
    the last dot, and the server's answer; no transaction is open           likewise
    record       transaction: the outcome, and its event                    done
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

import structlog

from libs.events.crashpoint import crashpoint
from libs.events.errors import is_unavailable
from libs.webapi.idempotency import prune_keys
from services.notify import announcements, digests
from services.notify.campaigns import Texts
from services.notify.carriers import Carriers
from services.notify.clients import Envelope, MailServerAway
from services.notify.domain.messages import Status
from services.notify.domain.outcomes import Deferred, Outcome, Released, Settlement, deferred, settle
from services.notify.domain.returns import SOFT_WITHIN
from services.notify.holding import Holding
from services.notify.journal import record
from services.notify.letters import Addressed
from services.notify.mime import Mailbox
from services.notify.store import delivery, ledger, provider_trials, suppressions, templates
from services.notify.telemetry import DOUBTS, MESSAGES

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from libs.events.contracts.customers import Language
    from libs.events.database import Database, Tx
    from services.notify.clients import MailServer, Receipts
    from services.notify.domain.messages import Entry
    from services.notify.journal import Journal
    from services.notify.letters import Letters, TemplateKey
    from services.notify.presence import Presence
    from services.notify.store.delivery import Abandoned, Claimed

log: Final = structlog.get_logger()

_AHEAD: Final = 8
"""Messages in hand per connection: enough to keep the connections busy, few enough to leave others their share."""
_WAIT: Final = timedelta(seconds=1)
_PATIENCE: Final = timedelta(seconds=3)
"""How long mails in flight may take to end when the process stops; what is not done by then is as after a kill."""
_BATCH: Final = 1_000
_ASK_BATCH: Final = 20
_ANSWERS_KEPT: Final = timedelta(days=3)
_ASK_EVERY: Final = timedelta(seconds=10)


class Sender:
    """Sends what is due, several mails at a time; a slow one delays no other."""

    def __init__(
        self,
        *,
        database: Database,
        server: MailServer,
        letters: Letters,
        journal: Journal,
        presence: Presence,
        connections: int,
        return_path: str | None = None,
    ) -> None:
        """`return_path`: where mails come back to; the sender's address where None."""
        self._return_path = return_path or letters.sender.address
        self._database = database
        self._server = server
        self._letters = letters
        self._journal = journal
        self._presence = presence
        self._holding = Holding(time_zone=letters.time_zone)
        self._campaigns = Texts()
        self._carriers = Carriers(self._holding)
        self._capacity = connections * _AHEAD
        self._in_flight: set[asyncio.Task[None]] = set()
        self._trouble: MailServerAway | None = None

    async def step(self) -> bool:
        """Claim what is due and set it on its way; whether to come again at once. Raises MailServerAway."""
        await self._rest_of_flight()
        free = self._capacity - len(self._in_flight)
        if free < self._capacity // 2:
            await self._wait(asyncio.FIRST_COMPLETED)
            return await self._went_on()
        await self._server.rest()
        if not self._in_flight and not await self._is_any_due():
            return False
        number = await self._presence.number()
        await self._server.reach()
        troubled, self._trouble = self._trouble is not None, None
        claimed = await self._claim(number, 1 if troubled else free)
        for message in claimed:
            self._fly(self._set_out(message), message)
        if not claimed:
            return False
        # A server that refused us is tried with one message, and the loop is well only when that one went through.
        await self._wait(asyncio.ALL_COMPLETED if troubled else asyncio.FIRST_COMPLETED)
        return await self._went_on()

    async def _went_on(self) -> bool:
        """Come again at once, unless the server refused us meanwhile: that is raised."""
        await self._rest_of_flight()
        if self._trouble is not None:
            raise self._trouble
        return True

    async def close(self) -> None:
        """Let the mails in flight end for a moment; then leave the rest as a kill would, and the mark of our life."""
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=_PATIENCE.total_seconds())
        for task in self._in_flight:
            task.cancel()
        await asyncio.gather(*self._in_flight, return_exceptions=True)
        try:
            await self._journal.drain(_PATIENCE)
        except TimeoutError:
            log.warning("sender.outcomes_lost")
        await self._server.close()
        await self._carriers.close()
        await self._presence.leave()

    async def _is_any_due(self) -> bool:
        """Whether it is worth while to ask for the mail server; what is in flight shows that it is there."""
        async with self._database.reading() as tx:
            return await delivery.is_any_due(tx)

    async def _wait(self, until: str) -> None:
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=_WAIT.total_seconds(), return_when=until)

    async def _rest_of_flight(self) -> None:
        """Let go of the mails that are done; a defect in one of them ends the process, which starts anew."""
        done = {task for task in self._in_flight if task.done()}
        self._in_flight -= done
        for task in done:
            await task

    async def _claim(self, number: int, limit: int) -> list[Claimed]:
        """What is due, in our hands; of it, what may go now."""
        try:
            claimed = await delivery.claim(self._database, sender=number, limit=limit)
        except Exception as error:
            # Broad, because what an absent database looks like has many types. Nobody knows whether it was committed:
            # under another number, what this one holds and nobody sends is found, like all that a dead sender left.
            if is_unavailable(error):
                await self._presence.leave()
            raise
        try:
            async with self._database.transaction() as tx:
                going = await self._holding.sift(tx, await digests.fill_in(tx, claimed))
                await self._campaigns.fill_in(tx, going)
                await learn(tx, self._letters, {message.template for message in going})
        except Exception as error:
            # Broad, because what an absent database looks like has many types; all others go up, and end the process.
            if is_unavailable(error):
                for message in claimed:
                    self._fly(self._settle(message, Released(), ""), message)
            raise
        return going

    def _fly(self, work: Coroutine[Any, Any, None], message: Claimed) -> None:
        self._in_flight.add(asyncio.create_task(work, name=f"message {message.entry.id}"))

    def _set_out(self, message: Claimed) -> Coroutine[Any, Any, None]:
        return self._deliver(message) if message.channel == "email" else self._ask(message)

    async def _deliver(self, message: Claimed) -> None:
        crashpoint("notify.after_claim")
        entry = message.entry
        addressed = _addressed(message)
        address = addressed.recipient.address
        try:
            content = self._letters.mail(addressed, self._database.clock())
        except Exception as error:
            # Broad, because a template can fail in any way. It is this message's fault, or a deploy's that is put
            # right before the attempts are over; no other message should wait for it.
            log.exception("message.unwritable", message_id=str(entry.id), kind=entry.kind)
            outcome: Outcome = Deferred(f"it could not be written: {type(error).__name__}")
        else:
            outcome = await self._send(entry, Envelope(self._return_path, address, content))
        await self._settle(message, outcome, address)

    async def _settle(self, message: Claimed, outcome: Outcome, address: str) -> None:
        settlement = settle(outcome, message.failures, address)
        if settlement is not None:
            await self._journal.outcome(message.entry, settlement)

    async def _ask(self, message: Claimed) -> None:
        """Deliver one message over a channel other than mail."""
        crashpoint("notify.after_claim")
        asked = _addressed(message)
        address = message.chat if message.channel == "chat" else message.profile and message.profile.phone
        try:
            short = self._letters.short(asked, self._database.clock(), to=address or "")
        except Exception as error:
            # Broad, as for mails.
            log.exception("message.unwritable", message_id=str(message.entry.id), kind=message.entry.kind)
            outcome: Outcome = Deferred(f"it could not be written: {type(error).__name__}")
        else:
            try:
                outcome = await self._carriers.send(message, short, self._journal, now=self._database.clock())
            except Exception as error:
                # Broad, because what an absent database looks like has many types; nobody was asked yet.
                if not is_unavailable(error):
                    raise
                outcome = Deferred("the database was away before anybody was asked")
        await self._settle(message, outcome, address or "")

    async def _send(self, entry: Entry, envelope: Envelope) -> Outcome:
        try:
            return await self._server.send(envelope, lambda: self._journal.before_last_dot(entry))
        except MailServerAway as error:
            self._trouble = error
            return Released()
        except Exception as error:
            # Broad, because what an absent database looks like has many types. The mail was broken off before its
            # last dot (`send` promises it); any other error is a defect, and goes up.
            if not is_unavailable(error):
                raise
            return Deferred("the database was away before the last dot")


def _addressed(message: Claimed) -> Addressed:
    profile = message.profile
    if profile is not None and message.to_customer:
        recipient, language, time_zone = Mailbox(profile.name, profile.email or ""), profile.language, profile.time_zone
    else:
        recipient = Mailbox(message.name or "", message.address or "")
        language, time_zone = cast("Language", message.language), ""
    return Addressed(
        id=message.entry.id,
        kind=message.entry.kind,
        case_id=message.entry.case_id or "",
        facts=message.facts,
        recipient=recipient,
        language=language,
        time_zone=time_zone or None,
        version=message.template_version,
    )


async def learn(tx: Tx, letters: Letters, keys: Iterable[TemplateKey]) -> None:
    """Let `letters` know the templates that these messages are written by."""
    unknown = letters.unknown(keys)
    if not unknown:
        return
    for key, source in (await templates.sources(tx, unknown)).items():
        letters.learn(key, source)


async def forget_old_answers(database: Database) -> bool:
    """Forget what operators' commands, and providers that were tried, answered long ago; whether there may be more."""
    async with database.transaction() as tx:
        await provider_trials.prune(tx, older_than=_ANSWERS_KEPT)
        return await prune_keys(tx, older_than=_ANSWERS_KEPT)


async def forget_old_messages(database: Database, kept: timedelta) -> bool:
    """Forget settled messages that are older than `kept`; whether there may be more."""
    async with database.transaction() as tx:
        return await ledger.prune(tx, kept=kept)


async def forget_soft_bounces(database: Database) -> bool:
    """Forget what came back softly so long ago that it does not count any more; whether there may be more."""
    async with database.transaction() as tx:
        return await suppressions.forget_soft(tx, older_than=SOFT_WITHIN)


class Attendant:
    """Looks after the messages that nobody has in hand."""

    def __init__(
        self,
        *,
        database: Database,
        letters: Letters,
        receipts: Receipts | None,
        doubt_settles: timedelta,
        ask_every: timedelta = _ASK_EVERY,
    ) -> None:
        """`doubt_settles`: the longest time after its last dot in which a mail may still turn up at the other side."""
        self._database = database
        self._letters = letters
        self._receipts = receipts
        self._doubt_settles = doubt_settles
        self._ask_every = ask_every

    async def waiting(self) -> bool:
        """Queue messages whose customer's profile has come; suppress those that waited long enough."""
        async with self._database.transaction() as tx:
            came = await ledger.promote(tx, limit=_BATCH)
            for entry in came:
                announcements.queued(tx, entry)
            late = await ledger.expire(tx, limit=_BATCH)
            for entry in late:
                announcements.suppressed(tx, entry, "no_profile")
                MESSAGES.labels(entry.kind, str(Status.SUPPRESSED)).inc()
                log.warning("message.suppressed", message_id=str(entry.id), kind=entry.kind, reason="no_profile")
        return _BATCH in (len(came), len(late))

    async def recovery(self) -> bool:
        """Take up what a sender that is gone had in hand: again what it cannot have sent, doubtful what it may have."""
        async with self._database.transaction() as tx:
            left = await delivery.abandoned(tx, limit=_BATCH)
            if left:
                await record(tx, [(each.entry.id, each.entry.attempt, left_behind(each)) for each in left])
            DOUBTS.set(await delivery.count_doubts(tx))
        return len(left) == _BATCH

    async def doubts(self) -> bool:
        """Ask the receiving side about doubtful messages, where it can be asked; outside of any transaction."""
        if self._receipts is None:
            return False
        async with self._database.transaction() as tx:
            asked_at = tx.now
            due = await delivery.doubts(tx, limit=_ASK_BATCH, ask_again_at=asked_at + self._ask_every)
        for doubt in due:
            arrived = await self._receipts.has(self._letters.message_id(doubt.id))
            if arrived:
                settlement = Settlement(status=Status.SENT)
            elif arrived is False and asked_at - doubt.transmitting_at >= self._doubt_settles:
                settlement = Settlement(status=Status.QUEUED, reason="it never arrived", wait=timedelta(0))
            else:
                continue
            async with self._database.transaction() as tx:
                for each in await record(tx, [(doubt.id, doubt.attempt, settlement)]):
                    if each.status is Status.QUEUED:
                        announcements.queued(tx, each.entry)
        return len(due) == _ASK_BATCH


def left_behind(message: Abandoned) -> Settlement:
    """What becomes of a message whose sender is gone; one that kills each sender is given up in the end."""
    if message.status is Status.TRANSMITTING and message.repeatable:
        return replace(deferred("it is asked again under the same key", message.failures), wait=timedelta(0))
    if message.status is Status.TRANSMITTING:
        return Settlement(status=Status.DOUBTFUL, reason="the sending process ended after the mark", wait=timedelta(0))
    settled = deferred("the sending process ended before the last dot", message.failures)
    return replace(settled, wait=timedelta(0)) if settled.status is Status.QUEUED else settled
