"""Quantiles, rules of programs, products, accounts' attributes; what a dry run foretells; how new something is."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.scoring.domain.conditions import Condition, Operator, Quantile
from services.scoring.domain.dry_runs import Moves
from services.scoring.domain.segment_documents import InvalidRules, as_document, parse
from services.scoring.domain.segments import (
    AccountScoring,
    Rules,
    cuts_of,
    quantiles,
    unknown,
    valued,
    with_cuts,
)
from services.scoring.domain.told import Told
from services.scoring.domain.worth import Worth

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
TOP_TENTH = {"field": "potential_value", "op": "top", "value": 0.1}


def one_rule(*conditions: dict[str, Any], **more: object) -> dict[str, Any]:
    return {"rules": [{"tier": "key", "when": list(conditions)}], **more}


def test_a_quantile_names_its_cut_point_in_the_explanation() -> None:
    rules = with_cuts(parse(one_rule(TOP_TENTH)), {Quantile("potential_value", "top", 0.1): 1_200_000.0})
    valuation = valued(Worth(potential_value=1_200_000), rules)
    assert valuation.reason == "key because potential value is in the top 10 % (≥ 1,200,000)"
    assert [(each.op, each.value, each.cut) for each in valuation.facts] == [("top", 0.1, 1_200_000.0)]
    assert valued(Worth(potential_value=1_199_999), rules).tier == "standard"
    assert valued(Worth(), rules).tier == "standard"


def test_a_quantile_that_nobody_was_counted_for_is_met_by_nobody() -> None:
    rules = with_cuts(parse(one_rule(TOP_TENTH)), {Quantile("potential_value", "top", 0.1): None})
    assert valued(Worth(potential_value=10**9), rules).tier == "standard"


def test_the_bottom_is_counted_from_below() -> None:
    document = one_rule({"field": "attributes.seats", "op": "bottom", "value": 0.25})
    rules = with_cuts(parse(document), {Quantile("attributes.seats", "bottom", 0.25): 3.0})
    assert valued(Worth(attributes={"seats": 3}), rules).reason == "key because seats is in the bottom 25 % (≤ 3)"
    assert valued(Worth(attributes={"seats": 4}), rules).tier == "standard"
    assert valued(Worth(attributes={"seats": True}), rules).tier == "standard"


def test_rules_look_at_products_and_at_the_account() -> None:
    document = {
        "rules": [
            {"tier": "key", "when": [{"field": "account.industry", "op": "=", "value": "bank"}]},
            {"tier": "high", "when": [{"field": "product", "op": "in", "value": ["mortgage", "leasing"]}]},
            {"tier": "low", "when": [{"field": "account_id", "op": "=", "value": "a-1"}]},
        ]
    }
    rules = parse(document)
    of_bank = valued(Worth(account_id="a-1", account={"industry": "bank"}), rules)
    assert (of_bank.tier, of_bank.reason) == ("key", "key because account industry is bank")
    owner = valued(Worth(products=("deposit", "leasing")), rules)
    assert (owner.tier, owner.reason) == ("high", "high because product is mortgage or leasing")
    assert valued(Worth(products=("deposit",), account_id="a-1"), rules).tier == "low"
    assert valued(Worth(attributes={"industry": "bank", "product": "leasing"}), rules).tier == "standard"


def test_a_program_may_value_its_answers_by_rules_of_its_own() -> None:
    rules = parse(one_rule(TOP_TENTH, programs={"b2b": {"default": "high", "rules": []}}))
    own = rules.of("b2b")
    assert own is not None
    assert (unknown(own).tier, unknown(rules).tier, rules.of("retail")) == ("high", "standard", None)


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        (one_rule(TOP_TENTH | {"value": 0}), "/rules/0/when/0/value"),
        (one_rule(TOP_TENTH | {"value": 1}), "/rules/0/when/0/value"),
        (one_rule(TOP_TENTH | {"value": True}), "/rules/0/when/0/value"),
        (one_rule(TOP_TENTH | {"value": "0.1"}), "/rules/0/when/0/value"),
        (one_rule(TOP_TENTH | {"field": "account_role"}), "/rules/0/when/0/op"),
        (one_rule(TOP_TENTH | {"field": "product"}), "/rules/0/when/0/op"),
        (one_rule({"field": "product", "op": "=", "value": 7}), "/rules/0/when/0/value"),
        (one_rule({"field": "account_id", "op": "=", "value": True}), "/rules/0/when/0/value"),
        (one_rule({"field": "account.", "op": "=", "value": "x"}), "/rules/0/when/0/field"),
        ({"programs": []}, "/programs"),
        ({"programs": {f"p{n}": {} for n in range(51)}}, "/programs"),
        ({"programs": {"": {}}}, "/programs/"),
        ({"programs": {"a/b": {"default": "gold"}}}, "/programs/a~1b/default"),
        ({"programs": {"b2b": one_rule({"field": "x", "op": "=", "value": 1})}}, "/programs/b2b/rules/0/when/0/field"),
        ({"programs": {"b2b": {"programs": {}}}}, "/programs/b2b/programs"),
        ({"programs": {"b2b": one_rule(TOP_TENTH, extra=1)}}, "/programs/b2b/extra"),
        ({"accounts": {"end_user": -1}}, "/accounts/end_user"),
        ({"accounts": {"end_user": True}}, "/accounts/end_user"),
        ({"accounts": {"boss": 1}}, "/accounts/boss"),
        ({"accounts": {"days": 0}}, "/accounts/days"),
        ({"accounts": {"days": 1.5}}, "/accounts/days"),
        ({"accounts": {"decision_maker": 0, "end_user": 0, "other": 0}}, "/accounts"),
        ({"rules": [one_rule(TOP_TENTH | {"value": n / 100})["rules"][0] for n in range(1, 22)]}, ""),
    ],
)
def test_what_is_wrong_with_them_is_named_with_its_place(document: object, pointer: str) -> None:
    with pytest.raises(InvalidRules) as refused:
        parse(document)
    assert pointer in [error.pointer for error in refused.value.errors]


@pytest.mark.parametrize(("earlier", "later", "hidden"), [(0.2, 0.1, True), (0.1, 0.2, False), (0.1, 0.1, True)])
def test_a_share_within_an_earlier_one_is_never_reached(earlier: float, later: float, *, hidden: bool) -> None:
    document = {
        "rules": [
            {"tier": "key", "when": [TOP_TENTH | {"value": earlier}]},
            {"tier": "high", "when": [TOP_TENTH | {"value": later}]},
        ]
    }
    if not hidden:
        assert len(parse(document).rules) == 2
        return
    with pytest.raises(InvalidRules):
        parse(document)


def test_cut_points_are_no_part_of_the_document() -> None:
    document = one_rule(TOP_TENTH, programs={"b2b": one_rule(TOP_TENTH | {"value": 0.5}, default="low")})
    document["accounts"] = {"decision_maker": 5.0, "end_user": 1.0, "other": 0.0, "days": 90}
    rules = parse(document)
    assert rules.accounts == AccountScoring(decision_maker=5, end_user=1, other=0, days=90)
    assert quantiles(rules) == (Quantile("potential_value", "top", 0.1), Quantile("potential_value", "top", 0.5))
    known = with_cuts(rules, dict.fromkeys(quantiles(rules), 7.0))
    assert set(cuts_of(known).values()) == {7.0}
    assert known == rules
    assert parse(as_document(known)) == rules


values = st.integers(-20, 20).map(float) | st.floats(-1e6, 1e6, allow_nan=False)
shares = st.sampled_from([0.01, 0.1, 0.2, 0.25, 0.5, 0.75, 0.9])


def cut_of(known: list[float], op: str, share: float) -> float | None:
    """The plain way: the value at the place of the share, counted from the outside."""
    return sorted(known, reverse=op == "top")[math.ceil(share * len(known)) - 1] if known else None


@settings(deadline=None)
@given(known=st.lists(values, max_size=40), share=shares, op=st.sampled_from(["top", "bottom"]))
def test_a_share_holds_at_least_as_many_as_it_says_and_more_only_where_values_are_equal(
    known: list[float], share: float, op: Operator
) -> None:
    cut = cut_of(known, op, share)
    condition = Condition("current_value", op, share, cut)
    inside = [value for value in known if condition.holds(Worth(current_value=value))]
    wanted = math.ceil(share * len(known))
    assert len(inside) >= wanted
    assert len([value for value in inside if value != cut]) < max(wanted, 1)


@settings(deadline=None)
@given(
    tiers=st.lists(st.tuples(st.sampled_from(["key", "high", "standard", "low"]), st.none() | values), max_size=30),
    share=shares,
)
def test_a_dry_run_counts_what_then_happens(tiers: list[tuple[Any, float | None]], share: float) -> None:
    document = one_rule(TOP_TENTH | {"value": share}, default="low")
    cut = cut_of([value for _, value in tiers if value is not None], "top", share)
    rules: Rules = with_cuts(parse(document), {Quantile("potential_value", "top", share): cut})
    moves = Moves(shown=3)
    for number, (tier, value) in enumerate(tiers):
        moves.look(str(number), tier, Worth(potential_value=value), rules)
    then = [(tier, valued(Worth(potential_value=value), rules).tier) for tier, value in tiers]
    assert moves.customers == len(tiers)
    assert dict(moves.counts) == {move: then.count(move) for move in then}
    named = {move: [str(number) for number, each in enumerate(then) if each == move][:3] for move in then}
    for move, first in named.items():
        movers = [each.id for each in moves.movers if (each.from_tier, each.valuation.tier) == move]
        assert movers == (first if move[0] != move[1] else [])


@pytest.mark.parametrize(
    ("new", "known", "older"),
    [
        (Told(), Told(), False),
        (Told(1), Told(2), True),
        (Told(2), Told(2), False),
        (Told(3, MONDAY), Told(2, MONDAY + timedelta(days=1)), False),
        (Told(None, MONDAY), Told(None, MONDAY + timedelta(days=1)), True),
        (Told(None, MONDAY), Told(5), False),
        (Told(), Told(5, MONDAY), False),
    ],
)
def test_like_is_compared_with_like_and_what_cannot_be_compared_is_taken(
    new: Told, known: Told, *, older: bool
) -> None:
    assert new.older_than(known) is older


told = st.builds(
    Told,
    st.none() | st.integers(0, 5),
    st.none() | st.integers(0, 5).map(lambda days: MONDAY + timedelta(days=days)),
)


@settings(deadline=None)
@given(said=st.permutations(range(6)))
def test_in_whatever_order_versions_come_the_newest_stays(said: list[int]) -> None:
    known, stands = Told(), -1
    for version in said:
        new = Told(version)
        if not new.older_than(known):
            known, stands = new.after(known), version
    assert (stands, known.version) == (5, 5)


@settings(deadline=None)
@given(new=told, known=told)
def test_what_was_once_seen_is_not_forgotten(new: Told, known: Told) -> None:
    after = new.after(known)
    assert not after.older_than(known)
    assert not after.older_than(new)


def test_only_what_has_a_time_can_be_from_before_an_erasure() -> None:
    assert Told(1, MONDAY).before(MONDAY)
    assert not Told(1, MONDAY + timedelta(seconds=1)).before(MONDAY)
    assert not Told(1).before(MONDAY)
