"""The door for mails that come back: SMTP or LMTP, for the mail server that has our return path's mailbox."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import structlog
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP

from libs.events.errors import is_unavailable
from services.notify import bounces
from services.notify.domain.returns import reports
from services.notify.telemetry import RETURNS

if TYPE_CHECKING:
    from libs.events.database import Database

log: Final = structlog.get_logger()

LARGEST: Final = 4 * 1024 * 1024
_SECONDS: Final = 60.0
_PORTS: Final = {"smtp": 2525, "lmtp": 24}


class Door:
    """Listens at an address such as `lmtp://127.0.0.1:2524`. What is acknowledged is in the ledger."""

    def __init__(self, database: Database, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("where mails that come back are taken is smtp:// or lmtp:// and a host")
        self._database = database
        self._kind: type[Any] = LMTP if parts.scheme == "lmtp" else SMTP
        self._host = parts.hostname
        self._port = _PORTS[parts.scheme] if parts.port is None else parts.port
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port if self._server is None else int(self._server.sockets[0].getsockname()[1])

    async def step(self) -> bool:
        """Listen, if it does not yet; raises OSError where the address is not to be had."""
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self._line, self._host, self._port)
        return False

    async def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def _line(self) -> Any:  # noqa: ANN401 - aiosmtpd has no types
        return self._kind(self, hostname="otklik", data_size_limit=LARGEST, timeout=_SECONDS, enable_SMTPUTF8=True)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: ANN401, N802 - aiosmtpd's
        """Take a mail; only then say so."""
        told = reports(envelope.content)
        if not told:
            RETURNS.labels("not_understood").inc()
            log.info("bounce.not_understood", size=len(envelope.content))
            return "250 2.0.0 taken, and nothing followed from it"
        try:
            async with self._database.transaction() as tx:
                await bounces.take(tx, told)
        except Exception as error:
            # Broad, because what an absent database looks like has many types; all others go up.
            if not is_unavailable(error):
                raise
            return "451 4.3.0 later, please"
        return "250 2.0.0 taken"
