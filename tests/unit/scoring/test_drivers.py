"""From answers to drivers: what is compared, what is left out, what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.statistics.nps import nps
from services.scoring.domain.driver_model import find_drivers
from services.scoring.domain.drivers import LEAST_OF_LEVEL, OTHERS, Findings, Pattern, needed_answers


def answers(nps_class: str, n: int, **said: object) -> Pattern:
    members: dict[str, object] = {
        "touchpoint": "branch",
        "channel": "email",
        "tier": "standard",
        "region": None,
        "themes": (),
        "effort": None,
    }
    return Pattern(nps_class=nps_class, n=n, **(members | said))  # type: ignore[arg-type]  # as the test says


def found(*patterns: Pattern, seed: int = 1) -> Findings:
    return find_drivers(patterns, answers=sum(each.n for each in patterns), seed=seed, resamples=60)


def test_a_touchpoint_that_differs_is_the_driver_and_its_levels_say_by_how_much() -> None:
    told = found(
        answers("promoter", 90, touchpoint="app"),
        answers("detractor", 10, touchpoint="app"),
        answers("promoter", 40, touchpoint="branch"),
        answers("detractor", 60, touchpoint="branch"),
    )
    (driver,) = told.drivers
    assert driver.factor == "touchpoint"
    # Alone, it explains all that is explained: its R² is the squared correlation, phi² of the table.
    phi = (90 * 60 - 10 * 40) ** 2 / (130 * 70 * 100 * 100)
    assert told.r_squared is not None
    assert [driver.share.value, told.r_squared.value] == pytest.approx([phi, phi])
    # NPS 80 and -20, and 30 of all: the effects are the differences from that.
    assert {level.name: level.n for level in driver.levels} == {"app": 100, "branch": 100}
    assert {level.name: level.effect.value for level in driver.levels} == pytest.approx({"app": 50, "branch": -50})
    expected = nps(promoters=90, passives=0, detractors=10)
    (app,) = [level.nps for level in driver.levels if level.name == "app"]
    assert app is not None
    assert (app.value, app.ci_low, app.ci_high) == (expected.value, expected.low, expected.high)
    assert {each.factor for each in told.left_out} == {"channel", "tier", "region"}


def test_what_only_goes_along_with_the_driver_has_no_effect_of_its_own() -> None:
    """In the branch people complain; in the branch they are asked by SMS more often, and that does no harm."""
    told = found(
        answers("detractor", 160, channel="sms"),
        answers("promoter", 80, channel="sms"),
        answers("detractor", 40),
        answers("promoter", 20),
        answers("detractor", 10, touchpoint="app", channel="sms"),
        answers("promoter", 50, touchpoint="app", channel="sms"),
        answers("detractor", 40, touchpoint="app"),
        answers("promoter", 200, touchpoint="app"),
    )
    first, second = told.drivers
    assert (first.factor, second.factor) == ("touchpoint", "channel")
    assert all(abs(level.effect.value) < 1e-9 for level in second.levels)
    assert {level.name: level.nps.value < 0 for level in second.levels if level.nps} == {"sms": True, "email": False}


def test_a_theme_is_compared_with_answers_that_do_not_mention_it() -> None:
    told = found(
        answers("detractor", 80, themes=("queue", "staff")),
        answers("detractor", 60, themes=("queue",)),
        answers("promoter", 20, themes=("queue",)),
        answers("promoter", 150),
        answers("detractor", 50, themes=("staff",)),
        answers("detractor", 5, themes=("app",)),
        answers("passive", 50),
    )
    themes = {driver.name: driver for driver in told.drivers if driver.factor == "theme"}
    assert set(themes) == {"queue", "staff"}
    assert themes["queue"].levels[0].n == 160
    assert themes["queue"].levels[0].effect.ci_high < 0
    assert ("theme", "app", "too_few") in {(each.factor, each.name, each.reason) for each in told.left_out}


def test_effort_is_told_from_none_to_the_most_and_not_knowing_it_is_no_ease() -> None:
    told = found(
        answers("promoter", 80, effort=0),
        answers("detractor", 20, effort=0),
        answers("promoter", 20, effort=100),
        answers("detractor", 80, effort=100),
        answers("passive", 100),
    )
    (driver,) = told.drivers
    assert driver.factor == "effort"
    (level,) = driver.levels
    assert (level.n, level.nps) == (200, None)
    assert level.effect.value == pytest.approx(-120)


def test_small_levels_stand_together_and_a_rest_that_is_few_is_left_out() -> None:
    large = [answers(nps_class, 60, touchpoint="branch") for nps_class in ("promoter", "detractor")]
    small = [answers("detractor", 20, touchpoint=f"desk {number}") for number in range(3)]
    (driver,) = found(*large, *small).drivers
    assert {level.name: level.n for level in driver.levels} == {"branch": 120, OTHERS: 60}
    told = found(*large, answers("promoter", 60, touchpoint="app"), small[0])
    assert {level.name: level.n for level in told.drivers[0].levels} == {"branch": 120, "app": 60}
    assert (told.n, told.answers) == (180, 200)


@pytest.mark.parametrize(
    ("patterns", "reason"),
    [
        ([], "too_few_answers"),
        ([answers("promoter", 30), answers("detractor", 30, touchpoint="app")], None),
        ([answers("promoter", 30), answers("detractor", 29, touchpoint="app")], "too_few_answers"),
        ([answers("promoter", 100), answers("promoter", 100, touchpoint="app")], "all_of_one_class"),
        ([answers("promoter", 100), answers("detractor", 100)], "nothing_to_compare"),
    ],
)
def test_what_would_prove_nothing_is_refused_with_its_reason(patterns: list[Pattern], reason: str | None) -> None:
    told = found(*patterns)
    assert (None if told.refused is None else told.refused.reason) == reason
    assert bool(told.drivers) is (reason is None)
    if reason == "too_few_answers":
        assert told.refused is not None
        assert told.refused.needed == needed_answers(0)


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 1000))
def test_shares_add_up_and_no_group_of_answers_is_too_small(seed: int) -> None:
    random = np.random.default_rng(seed)
    patterns = [
        answers(
            str(random.choice(["promoter", "passive", "detractor"])),
            int(random.integers(1, 40)),
            touchpoint=[None, "branch", "app", "phone"][random.integers(4)],
            channel=str(random.choice(["sms", "email"])),
            region=str(random.choice(list("abcdefghijklmnop"))),
            themes=tuple(str(theme) for theme in random.choice(list("qrstuvwxyz"), size=2)),
            effort=[None, 0, 50, 100][random.integers(4)],
        )
        for _ in range(60)
    ]
    told = find_drivers(patterns, answers=5000, seed=seed, resamples=5)
    assert told.refused is None
    assert told.r_squared is not None
    assert sum(driver.share.value for driver in told.drivers) == pytest.approx(told.r_squared.value)
    assert all(driver.share.value >= -1e-9 for driver in told.drivers)
    for driver in told.drivers:
        assert all(level.n >= LEAST_OF_LEVEL for level in driver.levels)
        assert all(level.effect.ci_low <= level.effect.ci_high for level in driver.levels)
        if driver.factor in {"touchpoint", "channel", "tier", "region"}:
            # Against the average answer: weighted, the effects of a factor's levels come to nothing.
            assert sum(level.n * level.effect.value for level in driver.levels) == pytest.approx(0, abs=1e-6 * told.n)
    assert find_drivers(patterns, answers=5000, seed=seed, resamples=5) == told
