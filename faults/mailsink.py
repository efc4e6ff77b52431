"""The receiving mail server: takes mail, refuses it or falls silent as it is told, and counts for itself.

What is in `kept` was accepted here: it is the other side's own count, which no service can embellish. Like a mail
provider it can be asked over HTTP what arrived under a Message-ID.
"""

from __future__ import annotations

import asyncio
import email
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import parse_qs, urlsplit

from aiosmtpd.smtp import SMTP, Envelope, Session
from icalendar import Calendar

from faults.proxy import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Container, Iterable
    from email.message import Message

Trick = Literal["421", "450", "451", "550", "552", "554", "silent_unkept", "silent_kept", "cut_kept"]
"""421 and 450 at the recipient, 550 too; 451, 552 and 554 after the final dot; or no answer to it at all."""

AT_RECIPIENT: Final[dict[str, str]] = {
    "421": "421 4.3.2 going down for a moment",
    "450": "450 4.2.1 mailbox busy",
    "550": "550 5.1.1 no such user",
}
AFTER_DOT: Final[dict[str, str]] = {
    "451": "451 4.3.0 local error in processing",
    "552": "552 5.2.2 mailbox full",
    "554": "554 5.7.1 refused",
}
_LINK: Final = re.compile(r"https?://[^\s<>\"]+/c/[A-Za-z0-9_.\-]+")
_BOOKING: Final = re.compile(r"https?://[^\s<>\"]+/b/[A-Za-z0-9_.\-]+")
_UNSUBSCRIBE: Final = re.compile(r"<(https?://[^\s<>]+)>")
_SILENCE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail that was accepted."""

    message_id: str
    """The ledger's id of the message, as 32 hexadecimal digits: the local part of its Message-ID."""
    recipient: str
    link: str | None
    """The signed link to the customer's page, where there is one in it."""
    unsubscribe: str | None
    """Where one press stops such mails (RFC 8058)."""
    booking: str | None
    """The signed link to the page on which a callback is agreed."""
    invitation: tuple[str, int, str] | None
    """Of the calendar: the callback's id, the sequence and the method."""
    at: float
    """When it was accepted, by the monotonic clock."""


class MailSink:
    """An SMTP server on one port, and the question what arrived on another."""

    def __init__(self, *, smtp_port: int, http_port: int) -> None:
        self.smtp_port: Final = smtp_port
        self.http_port: Final = http_port
        self.kept: Final[list[Mail]] = []
        self._arrived: Final[set[str]] = set()
        self.refused: Final[list[str]] = []
        """The recipients of what was refused for good."""
        self._tricks: list[Trick] = []
        self._servers: list[asyncio.Server] = []

    def play(self, tricks: Iterable[Trick]) -> None:
        """Answer the next mails in these ways, one each, and then as usual."""
        self._tricks.extend(tricks)

    @property
    def tricks_left(self) -> int:
        """How many answers were not given yet."""
        return len(self._tricks)

    def next_trick(self, among: Container[str] | None = None) -> Trick | None:
        """The trick that is next, if it is `among` those that belong to this moment; it is played then."""
        if not self._tricks or (among is not None and self._tricks[0] not in among):
            return None
        return self._tricks.pop(0)

    def forget_tricks(self) -> None:
        """Answer as usual from now on."""
        self._tricks.clear()

    async def start(self) -> None:
        """Listen on both ports."""
        self._servers = [await self.listen(), await asyncio.start_server(self._tell, LOOPBACK, self.http_port)]

    async def listen(self) -> asyncio.Server:
        """Take mail on the port."""
        loop = asyncio.get_running_loop()
        return await loop.create_server(
            lambda: SMTP(self, hostname="sink.otklik.local", ident="sink", enable_SMTPUTF8=True, loop=loop),
            LOOPBACK,
            self.smtp_port,
        )

    async def stop(self) -> None:
        """Listen no more."""
        for server in self._servers:
            server.close()

    async def handle_RCPT(  # noqa: N802 - the name is aiosmtpd's
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take the recipient, or play a trick that belongs here."""
        trick = self.next_trick(AT_RECIPIENT)
        if trick is not None:
            if trick == "550":
                self.refused.append(address)
            return AT_RECIPIENT[trick]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(  # noqa: N802 - the name is aiosmtpd's
        self, server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Take the mail, or play a trick that belongs here."""
        trick = self.next_trick()
        mail = _read(envelope)
        match trick:
            case "451" | "552" | "554":
                if trick != "451":
                    self.refused.append(mail.recipient)
                return AFTER_DOT[trick]
            case "silent_unkept":
                await asyncio.sleep(_SILENCE_S)
                return "451 4.3.0 too late"
            case "silent_kept":
                self.keep(mail)
                await asyncio.sleep(_SILENCE_S)
            case "cut_kept":
                self.keep(mail)
                if server.transport is not None:
                    server.transport.close()
            case _:
                self.keep(mail)
        return "250 2.0.0 kept"

    def keep(self, mail: Mail) -> None:
        """Have it: from now on it has arrived."""
        self.kept.append(mail)
        self._arrived.add(mail.message_id)

    async def _tell(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer `GET …?message_id=…` with what arrived under it; nothing else is ever asked here."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (EOFError, ConnectionError):
            writer.close()  # whoever asked was killed
            return
        target = head.split(b" ", 2)[1].decode()
        asked = parse_qs(urlsplit(target).query).get("message_id", [""])[0]
        known = _local_part(asked) in self._arrived
        body = b'[{"message_id": "%s"}]' % asked.strip("<>").encode() if known else b"[]"
        headers = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        writer.write(f"{headers}connection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()


def _read(envelope: Envelope) -> Mail:
    content = envelope.content
    message = email.message_from_bytes(content if isinstance(content, bytes) else b"")
    text = _plain(message)
    found, booking = _LINK.search(text), _BOOKING.search(text)
    unsubscribe = _UNSUBSCRIBE.search(message.get("List-Unsubscribe", ""))
    return Mail(
        message_id=_local_part(message.get("Message-ID", "")),
        recipient=envelope.rcpt_tos[0] if envelope.rcpt_tos else "",
        link=found[0] if found else None,
        unsubscribe=unsubscribe[1] if unsubscribe else None,
        booking=booking[0] if booking else None,
        invitation=_invitation(message),
        at=time.monotonic(),
    )


def _plain(message: Message) -> str:
    """The text that mail clients without HTML show."""
    for part in message.walk():
        if part.get_content_type() == "text/plain" and isinstance(content := part.get_payload(decode=True), bytes):
            return content.decode("utf-8", "replace")
    return ""


def _invitation(message: Message) -> tuple[str, int, str] | None:
    for part in message.walk():
        if part.get_content_type() == "text/calendar" and isinstance(content := part.get_payload(decode=True), bytes):
            calendar = Calendar.from_ical(content)
            [event] = calendar.walk("VEVENT")
            return _local_part(str(event["UID"])), int(str(event["SEQUENCE"])), str(calendar["METHOD"])
    return None


def _local_part(message_id: str) -> str:
    return message_id.strip().strip("<>").partition("@")[0]
