"""Which department answers for a touchpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

EVERY_PROGRAM: Final = ""


class Responsibility(NamedTuple):
    """A department answers for a touchpoint: of one program, or of every program that names no other."""

    touchpoint: str
    program: str | None
    department: str


def as_document(responsibilities: Iterable[Responsibility]) -> dict[str, dict[str, str]]:
    """By touchpoint and program, as it is looked up."""
    document: dict[str, dict[str, str]] = {}
    for each in responsibilities:
        document.setdefault(each.touchpoint, {})[each.program or EVERY_PROGRAM] = each.department
    return document


def parse(document: Mapping[str, Mapping[str, str]]) -> list[Responsibility]:
    """What `as_document` was made from, in the order of touchpoints and programs."""
    return [
        Responsibility(touchpoint, program or None, department)
        for touchpoint, by_program in sorted(document.items())
        for program, department in sorted(by_program.items())
    ]


def doubled(responsibilities: Sequence[Responsibility]) -> list[int]:
    """The places in the list that say again who answers for something."""
    seen: set[tuple[str, str | None]] = set()
    found = []
    for place, each in enumerate(responsibilities):
        if (each.touchpoint, each.program) in seen:
            found.append(place)
        seen.add((each.touchpoint, each.program))
    return found
