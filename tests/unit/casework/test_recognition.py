"""Who is proposed to be named: the share of cases closed well counts, with how sure it is, and never the volume."""

from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.casework.domain.names import AgentId
from services.casework.domain.recognition import (
    MINIMUM,
    Refusal,
    Standing,
    Status,
    Tally,
    bounds,
    last_month,
    proposal_id,
    refused,
    standings,
)

ANNA, OTHERS = AgentId("anna"), AgentId("others")


def a_tally(agent: str, well: int, cases: int, difficulty: int = 1) -> Tally:
    return Tally(
        agent_id=AgentId(agent),
        difficulty=difficulty,
        cases=cases,
        confirmed=well,
        in_time=cases,
        never_reopened=cases,
        well=well,
    )


@st.composite
def tallies(draw: st.DrawFn) -> list[Tally]:
    found = []
    for agent in draw(st.lists(st.sampled_from("abcdef"), unique=True, min_size=1)):
        for difficulty in draw(st.lists(st.integers(1, 4), unique=True, min_size=1)):
            cases = draw(st.integers(1, 60))
            found.append(a_tally(agent, draw(st.integers(0, cases)), cases, difficulty))
    return found


def of(agent: AgentId, found: list[Tally]) -> Standing | None:
    return next((each for each in standings(found) if each.agent_id == agent), None)


def test_who_is_surely_better_than_the_others_would_have_been_is_exceptional() -> None:
    found = of(ANNA, [a_tally("anna", 19, 20), a_tally("others", 60, 100)])
    assert found is not None
    assert found.is_exceptional
    assert round(found.expected, 3) == 0.6
    # Wilson's interval of 19 in 20.
    assert (round(found.low, 3), round(found.high, 3)) == (0.764, 0.991)


def test_a_few_lucky_cases_are_not_sure_enough_and_below_the_minimum_nobody_is_compared() -> None:
    assert of(ANNA, [a_tally("anna", MINIMUM - 1, MINIMUM - 1), a_tally("others", 1, 100)]) is None
    assert of(ANNA, [a_tally("anna", 100, 100), a_tally("others", 1, MINIMUM - 1)]) is None
    lucky = of(ANNA, [a_tally("anna", MINIMUM, MINIMUM), a_tally("others", 80, 100)])
    assert lucky is not None
    assert not lucky.is_exceptional


def test_where_everybody_does_badly_doing_a_little_better_is_no_reason() -> None:
    badly = a_tally("others", 10, 100)
    better, well = of(ANNA, [a_tally("anna", 40, 100), badly]), of(ANNA, [a_tally("anna", 65, 100), badly])
    assert better is not None
    assert well is not None
    assert better.low > 2 * better.expected
    assert not better.is_exceptional
    assert well.is_exceptional


def test_hard_cases_are_not_held_against_anybody() -> None:
    easy = [a_tally("others", 95, 100, difficulty=3)]
    hard = [a_tally("others", 30, 100, difficulty=1)]
    harder = of(ANNA, [a_tally("anna", 33, 40, difficulty=1), *easy, *hard])
    easier = of(ANNA, [a_tally("anna", 33, 40, difficulty=3), *easy, *hard])
    assert harder is not None
    assert easier is not None
    assert harder.is_exceptional
    assert not easier.is_exceptional


@given(found=tallies(), times=st.integers(2, 50))
def test_volume_alone_makes_nobody_exceptional(found: list[Tally], times: int) -> None:
    for each in standings(found):
        if each.share > each.expected:
            continue
        more = [
            replace(tally, cases=tally.cases * times, well=tally.well * times)
            if tally.agent_id == each.agent_id
            else tally
            for tally in found
        ]
        after = of(each.agent_id, more)
        assert after is not None
        assert not after.is_exceptional


@given(found=tallies(), place=st.integers(0, 1_000))
def test_one_more_case_closed_well_instead_of_badly_never_harms(found: list[Tally], place: int) -> None:
    chosen = found[place % len(found)]
    if chosen.well == chosen.cases:
        return
    better = [replace(each, well=each.well + 1) if each is chosen else each for each in found]
    before, after = of(chosen.agent_id, found), of(chosen.agent_id, better)
    if before is None or after is None:
        assert before is after is None
        return
    assert after.low >= before.low
    assert after.expected == pytest.approx(before.expected)
    # And nobody else is better off for it.
    for other in standings(found):
        if other.agent_id != chosen.agent_id:
            now = of(other.agent_id, better)
            assert now is not None
            assert now.expected >= other.expected - 1e-12


@settings(max_examples=50)
@given(found=tallies(), seed=st.randoms(use_true_random=False))
def test_the_order_in_which_cases_are_counted_says_nothing(found: list[Tally], seed: object) -> None:
    shuffled = found.copy()
    seed.shuffle(shuffled)  # type: ignore[attr-defined]  # a random.Random
    again = {each.agent_id: each for each in standings(shuffled)}
    for each in standings(found):
        assert again[each.agent_id].expected == pytest.approx(each.expected)
        assert (again[each.agent_id].low, again[each.agent_id].cases) == (each.low, each.cases)
        assert 0.0 <= each.low <= each.share <= each.high <= 1.0
        assert -1e-9 <= each.expected <= 1.0 + 1e-9
        assert each.cases >= MINIMUM


@pytest.mark.parametrize(
    ("by", "status", "opted_out", "approve", "decline"),
    [
        ("boris", Status.PROPOSED, False, None, None),
        ("boris", Status.PROPOSED, True, "opted_out", None),
        ("boris", Status.APPROVED, False, "decided", "decided"),
        ("boris", Status.DECLINED, False, "decided", "decided"),
        ("anna", Status.PROPOSED, False, "own", "own"),
        ("anna", Status.DECLINED, True, "own", "own"),
    ],
)
def test_nobody_decides_about_themselves_or_twice(
    by: str, status: Status, opted_out: object, approve: Refusal | None, decline: Refusal | None
) -> None:
    assert refused(agent_id=ANNA, status=status, opted_out=bool(opted_out), by=by, to="approve") == approve
    assert refused(agent_id=ANNA, status=status, opted_out=bool(opted_out), by=by, to="decline") == decline


def test_months_end_by_the_companys_clock() -> None:
    moscow = ZoneInfo("Europe/Moscow")
    assert last_month(datetime(2026, 2, 28, 20, 59, tzinfo=UTC), moscow) == date(2026, 1, 1)
    assert last_month(datetime(2026, 2, 28, 21, 0, tzinfo=UTC), moscow) == date(2026, 2, 1)
    began, ended = bounds(date(2026, 12, 1), moscow)
    assert began == datetime(2026, 11, 30, 21, tzinfo=UTC)
    assert ended == datetime(2026, 12, 31, 21, tzinfo=UTC)
    assert proposal_id(date(2026, 12, 1), ANNA) != proposal_id(date(2026, 11, 1), ANNA)
