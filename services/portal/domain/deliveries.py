"""What of a delivery a role may see, and how its bytes are written for people."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from services.portal.domain.letters import LONGEST, payload_seen_by
from services.portal.domain.people import Role
from services.portal.domain.stream import operators_see

STATUSES: Final = ("quarantined", "accepted", "duplicate", "ignored")
HIDDEN: Final = "…"
_LINE: Final = 16
_MOST_LINES: Final = 256
_GRADE: Final = re.compile(r"-?[0-9]{1,2}|true|false|True|False|")


@dataclass(frozen=True, slots=True)
class Seen:
    """A body as it is shown; `whole` is false where something of it is hidden or cut off."""

    text: str
    form: Literal["text", "hex"]
    whole: bool


def body_seen_by(role: Role, content: bytes) -> Seen | None:
    """The body for this role; None where the role must not see it.

    Dead letters' rule: administrators see all of it, others names and the values of fields that say nothing about the
    person. What is neither JSON nor text is shown as bytes.
    """
    try:
        content.decode()
    except UnicodeDecodeError:
        return _bytes(content) if role is Role.ADMINISTRATOR else None
    shown = payload_seen_by(role, "", content)
    if shown is None:
        return None
    return Seen(shown, "text", whole=role is Role.ADMINISTRATOR and len(shown) < LONGEST)


def value_seen_by(role: Role, name: str, value: str) -> str:
    """The value at one place of a delivery: a grade, and what the system needs, is shown to everybody."""
    last = name.rpartition(".")[2]
    if role is Role.ADMINISTRATOR or _GRADE.fullmatch(value) is not None or operators_see(last, ""):
        return value
    return HIDDEN


def words_seen_by(role: Role, words: str | None) -> str | None:
    """What a customer wrote."""
    return words if words is None or role is Role.ADMINISTRATOR else HIDDEN


def _bytes(content: bytes) -> Seen:
    lines = [
        f"{at:06x}  {content[at : at + _LINE].hex(' '):<47}  {_printable(content[at : at + _LINE])}"
        for at in range(0, min(len(content), _LINE * _MOST_LINES), _LINE)
    ]
    return Seen("\n".join(lines), "hex", whole=len(content) <= _LINE * _MOST_LINES)


def _printable(some: bytes) -> str:
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in some)  # noqa: PLR2004 - printable ASCII
