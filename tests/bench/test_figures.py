"""A figure is its median, held against a red line and a goal."""

import pytest

from bench.figures import Better, Figure, Verdict, against_floor, percentile


def a_figure(
    *rounds: float, red: float | None = 0.25, goal: float | None = 0.4, better: Better = Better.HIGHER
) -> Figure:
    return Figure(stage="ingest", name="deliveries", unit="×", rounds=rounds, red=red, goal=goal, better=better)


@pytest.mark.parametrize(
    ("value", "better", "expected"),
    [
        (0.41, Better.HIGHER, Verdict.GOAL),
        (0.40, Better.HIGHER, Verdict.GOAL),
        (0.39, Better.HIGHER, Verdict.BETWEEN),
        (0.25, Better.HIGHER, Verdict.BETWEEN),
        (0.24, Better.HIGHER, Verdict.RED),
    ],
)
def test_more_is_better_where_it_is_a_throughput(value: float, better: Better, expected: Verdict) -> None:
    assert a_figure(value, better=better).verdict is expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(45.0, Verdict.GOAL), (46.0, Verdict.BETWEEN), (90.0, Verdict.BETWEEN), (91.0, Verdict.RED)],
)
def test_less_is_better_where_it_is_a_time(seconds: float, expected: Verdict) -> None:
    assert a_figure(seconds, red=90.0, goal=45.0, better=Better.LOWER).verdict is expected


def test_without_a_red_line_what_misses_the_goal_is_between() -> None:
    assert a_figure(0.1, red=None).verdict is Verdict.BETWEEN


def test_what_promises_nothing_is_shown() -> None:
    assert a_figure(0.1, red=None, goal=None).verdict is Verdict.SHOWN


def test_one_bad_round_does_not_decide() -> None:
    assert a_figure(0.5, 0.01, 0.45).verdict is Verdict.GOAL


def test_a_ratio_is_taken_within_each_round() -> None:
    # The second round was twice as slow for both.
    figure = against_floor(
        "ingest", "deliveries", floor_name="bare", floor=[100.0, 50.0], ours=[40.0, 20.0], measured_in="/s"
    )

    assert figure.rounds == [0.4, 0.4]


def test_rounds_without_their_floor_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        against_floor("ingest", "deliveries", floor_name="bare", floor=[100.0], ours=[40.0, 20.0], measured_in="/s")


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1), (0.5, 50), (0.99, 99), (0.995, 100), (1.0, 100)])
def test_a_percentile_is_a_value_that_was_measured(share: float, expected: int) -> None:
    assert percentile(list(range(100, 0, -1)), share) == expected


def test_the_percentile_of_one_value_is_that_value() -> None:
    assert percentile([7.0], 0.99) == 7.0
