"""Asking a vendor's API: one attempt each, with bounds; who asks again, and when, is decided by whoever asks.

ApiError ─┬─ NotNow     a failure that passes: no connection, 429, 5xx; with the vendor's Retry-After, if it says one
          ├─ NotThere   404 or 410: there is no such response (yet)
          ├─ Refused    401 or 403: the token is wrong, or may not
          └─ Odd        an answer that is none: another status, no JSON, too much of it
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

import httpx
import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from datetime import datetime

_CONNECT_S: Final = 5.0
_READ_S: Final = 20.0
_WHOLE_S: Final = 60.0
_MOST_BYTES: Final = 20 * 1_048_576
_LONGEST_PAUSE: Final = timedelta(hours=6)

_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode


class ApiError(Exception):
    """The vendor's API did not give what was asked for. The message names no address and no token."""


class NotNow(ApiError):
    """It may work later: not before `after`, where the vendor says so."""

    def __init__(self, why: str, after: timedelta | None = None) -> None:
        super().__init__(why)
        self.after = after


class NotThere(ApiError):
    """There is no such response, or not yet."""


class Refused(ApiError):
    """The vendor does not let us: somebody has to look at the token."""


class Odd(ApiError):
    """The answer is none that could be used."""


@dataclass(frozen=True, slots=True)
class Account:
    """How a source's answers are asked for. `survey` is the vendor's id of the survey or form."""

    base_url: str
    token: str
    survey: str | None

    def __repr__(self) -> str:
        return f"Account({self.base_url!r}, survey={self.survey!r})"


@dataclass(frozen=True, slots=True)
class Item:
    """One response as the API tells it, as JSON, and when it was last changed by the vendor's clock."""

    body: bytes
    changed_at: datetime


class Asking(Protocol):
    """What a vendor's module asks with."""

    async def get(self, path: str, **parameters: str | int) -> Any:  # noqa: ANN401 - JSON
        """The JSON at `path` under the account's base address; raises ApiError."""

    async def post(self, path: str, content: Mapping[str, object]) -> Any:  # noqa: ANN401 - JSON
        """The JSON answer to JSON; raises ApiError."""

    async def download(self, path: str) -> bytes:
        """The bytes at `path`; raises ApiError."""


@dataclass(frozen=True, slots=True)
class VendorApi:
    """One vendor's API. `one` is None where the webhook brings the answers itself.

    `since` gives the responses that were changed at or after a moment, oldest first as far as the vendor can.
    """

    base_url: str
    headers: Callable[[str], Mapping[str, str]]
    since: Callable[[Asking, Account, datetime], AsyncIterator[Sequence[Item]]]
    one: Callable[[Asking, Account, str], Any] | None = None
    needs_survey: bool = True
    per_second: float = 2.0


class Asker:
    """Asks for one source: no faster than the vendor allows, and not while it asked us to wait."""

    def __init__(self, client: httpx.AsyncClient, account: Account, api: VendorApi) -> None:
        self._client = client
        self._base_url = account.base_url.rstrip("/")
        self._headers = api.headers(account.token)
        self._gap = 1 / api.per_second
        self._next_at = 0.0
        self._turn = asyncio.Lock()

    async def get(self, path: str, **parameters: str | int) -> Any:  # noqa: ANN401 - JSON
        """See `Asking`."""
        return _json(await self._ask("GET", path, params=parameters))

    async def post(self, path: str, content: Mapping[str, object]) -> Any:  # noqa: ANN401 - JSON
        """See `Asking`."""
        headers = {"content-type": "application/json"}
        return _json(await self._ask("POST", path, content=_encode(content), headers=headers))

    async def download(self, path: str) -> bytes:
        """See `Asking`."""
        return await self._ask("GET", path)

    async def _ask(self, method: str, path: str, **request: Any) -> bytes:  # noqa: ANN401 - httpx's own
        await self._wait_for_turn()
        headers = {**self._headers, **request.pop("headers", {})}
        try:
            async with (
                asyncio.timeout(_WHOLE_S),
                self._client.stream(method, self._base_url + path, headers=headers, **request) as answer,
            ):
                _check(answer)
                chunks, size = [], 0
                async for chunk in answer.aiter_bytes():
                    size += len(chunk)
                    if size > _MOST_BYTES:
                        raise Odd(f"more than {_MOST_BYTES} bytes")
                    chunks.append(chunk)
        except (httpx.HTTPError, TimeoutError) as error:
            raise NotNow(type(error).__name__) from error
        return b"".join(chunks)

    async def _wait_for_turn(self) -> None:
        async with self._turn:
            now = time.monotonic()
            if now < self._next_at:
                await asyncio.sleep(self._next_at - now)
            self._next_at = max(now, self._next_at) + self._gap


def new_client() -> httpx.AsyncClient:
    """One for a process. Redirects are not followed: they would take the token elsewhere."""
    return httpx.AsyncClient(
        timeout=httpx.Timeout(_READ_S, connect=_CONNECT_S),
        limits=httpx.Limits(max_connections=20, max_keepalive_connections=10),
        follow_redirects=False,
    )


def item(told: object, changed_at: datetime) -> Item:
    """One response out of a list."""
    return Item(_encode(told), changed_at)


def _check(answer: httpx.Response) -> None:
    status = answer.status_code
    if status == httpx.codes.OK:
        return
    if status == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise NotNow(f"status {status}", _retry_after(answer.headers))
    if status in {httpx.codes.NOT_FOUND, httpx.codes.GONE}:
        raise NotThere(f"status {status}")
    if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        raise Refused(f"status {status}")
    raise Odd(f"status {status}")


def _retry_after(headers: httpx.Headers) -> timedelta | None:
    """Seconds or a date, as RFC 9110 has it; within reason."""
    text = headers.get("retry-after", "").strip()
    if text.isdecimal() and len(text) < 7:  # noqa: PLR2004 - more is months
        return min(timedelta(seconds=int(text)), _LONGEST_PAUSE)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return min(max(timedelta(), timedelta(seconds=at.timestamp() - time.time())), _LONGEST_PAUSE)


def _json(body: bytes) -> Any:  # noqa: ANN401 - JSON
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Odd("the answer is no JSON") from error
