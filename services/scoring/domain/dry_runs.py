"""Who would go from which tier to which if other rules were in force."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from services.scoring.domain.segments import valued

if TYPE_CHECKING:
    from libs.events.contracts.scores import Tier
    from services.scoring.domain.segments import RuleSet, Valuation
    from services.scoring.domain.worth import Worth


class Mover(NamedTuple):
    """One who would move, and what would be said of it."""

    id: str
    from_tier: Tier
    valuation: Valuation


@dataclass(slots=True)
class Moves:
    """All moves counted, and of each the first movers, in the order in which customers are looked at."""

    shown: int
    """How many movers of each move are kept."""
    customers: int = 0
    counts: Counter[tuple[Tier, Tier]] = field(default_factory=Counter)
    """From, to, and those who stay."""
    movers: dict[tuple[Tier, Tier], list[Mover]] = field(default_factory=dict)

    def look(self, id_: str, tier: Tier, worth: Worth, rules: RuleSet) -> None:
        """Count a customer."""
        valuation = valued(worth, rules)
        move = (tier, valuation.tier)
        self.customers += 1
        self.counts[move] += 1
        if valuation.tier != tier:
            first = self.movers.setdefault(move, [])
            if len(first) < self.shown:
                first.append(Mover(id_, tier, valuation))
