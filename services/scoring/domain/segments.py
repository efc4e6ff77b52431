"""A customer's value tier by rules that the company writes: ordered, the first match wins, each match explains itself.

A rule set as a document:

    {"default": "standard",
     "rules": [{"tier": "key", "when": [{"field": "potential_value", "op": ">=", "value": 1000000},
                                        {"field": "account_role", "op": "=", "value": "decision_maker"}]},
               {"tier": "high", "when": [{"field": "attributes.plan", "op": "in", "value": ["gold", "platinum"]}]}]}

All conditions of a rule must hold. A value that the customer does not have, or of another kind, meets no condition.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from libs.events.contracts.customers import AccountRole
from libs.events.contracts.scores import Tier

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Attribute = str | bool | int | float
"""A value of a customer's attribute, or in a condition."""
Comparison = Literal[">=", ">", "<=", "<"]
Operator = Literal[">=", ">", "<=", "<", "=", "in"]

TIERS: Final[tuple[Tier, ...]] = get_args(Tier)
MAX_RULES: Final = 100
MAX_CONDITIONS: Final = 10
MAX_CHOICES: Final = 100
MAX_TEXT: Final = 200
MAX_NUMBER: Final = 1e15

_COMPARE: Final[Mapping[Operator, Callable[[float, float], bool]]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
}
_SIGN: Final[Mapping[Operator, str]] = {">=": "≥", ">": ">", "<=": "≤", "<": "<"}
_ROLES: Final[tuple[str, ...]] = get_args(AccountRole)
_VALUES: Final = ("current_value", "potential_value")
_ATTRIBUTE: Final = re.compile(r"attributes\.[\w.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Worth:
    """What the rules look at."""

    current_value: float | None = None
    potential_value: float | None = None
    account_role: AccountRole | None = None
    attributes: Mapping[str, Attribute] = field(default_factory=dict)

    def of(self, name: str) -> Attribute | None:
        """The value of a field as the rules name it."""
        match name:
            case "current_value":
                return self.current_value
            case "potential_value":
                return self.potential_value
            case "account_role":
                return self.account_role
            case _:
                return self.attributes.get(name.removeprefix("attributes."))


@dataclass(frozen=True, slots=True)
class Condition:
    """One field against one value, or against a choice of values."""

    field: str
    op: Operator
    value: Attribute | tuple[Attribute, ...]

    def holds(self, worth: Worth) -> bool:
        """Whether the customer meets it."""
        actual = worth.of(self.field)
        compare = _COMPARE.get(self.op)
        if compare is None:
            return actual is not None and any(_same(actual, choice) for choice in self.choices)
        return _is_number(actual) and _is_number(self.value) and compare(actual, self.value)  # type: ignore[arg-type]

    @property
    def choices(self) -> tuple[Attribute, ...]:
        """The values that meet an equality."""
        return self.value if isinstance(self.value, tuple) else (self.value,)

    def explained(self) -> str:
        """In words, for people."""
        name = self.field.removeprefix("attributes.").replace("_", " ")
        if self.op in _SIGN:
            return f"{name} {_SIGN[self.op]} {_written(self.choices[0])}"
        return f"{name} is {' or '.join(_written(choice) for choice in self.choices)}"

    def implies(self, other: Condition) -> bool:
        """Whether whoever meets this one surely meets `other`."""
        if self.field != other.field:
            return False
        if other.op not in _COMPARE:
            return self.op not in _COMPARE and all(
                any(_same(mine, theirs) for theirs in other.choices) for mine in self.choices
            )
        bound = other.choices[0]
        if self.op not in _COMPARE:
            return all(_is_number(mine) and _COMPARE[other.op](mine, bound) for mine in self.choices)  # type: ignore[arg-type]
        return self.op[0] == other.op[0] and self._narrower(other)

    def _narrower(self, other: Condition) -> bool:
        mine, theirs = self.choices[0], other.choices[0]
        if mine == theirs:
            return self.op == other.op or other.op in {">=", "<="}
        return _COMPARE[other.op](mine, theirs)  # type: ignore[arg-type]  # thresholds are numbers


@dataclass(frozen=True, slots=True)
class Rule:
    """A tier for whoever meets all conditions."""

    tier: Tier
    when: tuple[Condition, ...]

    def implies(self, other: Rule) -> bool:
        """Whether whoever this rule matches is surely matched by `other`."""
        return all(any(mine.implies(theirs) for mine in self.when) for theirs in other.when)


@dataclass(frozen=True, slots=True)
class Rules:
    """A rule set."""

    default: Tier
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Valuation:
    """A tier, and why."""

    tier: Tier
    reason: str


@dataclass(frozen=True, slots=True)
class RuleError:
    """What is wrong with a rule set and where: `pointer` is a JSON pointer into the document."""

    pointer: str
    detail: str


class InvalidRules(Exception):
    """The document is no rule set; `errors` holds all that is wrong with it."""

    def __init__(self, errors: Sequence[RuleError]) -> None:
        super().__init__(f"{len(errors)} errors, the first at {errors[0].pointer or '/'}: {errors[0].detail}")
        self.errors: Final = tuple(errors)


def valued(worth: Worth, rules: Rules) -> Valuation:
    """The tier of a customer."""
    for rule in rules.rules:
        if all(condition.holds(worth) for condition in rule.when):
            because = " and ".join(condition.explained() for condition in rule.when)
            return Valuation(rule.tier, f"{rule.tier} because {because}")
    return Valuation(rules.default, f"{rules.default} because no rule matches")


def unknown(rules: Rules) -> Valuation:
    """The tier of a customer whom nobody told us about."""
    return Valuation(rules.default, "unknown customer")


def as_document(rules: Rules) -> dict[str, Any]:
    """The document that `parse` reads back."""
    return {
        "default": rules.default,
        "rules": [
            {
                "tier": rule.tier,
                "when": [
                    {
                        "field": condition.field,
                        "op": condition.op,
                        "value": list(condition.value) if isinstance(condition.value, tuple) else condition.value,
                    }
                    for condition in rule.when
                ],
            }
            for rule in rules.rules
        ],
    }


def parse(document: object) -> Rules:
    """The rule set in `document`; raises InvalidRules with everything that is wrong, each with its place."""
    errors: list[RuleError] = []
    members = _members(document, "", {"default", "rules"}, errors)
    default = _one_of(members.get("default", "standard"), TIERS, "/default", errors)
    rules: list[tuple[int, Rule]] = []
    for index, item in enumerate(_list(members.get("rules", []), "/rules", MAX_RULES, errors) or ()):
        before = len(errors)
        rule = _rule(item, f"/rules/{index}", errors)
        if len(errors) > before or rule is None:
            continue
        hidden_by = next((place for place, earlier in rules if rule.implies(earlier)), None)
        if hidden_by is not None:
            errors.append(RuleError(f"/rules/{index}", f"is never reached: rule {hidden_by} matches first"))
        rules.append((index, rule))
    if errors:
        raise InvalidRules(errors)
    return Rules(default=default, rules=tuple(rule for _, rule in rules))  # type: ignore[arg-type]  # no errors: a tier


def _rule(item: object, place: str, errors: list[RuleError]) -> Rule | None:
    members = _members(item, place, {"tier", "when"}, errors)
    tier = _one_of(members.get("tier"), TIERS, f"{place}/tier", errors)
    items = _list(members.get("when"), f"{place}/when", MAX_CONDITIONS, errors)
    if items is not None and not items:
        errors.append(RuleError(f"{place}/when", "needs a condition; for everybody else there is the default"))
    conditions = [_condition(each, f"{place}/when/{index}", errors) for index, each in enumerate(items or ())]
    return Rule(tier, tuple(each for each in conditions if each is not None))  # type: ignore[arg-type]  # else an error


def _condition(item: object, place: str, errors: list[RuleError]) -> Condition | None:
    members = _members(item, place, {"field", "op", "value"}, errors)
    name = members.get("field")
    if not isinstance(name, str) or not (name in (*_VALUES, "account_role") or _ATTRIBUTE.fullmatch(name)):
        errors.append(
            RuleError(f"{place}/field", "is none of current_value, potential_value, account_role, attributes.<name>")
        )
        return None
    operators: tuple[Operator, ...] = get_args(Operator)
    if name == "account_role":
        operators = ("=", "in")
    op = _one_of(members.get("op"), operators, f"{place}/op", errors)
    if op is None:
        return None
    return _compared(name, op, members.get("value"), f"{place}/value", errors)  # type: ignore[arg-type]  # an operator


def _compared(name: str, op: Operator, value: object, place: str, errors: list[RuleError]) -> Condition | None:
    if op == "in":
        items = _list(value, place, MAX_CHOICES, errors)
        if items is not None and not items:
            errors.append(RuleError(place, "needs at least one value"))
        checked = [_checked(name, op, each, f"{place}/{index}", errors) for index, each in enumerate(items or ())]
        return Condition(name, op, tuple(each for each in checked if each is not None))
    single = _checked(name, op, value, place, errors)
    return None if single is None else Condition(name, op, single)


def _checked(name: str, op: Operator, value: object, place: str, errors: list[RuleError]) -> Attribute | None:
    if name == "account_role":
        return _one_of(value, _ROLES, place, errors)
    if _is_number(value) and abs(value) <= MAX_NUMBER:  # type: ignore[arg-type]  # a number; NaN is not smaller
        return value  # type: ignore[return-value]  # as above
    if op in _COMPARE or name in _VALUES:
        errors.append(RuleError(place, f"is not a number up to {MAX_NUMBER:,.0f}"))
        return None
    if isinstance(value, bool) or (isinstance(value, str) and len(value) <= MAX_TEXT):
        return value
    errors.append(RuleError(place, f"is no text of at most {MAX_TEXT}, no number, and not true or false"))
    return None


def _members(item: object, place: str, known: set[str], errors: list[RuleError]) -> Mapping[str, object]:
    if not isinstance(item, Mapping):
        errors.append(RuleError(place, "is not an object"))
        return {}
    errors.extend(RuleError(f"{place}/{_escaped(name)}", "is not known here") for name in item if name not in known)
    return item


def _list(item: object, place: str, longest: int, errors: list[RuleError]) -> Sequence[object] | None:
    if isinstance(item, list) and len(item) <= longest:
        return item
    errors.append(RuleError(place, f"is not a list of at most {longest}"))
    return None


def _one_of(value: object, known: Sequence[str], place: str, errors: list[RuleError]) -> str | None:
    if isinstance(value, str) and value in known:
        return value
    errors.append(RuleError(place, f"is none of {', '.join(known)}"))
    return None


def _escaped(name: object) -> str:
    return str(name)[:100].replace("~", "~0").replace("/", "~1")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _same(one: Attribute, other: Attribute) -> bool:
    # In Python, True equals 1.
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _written(value: Attribute) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return f"{value:,.15g}"
        case _:
            return value.replace("_", " ")
