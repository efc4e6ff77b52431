"""How much of a variance each group of predictors explains, and what each predictor does: linear regression with numpy.

The share of the explained variance that belongs to a group is its Shapley value: the increase of R² when the group
joins the model, averaged over all orders in which the groups can join. The shares add up to R², and do not depend on
which level of a factor is the one that the others are compared with. Sources:

- R. H. Lindeman, P. F. Merenda, R. Z. Gold, Introduction to Bivariate and Multivariate Analysis, Scott Foresman, 1980,
  119 ff.: the averages over orders ("LMG").
- U. Grömping, "Relative Importance for Linear Regression in R: The Package relaimpo", Journal of Statistical Software
  17 (1), 2006: the same for groups of predictors, and bootstrap intervals. The tests compare with its figures.
- U. Grömping, "Estimators of Relative Importance in Linear Regression Based on Variance Decomposition", The American
  Statistician 61 (2), 2007, 139-147: what it can and cannot say.

Everything is computed from moments, for many resamples at once. This module alone imports numpy, and no service may
import it: see `services.scoring.driver_process`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_NOTHING_LEFT: Final = 1e-9
"""The share of a predictor's variance below which the others say all that it says."""
_AT_ONCE: Final = 50
"""Resamples whose moments are computed together: it bounds the memory."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its percentile bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Regression:
    """What a regression says: R², the part of it that each group explains, and each predictor's coefficient."""

    r_squared: Estimate
    shares: tuple[Estimate, ...]
    coefficients: tuple[Estimate, ...]


def moments(predictors: Floats, outcome: Floats, weights: Floats) -> Floats:
    """Covariance matrices of (predictors, outcome), one for each row of `weights`.

    `predictors` is (patterns, k), `outcome` (patterns,), `weights` (resamples, patterns): how often each pattern was
    seen. The result is (resamples, k + 1, k + 1).
    """
    joint = np.column_stack([predictors, outcome])
    found = np.empty((len(weights), joint.shape[1], joint.shape[1]))
    for place, weight in enumerate(weights):
        total = weight.sum()
        centred = joint - (weight @ joint) / total
        found[place] = (centred * weight[:, None]).T @ centred / total
    return found


def shares_of(covariances: Floats, groups: Sequence[Sequence[int]]) -> tuple[Floats, Floats]:
    """R² of the whole model, (resamples,), and the LMG share of each group, (groups, resamples).

    `covariances` is (resamples, k + 1, k + 1) with the outcome last; `groups` are disjoint and hold all k columns. The
    work doubles with each group.
    """
    correlations = _scaled(covariances)
    count = len(groups)
    explained = np.zeros((1 << count, len(covariances)))
    _explain(correlations, groups, 0, 0, explained)
    sizes = np.array([mask.bit_count() for mask in range(1 << count)])
    chance = np.array([factorial(size) * factorial(count - size - 1) / factorial(count) for size in range(count)])
    shares = np.empty((count, len(covariances)))
    for group in range(count):
        without = np.flatnonzero(~(np.arange(1 << count) >> group) & 1)
        gained = explained[without | (1 << group)] - explained[without]
        shares[group] = chance[sizes[without]] @ gained
    return explained[-1], shares


def coefficients_of(covariances: Floats) -> Floats:
    """Of the whole model, by least squares: (resamples, k). Where predictors say the same, the shortest solution."""
    inner, outer = covariances[:, :-1, :-1], covariances[:, :-1, -1]
    scale = np.sqrt(np.einsum("bii->bi", inner))
    steady = np.where(scale > 0, scale, 1.0)
    correlation = inner / steady[:, :, None] / steady[:, None, :]
    inverse = np.linalg.pinv(correlation, rcond=_NOTHING_LEFT, hermitian=True)
    found: Floats = (inverse @ (outer / steady)[:, :, None])[:, :, 0] / steady
    return found


def regressed(
    predictors: Floats,
    outcome: Floats,
    counts: NDArray[np.int64],
    groups: Sequence[Sequence[int]],
    *,
    contrasts: Floats,
    resamples: int,
    seed: int,
    confidence: float = 0.95,
) -> Regression:
    """The regression of `outcome` on `predictors`, each row of which was seen `counts` times.

    The intervals are from the percentiles of `resamples` draws of as many answers with replacement. `contrasts` is
    (m, k): the coefficients told are these combinations of the model's, because the effect of one level of a factor is
    only defined against the others.
    """
    random = np.random.default_rng(seed)
    total = int(counts.sum())
    whole = moments(predictors, outcome, counts[None, :].astype(float))
    r_squared, shares = shares_of(whole, groups)
    coefficients = coefficients_of(whole) @ contrasts.T
    drawn: list[tuple[Floats, Floats, Floats]] = []
    for begin in range(0, resamples, _AT_ONCE):
        weights = random.multinomial(total, counts / total, size=min(_AT_ONCE, resamples - begin)).astype(float)
        covariances = moments(predictors, outcome, weights)
        drawn.append((*shares_of(covariances, groups), coefficients_of(covariances) @ contrasts.T))
    edges = [100 * (1 - confidence) / 2, 100 * (1 + confidence) / 2]
    return Regression(
        _estimates(r_squared, np.concatenate([each[0] for each in drawn])[None, :], edges)[0],
        _estimates(shares[:, 0], np.concatenate([each[1] for each in drawn], axis=1), edges),
        _estimates(coefficients[0], np.concatenate([each[2] for each in drawn]).T, edges),
    )


def _scaled(covariances: Floats) -> Floats:
    """As correlations; a column that does not vary stays zero."""
    deviations = np.sqrt(np.einsum("bii->bi", covariances))
    steady = np.where(deviations > 0, deviations, 1.0)
    found: Floats = covariances / steady[:, :, None] / steady[:, None, :]
    return found


def _explain(remaining: Floats, groups: Sequence[Sequence[int]], first: int, mask: int, explained: Floats) -> None:
    """Fill in R² of every model that has the groups of `mask` and any of those from `first` on.

    `remaining` is what is left of the correlations when the groups of `mask` are known: one group more is one step of
    elimination, so that no model is solved from its beginning.
    """
    explained[mask] = 1.0 - remaining[:, -1, -1]
    for place in range(first, len(groups)):
        columns = list(groups[place])
        block = remaining[:, columns][:, :, columns]
        across = remaining[:, columns]
        reduced = remaining - across.transpose(0, 2, 1) @ _inverse(block) @ across
        _explain(reduced, groups, place + 1, mask | (1 << place), explained)


def _inverse(blocks: Floats) -> Floats:
    """Pseudo-inverses of symmetric blocks, without what has as good as no variance left."""
    if blocks.shape[1] == 1:
        left = blocks > _NOTHING_LEFT
        return np.where(left, 1.0 / np.where(left, blocks, 1.0), 0.0)
    values, vectors = np.linalg.eigh(blocks)
    left = values > _NOTHING_LEFT
    inverted = np.where(left, 1.0 / np.where(left, values, 1.0), 0.0)
    found: Floats = (vectors * inverted[:, None, :]) @ vectors.transpose(0, 2, 1)
    return found


def _estimates(values: Floats, drawn: Floats, edges: Sequence[float]) -> tuple[Estimate, ...]:
    low, high = np.percentile(drawn, edges, axis=1)
    return tuple(
        Estimate(float(value), float(lowest), float(highest))
        for value, lowest, highest in zip(values, low, high, strict=True)
    )
