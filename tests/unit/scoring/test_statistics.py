"""Formulas against figures that others published, to the digits that they give."""

from datetime import UTC, date, datetime, timedelta
from math import sqrt
from statistics import NormalDist

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.statistics import nps_groups
from libs.statistics.distributions import p_of_t, p_of_z, two_sided_t, two_sided_z
from libs.statistics.means import difference_of_means, mean, of_sample
from libs.statistics.nps import Nps, nps
from libs.statistics.nps_groups import Stratum, weighted
from libs.statistics.proportions import difference_of_shares, share
from services.scoring.domain import sample_sizes
from services.scoring.domain.periods import label, spans
from services.scoring.domain.privacy import hidden

counts = st.integers(0, 400)
moments = st.datetimes(datetime(2024, 1, 1), datetime(2026, 12, 31)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001 - it gets one


@pytest.mark.parametrize(
    ("count", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_s_interval_is_the_published_one(count: int, n: int, low: float, high: float) -> None:
    # R. G. Newcombe, Statistics in Medicine 17, 1998, 857-872, table I, method 3.
    found = share(count, n)
    assert (round(found.low or 0, 4), round(found.high or 0, 4)) == (low, high)


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_the_difference_of_two_shares_is_the_published_one(
    first: tuple[int, int], second: tuple[int, int], low: float, high: float
) -> None:
    # R. G. Newcombe, Statistics in Medicine 17, 1998, 873-890, table II, method 10.
    found = difference_of_shares(share(*first), share(*second))
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_the_interval_of_a_mean_is_the_published_one() -> None:
    # NIST/SEMATECH e-Handbook 1.3.5.2, data ZARR13: t(0.975, 194) = 1.9723, interval 9.258242 to 9.264679.
    assert round(two_sided_t(0.95, 194), 4) == 1.9723
    found = of_sample(195, 9.261460, 0.2278881e-01)
    assert found.low == pytest.approx(9.258242, abs=1.5e-6)
    assert found.high == pytest.approx(9.264679, abs=1.5e-6)


def test_the_difference_of_two_means_is_the_published_one() -> None:
    # NIST/SEMATECH e-Handbook 1.3.5.3 and Dataplot's T TEST, data AUTO83B: without equal variances T = -12.94627 at
    # 136.8750 degrees of freedom.
    found = difference_of_means(of_sample(249, 20.14458, 6.41470), of_sample(79, 30.48101, 6.10771))
    assert found is not None
    error = (found.high - found.low) / 2 / two_sided_t(0.95, 136.8750)
    assert found.value / error == pytest.approx(-12.94627, abs=2e-5)
    assert found.p_value < 1e-20


@pytest.mark.parametrize(
    ("confidence", "freedom", "t"),
    [
        (0.95, 1, 12.706),
        (0.95, 5, 2.571),
        (0.95, 10, 2.228),
        (0.99, 30, 2.750),
        (0.90, 60, 1.671),
        (0.999, 100, 3.390),
    ],
)
def test_student_s_quantiles_are_those_of_the_tables(confidence: float, freedom: int, t: float) -> None:
    # NIST/SEMATECH e-Handbook 1.3.6.7.2, critical values of Student's t distribution.
    assert round(two_sided_t(confidence, freedom), 3) == t


@given(t=st.floats(0.001, 60), freedom=st.floats(1, 5000))
@settings(deadline=None)
def test_quantile_and_probability_of_student_s_belong_together(t: float, freedom: float) -> None:
    p = p_of_t(t, freedom)
    assert 0 <= p <= 1
    if 1e-9 < p < 1 - 1e-9:
        assert two_sided_t(1 - p, freedom) == pytest.approx(t, rel=1e-5)
    assert p_of_t(t, freedom) >= p_of_z(t) - 1e-12


@pytest.mark.parametrize(("margin", "n"), [(0.05, 385), (0.03, 1068), (0.1, 97)])
def test_answers_for_a_margin_of_a_share_are_the_well_known_ones(margin: float, n: int) -> None:
    # The figures of every text on sampling, for 95 % and a share of one half (Cochran 1977, 4.4: z² p q / d²).
    assert sample_sizes.for_margin(sample_sizes.WORST_OF_SHARE, margin) == n


def test_answers_for_a_difference_are_the_published_ones() -> None:
    # NIST/SEMATECH e-Handbook 7.2.2.2: one-sided 0.05, power 0.90, a shift of one deviation: (1.645 + 1.282)² = 8.567,
    # so 9. One-sided at 0.05 is two-sided at 0.90; one sample has one variance.
    assert sample_sizes.for_difference(1, 1, 0.90, confidence=0.90) == 9


@given(promoters=st.floats(0, 1), detractors=st.floats(0, 1), margin=st.floats(0.01, 0.3))
def test_as_many_answers_as_are_needed_are_enough_and_one_less_are_not(
    promoters: float, detractors: float, margin: float
) -> None:
    if promoters + detractors > 1:
        return
    variance = sample_sizes.variance_of_nps(promoters, detractors)
    n = sample_sizes.for_margin(variance, margin, added=sample_sizes.ADDED_TO_NPS)
    # The adjusted Wald interval of the same shares has this margin at n + 3.
    assert two_sided_z(0.95) * sqrt(variance / (n + 3)) <= margin * (1 + 1e-6)
    if n > 1:
        assert two_sided_z(0.95) * sqrt(variance / (n + 2)) > margin * (1 - 1e-6)


def test_the_difference_of_two_nps_is_that_of_the_padded_samples() -> None:
    # No published example gives the counts and the interval; computed another way, as means of +1, 0 and -1.
    first, second = nps(promoters=40, passives=25, detractors=35), nps(promoters=90, passives=50, detractors=20)
    found = nps_groups.difference(first, second)
    centres, variances = zip(*(_moments(each) for each in (first, second)), strict=True)
    error = sqrt(sum(variances))
    assert found.value == 5 - 43.75
    assert found.low == pytest.approx(100 * (centres[0] - centres[1] - 1.959963985 * error))
    assert found.high == pytest.approx(100 * (centres[0] - centres[1] + 1.959963985 * error))
    z = (centres[0] - centres[1]) / error
    assert found.p_value == pytest.approx(2 * NormalDist().cdf(z), rel=1e-6)


def _moments(found: Nps) -> tuple[float, float]:
    padded = {1: found.promoters + 0.75, 0: found.passives + 1.5, -1: found.detractors + 0.75}
    n = sum(padded.values())
    centre = sum(value * weight for value, weight in padded.items()) / n
    return centre, sum(weight * (value - centre) ** 2 for value, weight in padded.items()) / n / n


@given(promoters=counts, passives=counts, detractors=counts, others=counts)
def test_a_difference_turned_round_has_the_other_sign(
    promoters: int, passives: int, detractors: int, others: int
) -> None:
    first = nps(promoters=promoters + 1, passives=passives, detractors=detractors)
    second = nps(promoters=others, passives=detractors, detractors=promoters + 1)
    one, other = nps_groups.difference(first, second), nps_groups.difference(second, first)
    assert one.value == pytest.approx(-other.value)
    assert one.low == pytest.approx(-other.high)
    assert one.p_value == pytest.approx(other.p_value)
    assert nps_groups.difference(first, first).p_value == 1


@given(promoters=counts, passives=counts, detractors=counts, weight=st.floats(0.1, 1e6))
def test_one_stratum_alone_is_the_plain_nps(promoters: int, passives: int, detractors: int, weight: float) -> None:
    plain = nps(promoters=promoters, passives=passives, detractors=detractors)
    found = weighted([Stratum(weight, plain)])
    if plain.value is None:
        assert (found.n, found.value, found.coverage) == (0, None, 0)
        return
    assert (found.value, found.low, found.high) == pytest.approx((plain.value, plain.low, plain.high))
    assert found.coverage == 1


def test_strata_count_for_what_they_are_and_not_for_how_many_answered() -> None:
    happy, unhappy = nps(promoters=10, passives=0, detractors=0), nps(promoters=0, passives=0, detractors=990)
    silent = nps(promoters=0, passives=0, detractors=0)
    found = weighted([Stratum(750, happy), Stratum(250, unhappy), Stratum(1000, silent)])
    assert (found.n, found.value, found.coverage) == (1000, 50.0, 0.5)


def test_a_mean_of_scores_is_that_of_the_answers_themselves() -> None:
    found = mean({1: 2, 4: 1, 5: 5})
    # statistics.mean and stdev of [1, 1, 4, 5, 5, 5, 5, 5]; t(0.975, 7) = 2.365 by the tables.
    assert (found.n, found.value) == (8, 3.875)
    assert found.deviation == pytest.approx(1.8077, abs=1e-4)
    assert found.low == pytest.approx(3.875 - 2.3646 * 1.8077 / sqrt(8), abs=1e-3)
    assert mean({3: 1}).low is None
    assert mean({}).value is None


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([10, 3, 20, 8], {1, 3}),  # 3 alone could be told from the total
        ([10, 3, 1, 8], {1, 2, 3}),  # 4 together are still too few
        ([10, 4, 4, 8], {1, 2}),
        ([10, 20], set()),
        ([3], {0}),
        ([0, 9, 2], {1, 2}),
        ([], set()),
    ],
)
def test_small_groups_are_hidden_with_those_that_would_tell_them(sizes: list[int], expected: set[int]) -> None:
    assert hidden(sizes, 5) == expected


@given(period=st.tuples(st.none() | moments, st.none() | moments), in_days=st.booleans(), at=moments)
def test_a_moment_is_in_exactly_one_span_of_its_period_and_in_none_of_another(
    period: tuple[datetime | None, datetime | None],
    at: datetime,
    *,
    in_days: bool,
) -> None:
    since, until = period
    found = spans(since, until, in_days=in_days)
    day, month = at.date(), at.date().replace(day=1)
    places = [
        found.months[0] <= month < found.months[1],
        *(first <= day < end for first, end in found.days),
        *(first <= at < end for first, end in found.hours),
    ]
    inside = (since is None or since <= at) and (until is None or at < until)
    assert sum(places) == (1 if inside else 0)
    whole = any(places[:3])
    assert whole == (found.all_days[0] <= day < found.all_days[1])


def test_hours_are_counted_only_at_the_edges_of_a_period() -> None:
    found = spans(datetime(2025, 1, 30, 12, tzinfo=UTC), datetime(2025, 4, 2, tzinfo=UTC))
    assert found.months == (date(2025, 2, 1), date(2025, 4, 1))
    assert found.days == ((date(2025, 1, 31), date(2025, 2, 1)), (date(2025, 4, 1), date(2025, 4, 2)))
    assert found.hours[0][1] - found.hours[0][0] == timedelta(hours=12)
    assert found.hours[1][1] == found.hours[1][0]


def test_periods_have_names() -> None:
    days = {"day": date(2025, 12, 29), "week": date(2025, 12, 29), "month": date(2025, 12, 1)}
    assert label("day", days["day"]) == "2025-12-29"
    assert label("week", days["week"]) == "2026-W01"
    assert label("month", days["month"]) == "2025-12"
    assert label("quarter", date(2025, 10, 1)) == "2025-Q4"
