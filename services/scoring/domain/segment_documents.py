"""Segment rules as a document, read with everything that is wrong named by its place.

{"default": "standard",
 "rules": [{"tier": "key", "when": [{"field": "potential_value", "op": "top", "value": 0.1},
                                    {"field": "account_role", "op": "=", "value": "decision_maker"}]},
           {"tier": "high", "when": [{"field": "attributes.plan", "op": "in", "value": ["gold", "platinum"]}]}],
 "programs": {"b2b": {"default": "high", "rules": []}},
 "accounts": {"decision_maker": 3, "end_user": 1, "other": 1, "days": 365}}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, Final, get_args

from libs.events.contracts.customers import AccountRole
from services.scoring.domain.conditions import COMPARISONS, QUANTILES, Condition, Operator, is_number
from services.scoring.domain.mistakes import mistake
from services.scoring.domain.segments import TIERS, AccountScoring, Rule, Rules, RuleSet, quantiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.scoring.domain.mistakes import Mistake
    from services.scoring.domain.worth import Attribute

MAX_RULES: Final = 100
MAX_CONDITIONS: Final = 10
MAX_CHOICES: Final = 100
MAX_TEXT: Final = 200
MAX_NUMBER: Final = 1e15
MAX_PROGRAMS: Final = 50
MAX_QUANTILES: Final = 20
MAX_WEIGHT: Final = 1000
MAX_DAYS: Final = 3650

_ROLES: Final[tuple[str, ...]] = get_args(AccountRole)
_VALUES: Final = ("current_value", "potential_value")
_TEXTS: Final = ("account_id", "product")
_ATTRIBUTE: Final = re.compile(r"(?:attributes|account)\.[\w.-]{1,64}")


class InvalidRules(Exception):
    """The document is no rule set; `errors` holds all that is wrong with it."""

    def __init__(self, errors: Sequence[Mistake]) -> None:
        super().__init__(f"{len(errors)} errors, the first at {errors[0].pointer or '/'}: {errors[0].detail}")
        self.errors: Final = tuple(errors)


def as_document(rules: Rules) -> dict[str, Any]:
    """The document that `parse` reads back; without the parts that say what goes without saying."""
    document = _set_as_document(rules)
    if rules.programs:
        document["programs"] = {name: _set_as_document(set_) for name, set_ in rules.programs.items()}
    if rules.accounts != AccountScoring():
        document["accounts"] = asdict(rules.accounts)
    return document


def parse(document: object) -> Rules:
    """The rules in `document`; raises InvalidRules with everything that is wrong, each with its place."""
    errors: list[Mistake] = []
    members = _members(document, "", {"default", "rules", "programs", "accounts"}, errors)
    main = _rule_set(members, "", errors)
    programs = _programs(members.get("programs", {}), errors)
    accounts = _accounts(members.get("accounts", {}), errors)
    rules = Rules(main.default, main.rules, programs, accounts)
    if len(quantiles(rules)) > MAX_QUANTILES:
        errors.append(mistake("", "too-many-shares", most=MAX_QUANTILES))
    if errors:
        raise InvalidRules(errors)
    return rules


def _set_as_document(set_: RuleSet) -> dict[str, Any]:
    return {
        "default": set_.default,
        "rules": [
            {"tier": rule.tier, "when": [_condition_as_document(each) for each in rule.when]} for rule in set_.rules
        ],
    }


def _condition_as_document(condition: Condition) -> dict[str, Any]:
    value = list(condition.value) if isinstance(condition.value, tuple) else condition.value
    return {"field": condition.field, "op": condition.op, "value": value}


def _rule_set(members: Mapping[str, object], place: str, errors: list[Mistake]) -> RuleSet:
    default = _one_of(members.get("default", "standard"), TIERS, f"{place}/default", errors)
    rules: list[tuple[int, Rule]] = []
    for index, item in enumerate(_list(members.get("rules", []), f"{place}/rules", MAX_RULES, errors) or ()):
        before = len(errors)
        at = f"{place}/rules/{index}"
        rule = _rule(item, at, errors)
        if len(errors) > before:
            continue
        hidden_by = next((number for number, earlier in rules if rule.implies(earlier)), None)
        if hidden_by is not None:
            errors.append(mistake(at, "never-reached", rule=hidden_by))
        rules.append((index, rule))
    return RuleSet(default, tuple(rule for _, rule in rules))  # type: ignore[arg-type]  # a tier, or there is an error


def _programs(item: object, errors: list[Mistake]) -> dict[str, RuleSet]:
    found = {}
    if not isinstance(item, Mapping) or len(item) > MAX_PROGRAMS:
        errors.append(mistake("/programs", "too-many-programs", most=MAX_PROGRAMS))
        return {}
    for name, each in item.items():
        place = f"/programs/{_escaped(name)}"
        if not isinstance(name, str) or not 0 < len(name) <= MAX_TEXT:
            errors.append(mistake(place, "no-program-name", most=MAX_TEXT))
            continue
        found[name] = _rule_set(_members(each, place, {"default", "rules"}, errors), place, errors)
    return found


def _accounts(item: object, errors: list[Mistake]) -> AccountScoring:
    names = {each.name for each in fields(AccountScoring)}
    members = _members(item, "/accounts", names, errors)
    weights = {name: value for name, value in members.items() if name in names - {"days"}}
    for name, value in weights.items():
        if not is_number(value) or not 0 <= value <= MAX_WEIGHT:
            errors.append(mistake(f"/accounts/{name}", "no-weight", most=MAX_WEIGHT))
            return AccountScoring()
    days = members.get("days", AccountScoring().days)
    if not isinstance(days, int) or isinstance(days, bool) or not 1 <= days <= MAX_DAYS:
        errors.append(mistake("/accounts/days", "no-days", most=MAX_DAYS))
        return AccountScoring()
    scoring = AccountScoring(**{name: float(value) for name, value in weights.items()}, days=days)  # type: ignore[arg-type]  # numbers
    if not any((scoring.decision_maker, scoring.end_user, scoring.other)):
        errors.append(mistake("/accounts", "nobody-weighs"))
    return scoring


def _rule(item: object, place: str, errors: list[Mistake]) -> Rule:
    members = _members(item, place, {"tier", "when"}, errors)
    tier = _one_of(members.get("tier"), TIERS, f"{place}/tier", errors)
    items = _list(members.get("when"), f"{place}/when", MAX_CONDITIONS, errors)
    if items is not None and not items:
        errors.append(mistake(f"{place}/when", "no-condition"))
    conditions = [_condition(each, f"{place}/when/{index}", errors) for index, each in enumerate(items or ())]
    return Rule(tier, tuple(each for each in conditions if each is not None))  # type: ignore[arg-type]  # else an error


def _condition(item: object, place: str, errors: list[Mistake]) -> Condition | None:
    members = _members(item, place, {"field", "op", "value"}, errors)
    name = members.get("field")
    known = (*_VALUES, "account_role", *_TEXTS)
    if not isinstance(name, str) or not (name in known or _ATTRIBUTE.fullmatch(name)):
        errors.append(mistake(f"{place}/field", "no-field", known=", ".join(known)))
        return None
    operators: tuple[Operator, ...] = get_args(Operator)
    if name == "account_role" or name in _TEXTS:
        operators = ("=", "in")
    op = _one_of(members.get("op"), operators, f"{place}/op", errors)
    if op is None:
        return None
    return _compared(name, op, members.get("value"), f"{place}/value", errors)  # type: ignore[arg-type]  # an operator


def _compared(name: str, op: Operator, value: object, place: str, errors: list[Mistake]) -> Condition | None:
    if op in QUANTILES:
        if is_number(value) and 0 < value < 1:
            return Condition(name, op, float(value))
        errors.append(mistake(place, "no-share"))
        return None
    if op == "in":
        items = _list(value, place, MAX_CHOICES, errors)
        if items is not None and not items:
            errors.append(mistake(place, "no-value"))
        checked = [_checked(name, op, each, f"{place}/{index}", errors) for index, each in enumerate(items or ())]
        return Condition(name, op, tuple(each for each in checked if each is not None))
    single = _checked(name, op, value, place, errors)
    return None if single is None else Condition(name, op, single)


def _checked(name: str, op: Operator, value: object, place: str, errors: list[Mistake]) -> Attribute | None:
    if name == "account_role":
        return _one_of(value, _ROLES, place, errors)
    if name not in _TEXTS and is_number(value) and abs(value) <= MAX_NUMBER:
        return value
    if op in COMPARISONS or name in _VALUES:
        errors.append(mistake(place, "no-number", most=int(MAX_NUMBER)))
        return None
    if isinstance(value, str) and len(value) <= MAX_TEXT:
        return value
    if name not in _TEXTS and isinstance(value, bool):
        return value
    errors.append(mistake(place, "no-text" if name in _TEXTS else "no-simple-value", most=MAX_TEXT))
    return None


def _members(item: object, place: str, known: set[str], errors: list[Mistake]) -> Mapping[str, object]:
    if not isinstance(item, Mapping):
        errors.append(mistake(place, "not-an-object"))
        return {}
    errors.extend(mistake(f"{place}/{_escaped(name)}", "not-known-here") for name in item if name not in known)
    return item


def _list(item: object, place: str, longest: int, errors: list[Mistake]) -> Sequence[object] | None:
    if isinstance(item, list) and len(item) <= longest:
        return item
    errors.append(mistake(place, "not-a-list", most=longest))
    return None


def _one_of(value: object, known: Sequence[str], place: str, errors: list[Mistake]) -> str | None:
    if isinstance(value, str) and value in known:
        return value
    errors.append(mistake(place, "none-of", known=", ".join(known)))
    return None


def _escaped(name: object) -> str:
    return str(name)[:100].replace("~", "~0").replace("/", "~1")
