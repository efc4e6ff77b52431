from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.contracts.responses import Instrument
from services.scoring.domain.customers import Profile, arrived, changed, erasure_mark, renamed, revalued, updated
from services.scoring.domain.instruments import (
    CannotJoin,
    InstrumentVersion,
    breaks,
    fingerprint,
    instrument_id,
    joined,
    wording,
)
from services.scoring.domain.segment_documents import parse
from services.scoring.domain.segments import Rules

AnInstrument = Callable[..., Instrument]
MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "change",
    [
        {"metric": "csat"},
        {"question": "Would you recommend us?"},
        {"scale_min": 1},
        {"scale_max": 5},
        {"kind": "relationship"},
        {"channel": "sms"},
        {"sampling": "every tenth"},
        {"branded": False},
        {"higher_is_worse": True},
        {"question": "How likely are you to recommend us to a friend"},
        {"question": "How likely are you to recommend us to friends?"},
    ],
)
def test_any_change_of_the_way_of_asking_is_another_fingerprint(
    an_instrument: AnInstrument, change: dict[str, Any]
) -> None:
    assert fingerprint(an_instrument(**change)) != fingerprint(an_instrument())


def test_every_aspect_of_an_instrument_is_in_its_fingerprint(an_instrument: AnInstrument) -> None:
    # A new field of the contract must be thought about here, or it would never break a series.
    assert set(Instrument.__struct_fields__) == {
        "metric", "question", "scale_min", "scale_max", "kind", "channel", "sampling", "branded",
        "higher_is_worse",
    }  # fmt: skip
    assert fingerprint(an_instrument()) == fingerprint(an_instrument(branded=True))


@pytest.mark.parametrize(
    "same",
    [
        "  How likely are\u00a0you \n to recommend us to a friend? ",
        "HOW LIKELY are you to recommend us to a friend?",
        "<p>How <b>likely</b> are you to recommend us to&nbsp;a friend?</p>",
        "How likely are you to recom\u00admend us to a friend?\u200b",
    ],
)
def test_what_customers_read_alike_is_the_same_question(an_instrument: AnInstrument, same: str) -> None:
    assert fingerprint(an_instrument(question=same)) == fingerprint(an_instrument())


def test_signs_that_are_no_markup_stay_in_the_question() -> None:
    assert wording("Is 3 < 5 and 7 > 2?") == "is 3 < 5 and 7 > 2?"
    assert wording("«Ромашка»: “да”") == '"ромашка": "да"'
    assert wording("<br>") == "<br>"


def test_joined_versions_break_nothing(an_instrument: AnInstrument) -> None:
    typo = replace(a_version(an_instrument(question="How likly?"), 2, 10), same_as=1)
    sms = a_version(an_instrument(channel="sms"), 3, 20)
    again = replace(a_version(an_instrument(question="How lykely?"), 4, 30), same_as=1)
    (found,) = breaks([a_version(an_instrument(), 1, 0), typo, sms, again])
    assert (found.began.version, found.changed) == (3, ("channel",))


def test_only_scores_that_are_the_same_numbers_can_be_joined(an_instrument: AnInstrument) -> None:
    versions = {
        1: a_version(an_instrument(), 1, 0),
        2: replace(a_version(an_instrument(question="How likly?"), 2, 1), same_as=1),
        3: a_version(an_instrument(question="How lykely?"), 3, 2),
        4: a_version(an_instrument(metric="ces", scale_min=1, scale_max=7), 4, 3),
    }
    assert joined(versions, 3, 2) == 1
    for version, other in ((4, 1), (1, 2), (3, 3), (3, 9)):
        with pytest.raises(CannotJoin):
            joined(versions, version, other)


def test_the_instrument_is_that_of_the_touchpoint_of_a_program() -> None:
    assert instrument_id("retail", "branch") == instrument_id("retail", "branch")
    assert len({instrument_id("retail", "branch"), instrument_id("retail", None), instrument_id("b2b", "branch")}) == 3


def a_version(asked: Instrument, version: int, days: int, program: str = "retail") -> InstrumentVersion:
    id_ = instrument_id(program, "branch")
    return InstrumentVersion(id_, version, program, "branch", asked, MONDAY + timedelta(days=days))


def test_a_series_breaks_where_the_question_changed(an_instrument: AnInstrument) -> None:
    reworded = an_instrument(question="Would you recommend us?", channel="sms")
    (found,) = breaks([a_version(an_instrument(), 1, 0), a_version(reworded, 2, 30)])
    assert found.began.first_answered_at == MONDAY + timedelta(days=30)
    assert found.changed == ("question", "channel")


def test_versions_stand_in_the_order_of_their_answers_and_not_of_their_arrival(an_instrument: AnInstrument) -> None:
    (found,) = breaks([a_version(an_instrument(), 1, 30), a_version(an_instrument(channel="sms"), 2, 0)])
    assert (found.began.version, found.began.first_answered_at) == (1, MONDAY + timedelta(days=30))


def test_another_kind_or_program_is_another_series_and_no_break(an_instrument: AnInstrument) -> None:
    assert not breaks(
        [
            a_version(an_instrument(), 1, 0),
            a_version(an_instrument(kind="relationship"), 2, 1),
            a_version(an_instrument(metric="csat"), 3, 2),
            a_version(an_instrument(channel="sms"), 1, 3, program="b2b"),
        ]
    )


def a_profile(**changes: object) -> Profile:
    members: dict[str, Any] = {
        "id": "c-1",
        "name": "Анна Орлова",
        "email": "anna@example.org",
        "phone": None,
        "language": "ru",
        "time_zone": "Europe/Moscow",
        "account_id": None,
        "account_role": None,
        "current_value": None,
        "potential_value": 2_000_000.0,
        "attributes": {"vip": True},
        "email_consent": True,
    }
    return Profile(**(members | changes))


RULES: Rules = parse(
    {"rules": [{"tier": "key", "when": [{"field": "potential_value", "op": ">=", "value": 1_000_000}]}]}
)


def test_a_new_customer_has_version_one_and_one_who_comes_back_goes_on_counting() -> None:
    assert arrived(a_profile(), {}, RULES, 1).version == 1
    assert arrived(a_profile(), {}, RULES, 1, last_version=7).version == 8


@pytest.mark.parametrize(
    "change", [{"name": "Анна Белова"}, {"email": None}, {"attributes": {"vip": 1}}, {"potential_value": 3.0}]
)
def test_a_changed_profile_is_a_version_more(change: dict[str, Any]) -> None:
    before = arrived(a_profile(), {}, RULES, 1)
    assert updated(before, a_profile(**change), {}, RULES, 1).version == 2


def test_the_same_profile_again_is_the_same_version() -> None:
    before = arrived(a_profile(), {}, RULES, 1)
    assert updated(before, a_profile(), {}, RULES, 1) == before


def test_other_rules_count_up_only_whom_they_move_or_explain_otherwise() -> None:
    before = arrived(a_profile(), {}, RULES, 1)
    same = revalued(before, {}, RULES, 2)
    moved = revalued(before, {}, parse({"default": "low"}), 2)
    assert (same.version, same.rules_version) == (1, 2)
    assert (moved.version, moved.tier, moved.rules_version) == (2, "low", 2)


def test_the_event_carries_the_whole_profile() -> None:
    event = changed(renamed(arrived(a_profile(account_id="a-1"), {}, RULES, 1)), "Ромашка")
    assert (event.customer_id, event.version, event.account_name) == ("c-1", 2, "Ромашка")
    assert (event.tier, event.tier_reason) == ("key", "key because potential value ≥ 1,000,000")


@settings(deadline=None)
@given(id_=st.text())
def test_an_erased_customers_mark_says_nothing_of_the_id(id_: str) -> None:
    assert len(erasure_mark(id_)) == 32
    assert erasure_mark(id_) == erasure_mark(id_)
