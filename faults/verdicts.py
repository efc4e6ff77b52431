"""What the ledger finds: invariants that are broken, each with its first counterexamples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

EXAMPLES: Final = 5

INVARIANTS: Final = {
    0: "the trial itself",
    1: "no accepted loss",
    2: "conservation",
    3: "one effect",
    4: "offsets behind effects",
    5: "order",
    6: "clocks",
    7: "consent",
    8: "isolation",
    9: "erasure",
}


@dataclass(frozen=True, slots=True)
class Broken:
    """One invariant that does not hold."""

    invariant: int
    what: str
    examples: tuple[str, ...]
    count: int

    def __str__(self) -> str:
        name = INVARIANTS[self.invariant]
        return f"{self.invariant} ({name}): {self.what}: {self.count}, e.g. {'; '.join(self.examples)}"


class Findings:
    """Collects what is broken."""

    def __init__(self) -> None:
        self.broken: Final[list[Broken]] = []

    def none(self, invariant: int, what: str, counterexamples: Iterable[object]) -> None:
        """There must be no counterexample."""
        found = sorted({str(each) for each in counterexamples})
        if found:
            self.broken.append(Broken(invariant, what, tuple(found[:EXAMPLES]), len(found)))

    def same(self, invariant: int, what: str, one: Iterable[object], other: Iterable[object]) -> None:
        """Two sets must be the same."""
        left, right = {str(each) for each in one}, {str(each) for each in other}
        self.none(invariant, f"{what}: missing", left - right)
        self.none(invariant, f"{what}: too many", right - left)

    def all_once(self, invariant: int, what: str, items: Iterable[object]) -> None:
        """Nothing may come twice."""
        seen: set[str] = set()
        twice: set[str] = set()
        for item in map(str, items):
            (twice if item in seen else seen).add(item)
        self.none(invariant, what, twice)
