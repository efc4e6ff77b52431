"""Segment rules as rows: what is shown is read back as the same document, and buttons change the rows."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.portal.domain import ruleforms
from services.portal.domain.ruleforms import OPERATORS, Row, RuleRows, RulesForm, SetRows

values = st.one_of(
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.decimals(-1000, 1000, places=3).map(float),
    st.text(max_size=12).filter(lambda text: text == "" or text.isprintable()),
)
conditions = st.one_of(
    st.fixed_dictionaries(
        {"field": st.just("attributes.plan"), "op": st.sampled_from(["=", ">="]), "value": values},
    ),
    st.fixed_dictionaries(
        {
            "field": st.sampled_from(["product", "account_id"]),
            "op": st.just("="),
            "value": st.text("ab;\"' 1", min_size=1),
        },
    ),
    st.fixed_dictionaries(
        {"field": st.just("account.size"), "op": st.just("in"), "value": st.lists(values, min_size=1, max_size=3)},
    ),
    st.fixed_dictionaries(
        {
            "field": st.just("current_value"),
            "op": st.sampled_from(["top", "bottom"]),
            "value": st.sampled_from([0.1, 0.125, 0.333]),
        },
    ),
)
rule_sets = st.fixed_dictionaries(
    {
        "default": st.sampled_from(["standard", "low"]),
        "rules": st.lists(
            st.fixed_dictionaries({"tier": st.just("key"), "when": st.lists(conditions, min_size=1, max_size=3)}),
            max_size=3,
        ),
    }
)


def sent(form: RulesForm) -> dict[str, str]:
    """The fields that a browser would send of this form."""
    fields = {f"accounts.{name}": value for name, value in form.accounts.items()}
    for index, each in enumerate(form.sets):
        at = ruleforms.prefix(index)
        fields |= {f"{at}.default": each.default, f"{at}.program": each.program}
        for place, rule in enumerate(each.rules):
            fields[f"{at}.{place}.tier"] = rule.tier
            for number, row in enumerate(rule.when):
                of = f"{at}.{place}.when.{number}"
                fields |= {
                    f"{of}.field": row.field,
                    f"{of}.name": row.name,
                    f"{of}.op": row.op,
                    f"{of}.value": row.value,
                }
    return fields


def found_in(document: dict[str, Any]) -> list[object]:
    sets = [document, *document["programs"].values()]
    values = [condition["value"] for each in sets for rule in each["rules"] for condition in rule["when"]]
    return [single for value in values for single in (value if isinstance(value, list) else [value])]


@settings(deadline=None, max_examples=80)
@given(main=rule_sets, program=rule_sets, language=st.sampled_from(["ru", "en"]))
def test_rules_that_are_shown_and_sent_back_are_the_same_rules(
    main: dict[str, Any], program: dict[str, Any], language: str
) -> None:
    accounts = {"decision_maker": 3.0, "end_user": 1.5, "other": 1.0, "days": 365.0}
    document = main | {"programs": {"b2b": program}, "accounts": accounts}
    form = ruleforms.typed(sent(ruleforms.form_of(document, language)))
    again = ruleforms.document_of(form, language)
    assert again == document
    # In Python, True equals 1.
    assert [type(each) is bool for each in found_in(again)] == [type(each) is bool for each in found_in(document)]


@pytest.mark.parametrize(
    ("language", "row", "value"),
    [
        ("ru", Row("current_value", "", ">=", "1 000 000"), 1_000_000),
        ("ru", Row("current_value", "", ">=", "0,5"), 0.5),
        ("en", Row("current_value", "", ">=", "1,000,000.5"), 1_000_000.5),
        ("en", Row("current_value", "", "top", "10 %"), 0.1),
        ("ru", Row("current_value", "", "top", "12,5"), 0.125),
        ("ru", Row("attributes", "vip", "=", "Да"), True),
        ("ru", Row("attributes", "vip", "=", '"да"'), "да"),
        ("ru", Row("attributes", "plan", "in", 'gold; "a;b"; 3'), ["gold", "a;b", 3]),
        ("en", Row("product", "", "=", "365"), "365"),
        ("en", Row("current_value", "", ">=", "much"), "much"),
        ("en", Row("attributes", "x", "=", '"unfinished'), '"unfinished'),
        ("en", Row("current_value", "", "top", "many"), "many"),
    ],
)
def test_what_is_typed_is_read_in_the_language_of_the_page(language: str, row: Row, value: object) -> None:
    form = RulesForm((SetRows(rules=(RuleRows("key", (row,)),)),))
    (rule,) = ruleforms.document_of(form, language)["rules"]
    assert (rule["when"][0]["value"], type(rule["when"][0]["value"])) == (value, type(value))


def test_buttons_add_move_and_remove_rows() -> None:
    form = RulesForm((SetRows(rules=(RuleRows("key"), RuleRows("high"))),))
    moved = ruleforms.edited(form, "down", "main.0")
    assert [rule.tier for rule in moved.sets[0].rules] == ["high", "key"]
    assert ruleforms.edited(moved, "up", "main.1") == form
    assert ruleforms.edited(form, "up", "main.0") == form
    assert len(ruleforms.edited(form, "add-condition", "main.1").sets[0].rules[1].when) == 2
    assert ruleforms.edited(form, "remove", "main.1.0").sets[0].rules[1].when == ()
    assert ruleforms.edited(form, "remove", "main.0").sets[0].rules == form.sets[0].rules[1:]
    with_program = ruleforms.edited(ruleforms.edited(form, "add-program", ""), "add-rule", "p1")
    assert (len(with_program.sets), len(with_program.sets[1].rules)) == (2, 1)
    assert ruleforms.repeated_programs(with_program) == [1]
    assert ruleforms.edited(with_program, "remove", "p1") == form
    for place in ("p7", "main.9", "main.0.x", "main.9.9", "", "main"):
        assert ruleforms.edited(form, "remove", place) == form


@pytest.mark.parametrize(
    ("pointer", "field"),
    [
        ("/rules/1/when/2/value", "main.1.when.2.value"),
        ("/rules/1/when/2/value/0", "main.1.when.2.value"),
        ("/rules/1/when/2", "main.1.when.2.field"),
        ("/rules/1", "main.1.tier"),
        ("/rules/1/when", "main.1.tier"),
        ("/default", "main.default"),
        ("/programs/b2b~1x/rules/0/tier", "p1.0.tier"),
        ("/programs/b2b~1x", "p1.program"),
        ("/programs/other", None),
        ("/accounts/days", "accounts.days"),
        ("/accounts", "accounts.decision_maker"),
        ("", None),
    ],
)
def test_a_mistake_stands_at_its_field(pointer: str, field: str | None) -> None:
    form = RulesForm((SetRows(), SetRows(program="b2b/x")))
    assert ruleforms.field_at(form, pointer) == field


def test_every_comparison_can_be_chosen() -> None:
    from services.scoring.domain.conditions import COMPARISONS, QUANTILES  # noqa: PLC0415 - only to compare the two

    assert set(OPERATORS) == {*COMPARISONS, *QUANTILES, "=", "in"}
