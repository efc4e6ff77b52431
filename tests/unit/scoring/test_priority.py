from itertools import product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.contracts.scores import PriorityPart, Tier, UrgentSignal
from services.scoring.domain.priority import OF_SIGNAL, OF_TIER, Detraction, prioritized

SIGNALS: tuple[UrgentSignal, ...] = get_args(UrgentSignal)
detractions = st.builds(
    Detraction,
    tier=st.sampled_from(get_args(Tier)),
    score=st.integers(0, 6),
    urgent=st.lists(st.sampled_from(SIGNALS), unique=True).map(tuple),
    effort=st.none() | st.integers(0, 100),
    earlier=st.integers(0, 12),
    hours=st.integers(-48, 10_000),
)


@given(detractions)
def test_the_parts_add_up_to_the_priority_and_explain_themselves(known: Detraction) -> None:
    found = prioritized(known)
    assert found.points == sum(part.points for part in found.parts)
    assert 0 <= found.points <= 100
    assert all(part.points > 0 and part.fact for part in found.parts)
    assert len({part.factor for part in found.parts}) == len(found.parts)


@given(detractions, detractions)
def test_whatever_gets_worse_never_lowers_the_priority(one: Detraction, other: Detraction) -> None:
    worse = Detraction(
        tier=max(one.tier, other.tier, key=OF_TIER.__getitem__),
        score=min(one.score, other.score),
        urgent=tuple({*one.urgent, *other.urgent}),
        effort=max((each for each in (one.effort, other.effort) if each is not None), default=None),
        earlier=max(one.earlier, other.earlier),
        hours=max(one.hours, other.hours),
    )
    assert prioritized(worse).points >= max(prioritized(one).points, prioritized(other).points)
    # And each of its factors for itself.
    for field in Detraction._fields:
        assert prioritized(one._replace(**{field: getattr(worse, field)})).points >= prioritized(one).points


@pytest.mark.parametrize(
    ("known", "points"),
    [
        (Detraction("low", 6), 0),
        (Detraction("key", 0, SIGNALS, 100, 3, 48), 100),
        (Detraction("key", 0, SIGNALS, 100, 30, 4800), 100),
        (Detraction("standard", 2, ("leaving",), None, 1, 24), 10 + 13 + 14 + 6 + 5),
        (Detraction("standard", 2, hours=-5), 23),
    ],
)
def test_worked_examples(known: Detraction, points: int) -> None:
    assert prioritized(known).points == points


def test_the_gravest_signal_is_the_one_that_is_told() -> None:
    (part,) = prioritized(Detraction("low", 6, ("leaving", "safety"))).parts
    assert part == PriorityPart(factor="urgency", points=20, fact="safety")


def test_a_danger_outweighs_a_tier_and_a_key_customers_zero_is_called_before_a_low_ones() -> None:
    danger = prioritized(Detraction("low", 6, ("safety",))).points
    assert danger > prioritized(Detraction("standard", 6)).points
    for score, signals in product(range(7), [(), *((signal,) for signal in OF_SIGNAL)]):
        tiers = [prioritized(Detraction(tier, score, signals)).points for tier in ("low", "standard", "high", "key")]
        assert tiers == sorted(tiers)
        assert len(set(tiers)) == 4
