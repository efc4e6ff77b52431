"""The mail server, over kept connections, and the receiving side that can be asked what arrived."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import unquote, urlsplit

import httpx
from aiosmtplib import SMTP, SMTPException

from libs.events.crashpoint import crashpoint
from libs.events.errors import Unavailable
from services.notify.domain.outcomes import Accepted, Deferred, Outcome, Refused, Unanswered, Withdrawn
from services.notify.line import Answer, Line
from services.notify.mime import ascii_domain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import timedelta

_DEFAULT_PORT: Final = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
_GO_AHEAD: Final = 354
_FOR_GOOD: Final = 500
_CLOSING: Final = 421
_STALE_SECONDS: Final = 20.0
"""A connection that was idle for longer is asked whether it still lives before a message is trusted to it."""
_IN_ONE_GO: Final = 14_000
"""Content up to this many bytes leaves together with its last dot: TCP sends it without waiting for anything
(RFC 6928), so that the time in which a kill leaves a doubt grows by nothing, and a mail costs a system call less. More
than that goes ahead of the mark.
"""
_RSET: Final = b"RSET\r\n"
_UNWRITABLE: Final = re.compile(r"[\x00-\x20\x7f<>]|^$")
"""What cannot stand between the brackets of RCPT: it would be another command."""


class MailServerAway(Unavailable):
    """The mail server cannot be reached, or takes nothing from us at all: wait, no message is at fault."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the mail server is told about a mail, and the mail."""

    sender: str
    recipient: str
    content: bytes
    """As DATA carries it, without its last dot: `mime.stuffed`."""


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
        self._idle: list[tuple[Line, float]] = []
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
                line, _ = await self._take()
                return await self._send(line, envelope, before_last_dot, kept=kept)
            finally:
                self._busy -= 1

    async def _send(
        self, line: Line, envelope: Envelope, before_last_dot: Callable[[], Awaitable[bool]], *, kept: bool
    ) -> Outcome:
        transfer = _Transfer(line, envelope)
        try:
            outcome = await transfer.run(before_last_dot)
        except BaseException:
            # Broad, and raised again: whatever ended the transfer, half a mail must not stay on a kept line.
            line.close()
            raise
        if kept and transfer.never_began and isinstance(outcome, Deferred):
            # The server had closed a kept connection meanwhile: that says nothing about this message.
            line.close()
            return await self._send(await self._connect(), envelope, before_last_dot, kept=False)
        if line.is_open:
            self._idle.append((line, time.monotonic()))
        return outcome

    async def rest(self) -> None:
        """Close connections that were not used for a while."""
        old = [kept for kept in self._idle if time.monotonic() - kept[1] > _STALE_SECONDS]
        self._idle = [kept for kept in self._idle if kept not in old]
        for line, _ in old:
            await line.quit()

    async def close(self) -> None:
        """Close all kept connections."""
        while self._idle:
            await self._idle.pop()[0].quit()

    async def _take(self) -> tuple[Line, float]:
        """A connection, and when it was last of use."""
        while self._idle:
            kept = self._idle.pop()
            if await self._alive(kept):
                return kept
            kept[0].close()
        return await self._connect(), time.monotonic()

    async def _alive(self, kept: tuple[Line, float]) -> bool:
        line, used_at = kept
        if not line.is_open or time.monotonic() - used_at < _STALE_SECONDS:
            return line.is_open
        return any(answer.is_positive for answer in await line.exchange([_RSET]))

    async def _connect(self) -> Line:
        smtp = SMTP(
            hostname=self._host,
            port=self._port,
            timeout=self._timeout,
            use_tls=self._scheme == "smtps",
            start_tls={"smtp": None, "smtp+starttls": True, "smtps": False}[self._scheme],
            local_hostname="[127.0.0.1]" if self._host in ("127.0.0.1", "localhost") else None,
        )
        try:
            await smtp.connect()
            if smtp.is_ehlo_or_helo_needed:
                await smtp.ehlo()
            if self._username is not None:
                await smtp.login(self._username, self._password or "")
        except (SMTPException, OSError) as error:
            if smtp.transport is not None:
                # Not `close`, which takes leave of TLS first and may so outlive the loop.
                cast("asyncio.Transport", smtp.transport).abort()
            smtp.close()
            raise MailServerAway(f"{type(error).__name__} at the mail server's door") from error
        return Line(smtp, timeout=self._timeout)


class _Transfer:
    """One mail over one connection, and how far it got."""

    def __init__(self, line: Line, envelope: Envelope) -> None:
        self._line = line
        self._envelope = envelope
        self.never_began = True

    async def run(self, before_last_dot: Callable[[], Awaitable[bool]]) -> Outcome:
        """Transfer the mail."""
        line = self._line
        refused = await self._begin()
        if refused is not None:
            return refused
        content = self._envelope.content
        if len(content) > _IN_ONE_GO:
            line.write(content)
            content = b""
        async with asyncio.timeout(line.timeout):
            allowed = await before_last_dot()
        if not allowed:
            line.close()
            return Withdrawn()
        return await self._end(content) if line.is_open else self._lost()

    async def _end(self, content: bytes) -> Outcome:
        """What is left of the content, the last dot, and what the server says to it."""
        answers = await self._line.exchange([content + b".\r\n"])
        if not answers:
            return Unanswered(f"{self._line.silence} after the last dot")
        (answer,) = answers
        if answer.code < 0:
            # Not an answer that one can read; after the last dot that is as good as none.
            return Unanswered("an unreadable answer after the last dot")
        if not _is_success(answer):
            return await self._rejected(answer)
        crashpoint("notify.after_accepted")
        return Accepted(str(answer))

    async def _begin(self) -> Outcome | None:
        """MAIL, RCPT and DATA: in one go where the server takes them so (RFC 2920); None when the content is next."""
        line = self._line
        recipient = ascii_domain(self._envelope.recipient)
        international = not recipient.isascii()
        if international and not line.international:
            return Refused("the mail server does not take addresses beyond ASCII (SMTPUTF8)")
        if _UNWRITABLE.search(recipient):
            return Refused("the address cannot be written to")
        options = " SMTPUTF8" if international else ""
        commands = [
            f"MAIL FROM:<{self._envelope.sender}>{options}\r\n".encode(),
            f"RCPT TO:<{recipient}>\r\n".encode(),
            b"DATA\r\n",
        ]
        answers: list[Answer] = []
        for group in [commands] if line.pipelines else [[command] for command in commands]:
            answers += await line.exchange(group)
            if not answers or not answers[-1].is_positive:
                break
        return await self._understood(answers)

    async def _understood(self, answers: Sequence[Answer]) -> Outcome | None:
        """What the answers to MAIL, RCPT and DATA, as far as they came, mean."""
        line = self._line
        if not answers:
            return self._lost()
        mail, *others = answers
        if not _is_success(mail):
            if mail.code == _CLOSING:
                return await self._rejected(mail)
            # The sender is the same for all: this is about us, and no message may fail of it.
            line.close()
            raise MailServerAway(f"{mail}: our sender is refused")
        self.never_began = False
        for answer, is_taken in zip(others, (_is_success, _is_go_ahead), strict=False):
            if not is_taken(answer):
                if others[-1].code == _GO_AHEAD:
                    # It waits for the content of a mail to nobody. Without the last dot it takes none.
                    line.close()
                return await self._rejected(answer)
        return None if others and others[-1].code == _GO_AHEAD else self._lost()

    def _lost(self) -> Deferred:
        return Deferred(f"{self._line.silence or 'the connection was lost'} before the last dot")

    async def _rejected(self, answer: Answer) -> Outcome:
        """What an answer other than yes means; the line is made fit for the next mail, or closed."""
        if self._line.is_open and not any(reset.is_positive for reset in await self._line.exchange([_RSET])):
            self._line.close()
        return Refused(str(answer)) if answer.code >= _FOR_GOOD else Deferred(str(answer))


def _is_success(answer: Answer) -> bool:
    return answer.code // 100 == 2  # noqa: PLR2004 - RFC 5321: 2yz is success


def _is_go_ahead(answer: Answer) -> bool:
    return answer.code == _GO_AHEAD


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
