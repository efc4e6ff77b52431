"""Who would go from which tier to which if other rules were in force."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from services.scoring.domain.segments import valued

if TYPE_CHECKING:
    from libs.events.contracts.scores import Tier
    from services.scoring.domain.segments import RuleSet, Valuation
    from services.scoring.domain.worth import Worth


MOVERS_SHOWN: Final = 20
"""How many of each move are named where a dry run is told."""


class Mover(NamedTuple):
    """One who would move, and what would be said of it."""

    id: str
    from_tier: Tier
    valuation: Valuation


@dataclass(slots=True)
class Moves:
    """All moves counted, and of each the first movers, in the order in which customers are looked at.

    Whoever goes on where another left off brings the counts, and finds only those movers that are still to be named.
    """

    shown: int
    """How many movers of each move are named."""
    counts: Counter[tuple[Tier, Tier]] = field(default_factory=Counter)
    """From, to, and those who stay."""
    movers: list[Mover] = field(default_factory=list)

    @property
    def customers(self) -> int:
        """How many were looked at."""
        return self.counts.total()

    def look(self, id_: str, tier: Tier, worth: Worth, rules: RuleSet) -> None:
        """Count a customer."""
        valuation = valued(worth, rules)
        move = (tier, valuation.tier)
        self.counts[move] += 1
        if valuation.tier != tier and self.counts[move] <= self.shown:
            self.movers.append(Mover(id_, tier, valuation))
