"""From answers to drivers: the regression's predictors, one group for each factor and each theme."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from libs.statistics.nps import nps
from services.scoring.domain.drivers import (
    LEAST_OF_LEVEL,
    MOST_LEVELS,
    MOST_THEMES,
    OTHERS,
    RESAMPLES,
    UNKNOWN,
    Driver,
    Factor,
    Findings,
    Interval,
    LeftOut,
    Level,
    Pattern,
    Refusal,
    needed_answers,
)
from services.scoring.domain.importance import regressed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from services.scoring.domain.importance import Estimate, Floats

    Bools = NDArray[np.bool_]
    Counts = NDArray[np.int64]

_POINTS: Final = {"promoter": 100.0, "passive": 0.0, "detractor": -100.0}
"""What an answer adds to an NPS: its mean is the NPS."""
_FACTORS: Final[tuple[tuple[Factor, Callable[[Pattern], str | None]], ...]] = (
    ("touchpoint", lambda each: each.touchpoint),
    ("channel", lambda each: each.channel),
    ("tier", lambda each: each.tier),
    ("region", lambda each: each.region),
)


@dataclass(slots=True)
class _Group:
    """The predictors of one factor or theme; `contrasts` turn the coefficients of `columns` into levels' effects."""

    factor: Factor
    name: str | None
    columns: list[Floats]
    levels: list[tuple[str, Bools]]
    """Each with the patterns that are of it."""
    contrasts: list[list[float]]


@dataclass(slots=True)
class _Design:
    groups: list[_Group] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def predictors(self) -> int:
        return sum(len(group.columns) for group in self.groups)


def find_drivers(patterns: Sequence[Pattern], *, answers: int, seed: int, resamples: int = RESAMPLES) -> Findings:
    """What moves the NPS of these answers; of `answers` answers in all, if these are a sample."""
    patterns = _without_rare(patterns)
    counts = np.array([each.n for each in patterns], dtype=np.int64)
    n = int(counts.sum())
    design = _designed(patterns, counts) if patterns else _Design()
    needed = needed_answers(design.predictors)
    refused = None
    if n < needed:
        refused = Refusal("too_few_answers", needed)
    elif len({each.nps_class for each in patterns}) == 1:
        refused = Refusal("all_of_one_class")
    elif not design.groups:
        refused = Refusal("nothing_to_compare")
    if refused is not None:
        left_out = tuple(design.left_out)
        return Findings(n=n, answers=answers, refused=refused, left_out=left_out, resamples=resamples)
    return _found(patterns, counts, design, answers=answers, seed=seed, resamples=resamples)


def _found(
    patterns: Sequence[Pattern],
    counts: Counts,
    design: _Design,
    *,
    answers: int,
    seed: int,
    resamples: int,
) -> Findings:
    predictors = np.column_stack([column for group in design.groups for column in group.columns])
    outcome = np.array([_POINTS[each.nps_class] for each in patterns])
    places: list[list[int]] = []
    for group in design.groups:
        begin = sum(map(len, places))
        places.append(list(range(begin, begin + len(group.columns))))
    contrasts = np.zeros((sum(len(group.levels) for group in design.groups), predictors.shape[1]))
    row = 0
    for group, columns in zip(design.groups, places, strict=True):
        for contrast in group.contrasts:
            contrasts[row, columns] = contrast
            row += 1
    found = regressed(predictors, outcome, counts, places, contrasts=contrasts, resamples=resamples, seed=seed)
    effects = iter(found.coefficients)
    drivers = [
        Driver(
            factor=group.factor,
            name=group.name,
            share=_interval(share),
            levels=tuple(
                Level(
                    name=name,
                    n=int(counts[members].sum()),
                    nps=None if group.factor == "effort" else _nps_of(patterns, counts, members),
                    effect=_interval(next(effects)),
                )
                for name, members in group.levels
            ),
        )
        for group, share in zip(design.groups, found.shares, strict=True)
    ]
    drivers.sort(key=lambda driver: driver.share.value, reverse=True)
    return Findings(
        n=int(counts.sum()),
        answers=answers,
        nps=_nps_of(patterns, counts, np.ones(len(patterns), dtype=np.bool_)),
        r_squared=_interval(found.r_squared),
        drivers=tuple(drivers),
        left_out=tuple(design.left_out),
        resamples=resamples,
    )


def _without_rare(patterns: Sequence[Pattern]) -> Sequence[Pattern]:
    """Without answers of levels that are few even together: nobody could be told apart from so small a rest."""
    while True:
        rare: list[tuple[Callable[[Pattern], str | None], set[str | None]]] = []
        for _, value in _FACTORS:
            seen: Counter[str | None] = Counter()
            for each in patterns:
                seen[value(each)] += each.n
            small = {name for name, n in seen.items() if n < LEAST_OF_LEVEL}
            over = len(seen) - len(small) > MOST_LEVELS
            if 0 < len(small) < len(seen) and not over and sum(seen[name] for name in small) < LEAST_OF_LEVEL:
                rare.append((value, small))
        if not rare:
            return patterns
        patterns = [each for each in patterns if not any(value(each) in small for value, small in rare)]


def _designed(patterns: Sequence[Pattern], counts: Counts) -> _Design:
    design = _Design()
    for factor, value in _FACTORS:
        _add_factor(design, factor, [value(each) for each in patterns], counts)
    _add_effort(design, patterns, counts)
    _add_themes(design, patterns, counts)
    return design


def _add_factor(design: _Design, factor: Factor, values: Sequence[str | None], counts: Counts) -> None:
    seen: Counter[str] = Counter()
    for value, count in zip(values, counts, strict=True):
        seen[UNKNOWN if value is None else value] += int(count)
    large = [name for name, n in sorted(seen.items(), key=lambda item: (-item[1], item[0])) if n >= LEAST_OF_LEVEL]
    kept = set(large[:MOST_LEVELS])
    named = [name if name in kept else OTHERS for name in (UNKNOWN if value is None else value for value in values)]
    names = [*large[:MOST_LEVELS], *([OTHERS] if len(kept) < len(seen) else [])]
    if len(names) < 2:  # noqa: PLR2004 - nothing to be compared with
        design.left_out.append(LeftOut(factor, None, "all_alike" if len(seen) < 2 else "too_few"))  # noqa: PLR2004
        return
    members = [np.array([each == name for each in named]) for name in names]
    shares = [float(counts[each].sum() / counts.sum()) for each in members]
    # The first, which is the largest, is the one that the others are compared with; the effects of all are told against
    # their average, so that it does not matter which one it is.
    contrasts = [
        [float(level == column) - shares[column] for column in range(1, len(names))] for level in range(len(names))
    ]
    columns = [each.astype(float) for each in members[1:]]
    design.groups.append(_Group(factor, None, columns, list(zip(names, members, strict=True)), contrasts))


def _add_effort(design: _Design, patterns: Sequence[Pattern], counts: Counts) -> None:
    known = np.array([each.effort is not None for each in patterns])
    n = int(counts[known].sum())
    if n < LEAST_OF_LEVEL:
        if n:
            design.left_out.append(LeftOut("effort", None, "too_few"))
        return
    effort = np.array([(each.effort or 0) / 100 for each in patterns])
    if np.ptp(effort[known]) == 0:
        design.left_out.append(LeftOut("effort", None, "all_alike"))
        return
    # Whoever told of no effort is no easy case: that it is not known is a predictor of its own.
    mean = float((effort[known] * counts[known]).sum() / n)
    columns = [np.where(known, effort - mean, 0.0)]
    if not known.all():
        columns.append(known.astype(float))
    design.groups.append(_Group("effort", None, columns, [("effort", known)], [[1.0, 0.0][: len(columns)]]))


def _add_themes(design: _Design, patterns: Sequence[Pattern], counts: Counts) -> None:
    seen: Counter[str] = Counter()
    for each in patterns:
        for theme in set(each.themes):
            seen[theme] += each.n
    ordered = sorted(seen.items(), key=lambda item: (-item[1], item[0]))
    total = int(counts.sum())
    usable = [theme for theme, n in ordered if LEAST_OF_LEVEL <= n <= total - LEAST_OF_LEVEL]
    design.left_out += [LeftOut("theme", theme, "too_few") for theme, n in ordered if n < LEAST_OF_LEVEL]
    design.left_out += [LeftOut("theme", theme, "all_alike") for theme, n in ordered if n > total - LEAST_OF_LEVEL]
    for theme in usable[:MOST_THEMES]:
        members = np.array([theme in each.themes for each in patterns])
        design.groups.append(_Group("theme", theme, [members.astype(float)], [(theme, members)], [[1.0]]))
    if rest := usable[MOST_THEMES:]:
        levels = [(theme, np.array([theme in each.themes for each in patterns])) for theme in rest]
        columns = [members.astype(float) for _, members in levels]
        contrasts = [[float(row == column) for column in range(len(rest))] for row in range(len(rest))]
        design.groups.append(_Group("other_themes", None, columns, levels, contrasts))


def _nps_of(patterns: Sequence[Pattern], counts: Counts, members: Bools) -> Interval | None:
    of: Counter[str] = Counter()
    for each, count, member in zip(patterns, counts, members, strict=True):
        if member:
            of[each.nps_class] += int(count)
    found = nps(promoters=of["promoter"], passives=of["passive"], detractors=of["detractor"])
    if found.value is None or found.low is None or found.high is None:
        return None
    return Interval(found.value, found.low, found.high)


def _interval(found: Estimate) -> Interval:
    return Interval(found.value, found.low, found.high)
