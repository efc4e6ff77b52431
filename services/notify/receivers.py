"""The receivers of web hooks, over HTTP: kept connections, bounds on everything, and no way into networks of our own.

An address is looked at where the connection to it is made, after its name was resolved: a name that is public when it
is looked up and private when it is connected to gets no further. aiohttp asks `_socket` for each address that it is
about to connect to, literal or resolved, and connects to that one and no other. Redirects are not followed, and no
proxy of the environment stands in between. A connection that is kept leads where it led when it was made.
"""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Final

import aiohttp
from yarl import URL

from services.notify.domain.hook_outcomes import Attempt, Trouble, attempt_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from datetime import timedelta

    from aiohttp.abc import AbstractResolver
    from aiohttp.connector import AddrInfoType

    from services.notify.domain.addresses import Networks

MOST_READ: Final = 65_536
"""Of an answer; what goes on is cut off. The status has been read by then, and nothing else of it counts."""
_CHUNK: Final = 16_384
_CONNECT_SECONDS: Final = 5.0
_KEPT_SECONDS: Final = 30.0
_NAMES_SECONDS: Final = 10
_HEADERS: Final = {"User-Agent": "Otklik-Webhooks/1", "Content-Type": "application/json", "Accept": "*/*"}
_SKIPPED: Final = ("Accept-Encoding",)
"""What asks for compressed answers gets bombs."""


class ForbiddenAddress(OSError):
    """The address lies in a network that is not allowed."""


class Receivers:
    """Posts to receivers."""

    def __init__(
        self,
        *,
        networks: Networks,
        in_flight: int,
        timeout: timedelta,
        resolver: AbstractResolver | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """`timeout` is for all of one delivery. `resolver` and `trust` (whose certificates) are for tests."""
        self._networks = networks
        self._in_flight = in_flight
        self._timeout = aiohttp.ClientTimeout(total=timeout.total_seconds(), connect=_CONNECT_SECONDS)
        self._resolver = resolver
        self._trust: ssl.SSLContext | bool = trust or True
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Attempt:
        """Deliver once; never raises for what a receiver or the network does."""
        session = self._session or self._open()
        began = time.monotonic()

        def failed(trouble: Trouble) -> Attempt:
            return Attempt(None, trouble, _ms_since(began))

        try:
            async with session.post(URL(url), data=body, headers=headers, allow_redirects=False) as response:
                status, retry_after = response.status, response.headers.get("Retry-After")
                took_ms = _ms_since(began)
                await _read(response)
        except TimeoutError:
            return failed(Trouble.TIMEOUT)
        except (aiohttp.ClientConnectorError, aiohttp.ClientConnectorCertificateError) as error:
            if isinstance(getattr(error, "os_error", None), ForbiddenAddress):
                return failed(Trouble.FORBIDDEN_ADDRESS)
            return failed(Trouble.TLS if isinstance(error, aiohttp.ClientSSLError) else Trouble.CONNECTION)
        except (aiohttp.ClientError, OSError, ValueError):
            # ValueError: an address that an older version let in, or an answer that is no HTTP.
            return failed(Trouble.CONNECTION)
        return attempt_of(status, took_ms, retry_after)

    async def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        # A session belongs to a running loop, and there is none yet where everything is composed.
        connector = aiohttp.TCPConnector(
            limit=self._in_flight,
            ttl_dns_cache=_NAMES_SECONDS,
            keepalive_timeout=_KEPT_SECONDS,
            resolver=self._resolver,
            ssl=self._trust,
            socket_factory=self._socket,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=self._timeout,
            headers=_HEADERS,
            skip_auto_headers=_SKIPPED,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )
        return self._session

    def _socket(self, found: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = found
        if not self._networks.allows(str(address[0])):
            raise ForbiddenAddress("the address lies in a network that is not allowed")
        return socket.socket(family, kind, protocol)


async def _read(response: aiohttp.ClientResponse) -> None:
    """Read the answer to its end, so that the connection can be kept; or up to the bound, and it is closed."""
    left = MOST_READ
    try:
        while left > 0 and (chunk := await response.content.read(min(left, _CHUNK))):
            left -= len(chunk)
    except (TimeoutError, aiohttp.ClientError, OSError):
        # The receiver has said what counts.
        left = 0
    if left == 0:
        response.close()


def _ms_since(began: float) -> int:
    return int((time.monotonic() - began) * 1_000)
