"""The bytes of a mail: plain text and HTML, in headers and an encoding that every mail server takes.

Written out by hand and not by `email.message`, which costs ten times as much as sending. Bodies are Base64 because
Russian text in any other encoding is either larger or not accepted everywhere.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass
from email.utils import format_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

_LINE: Final = 76
_PLAIN: Final = b"\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
_HTML: Final = _PLAIN.replace(b"plain", b"html")
_CALENDAR: Final = (
    b"\r\nContent-Type: text/calendar; charset=utf-8; method=%s\r\nContent-Transfer-Encoding: base64\r\n\r\n"
)
_LINE_ENDING: Final = re.compile(rb"\r\n|\r|\n")
_LEADING_DOT: Final = re.compile(rb"(?m)^\.")
_LONGEST_NAME: Final = 200
_WORD_BYTES: Final = 42
"""Of text in one encoded word: 56 characters of Base64, which leaves room for the longest header's name."""
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_ATOM: Final = re.compile(r"[A-Za-z0-9 !#$%&'*+/=?^_`{|}~-]*")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Somebody's name and address."""

    name: str
    address: str

    def header(self) -> str:
        """As it stands in From and To; a name beyond ASCII is encoded (RFC 2047)."""
        address = ascii_domain(self.address)
        name = one_line(self.name)[:_LONGEST_NAME]
        if not name:
            return address
        if _ATOM.fullmatch(name):
            return f"{name} <{address}>"
        if name.isascii():
            quoted = name.replace("\\", "\\\\").replace('"', '\\"')
            return f'"{quoted}" <{address}>'
        return f"{encoded_words(name)}\r\n <{address}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What a mail says."""

    subject: str
    text: str
    html: str
    language: str


def mail_bytes(
    letter: Letter,
    *,
    sender: Mailbox,
    recipient: Mailbox,
    message_id: str,
    date: datetime,
    unsubscribe: str | None = None,
) -> bytes:
    """The mail of a letter as it goes over the line: no line of it begins with a dot, and all end in CRLF."""
    return encoded_mail(
        base64_lines(text_bytes(letter.text)),
        base64_lines(text_bytes(letter.html)),
        subject=letter.subject,
        language=letter.language,
        sender=sender,
        recipient=recipient,
        message_id=message_id,
        date=date,
        unsubscribe=unsubscribe,
    )


def encoded_mail(
    plain: bytes,
    html: bytes,
    *,
    subject: str,
    language: str,
    sender: Mailbox,
    recipient: Mailbox,
    message_id: str,
    date: datetime,
    unsubscribe: str | None = None,
    calendar: tuple[str, bytes] | None = None,
) -> bytes:
    """The same, of bodies that are encoded already. `unsubscribe`: an address that takes one click (RFC 8058).

    `calendar`: an iTIP method and its object (RFC 6047).
    """
    boundary = f"=_{message_id.strip('<>').partition('@')[0]}"
    head = (
        f"From: {_from(sender)}\r\n"
        f"To: {recipient.header()}\r\n"
        f"Subject: {_subject(subject)}\r\n"
        f"Date: {_date(date.replace(microsecond=0))}\r\n"
        f"Message-ID: {message_id}\r\n"
        # A machine writes: no out-of-office answers, please (RFC 3834; the second is what Exchange understands).
        "Auto-Submitted: auto-generated\r\n"
        "X-Auto-Response-Suppress: All\r\n"
        f"{_unsubscribe(unsubscribe)}"
        f"Content-Language: {language}\r\n"
        "MIME-Version: 1.0\r\n"
        f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"\r\n'
        "\r\n"
    )
    between = f"--{boundary}".encode("ascii")
    # Base64 holds no dot, and its lines end as they must; the head alone could be otherwise.
    parts = (stuffed(head.encode()), between, _PLAIN, plain, between, _HTML, html, between)
    if calendar is None:
        return b"".join((*parts, b"--\r\n"))
    method, invitation = calendar
    return b"".join((*parts, _CALENDAR % method.encode("ascii"), base64_lines(invitation), between, b"--\r\n"))


def _unsubscribe(address: str | None) -> str:
    if address is None:
        return ""
    return f"List-Unsubscribe:\r\n <{address}>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"


# What one sender writes in one second to many is written once.
@lru_cache(maxsize=16)
def _from(sender: Mailbox) -> str:
    return sender.header()


@lru_cache(maxsize=256)
def _subject(text: str) -> str:
    subject = one_line(text)
    return subject if subject.isascii() else encoded_words(subject)


@lru_cache(maxsize=16)
def _date(second: datetime) -> str:
    return format_datetime(second)


def one_line(text: str) -> str:
    """Without line breaks and control characters: what goes into a header starts no other header."""
    return _UNPRINTABLE.sub(" ", text).strip()


def stuffed(content: bytes) -> bytes:
    """Any mail as DATA carries it: lines end in CRLF, and a dot at the start of a line is doubled (RFC 5321, 4.5.2)."""
    ends = content.count(b"\r\n")
    is_ready = ends == content.count(b"\n") == content.count(b"\r") and content.endswith(b"\r\n")
    if is_ready and b"\n." not in content and not content.startswith(b"."):
        return content
    lines = _LINE_ENDING.sub(b"\r\n", content)
    if not lines.endswith(b"\r\n"):
        lines += b"\r\n"
    return _LEADING_DOT.sub(b"..", lines)


def ascii_domain(address: str) -> str:
    """The address with its domain as mail servers know it (почта.рф is xn--80a1acny.xn--p1ai)."""
    mailbox, _, domain = address.rpartition("@")
    if domain.isascii():
        return address
    try:
        return f"{mailbox}@{domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        return address


def encoded_words(text: str) -> str:
    """Text beyond ASCII as it stands in a header (RFC 2047), folded."""
    words: list[str] = []
    rest = text
    while rest:
        # A character may have four bytes, and belongs into one word as a whole.
        length = min(len(rest), _WORD_BYTES)
        while len(rest[:length].encode()) > _WORD_BYTES:
            length -= 1
        words.append(f"=?utf-8?b?{_base64(rest[:length].encode())}?=")
        rest = rest[length:]
    return "\r\n ".join(words)


def text_bytes(content: str) -> bytes:
    """Text as mails carry it."""
    return content.replace("\r\n", "\n").replace("\n", "\r\n").encode("utf-8", "replace")


def base64_lines(raw: bytes) -> bytes:
    """Bytes as lines of Base64, each with its end; nothing for nothing."""
    whole = binascii.b2a_base64(raw, newline=False)
    if len(whole) <= _LINE:
        return whole + b"\r\n" if whole else b""
    return b"".join([whole[start : start + _LINE] + b"\r\n" for start in range(0, len(whole), _LINE)])


def _base64(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).decode("ascii")
