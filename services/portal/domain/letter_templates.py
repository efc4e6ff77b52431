"""Templates of messages as the pages show them: for whom each kind is, and where in a part a mistake is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, get_args

from libs.events.contracts.messages import MessageKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PARTS: Final = ("subject", "text", "html")
READERS: Final = ("customers", "colleagues", "partners")
LONGEST: Final = {"subject": 1_024, "text": 32_768, "html": 32_768}
_OF_CUSTOMERS: Final = frozenset({"callback", "confirmation_request", "new_contact", "thanks", "changes_for_customers"})
_OF_PARTNERS: Final = frozenset({"changes_for_partners"})
_LONGEST_QUOTE: Final = 160
KINDS: Final[tuple[str, ...]] = get_args(MessageKind)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a template cannot be used: which part, what, and on which line of it."""

    part: str
    code: str
    detail: str
    line: int | None


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake with the line that it is in; `quoted` is empty where that is not known."""

    part: str
    code: str
    detail: str
    line: int | None
    quoted: str


def reader_of(kind: str) -> str:
    """Who reads messages of this kind."""
    if kind in _OF_CUSTOMERS:
        return "customers"
    return "partners" if kind in _OF_PARTNERS else "colleagues"


def mistakes(faults: Iterable[Fault], written: Mapping[str, str]) -> list[Mistake]:
    """What is wrong, each with its line as it was written."""
    return [
        Mistake(each.part, each.code, each.detail, each.line, _line(written.get(each.part, ""), each.line))
        for each in faults
    ]


def _line(written: str, number: int | None) -> str:
    lines = written.split("\n")
    if number is None or not 1 <= number <= len(lines):
        return ""
    return lines[number - 1].strip()[:_LONGEST_QUOTE]
