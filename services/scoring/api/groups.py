"""Groups of answers as they may be shown: those too small to be shown are known to be there, and nothing else."""

from collections import defaultdict
from dataclasses import dataclass

from fastapi import Request

from libs.events.contracts.responses import SurveyKind
from libs.events.contracts.scores import Tier
from libs.events.database import Tx
from services.scoring.api.filters import DIMENSIONS, without
from services.scoring.domain.privacy import hidden
from services.scoring.store import metrics
from services.scoring.store.metrics import Count, Grouping, Scale, Series


@dataclass(frozen=True, slots=True)
class Group:
    """The answers of one group on one scale of one survey kind."""

    kind: SurveyKind
    scale: Scale
    name: str | None
    by_tier: dict[Tier | None, tuple[int, ...]]
    """Answers counted by score; of all tiers together under None, unless tiers were asked for."""
    hidden: bool

    @property
    def scores(self) -> tuple[int, ...]:
        """How many answered 0, 1, … 10."""
        return tuple(map(sum, zip(*self.by_tier.values(), strict=True)))

    @property
    def n(self) -> int:
        """How many answered."""
        return sum(self.scores)


def threshold_of(request: Request) -> int:
    """What the app was made with."""
    threshold: int = request.app.state.privacy_threshold
    return threshold


async def groups(tx: Tx, series: Series, by: Grouping | None, *, threshold: int, by_tier: bool = False) -> list[Group]:
    """The groups that somebody answered in.

    A group of fewer than `threshold` is hidden, with others where it could be told from the total. What is asked for
    by a filter is hidden where it would be as a group of the same answers grouped by that dimension, so that asking
    for the others one by one tells no more than asking for all.
    """
    counted = await metrics.count(tx, series, by, by_tier=by_tier)
    gathered: dict[tuple[SurveyKind, Scale], dict[str | None, dict[Tier | None, tuple[int, ...]]]] = {}
    for each in counted:
        gathered.setdefault((each.kind, each.scale), {}).setdefault(each.group, {})[each.tier] = each.scores
    unshown = await not_shown(tx, series, threshold)
    found = []
    for (kind, scale), named in gathered.items():
        sizes = [sum(map(sum, by_tiers.values())) for by_tiers in named.values()]
        too_small = hidden(sizes, threshold)
        found += [
            Group(kind, scale, name, by_tiers, hidden=place in too_small or (kind, scale) in unshown)
            for place, (name, by_tiers) in enumerate(named.items())
        ]
    return found


async def not_shown(tx: Tx, series: Series, threshold: int) -> set[tuple[SurveyKind, Scale]]:
    """Where what a filter asks for must not be shown."""
    if threshold <= 1:
        return set()
    found = set()
    for dimension in DIMENSIONS:
        asked = getattr(series, dimension)
        if asked is None:
            continue
        beside: dict[tuple[SurveyKind, Scale], list[Count]] = defaultdict(list)
        for each in await metrics.count(tx, without(series, dimension), dimension):
            beside[each.kind, each.scale].append(each)
        for place, counts in beside.items():
            too_small = hidden([each.n for each in counts], threshold)
            if any(counts[index].group == asked for index in too_small):
                found.add(place)
    return found
