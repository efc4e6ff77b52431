"""The tree of root causes as pages show it: each below what it belongs to, whatever is in the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol

    from services.portal.domain.people import Language

    class Cause(Protocol):
        """What the tree is made of."""

        @property
        def id(self) -> str:
            """Its code."""
            ...

        @property
        def parent_id(self) -> str | None:
            """What it is below."""
            ...

        def name(self, language: Language) -> str:
            """What it is called."""
            ...


@dataclass(frozen=True, slots=True)
class Branch:
    """One cause at its place; `depth` is 0 at the top."""

    id: str
    depth: int


def branches(causes: Iterable[Cause], language: Language) -> list[Branch]:
    """All of them, each after what it is below, brothers by name; what is below nothing known stands at the top."""
    ordered = sorted(causes, key=lambda each: (each.name(language).casefold(), each.id))
    known = {each.id for each in ordered}
    below: dict[str | None, list[str]] = {}
    for each in ordered:
        below.setdefault(each.parent_id if each.parent_id in known else None, []).append(each.id)
    found: list[Branch] = []
    waiting = [Branch(id_, 0) for id_ in reversed(below.get(None, []))]
    while waiting:
        here = waiting.pop()
        found.append(here)
        waiting += [Branch(id_, here.depth + 1) for id_ in reversed(below.get(here.id, []))]
    return found


def ids_below(causes: Iterable[Cause], top: str) -> set[str]:
    """This one and all below it: where it cannot be moved to."""
    below: dict[str | None, list[str]] = {}
    for each in causes:
        below.setdefault(each.parent_id, []).append(each.id)
    found: set[str] = set()
    waiting = [top]
    while waiting:
        here = waiting.pop()
        if here not in found:
            found.add(here)
            waiting += below.get(here, [])
    return found
