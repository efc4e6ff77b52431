from collections.abc import Callable
from math import sqrt
from statistics import NormalDist, pvariance

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.contracts.responses import Instrument
from libs.statistics.nps import CONFIDENCE, nps
from services.scoring.domain.nps import contradicts, nps_class

AnInstrument = Callable[..., Instrument]
counts = st.integers(min_value=0, max_value=1_000_000)


@pytest.mark.parametrize(
    ("score", "expected"),
    [(n, "detractor") for n in range(7)] + [(7, "passive"), (8, "passive"), (9, "promoter"), (10, "promoter")],
)
def test_every_score_has_its_class(an_instrument: AnInstrument, score: int, expected: str) -> None:
    assert nps_class(an_instrument(), score) == expected


def test_a_missing_score_is_never_passive(an_instrument: AnInstrument) -> None:
    assert nps_class(an_instrument(), None) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"metric": "ces", "scale_max": 7},
        {"metric": "csat", "scale_max": 10},
        {"scale_min": 1, "scale_max": 5},
        {"higher_is_worse": True},
    ],
)
def test_another_metric_or_scale_has_no_nps_class(an_instrument: AnInstrument, changes: dict[str, object]) -> None:
    assert nps_class(an_instrument(**changes), 5) is None


@pytest.mark.parametrize(
    ("claimed", "score", "expected"),
    [
        ("passive", 9, True),
        ("Promoters ", 9, False),
        ("neutral", 8, False),
        ("passive", None, True),
        ("delighted", 10, True),
        (None, 3, False),
        (" ", 3, False),
    ],
)
def test_a_claimed_class_is_compared_with_ours(
    an_instrument: AnInstrument, claimed: str | None, score: int | None, *, expected: bool
) -> None:
    instrument = an_instrument()
    assert contradicts(claimed, instrument, nps_class(instrument, score)) is expected


def test_the_class_of_another_metric_contradicts_nothing(an_instrument: AnInstrument) -> None:
    assert not contradicts("good", an_instrument(metric="csat", scale_min=1, scale_max=5), None)


def test_nobody_has_no_nps() -> None:
    nothing = nps(promoters=0, passives=0, detractors=0)
    assert (nothing.n, nothing.value, nothing.low, nothing.high) == (0, None, None, None)


def test_a_worked_example_to_the_digits() -> None:
    # n 36 + 3 = 39; P = 18.75/39 = .48077; D = 9.75/39 = .25; (.73077 - .23077²)/39 = .0173721; its root .131803
    example = nps(promoters=18, passives=9, detractors=9)
    assert example.value == 25.0
    assert example.low == pytest.approx(23.0769 - 1.959964 * 13.1803, abs=1e-3)
    assert example.high == pytest.approx(23.0769 + 1.959964 * 13.1803, abs=1e-3)


@settings(deadline=None)
@given(promoters=counts, passives=counts, detractors=counts)
def test_the_interval_is_the_one_of_the_padded_sample(promoters: int, passives: int, detractors: int) -> None:
    # Computed another way: the padded answers as a distribution over +1, 0, -1.
    if promoters + passives + detractors == 0:
        return
    found = nps(promoters=promoters, passives=passives, detractors=detractors)
    weights = {1: promoters + 0.75, 0: passives + 1.5, -1: detractors + 0.75}
    n = sum(weights.values())
    mean = sum(value * weight for value, weight in weights.items()) / n
    variance = sum(weight * (value - mean) ** 2 for value, weight in weights.items()) / n
    margin = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * sqrt(variance / n)
    assert found.low == pytest.approx(max(-100, 100 * (mean - margin)), abs=1e-6)
    assert found.high == pytest.approx(min(100, 100 * (mean + margin)), abs=1e-6)


@settings(deadline=None)
@given(promoters=counts, passives=counts, detractors=counts)
def test_the_nps_is_the_mean_of_plus_one_zero_and_minus_one(promoters: int, passives: int, detractors: int) -> None:
    found = nps(promoters=promoters, passives=passives, detractors=detractors)
    assert found.n == promoters + passives + detractors
    if found.value is None or found.low is None or found.high is None:
        assert found.n == 0
        return
    assert -100 <= found.low < found.high <= 100
    assert found.value == pytest.approx(100 * (promoters - detractors) / found.n)
    mirrored = nps(promoters=detractors, passives=passives, detractors=promoters)
    assert mirrored.low == pytest.approx(-found.high)
    assert mirrored.high == pytest.approx(-found.low)


@settings(deadline=None)
@given(promoters=st.integers(1, 500), passives=st.integers(1, 500), detractors=st.integers(1, 500))
def test_ten_times_as_many_answers_say_it_more_surely(promoters: int, passives: int, detractors: int) -> None:
    few = nps(promoters=promoters, passives=passives, detractors=detractors)
    many = nps(promoters=10 * promoters, passives=10 * passives, detractors=10 * detractors)
    assert few.low is not None
    assert few.high is not None
    assert many.low is not None
    assert many.high is not None
    assert many.high - many.low < few.high - few.low


@settings(deadline=None)
@given(promoters=st.integers(200, 2_000), passives=st.integers(0, 2_000), detractors=st.integers(200, 2_000))
def test_with_many_answers_it_is_the_plain_interval(promoters: int, passives: int, detractors: int) -> None:
    found = nps(promoters=promoters, passives=passives, detractors=detractors)
    answers = [1] * promoters + [0] * passives + [-1] * detractors
    margin = 100 * NormalDist().inv_cdf(0.975) * sqrt(pvariance(answers) / len(answers))
    assert found.value is not None
    assert found.low == pytest.approx(found.value - margin, abs=0.6)
    assert found.high == pytest.approx(found.value + margin, abs=0.6)
