"""Shapley values of a regression: published figures, closed forms, an independent computation, honest intervals."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.scoring.domain.importance import coefficients_of, moments, regressed, shares_of

Floats = NDArray[np.float64]

# Fertility and what may explain it in 47 provinces of Switzerland, 1888 (F. Mosteller, J. W. Tukey, Data Analysis and
# Regression, 1977, 549-551): fertility, agriculture, examination, education, Catholic, infant mortality.
SWISS = """
80.2 17 15 12 9.96 22.2;83.1 45.1 6 9 84.84 22.2;92.5 39.7 5 5 93.4 20.2;85.8 36.5 12 7 33.77 20.3
76.9 43.5 17 15 5.16 20.6;76.1 35.3 9 7 90.57 26.6;83.8 70.2 16 7 92.85 23.6;92.4 67.8 14 8 97.16 24.9
82.4 53.3 12 7 97.67 21;82.9 45.2 16 13 91.38 24.4;87.1 64.5 14 6 98.61 24.5;64.1 62 21 12 8.52 16.5
66.9 67.5 14 7 2.27 19.1;68.9 60.7 19 12 4.43 22.7;61.7 69.3 22 5 2.82 18.7;68.3 72.6 18 2 24.2 21.2
71.7 34 17 8 3.3 20;55.7 19.4 26 28 12.11 20.2;54.3 15.2 31 20 2.15 10.8;65.1 73 19 9 2.84 20
65.5 59.8 22 10 5.23 18;65 55.1 14 3 4.52 22.4;56.6 50.9 22 12 15.14 16.7;57.4 54.1 20 6 4.2 15.3
72.5 71.2 12 1 2.4 21;74.2 58.1 14 8 5.23 23.8;72 63.5 6 3 2.56 18;60.5 60.8 16 10 7.72 16.3
58.3 26.8 25 19 18.46 20.9;65.4 49.5 15 8 6.1 22.5;75.5 85.9 3 2 99.71 15.1;69.3 84.9 7 6 99.68 19.8
77.3 89.7 5 2 100 18.3;70.5 78.2 12 6 98.96 19.4;79.4 64.9 7 3 98.22 20.2;65 75.9 9 9 99.06 17.8
92.2 84.6 3 3 99.46 16.3;79.3 63.1 13 13 96.83 18.1;70.4 38.4 26 12 5.62 20.3;65.7 7.7 29 11 13.79 20.5
72.7 16.7 22 13 11.22 18.9;64.4 17.6 35 32 16.92 23;77.6 37.6 15 7 4.97 20;67.6 18.7 25 7 8.65 19.5
35 1.2 37 53 42.34 18;44.7 46.6 16 29 50.43 18.2;42.8 27.7 22 29 58.33 19.3
"""


def swiss() -> tuple[Floats, Floats]:
    table = np.array([row.split() for line in SWISS.split("\n") if line for row in line.split(";")], dtype=float)
    assert table.shape == (47, 6)
    return table[:, 1:], table[:, 0]


def once(predictors: Floats, outcome: Floats) -> Floats:
    return moments(predictors, outcome, np.ones((1, len(outcome))))


def alone(columns: int) -> list[list[int]]:
    return [[column] for column in range(columns)]


def test_the_shares_are_those_that_relaimpo_publishes() -> None:
    r_squared, shares = shares_of(once(*swiss()), alone(5))
    # calc.relimp(lm(Fertility ~ ., swiss), type = "lmg") of R's package relaimpo.
    assert r_squared[0] == pytest.approx(0.7067350, abs=5e-8)
    assert shares[:, 0] == pytest.approx([0.05709122, 0.17117303, 0.26013468, 0.10557015, 0.11276592], abs=5e-9)


def test_the_coefficients_are_those_of_least_squares() -> None:
    predictors, outcome = swiss()
    expected, *_ = np.linalg.lstsq(np.column_stack([np.ones(47), predictors]), outcome, rcond=None)
    assert coefficients_of(once(predictors, outcome))[0] == pytest.approx(expected[1:], rel=1e-9)


def test_predictors_that_have_nothing_in_common_explain_their_squared_correlations() -> None:
    random = np.random.default_rng(1)
    predictors, _ = np.linalg.qr(random.normal(size=(200, 4)) - 0)
    predictors -= predictors.mean(axis=0)
    predictors, _ = np.linalg.qr(predictors)
    outcome = predictors @ np.array([3.0, 2.0, 1.0, 0.0]) + random.normal(size=200) * 0.1
    _, shares = shares_of(once(predictors, outcome), alone(4))
    expected = [np.corrcoef(predictors[:, column], outcome)[0, 1] ** 2 for column in range(4)]
    assert shares[:, 0] == pytest.approx(expected, abs=1e-9)


def test_a_predictor_that_comes_twice_shares_its_part() -> None:
    random = np.random.default_rng(2)
    first, second = random.normal(size=(2, 300))
    outcome = 2 * first + second + random.normal(size=300)
    predictors = np.column_stack([first, first, second, np.zeros(300)])
    r_squared, shares = shares_of(once(predictors, outcome), alone(4))
    single, of_two = shares_of(once(np.column_stack([first, second]), outcome), alone(2))
    assert shares[0, 0] == pytest.approx(shares[1, 0])
    assert shares[3, 0] == pytest.approx(0, abs=1e-12)
    assert r_squared[0] == pytest.approx(single[0])
    assert shares[:, 0].sum() == pytest.approx(of_two[:, 0].sum())
    assert np.isfinite(coefficients_of(once(predictors, outcome))).all()


def by_definition(predictors: Floats, outcome: Floats, groups: list[list[int]]) -> list[float]:
    """Each order in turn, each model solved anew."""

    def r_squared(columns: list[int]) -> float:
        model = np.column_stack([np.ones(len(outcome)), predictors[:, columns]])
        fitted = model @ np.linalg.lstsq(model, outcome, rcond=None)[0]
        return float(1 - ((outcome - fitted) ** 2).sum() / ((outcome - outcome.mean()) ** 2).sum())

    gained = [0.0] * len(groups)
    orders = list(permutations(range(len(groups))))
    for order in orders:
        so_far: list[int] = []
        for group in order:
            before = r_squared(so_far)
            so_far = [*so_far, *groups[group]]
            gained[group] += (r_squared(so_far) - before) / len(orders)
    return gained


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_groups_of_predictors_share_as_the_definition_says(seed: int) -> None:
    random = np.random.default_rng(seed)
    levels = random.integers(0, 3, size=80)
    other = random.normal(size=80) + levels
    predictors = np.column_stack([levels == 1, levels == 2, other, random.normal(size=80)]).astype(float)
    outcome = predictors @ random.normal(size=4) + random.normal(size=80)
    groups = [[0, 1], [2], [3]]
    r_squared, shares = shares_of(once(predictors, outcome), groups)
    assert shares[:, 0] == pytest.approx(by_definition(predictors, outcome, groups), abs=1e-9)
    assert shares[:, 0].sum() == pytest.approx(r_squared[0])
    # Whichever level the others are compared with.
    predictors[:, 0] = levels == 0
    assert shares_of(once(predictors, outcome), groups)[1][:, 0] == pytest.approx(shares[:, 0], abs=1e-9)


def test_rows_that_were_seen_often_count_as_often() -> None:
    predictors, outcome = swiss()
    often = np.arange(47) % 3 + 1
    weighted = moments(predictors, outcome, often[None, :].astype(float))
    repeated = once(np.repeat(predictors, often, axis=0), np.repeat(outcome, often))
    assert weighted == pytest.approx(repeated, rel=1e-12)


def test_nineteen_of_twenty_intervals_hold_the_true_values() -> None:
    """Of two thousand samples' worth of numbers: two predictors with a correlation of one half, R² of one half."""
    random = np.random.default_rng(7)
    covariance = np.array([[1.0, 0.5], [0.5, 1.0]])
    weights = np.array([0.8, 0.4])
    signal = weights @ covariance @ weights
    noise = signal  # so that R² is one half
    joint = np.empty((1, 3, 3))
    joint[0, :2, :2] = covariance
    joint[0, 2, :2] = joint[0, :2, 2] = covariance @ weights
    joint[0, 2, 2] = signal + noise
    r_squared, shares = shares_of(joint, alone(2))
    held = np.zeros(5)
    samples, size = 200, 250
    for number in range(samples):
        predictors = random.multivariate_normal([0, 0], covariance, size=size)
        outcome = predictors @ weights + random.normal(size=size) * np.sqrt(noise)
        found = regressed(
            predictors,
            outcome,
            np.ones(size, dtype=np.int64),
            alone(2),
            contrasts=np.eye(2),
            resamples=200,
            seed=number,
        )
        told = (found.r_squared, *found.shares, *found.coefficients)
        held += [
            each.low <= true <= each.high
            for each, true in zip(told, (r_squared[0], *shares[:, 0], *weights), strict=True)
        ]
    # The chance of less than 90 in a hundred, where 95 are promised, is below one in a thousand.
    assert (held / samples >= 0.90).all(), held / samples
    assert (held / samples <= 0.99).all(), held / samples
