"""Who carries a message that is no mail: the provider of its channel, or the employee's chat."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from services.notify.domain.outcomes import Deferred, Outcome, Unanswered
from services.notify.providers import Chat, Providers

if TYPE_CHECKING:
    from datetime import datetime

    from services.notify.domain.providers import Short
    from services.notify.holding import Holding
    from services.notify.journal import Journal
    from services.notify.store.delivery import Claimed

_TIMEOUT: Final = timedelta(seconds=30)


class Carriers:
    """Hands messages over, marked in the ledger before anybody is asked."""

    def __init__(self, holding: Holding, *, timeout: timedelta = _TIMEOUT) -> None:
        self._holding = holding
        self._providers = Providers(timeout=timeout)
        self._chat = Chat()

    async def send(self, message: Claimed, short: Short, journal: Journal, *, now: datetime) -> Outcome:
        """Hand over one message; raises what the database raises while nobody was asked yet."""
        entry, channel = message.entry, message.channel
        if channel == "chat":
            return await self._chat.send(
                short.to, short, lambda: journal.before_asking(entry, channel=channel, provider=None, until=None)
            )
        provider = self._holding.providers.get(channel)
        if provider is None or message.provider not in (None, provider.name):
            return Deferred(f"nobody carries {channel} who may be asked for it")
        until = message.repeatable_until
        if until is not None and now >= until:
            # It was asked for before, and asking now might be asking twice.
            return Unanswered(f"{provider.name} does not remember its key any more")
        if until is None and provider.idempotency_header is not None:
            until = now + timedelta(hours=provider.repeat_hours)
        return await self._providers.send(
            provider,
            short,
            lambda: journal.before_asking(entry, channel=channel, provider=provider.name, until=until),
            repeatable=until is not None,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._providers.close()
