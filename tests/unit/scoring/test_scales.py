from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.contracts.responses import SCALES, Instrument
from services.scoring.domain.nps import nps_class
from services.scoring.domain.scales import GOOD_FROM, effort, good_scores, is_known, upright

AnInstrument = Callable[..., Instrument]


def test_every_scale_that_may_be_asked_has_its_good_scores() -> None:
    assert {metric: set(known) for metric, known in GOOD_FROM.items()} == {
        metric: set(scales) for metric, scales in SCALES.items()
    }


@pytest.mark.parametrize(
    ("asked", "good"),
    [
        ({"metric": "nps"}, {9, 10}),
        ({"metric": "ces", "scale_min": 1, "scale_max": 7}, {5, 6, 7}),
        ({"metric": "ces", "scale_min": 1, "scale_max": 5}, {4, 5}),
        # Very low and low effort, as in the article of 2010.
        ({"metric": "ces", "scale_min": 1, "scale_max": 5, "higher_is_worse": True}, {1, 2}),
        ({"metric": "csat", "scale_min": 0, "scale_max": 1}, {1}),
        ({"metric": "csat", "scale_min": 1, "scale_max": 2}, {2}),
        ({"metric": "csat", "scale_min": 1, "scale_max": 3}, {3}),
        ({"metric": "csat", "scale_min": 1, "scale_max": 5}, {4, 5}),
        ({"metric": "csat", "scale_min": 1, "scale_max": 7}, {6, 7}),
    ],
)
def test_good_scores_are_those_of_the_published_scales(
    an_instrument: AnInstrument, asked: dict[str, object], good: set[int]
) -> None:
    instrument = an_instrument(**asked)
    assert is_known(instrument)
    assert good_scores(instrument) == good


def test_a_promoter_is_a_good_score_and_nobody_else_is(an_instrument: AnInstrument) -> None:
    instrument = an_instrument()
    assert good_scores(instrument) == {score for score in range(11) if nps_class(instrument, score) == "promoter"}


@pytest.mark.parametrize(
    "asked", [{"metric": "csat", "scale_max": 10}, {"metric": "ces", "scale_max": 10}, {"higher_is_worse": True}]
)
def test_of_a_scale_that_nobody_published_nothing_is_claimed(
    an_instrument: AnInstrument, asked: dict[str, object]
) -> None:
    assert not is_known(an_instrument(**asked))


@given(
    scale=st.sampled_from(SCALES["ces"]),
    higher_is_worse=st.booleans(),
    picked=st.lists(st.integers(1, 7), min_size=2, max_size=2),
)
def test_effort_goes_up_with_the_score_or_down_as_the_scale_says(
    an_instrument: AnInstrument, scale: tuple[int, int], *, higher_is_worse: bool, picked: list[int]
) -> None:
    lowest, highest = scale
    less, more = (
        effort(min(score, highest), lowest=lowest, highest=highest, higher_is_worse=higher_is_worse)
        for score in sorted(picked)
    )
    assert less <= more if higher_is_worse else less >= more
    ends = {effort(end, lowest=lowest, highest=highest, higher_is_worse=higher_is_worse) for end in scale}
    assert ends == {0.0, 1.0}
    asked = an_instrument(metric="ces", scale_min=lowest, scale_max=highest, higher_is_worse=higher_is_worse)
    assert upright(asked, upright(asked, lowest)) == lowest
