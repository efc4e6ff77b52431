"""The mail server, over kept connections, and the receiving side that can be asked what arrived."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

import httpx
from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

from libs.events.crashpoint import crashpoint
from libs.events.errors import Unavailable
from services.notify.domain.outcomes import Accepted, Deferred, Outcome, Refused, Unanswered, Withdrawn
from services.notify.mime import ascii_domain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

    from aiosmtplib.protocol import SMTPProtocol

_DEFAULT_PORT: Final = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
_GO_AHEAD: Final = 354
_FOR_GOOD: Final = 500
_CLOSING: Final = 421
_STALE_SECONDS: Final = 20.0
"""A connection that was idle for longer is asked whether it still lives before a message is trusted to it."""
_LINE_ENDING: Final = re.compile(rb"\r\n|\r|\n")
_LEADING_DOT: Final = re.compile(rb"(?m)^\.")


class MailServerAway(Unavailable):
    """The mail server cannot be reached, or takes nothing from us at all: wait, no message is at fault."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the mail server is told about a mail, and the mail."""

    sender: str
    recipient: str
    content: bytes


class MailServer:
    """One mail server. At most `connections` at a time, kept open between mails."""

    def __init__(self, url: str, *, connections: int, timeout: timedelta) -> None:
        parts = urlsplit(url)
        if parts.scheme not in _DEFAULT_PORT or not parts.hostname:
            raise ValueError("a mail server's address is smtp://, smtp+starttls:// or smtps:// and a host")
        self._scheme = parts.scheme
        self._host = parts.hostname
        self._port = parts.port or _DEFAULT_PORT[parts.scheme]
        self._username = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._timeout = timeout.total_seconds()
        self._slots = asyncio.Semaphore(connections)
        self._idle: list[tuple[SMTP, float]] = []
        self._busy = 0

    async def reach(self) -> None:
        """Make sure that the server takes connections; raises MailServerAway."""
        if self._busy == 0:
            self._idle.append(await self._take())

    async def send(self, envelope: Envelope, before_last_dot: Callable[[], Awaitable[bool]]) -> Outcome:
        """Hand one mail over. `before_last_dot` is asked when all but the last dot is out: False stops it there.

        Raises MailServerAway where the server refuses us and not this message; whatever `before_last_dot` raises is
        raised after the mail was broken off.
        """
        async with self._slots:
            self._busy += 1
            try:
                kept = bool(self._idle)
                smtp, _ = await self._take()
                return await self._send(smtp, envelope, before_last_dot, kept=kept)
            finally:
                self._busy -= 1

    async def _send(
        self, smtp: SMTP, envelope: Envelope, before_last_dot: Callable[[], Awaitable[bool]], *, kept: bool
    ) -> Outcome:
        transfer = _Transfer(smtp, envelope)
        try:
            outcome = await transfer.run(before_last_dot)
        except BaseException:
            # Broad, and raised again: whatever ended the transfer, half a mail must not stay on a kept line.
            smtp.close()
            raise
        if kept and transfer.never_began and isinstance(outcome, Deferred):
            # The server had closed a kept connection meanwhile: that says nothing about this message.
            smtp.close()
            return await self._send(await self._connect(), envelope, before_last_dot, kept=False)
        if smtp.is_connected:
            self._idle.append((smtp, time.monotonic()))
        return outcome

    async def rest(self) -> None:
        """Close connections that were not used for a while."""
        old = [kept for kept in self._idle if time.monotonic() - kept[1] > _STALE_SECONDS]
        self._idle = [kept for kept in self._idle if kept not in old]
        for smtp, _ in old:
            await _quit(smtp)

    async def close(self) -> None:
        """Close all kept connections."""
        while self._idle:
            await _quit(self._idle.pop()[0])

    async def _take(self) -> tuple[SMTP, float]:
        """A connection, and when it was last of use."""
        while self._idle:
            kept = self._idle.pop()
            if await self._alive(kept):
                return kept
            kept[0].close()
        return await self._connect(), time.monotonic()

    async def _alive(self, kept: tuple[SMTP, float]) -> bool:
        smtp, used_at = kept
        if not smtp.is_connected:
            return False
        if time.monotonic() - used_at < _STALE_SECONDS:
            return True
        with suppress(SMTPException, OSError):  # a dead line is what is asked about: the answer is "no"
            await smtp.rset()
            return True
        return False

    async def _connect(self) -> SMTP:
        smtp = SMTP(
            hostname=self._host,
            port=self._port,
            username=self._username,
            password=self._password,
            timeout=self._timeout,
            use_tls=self._scheme == "smtps",
            start_tls={"smtp": None, "smtp+starttls": True, "smtps": False}[self._scheme],
            local_hostname="[127.0.0.1]" if self._host in ("127.0.0.1", "localhost") else None,
        )
        try:
            await smtp.connect()
            if smtp.is_ehlo_or_helo_needed:
                await smtp.ehlo()
        except (SMTPException, OSError) as error:
            smtp.close()
            raise MailServerAway(f"{type(error).__name__} at the mail server's door") from error
        return smtp


class _Transfer:
    """One mail over one connection, and how far it got."""

    def __init__(self, smtp: SMTP, envelope: Envelope) -> None:
        self._smtp = smtp
        self._envelope = envelope
        self.never_began = True
        self._dot_is_out = False

    async def run(self, before_last_dot: Callable[[], Awaitable[bool]]) -> Outcome:
        """Transfer the mail."""
        try:
            return await self._run(before_last_dot)
        except SMTPSenderRefused as error:
            if error.code == _CLOSING:
                return await self._rejected(error)
            # The sender is the same for all: this is about us, and no message may fail of it.
            raise MailServerAway(f"{error.code}: our sender is refused") from error
        except SMTPResponseException as error:
            return await self._rejected(error)
        except (SMTPServerDisconnected, SMTPTimeoutError) as error:
            self._smtp.close()
            said = "no answer in time" if isinstance(error, SMTPTimeoutError) else "the connection was lost"
            if self._dot_is_out:
                return Unanswered(f"{said} after the last dot")
            return Deferred(f"{said} before the last dot")

    async def _run(self, before_last_dot: Callable[[], Awaitable[bool]]) -> Outcome:
        smtp = self._smtp
        recipient = ascii_domain(self._envelope.recipient)
        international = not recipient.isascii()
        if international and not smtp.supports_extension("smtputf8"):
            return Refused("the mail server does not take addresses beyond ASCII (SMTPUTF8)")
        encoding = "utf-8" if international else "ascii"
        try:
            await smtp.mail(self._envelope.sender, options=["SMTPUTF8"] if international else [], encoding=encoding)
            self.never_began = False
            await smtp.rcpt(recipient, encoding=encoding)
        except ValueError:
            # Not SMTPException: aiosmtplib will not send such an address at all.
            await self._reset()
            return Refused("the address cannot be written to")
        response = await smtp.execute_command(b"DATA")
        if response.code != _GO_AHEAD:
            raise SMTPDataError(response.code, response.message)
        line = self._line()
        line.write(stuffed(self._envelope.content))
        async with asyncio.timeout(smtp.timeout):
            allowed = await before_last_dot()
        if not allowed:
            smtp.close()
            return Withdrawn()
        line = self._line()
        line.write(b".\r\n")
        self._dot_is_out = True
        response = await line.read_response(timeout=smtp.timeout)
        if response.code // 100 != 2:  # noqa: PLR2004 - RFC 5321: 2yz is success
            raise SMTPDataError(response.code, response.message)
        crashpoint("notify.after_accepted")
        return Accepted(f"{response.code} {response.message}")

    def _line(self) -> SMTPProtocol:
        if self._smtp.protocol is None or not self._smtp.is_connected:
            raise SMTPServerDisconnected("Connection lost")
        return self._smtp.protocol

    async def _rejected(self, error: SMTPResponseException) -> Outcome:
        answer = f"{error.code} {error.message}"
        if error.code < 0 and self._dot_is_out:
            # Not an answer that one can read; after the last dot that is as good as none.
            self._smtp.close()
            return Unanswered("an unreadable answer after the last dot")
        await self._reset()
        return Refused(answer) if error.code >= _FOR_GOOD else Deferred(answer)

    async def _reset(self) -> None:
        """Make the connection fit for the next mail, or close it."""
        if not self._smtp.is_connected:
            return
        try:
            await self._smtp.rset()
        except (SMTPException, OSError):
            self._smtp.close()


async def _quit(smtp: SMTP) -> None:
    with suppress(SMTPException, OSError):  # a line that is dead already is closed enough
        if smtp.is_connected:
            await smtp.quit(timeout=1)
    smtp.close()


def stuffed(content: bytes) -> bytes:
    """The mail as DATA carries it: lines end in CRLF, and a dot at the start of a line is doubled (RFC 5321, 4.5.2)."""
    lines = _LINE_ENDING.sub(b"\r\n", content)
    if not lines.endswith(b"\r\n"):
        lines += b"\r\n"
    return _LEADING_DOT.sub(b"..", lines)


class Receipts:
    """The receiving side, where it can be asked: `GET {url}?message_id=…` lists what arrived under a Message-ID.

    The local mailbox answers so; for a provider with an event log, a few lines in front of it do.
    """

    def __init__(self, url: str, *, timeout: timedelta) -> None:
        self._url = url
        # Local addresses are asked too, and no proxy of the machine's environment has business in between.
        self._client = httpx.AsyncClient(timeout=timeout.total_seconds(), trust_env=False)

    async def has(self, message_id: str) -> bool | None:
        """Whether a mail with this Message-ID arrived; None where it cannot be learned now."""
        try:
            response = await self._client.get(self._url, params={"message_id": message_id})
            response.raise_for_status()
            listed = response.json()
        except (httpx.HTTPError, ValueError):
            return None
        items = listed.get("items") if isinstance(listed, dict) else listed
        if not isinstance(items, list):
            return None
        known = {message_id, message_id.strip("<>")}
        return any(isinstance(item, dict) and item.get("message_id") in known for item in items)

    async def close(self) -> None:
        """Close the client."""
        await self._client.aclose()
