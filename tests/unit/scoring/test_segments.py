import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.scoring.domain.conditions import Condition
from services.scoring.domain.segment_documents import InvalidRules, as_document, parse
from services.scoring.domain.segments import TIERS, Rule, Rules, unknown, valued
from services.scoring.domain.worth import Worth

EXAMPLE: dict[str, Any] = {
    "default": "standard",
    "rules": [
        {
            "tier": "key",
            "when": [
                {"field": "potential_value", "op": ">=", "value": 1_000_000},
                {"field": "account_role", "op": "=", "value": "decision_maker"},
            ],
        },
        {"tier": "high", "when": [{"field": "attributes.plan", "op": "in", "value": ["gold", "platinum"]}]},
        {"tier": "high", "when": [{"field": "current_value", "op": ">", "value": 250_000.5}]},
        {"tier": "low", "when": [{"field": "attributes.trial", "op": "=", "value": True}]},
    ],
}


@pytest.mark.parametrize(
    ("worth", "tier", "reason"),
    [
        (
            Worth(potential_value=1_000_000, account_role="decision_maker"),
            "key",
            "key because potential value ≥ 1,000,000 and account role is decision maker",
        ),
        (Worth(potential_value=2_000_000, account_role="end_user"), "standard", "standard because no rule matches"),
        (Worth(attributes={"plan": "gold"}), "high", "high because plan is gold or platinum"),
        (Worth(current_value=250_001), "high", "high because current value > 250,000.5"),
        (Worth(current_value=250_000.5), "standard", "standard because no rule matches"),
        (Worth(attributes={"trial": True}), "low", "low because trial is yes"),
        (Worth(attributes={"trial": 1}), "standard", "standard because no rule matches"),
        (Worth(attributes={"plan": 3}), "standard", "standard because no rule matches"),
        (Worth(), "standard", "standard because no rule matches"),
    ],
)
def test_the_first_rule_that_matches_decides_and_explains_itself(worth: Worth, tier: str, reason: str) -> None:
    valuation = valued(worth, parse(EXAMPLE))
    assert (valuation.tier, valuation.reason) == (tier, reason)


def test_whom_nobody_told_us_about_has_the_default_tier() -> None:
    valuation = unknown(parse({"default": "low"}))
    assert (valuation.tier, valuation.reason) == ("low", "unknown customer")


def test_the_default_is_standard() -> None:
    assert parse({}) == Rules(default="standard", rules=())


def condition(**changes: object) -> dict[str, Any]:
    return {"field": "current_value", "op": ">=", "value": 1} | changes


def attribute(**changes: object) -> dict[str, Any]:
    return condition(field="attributes.plan", **changes)


def one_rule(*conditions: object, **changes: object) -> dict[str, Any]:
    return {"rules": [{"tier": "key", "when": list(conditions)} | changes]}


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ([], ""),
        ("rules", ""),
        ({"default": "gold"}, "/default"),
        ({"default": None}, "/default"),
        ({"rule": []}, "/rule"),
        ({"a/b~c": 1}, "/a~1b~0c"),
        ({"rules": {}}, "/rules"),
        ({"rules": [{"tier": "key", "when": [condition(value=n)]} for n in range(101)]}, "/rules"),
        ({"rules": ["key"]}, "/rules/0"),
        (one_rule(condition(), tier="gold"), "/rules/0/tier"),
        (one_rule(condition(), extra=1), "/rules/0/extra"),
        (one_rule(), "/rules/0/when"),
        (one_rule(*[condition(value=n) for n in range(11)]), "/rules/0/when"),
        (one_rule(condition(), "x"), "/rules/0/when/1"),
        (one_rule(condition(field="value")), "/rules/0/when/0/field"),
        (one_rule(condition(field="attributes.")), "/rules/0/when/0/field"),
        (one_rule(condition(field=7)), "/rules/0/when/0/field"),
        (one_rule(condition(op="!=")), "/rules/0/when/0/op"),
        (one_rule(condition(field="account_role", op=">", value=1)), "/rules/0/when/0/op"),
        (one_rule(condition(field="account_role", op="=", value="boss")), "/rules/0/when/0/value"),
        (one_rule(condition(value="1")), "/rules/0/when/0/value"),
        (one_rule(condition(value=True)), "/rules/0/when/0/value"),
        (one_rule(condition(value=float("nan"))), "/rules/0/when/0/value"),
        (one_rule(condition(value=10**400)), "/rules/0/when/0/value"),
        (one_rule(attribute(op="=", value=float("inf"))), "/rules/0/when/0/value"),
        (one_rule(attribute(op="=", value="x" * 201)), "/rules/0/when/0/value"),
        (one_rule(condition(op="=", value="many")), "/rules/0/when/0/value"),
        (one_rule(condition(op="in", value=5)), "/rules/0/when/0/value"),
        (one_rule(condition(op="in", value=[])), "/rules/0/when/0/value"),
        (one_rule(condition(op="in", value=[1, "2"])), "/rules/0/when/0/value/1"),
        (one_rule(condition(field="attributes.plan", op="=", value=None)), "/rules/0/when/0/value"),
        (one_rule(condition(field="attributes.plan", op="=", value=["gold"])), "/rules/0/when/0/value"),
        (one_rule(condition(note="?")), "/rules/0/when/0/note"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(document: object, pointer: str) -> None:
    with pytest.raises(InvalidRules) as refused:
        parse(document)
    assert pointer in [error.pointer for error in refused.value.errors]


def test_all_errors_are_told_at_once() -> None:
    with pytest.raises(InvalidRules) as refused:
        parse({"default": "gold", "rules": [{"tier": "silver", "when": [condition(value="x")]}]})
    assert [error.pointer for error in refused.value.errors] == ["/default", "/rules/0/tier", "/rules/0/when/0/value"]


@pytest.mark.parametrize(
    ("earlier", "later", "hidden"),
    [
        (condition(value=100), condition(value=200), True),
        (condition(value=200), condition(value=100), False),
        (condition(value=100), condition(value=100), True),
        (condition(op=">", value=100), condition(op=">=", value=100), False),
        (condition(op=">=", value=100), condition(op=">", value=100), True),
        (condition(op="<", value=10), condition(op="<=", value=5), True),
        (condition(op="<", value=10), condition(op=">", value=5), False),
        (condition(value=100), condition(op="=", value=150), True),
        (condition(value=100), condition(op="in", value=[50, 150]), False),
        (
            condition(field="attributes.a", op="in", value=["x", "y"]),
            condition(field="attributes.a", op="=", value="x"),
            True,
        ),
        (attribute(op="=", value=1), attribute(op="=", value=True), False),
        (condition(value=100), condition(field="potential_value", value=200), False),
    ],
)
def test_a_rule_that_is_never_reached_is_refused(earlier: object, later: object, *, hidden: bool) -> None:
    document = {"rules": [{"tier": "key", "when": [earlier]}, {"tier": "high", "when": [later]}]}
    if not hidden:
        assert len(parse(document).rules) == 2
        return
    with pytest.raises(InvalidRules) as refused:
        parse(document)
    assert [(e.pointer, e.detail) for e in refused.value.errors] == [
        ("/rules/1", "is never reached: rule 0 matches first")
    ]


numbers = st.integers(-5, 5) | st.sampled_from([-2.5, 0.5, 2.5])
scalars = numbers | st.booleans() | st.sampled_from(["gold", "silver"])
thresholds = st.builds(
    Condition,
    st.sampled_from(["current_value", "potential_value", "attributes.seats"]),
    st.sampled_from([">=", ">", "<=", "<"]),
    numbers,
)
equalities = st.builds(Condition, st.sampled_from(["attributes.seats", "attributes.plan"]), st.just("="), scalars)
choices = st.builds(
    Condition, st.just("attributes.seats"), st.just("in"), st.lists(scalars, min_size=1, max_size=3).map(tuple)
)
roles = st.builds(Condition, st.just("account_role"), st.just("="), st.sampled_from(["decision_maker", "end_user"]))
conditions = thresholds | equalities | choices | roles
rule_sets = st.builds(
    Rules,
    st.sampled_from(TIERS),
    st.lists(
        st.builds(Rule, st.sampled_from(TIERS), st.lists(conditions, min_size=1, max_size=3).map(tuple)), max_size=5
    ).map(tuple),
)
worths = st.builds(
    Worth,
    st.none() | numbers,
    st.none() | numbers,
    st.sampled_from([None, "decision_maker", "end_user"]),
    st.dictionaries(st.sampled_from(["seats", "plan"]), scalars),
)


@settings(deadline=None)
@given(rules=rule_sets, worth=worths)
def test_a_tier_is_that_of_the_first_rule_whose_conditions_all_hold(rules: Rules, worth: Worth) -> None:
    valuation = valued(worth, rules)
    matching = [rule for rule in rules.rules if all(each.holds(worth) for each in rule.when)]
    assert valuation.tier == (matching[0].tier if matching else rules.default)
    assert valuation.reason.startswith(f"{valuation.tier} because ")


@settings(deadline=None)
@given(rules=rule_sets)
def test_rules_survive_being_written_down(rules: Rules) -> None:
    try:
        read = parse(json.loads(json.dumps(as_document(rules))))
    except InvalidRules as error:
        assert all("never reached" in each.detail for each in error.errors)  # noqa: PT017 - whatever else is wrong
    else:
        assert read == rules


@settings(deadline=None)
@given(one=conditions, other=conditions, worth=worths)
def test_what_implies_a_condition_never_holds_without_it(one: Condition, other: Condition, worth: Worth) -> None:
    if one.implies(other) and one.holds(worth):
        assert other.holds(worth)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(document=json_values | st.fixed_dictionaries({"default": json_values, "rules": st.lists(json_values)}))
def test_no_document_breaks_the_reader(document: object) -> None:
    try:
        parse(document)
    except InvalidRules as error:
        assert error.errors  # noqa: PT017 - both outcomes are right, nothing else is
