"""Every fault by its name, `what@where`, and the order in which a run under a seed meets them."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import zip_longest
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

    from faults.trial import Trial

    Strike = Callable[[Trial, Random], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to go wrong. `strike` does it and heals it, and says what exactly it did."""

    name: str
    strike: Strike
    named: bool = False
    """Whether it strikes at a named point of the code."""
    mails: bool = False
    """Whether it has not recovered before the mails have."""


def select(faults: Iterable[Fault], only: str | None) -> list[Fault]:
    """Those whose names match one of the patterns, which are separated by commas; all where there are none."""
    patterns = [pattern.strip() for pattern in (only or "*").split(",")]
    return [fault for fault in faults if any(fnmatchcase(fault.name, pattern) for pattern in patterns)]


def plan(faults: Sequence[Fault], seed: int, count: int) -> Iterator[tuple[int, Fault, int]]:
    """`count` faults with their numbers and seeds: named ones and others in turn, each once before any comes again.

    The first has the run's own seed, so that one row of a report is repeated by its seed and its name.
    """
    chance = Random(f"plan {seed}")  # noqa: S311 - it is to be repeatable
    number = 0
    while True:
        named = [fault for fault in faults if fault.named]
        others = [fault for fault in faults if not fault.named]
        chance.shuffle(named)
        chance.shuffle(others)
        for pair in zip_longest(others, named):
            for fault in filter(None, pair):
                if number == count:
                    return
                yield number + 1, fault, seed if number == 0 else chance.getrandbits(32)
                number += 1
