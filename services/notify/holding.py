"""What becomes of messages that were just claimed: over which channel each goes, what waits, and what is held back."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, get_args

from libs.events.contracts.messages import MessageKind
from services.notify import announcements
from services.notify.domain.contacts import (
    PURPOSES,
    Held,
    Reach,
    Rules,
    Waits,
    Way,
    capped_until,
    quiet_until,
    wait_or_hold,
    way,
)
from services.notify.domain.messages import Status, hold
from services.notify.store import contacts, delivery, providers
from services.notify.telemetry import MESSAGES
from services.notify.texts import zone

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from libs.events.contracts.messages import MessageChannel, SuppressionReason
    from libs.events.database import Tx
    from services.notify.domain.messages import Entry, MessageId
    from services.notify.domain.providers import Provider
    from services.notify.store.delivery import Claimed

_BY_MAIL: Final = Way("email")


class Holding:
    """Decides about claimed messages by the rules in force, and records what it holds back."""

    def __init__(self, *, time_zone: str) -> None:
        """`time_zone` is the company's."""
        self._time_zone: Final = time_zone
        self.providers: dict[MessageChannel, Provider] = {}
        """Who carries the channels that have somebody, as of the last claim."""
        self.available: frozenset[MessageChannel] = frozenset({"email", "chat"})
        self._revision = 0
        self._set(Rules())

    async def sift(self, tx: Tx, claimed: Sequence[Claimed]) -> list[Claimed]:
        """Those that may go now, each with its channel; of the others, why not is kept and announced."""
        if not claimed:
            return []
        if claimed[0].rules_revision != self._revision:
            _, rules, _ = await contacts.rules(tx)
            self.providers = await providers.enabled(tx)
            self.available = frozenset({"email", "chat", *self.providers})
            self._revision = claimed[0].rules_revision
            self._set(rules)
        decided = {message.entry.id: self._decide(message, tx.now) for message in claimed}
        await self._count(tx, claimed, decided)
        held: dict[Entry, SuppressionReason] = {}
        waiting: dict[Entry, Waits] = {}
        going: list[Claimed] = []
        for message in claimed:
            match decided[message.entry.id]:
                case Way(channel):
                    going.append(message if channel == message.channel else message._replace(channel=channel))
                case Held(reason):
                    held[message.entry] = reason
                case Waits() as wait:
                    waiting[message.entry] = wait
        await self._keep_back(tx, held, waiting)
        return going

    async def _keep_back(self, tx: Tx, held: Mapping[Entry, SuppressionReason], waiting: Mapping[Entry, Waits]) -> None:
        # Whatever was told meanwhile, of a case that is over or of a customer who is gone, is the later word.
        ours = await delivery.suppress(tx, held) if held else set()
        for entry, reason in held.items():
            if entry.id in ours:
                announcements.suppressed(tx, entry, reason)
                MESSAGES.labels(entry.kind, str(Status.SUPPRESSED)).inc()
        ours = await contacts.wait(tx, waiting) if waiting else set()
        for entry, wait in waiting.items():
            if entry.id in ours:
                announcements.held(tx, entry, wait)

    def _set(self, rules: Rules) -> None:
        """Take on these rules, and what follows from them for each kind: deciding about one mail must cost little."""
        kinds: tuple[MessageKind, ...] = get_args(MessageKind)
        self._rules = rules
        self._by_mail_alone = {
            kind
            for kind in kinds
            if [each for each in rules.channels.get(PURPOSES[kind], ("email",)) if each in self.available] == ["email"]
            and ("email", PURPOSES[kind]) not in rules.ask_first
        }
        self._quiet = {
            (kind, channel) for kind in kinds for hours in rules.quiet_hours for channel in hours.channels
            if PURPOSES[kind] in hours.purposes
        }  # fmt: skip
        self._capped = {kind for kind in kinds if rules.caps_of(PURPOSES[kind])}

    def _way(self, message: Claimed) -> Way | Held:
        kind = message.entry.kind
        if kind not in self._by_mail_alone or not message.to_customer or message.email_listed or message.choices:
            return way(kind, _reach(message), self._rules, self.available)
        reason = hold(message.profile)
        return _BY_MAIL if reason is None else Held(reason)

    def _same_way(self, message: Claimed) -> Way | Held:
        kind, channel = message.entry.kind, message.channel
        rules = replace(self._rules, channels={PURPOSES[kind]: (channel,)})
        return way(kind, _reach(message), rules, frozenset({channel}))

    def _decide(self, message: Claimed, now: datetime) -> Way | Held | Waits:
        if message.ended is not None:
            return Held("outdated")
        kind = message.entry.kind
        # Whoever was asked for it may have sent it: nobody else is asked, and never over another channel.
        decided = self._way(message) if message.repeatable_until is None else self._same_way(message)
        if isinstance(decided, Held) or (kind, decided.channel) not in self._quiet:
            return decided
        where = zone(message.profile.time_zone if message.profile else None, self._time_zone)
        until = quiet_until(kind, decided.channel, self._rules, now=now, where=where)
        if until is None:
            return decided
        return wait_or_hold("quiet_hours", until, decided.channel, self._rules, created_at=message.created_at)

    async def _count(self, tx: Tx, claimed: Sequence[Claimed], decided: dict[MessageId, Way | Held | Waits]) -> None:
        """Let those wait whose recipients had enough; one asks the database only where there is a cap."""
        capped: dict[MessageId, tuple[Claimed, str, Way]] = {}
        for message in claimed:
            so_far = decided[message.entry.id]
            customer_id = message.entry.customer_id
            if message.entry.kind in self._capped and isinstance(so_far, Way) and customer_id:
                capped[message.entry.id] = (message, customer_id, so_far)
        if not capped:
            return
        longest = timedelta(days=max(cap.days for cap in self._rules.caps), hours=self._rules.patience_hours)
        sent = await contacts.sent_lately(
            tx,
            [customer_id for _, customer_id, _ in capped.values()],
            list(self._capped),
            within=longest,
            besides=list(capped),
        )
        lately = defaultdict(list, sent)
        for message, customer_id, so_far in capped.values():
            kind = message.entry.kind
            until = capped_until(kind, lately[customer_id], self._rules, now=tx.now)
            if until is None:
                lately[customer_id].append((kind, tx.now))
            else:
                decided[message.entry.id] = wait_or_hold(
                    "frequency", until, so_far.channel, self._rules, created_at=message.created_at
                )


def _reach(message: Claimed) -> Reach:
    return Reach(
        profile=message.profile,
        address=message.address,
        is_employee=not message.to_customer,
        has_chat=message.chat is not None,
        email_listed=message.email_listed,
        phone_listed=message.phone_listed,
        choices=message.choices,
    )
