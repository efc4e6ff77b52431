"""Whether an e-mail address can be one at all: lengths, characters, and its domain as the DNS would have it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

Problem = Literal["no_at", "mailbox", "domain", "too_long"]

_LONGEST: Final = 254
"""RFC 5321, 4.5.3.1.3, less the brackets."""
_LONGEST_MAILBOX: Final = 64
_LONGEST_DOMAIN: Final = 253
# Unquoted (RFC 5321, 4.1.2 with RFC 6531): nobody's mailbox has quotes, and everybody's parser differs about them.
_MAILBOX: Final = re.compile(r"[^@\s\x00-\x1f\x7f<>()\[\],;:\\\".]+(\.[^@\s\x00-\x1f\x7f<>()\[\],;:\\\".]+)*")
_USUAL: Final = re.compile(r"([A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*)@(?:[a-z0-9]{1,63}\.)+[a-z0-9]{1,63}")
_LABEL: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an address looks like; `ascii` is the form in which mail servers know it, where it has no problem."""

    problem: Problem | None
    ascii: str | None = None


def is_address(text: str | None) -> bool:
    """Whether it has no problem; most are told by one look."""
    if text is None:
        return False
    usual = _USUAL.fullmatch(text)
    if usual is not None and len(text) <= _LONGEST and usual.end(1) <= _LONGEST_MAILBOX:
        return True
    return verdict(text).problem is None


def verdict(address: str) -> Verdict:
    """Whether mail can be addressed to it; whether it arrives is for the mail server to say."""
    mailbox, at, domain = address.rpartition("@")
    if not at:
        return Verdict("no_at")
    if _MAILBOX.fullmatch(mailbox) is None:
        return Verdict("mailbox")
    known_as = _ascii(domain)
    if known_as is None:
        return Verdict("domain")
    whole = f"{mailbox}@{known_as}"
    if len(mailbox.encode("utf-8", "replace")) > _LONGEST_MAILBOX or len(whole.encode("utf-8", "replace")) > _LONGEST:
        return Verdict("too_long")
    return Verdict(None, whole)


# Many people share a domain, and its encoding costs more than all else here.
@lru_cache(maxsize=4096)
def _ascii(domain: str) -> str | None:
    try:
        encoded = domain if domain.isascii() else domain.encode("idna").decode("ascii")
    except UnicodeError:
        return None
    if not encoded or len(encoded) > _LONGEST_DOMAIN:
        return None
    return encoded if all(_LABEL.fullmatch(label) for label in encoded.split(".")) else None
