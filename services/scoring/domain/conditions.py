"""Conditions of segment rules: one field of a customer's worth against a value, a choice of values, or a quantile."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeGuard

from services.scoring.domain.worth import Attribute, Worth

if TYPE_CHECKING:
    from collections.abc import Mapping

Test = Callable[[Worth], bool]
Operator = Literal[">=", ">", "<=", "<", "=", "in", "top", "bottom"]

COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
}
QUANTILES: Final = ("top", "bottom")
_NUMBERS: Final = frozenset({"current_value", "potential_value"})
_BOUNDS: Final[Mapping[str, str]] = {"top": ">=", "bottom": "<="}
_SIGN: Final[Mapping[str, str]] = {">=": "≥", ">": ">", "<=": "≤", "<": "<"}


class Quantile(NamedTuple):
    """The share of the customers with the highest (`top`) or lowest (`bottom`) values of a field."""

    field: str
    op: Literal["top", "bottom"]
    share: float


@dataclass(frozen=True, slots=True)
class Condition:
    """One field against one value, or against a choice of values (`in`), or in a share of all customers.

    Of a quantile, `value` is the share, and `cut` the lowest (of the bottom: the highest) value that belongs to it,
    counted over the customers of a certain time. None where nobody had a value then: it is met by nobody. Customers
    whose value is the cut point itself belong to it, so that equal values are never told apart.
    """

    field: str
    op: Operator
    value: Attribute | tuple[Attribute, ...]
    cut: float | None = dataclasses.field(default=None, compare=False)

    def holds(self, worth: Worth) -> bool:
        """Whether the customer meets it."""
        return self.test()(worth)

    def test(self) -> Test:
        """The condition made ready: whether a customer meets it."""
        field = self.field
        if self.op not in QUANTILES and self.op not in COMPARISONS:
            choices = self.choices
            return lambda worth: any(same(each, choice) for each in worth.of(field) for choice in choices)
        bound = self.cut if self.op in QUANTILES else self.value
        if bound is None:
            return lambda _worth: False
        compare = COMPARISONS[_BOUNDS.get(self.op, self.op)]
        number: float = bound  # type: ignore[assignment]  # a threshold is a number, and a cut point too
        if field in _NUMBERS:
            of = attrgetter(field)
            return lambda worth: (value := of(worth)) is not None and compare(value, number)
        return lambda worth: any(is_number(each) and compare(each, number) for each in worth.of(field))

    @property
    def choices(self) -> tuple[Attribute, ...]:
        """The values that meet an equality."""
        return self.value if isinstance(self.value, tuple) else (self.value,)

    @property
    def quantile(self) -> Quantile | None:
        """What its cut point is counted for."""
        return Quantile(self.field, self.op, self.value) if self.op in QUANTILES else None  # type: ignore[arg-type]  # a share

    def explained(self) -> str:
        """In words, for people."""
        name = self.field.removeprefix("attributes.").replace(".", " ").replace("_", " ")
        if self.op in QUANTILES:
            sign = "≥" if self.op == "top" else "≤"
            cut = "" if self.cut is None else f" ({sign} {written(self.cut)})"
            return f"{name} is in the {self.op} {100 * self.value:,.10g} %{cut}"
        if self.op in _SIGN:
            return f"{name} {_SIGN[self.op]} {written(self.choices[0])}"
        return f"{name} is {' or '.join(written(choice) for choice in self.choices)}"

    def implies(self, other: Condition) -> bool:
        """Whether whoever meets this one surely meets `other`."""
        if self.field != other.field:
            return False
        if self.op in QUANTILES or other.op in QUANTILES:
            return self.op == other.op and self.value <= other.value  # type: ignore[operator]  # shares
        if other.op not in COMPARISONS:
            return self.op not in COMPARISONS and all(
                any(same(mine, theirs) for theirs in other.choices) for mine in self.choices
            )
        bound = other.choices[0]
        if self.op not in COMPARISONS:
            return all(is_number(mine) and COMPARISONS[other.op](mine, bound) for mine in self.choices)  # type: ignore[arg-type]
        return self.op[0] == other.op[0] and self._narrower(other)

    def _narrower(self, other: Condition) -> bool:
        mine, theirs = self.choices[0], other.choices[0]
        if mine == theirs:
            return self.op == other.op or other.op in {">=", "<="}
        return COMPARISONS[other.op](mine, theirs)  # type: ignore[arg-type]  # thresholds are numbers


def is_number(value: object) -> TypeGuard[float]:
    """Whether it can be compared."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def same(one: Attribute, other: Attribute) -> bool:
    """Equal, and of one kind: in Python, True equals 1."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def written(value: Attribute) -> str:
    """A value in words."""
    match value:
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return f"{value:,.15g}"
        case _:
            return value.replace("_", " ")
