"""Rules for light cases as rows: what is shown is read back as the same document, and buttons change the rows."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.portal.domain import outreachforms
from services.portal.domain.casefile import TIERS
from services.portal.domain.outreachforms import OutreachForm, RuleRow

names = st.lists(st.text("аб1 -,/", min_size=1, max_size=8).map(str.strip).filter(bool), max_size=3, unique=True)
some_rules = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.uuids().map(str),
            "then": st.sampled_from(outreachforms.THEN),
            "nps_classes": st.lists(st.sampled_from(outreachforms.CLASSES), unique=True),
            "tiers": st.lists(st.sampled_from(TIERS), unique=True),
            "themes": st.lists(st.sampled_from(["waiting", "reference"]), unique=True),
            "programs": names,
            "touchpoints": names,
            "score_from": st.none() | st.integers(0, 5),
            "score_to": st.none() | st.integers(5, 10),
        }
    ),
    max_size=4,
    unique_by=lambda rule: rule["id"],
)
PASSIVE = RuleRow("passive_key", nps_classes=("passive",), tiers=("key",))


def sent(form: OutreachForm) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The fields that a browser would send of this form."""
    fields = {"otherwise": form.otherwise, "thank_after_minutes": form.thank_after_minutes}
    lists: dict[str, list[str]] = {}
    for at, rule in enumerate(form.rules):
        for name in ("id", "then", "programs", "touchpoints", "score_from", "score_to"):
            fields[f"{at}.{name}"] = getattr(rule, name)
        for name in ("nps_classes", "tiers", "themes"):
            if chosen := getattr(rule, name):
                lists[f"{at}.{name}"] = list(chosen)
    return fields, lists


@settings(deadline=None, max_examples=60)
@given(rules=some_rules, otherwise=st.sampled_from(outreachforms.OTHERWISE), minutes=st.integers(0, 10_080))
def test_rules_that_are_shown_and_sent_back_are_the_same_rules(
    rules: list[dict[str, Any]], otherwise: str, minutes: int
) -> None:
    document = {"rules": rules, "otherwise": otherwise, "thank_after_minutes": minutes}
    form = outreachforms.typed(*sent(outreachforms.form_of(document)))
    assert outreachforms.mistakes(form) == {}
    assert outreachforms.document_of(form) == document


def test_buttons_add_move_and_remove_rules_and_a_new_one_gets_an_id_of_its_own() -> None:
    form = OutreachForm((RuleRow("rule-1"), PASSIVE))
    assert [rule.id for rule in outreachforms.edited(form, "down", "0").rules] == ["passive_key", "rule-1"]
    assert outreachforms.edited(form, "up", "0") == form
    assert outreachforms.edited(form, "remove", "0").rules == (PASSIVE,)
    for place in ("2", "x", "", "-1"):
        assert outreachforms.edited(form, "remove", place) == form
    longer = outreachforms.edited(form, "add-rule", "")
    twice = OutreachForm((*longer.rules, RuleRow("rule-1"), RuleRow("not an id")))
    made = [rule["id"] for rule in outreachforms.document_of(twice)["rules"]]
    assert made == ["rule-1", "passive_key", "rule-2", "rule-3", "rule-4"]


@pytest.mark.parametrize(
    ("form", "wrong"),
    [
        (OutreachForm((PASSIVE, RuleRow(score_from="8", score_to="7"))), {"1.score_to": "scores"}),
        (OutreachForm((RuleRow(score_from="8", score_to="x"),)), {}),
        (OutreachForm((RuleRow(programs="x" * 513),)), {"0.programs": "names"}),
        (OutreachForm((RuleRow(touchpoints=";".join(map(str, range(201)))),)), {"0.touchpoints": "names"}),
        (OutreachForm((RuleRow(nps_classes=("detractor",)),)), {"0.nps_classes": "detractor"}),
        (OutreachForm(thank_after_minutes="soon"), {"thank_after_minutes": "minutes"}),
        (OutreachForm(thank_after_minutes="10081"), {"thank_after_minutes": "minutes"}),
    ],
)
def test_what_cannot_be_so_is_said_at_its_field(form: OutreachForm, wrong: dict[str, str]) -> None:
    assert outreachforms.mistakes(form) == wrong


@pytest.mark.parametrize(
    ("pointer", "field"),
    [
        ("/rules/0/tiers/1", "0.tiers"),
        ("/rules/0", "0.then"),
        ("/rules/0/id", "0.then"),
        ("/rules/7/tiers", None),
        ("/thank_after_minutes", "thank_after_minutes"),
        ("/rules", None),
        ("", None),
    ],
)
def test_a_mistake_that_casework_finds_stands_at_its_field(pointer: str, field: str | None) -> None:
    assert outreachforms.field_at(OutreachForm((PASSIVE,)), pointer) == field
