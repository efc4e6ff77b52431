"""A customer's value tier by rules that the company writes: ordered, the first match wins, each match explains itself.

All conditions of a rule must hold. A value that the customer does not have, or of another kind, meets no condition.
A program may have rules of its own: they value its answers; the tier in the customer's profile is by the main rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, get_args

from libs.events.contracts.scores import Tier
from services.scoring.domain.conditions import Condition, Quantile, Test

if TYPE_CHECKING:
    from services.scoring.domain.worth import Worth

TIERS: Final[tuple[Tier, ...]] = get_args(Tier)

Cuts = Mapping[Quantile, float | None]
"""The cut points of quantiles, as they were counted over the customers of a certain time."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A tier for whoever meets all conditions."""

    tier: Tier
    when: tuple[Condition, ...]

    def implies(self, other: Rule) -> bool:
        """Whether whoever this rule matches is surely matched by `other`."""
        return all(any(mine.implies(theirs) for mine in self.when) for theirs in other.when)


@dataclass(frozen=True, slots=True)
class Valuation:
    """A tier, why in words, and the conditions of the rule that gave it (none: no rule matched)."""

    tier: Tier
    reason: str
    facts: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Rules in their order, and the tier of those whom none of them matches."""

    default: Tier
    rules: tuple[Rule, ...]
    ready: tuple[tuple[tuple[Test, ...], Valuation], ...] = field(init=False, compare=False, repr=False)
    """Of each rule, its conditions as tests, and what it makes of whoever passes them: made once for all customers."""
    otherwise: Valuation = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Make it ready."""
        ready = tuple((tuple(condition.test() for condition in rule.when), _by(rule)) for rule in self.rules)
        object.__setattr__(self, "ready", ready)
        object.__setattr__(self, "otherwise", Valuation(self.default, f"{self.default} because no rule matches"))


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountScoring:
    """How the answers of an account's contacts become its score: a weight for each role, and how old they may be."""

    decision_maker: float = 3.0
    end_user: float = 1.0
    other: float = 1.0
    days: int = 365

    def weight(self, role: str | None) -> float:
        """How much the answer of a contact in this role weighs."""
        match role:
            case "decision_maker":
                return self.decision_maker
            case "end_user":
                return self.end_user
            case _:
                return self.other


@dataclass(frozen=True, slots=True)
class Rules(RuleSet):
    """All rules that are in force at a time."""

    programs: Mapping[str, RuleSet] = field(default_factory=dict)
    accounts: AccountScoring = AccountScoring()

    def of(self, program: str) -> RuleSet | None:
        """The program's own rules, if it has any."""
        return self.programs.get(program)


def valued(worth: Worth, rules: RuleSet) -> Valuation:
    """The tier of a customer."""
    for tests, valuation in rules.ready:
        for test in tests:
            if not test(worth):
                break
        else:
            return valuation
    return rules.otherwise


def looked_at(rules: RuleSet) -> frozenset[str]:
    """The fields that decide the tier in a profile; whoever values many need not read the others."""
    return frozenset(condition.field for rule in rules.rules for condition in rule.when)


def _by(rule: Rule) -> Valuation:
    because = " and ".join(condition.explained() for condition in rule.when)
    return Valuation(rule.tier, f"{rule.tier} because {because}", rule.when)


def unknown(rules: RuleSet) -> Valuation:
    """The tier of a customer whom nobody told us about."""
    return Valuation(rules.default, "unknown customer")


def cuts_of(rules: Rules) -> dict[Quantile, float | None]:
    """The quantiles of the rules, each once, with their cut points."""
    sets = (rules, *rules.programs.values())
    found = ((each.quantile, each.cut) for set_ in sets for rule in set_.rules for each in rule.when)
    return {quantile: cut for quantile, cut in found if quantile is not None}


def quantiles(rules: Rules) -> tuple[Quantile, ...]:
    """What cut points have to be counted for, each once."""
    return tuple(cuts_of(rules))


def with_cuts(rules: Rules, cuts: Cuts) -> Rules:
    """The same rules, with these cut points."""
    programs = {name: RuleSet(set_.default, _cut(set_, cuts)) for name, set_ in rules.programs.items()}
    return replace(rules, rules=_cut(rules, cuts), programs=programs)


def _cut(set_: RuleSet, cuts: Cuts) -> tuple[Rule, ...]:
    def known(condition: Condition) -> Condition:
        quantile = condition.quantile
        return condition if quantile is None else replace(condition, cut=cuts.get(quantile))

    return tuple(replace(rule, when=tuple(map(known, rule.when))) for rule in set_.rules)
