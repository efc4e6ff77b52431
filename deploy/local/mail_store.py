"""The mailbox's messages: one file each, numbered in the order in which they were accepted."""

import email
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage, MIMEPart
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(r"(\d{10})\.eml")
_RECEIVED: Final = "X-Mailbox-Received"
_ENVELOPE_FROM: Final = "X-Mailbox-From"
_ENVELOPE_TO: Final = "X-Mailbox-To"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """One received message, as far as people and tests want to see it."""

    id: str
    sender: str
    recipients: tuple[str, ...]
    subject: str
    date: str | None
    message_id: str | None
    received_at: datetime
    text: str
    html: str | None


class MailStore:
    """A folder of messages. What `keep` has returned from is on the disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for unfinished in folder.glob("*.part"):
            unfinished.unlink()
        numbers = (int(found[1]) for path in folder.iterdir() if (found := _NAME.fullmatch(path.name)))
        self._ids = [f"{number:010d}" for number in sorted(numbers)]
        self._read: dict[str, StoredMessage] = {}

    def keep(self, content: bytes, *, sender: str, recipients: list[str], received_at: datetime) -> str:
        """Write a message durably, with its envelope above it; its id. One call at a time."""
        number = int(self._ids[-1]) + 1 if self._ids else 1
        identity = f"{number:010d}"
        envelope = (
            f"{_RECEIVED}: {received_at.isoformat()}",
            f"{_ENVELOPE_FROM}: {sender}",
            *(f"{_ENVELOPE_TO}: {recipient}" for recipient in recipients),
        )
        unfinished = self._folder / f"{identity}.part"
        with unfinished.open("wb") as file:
            file.write("".join(f"{line}\r\n" for line in envelope).encode())
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(self._folder / f"{identity}.eml")
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._ids.append(identity)
        return identity

    def ids(self, *, after: str = "") -> list[str]:
        """List the ids in the order of arrival, those after a given one."""
        return [identity for identity in self._ids if identity > after]

    def raw(self, identity: str) -> bytes | None:
        """Read a message as it was written, envelope first; nothing for an id that is not there."""
        if not _NAME.fullmatch(f"{identity}.eml"):
            return None
        path = self._folder / f"{identity}.eml"
        return path.read_bytes() if path.exists() else None

    def message(self, identity: str) -> StoredMessage | None:
        """Read a message; messages never change, so each is parsed once."""
        if identity not in self._read:
            content = self.raw(identity)
            if content is None:
                return None
            self._read[identity] = _parsed(identity, content)
        return self._read[identity]


def _parsed(identity: str, content: bytes) -> StoredMessage:
    message = email.message_from_bytes(content, policy=policy.default)
    plain = message.get_body(("plain",))
    html = message.get_body(("html",))
    received = _header(message, _RECEIVED)
    return StoredMessage(
        id=identity,
        sender=_header(message, "From") or _header(message, _ENVELOPE_FROM) or "",
        recipients=tuple(str(value).strip() for value in message.get_all(_ENVELOPE_TO, [])),
        subject=_header(message, "Subject") or "",
        date=_header(message, "Date"),
        message_id=_header(message, "Message-ID"),
        received_at=datetime.fromisoformat(received) if received else datetime.fromtimestamp(0, UTC),
        text=_content(plain) if plain is not None else "",
        html=_content(html) if html is not None else None,
    )


def _header(message: EmailMessage, name: str) -> str | None:
    value = message.get(name)
    return None if value is None else str(value).strip()


def _content(part: MIMEPart) -> str:
    """Decode a part; where its charset is unknown or wrong, as well as it goes."""
    try:
        return str(part.get_content())
    except (LookupError, UnicodeError):
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else str(payload)
