"""Channels beside mail: providers of SMS and messengers over HTTP, and employees' chat."""

from __future__ import annotations

import asyncio
import warnings
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx

from libs.events.crashpoint import crashpoint
from services.notify.domain.outcomes import Accepted, Deferred, Outcome, Refused, Unanswered, Withdrawn
from services.notify.domain.providers import meaning, request_of, unclear

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

    from services.notify.domain.providers import Provider, Short

    Before = Callable[[], Awaitable[bool]]

_LARGEST_ANSWER: Final = 65_536


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of asking a provider once."""

    outcome: Outcome
    status: int | None = None
    """Of HTTP; None where there was no answer."""
    body: bytes = b""


class Providers:
    """Asks providers over HTTP, each request on a connection of its own: a kept one may be gone, and leave a doubt."""

    def __init__(self, *, timeout: timedelta) -> None:
        self._seconds = timeout.total_seconds()
        self._client: httpx.AsyncClient | None = None

    async def send(self, provider: Provider, short: Short, before: Before, *, repeatable: bool) -> Outcome:
        """Ask for one message to be sent. `before` is asked first: False stops it there."""
        return (await self.ask(provider, short, before, repeatable=repeatable)).outcome

    async def ask(self, provider: Provider, short: Short, before: Before, *, repeatable: bool) -> Asked:
        """The same, with the answer as it came."""
        request = request_of(provider, short)
        if self._client is None:
            self._client = httpx.AsyncClient(
                timeout=self._seconds,
                trust_env=False,
                follow_redirects=False,
                limits=httpx.Limits(max_connections=32, max_keepalive_connections=0),
            )
        if not await before():
            return Asked(Withdrawn())
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._client.stream(
                    "POST", request.url, headers=dict(request.headers), content=request.content
                ) as response,
            ):
                body = b""
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > _LARGEST_ANSWER:
                        break
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return Asked(Deferred(f"{type(error).__name__} before {provider.name} was asked"))
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
            return Asked(Deferred(f"{provider.name} cannot be asked like this: {type(error).__name__}"))
        except (httpx.HTTPError, TimeoutError) as error:
            return Asked(unclear(f"{type(error).__name__}, and no answer by {provider.name}", repeatable=repeatable))
        crashpoint("notify.after_provider")
        status = response.status_code
        return Asked(meaning(provider, status, body, repeatable=repeatable), status, body)

    async def close(self) -> None:
        """Close the client."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


class Chat:
    """Employees' chats by Apprise, which tells a yes from everything else and no more: the rest is a doubt."""

    async def send(self, address: str, short: Short, before: Before) -> Outcome:
        """Say it to one chat. `before` is asked first: False stops it there."""
        with warnings.catch_warnings():
            # It looks for a module of the standard library that newer Pythons do not have, and is warned each time.
            warnings.simplefilter("ignore", DeprecationWarning)
            # Costs much memory, and most companies use none.
            import apprise  # noqa: PLC0415

            chat = apprise.Apprise()
            understood = False
            with suppress(TypeError, ValueError):  # addresses of some services are taken apart without care
                understood = bool(chat.add(address))
        if not understood:
            return Refused("the address of the chat is not understood")
        if not await before():
            return Withdrawn()
        taken = await chat.async_notify(title=short.subject, body=short.text)
        crashpoint("notify.after_chat")
        return Accepted("taken by the chat") if taken else Unanswered("no yes by the chat")
