"""What becomes of answers that are no detractor's: rules, which are data, open light cases; all others are thanked for.

    the first rule that the answer meets     case (a light one), thanks, or nothing
    none                                     what the document says of all others: thanks, unless the company edits it

An answer of a customer with an open case joins it, whatever the rules say; a detractor's opens a case with the ordinary
clocks, and makes a light case of the customer's an ordinary one. An answer without a score or without a known customer
is not thanked for: nobody knows for what, or whom.
"""

from __future__ import annotations

from datetime import timedelta
from heapq import nlargest
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from libs.events.event import named
from services.casework.domain.answers import Answer
from services.casework.domain.names import NpsClass, Tier

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID


Then = Literal["case", "thanks", "nothing"]
ThanksResult = Literal["asked", "case", "worse", "withdrawn", "erased"]
"""Asked for; or the customer meanwhile has a case with the answer, or thinks worse of us, took it back, or is gone."""


class OutreachRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to do with answers that meet all that it names; what is left out, or empty, leaves nothing out."""

    id: str
    then: Then
    nps_classes: tuple[NpsClass, ...] = ()
    tiers: tuple[Tier, ...] = ()
    programs: tuple[str, ...] = ()
    touchpoints: tuple[str, ...] = ()
    themes: tuple[str, ...] = ()
    """Any of them."""
    score_from: int | None = None
    score_to: int | None = None

    def is_met_by(self, answer: Answer) -> bool:
        """Whether the answer meets all of it."""
        return (
            (not self.nps_classes or answer.nps_class in self.nps_classes)
            and (not self.tiers or answer.tier in self.tiers)
            and (not self.programs or answer.program in self.programs)
            and (not self.touchpoints or answer.touchpoint in self.touchpoints)
            and (not self.themes or not set(self.themes).isdisjoint(answer.themes))
            and (self.score_from is None or (answer.score is not None and answer.score >= self.score_from))
            and (self.score_to is None or (answer.score is not None and answer.score <= self.score_to))
        )


class OutreachRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The company's rules, in their order."""

    rules: tuple[OutreachRule, ...] = ()
    otherwise: Literal["thanks", "nothing"] = "nothing"
    thank_after_minutes: int = 60
    """How long to wait: comments and second thoughts come within minutes."""

    def met_by(self, answer: Answer) -> OutreachRule | None:
        """The first rule that the answer meets."""
        return next((rule for rule in self.rules if rule.is_met_by(answer)), None)

    def decide(self, answer: Answer) -> Then:
        """What becomes of an answer that is no detractor's."""
        if answer.score is None:
            return "nothing"
        rule = self.met_by(answer)
        then = self.otherwise if rule is None else rule.then
        return "nothing" if then == "thanks" and answer.customer_id is None else then

    def opens_case(self, answer: Answer) -> bool:
        """Whether the answer opens a light case."""
        return not answer.is_detractor and self.decide(answer) == "case"

    @property
    def thank_after(self) -> timedelta:
        """How long after it came an answer is thanked for."""
        return timedelta(minutes=self.thank_after_minutes)


NO_RULES: Final = OutreachRules()


class Tried(msgspec.Struct, frozen=True):
    """What rules would have done with answers that came."""

    answers: int
    by_rule: dict[str, int]
    cases: int
    thanks: int
    nothing: int
    opening: list[tuple[str, Answer]]
    """The latest answers that would open cases, each with the rule's id."""


def try_on(rules: OutreachRules, answers: Iterable[Answer], examples: int = 20) -> Tried:
    """What the rules would do with these answers, each as if its customer had no case."""
    by_rule = {rule.id: 0 for rule in rules.rules}
    counts: dict[Then, int] = {"case": 0, "thanks": 0, "nothing": 0}
    seen = 0
    opening: list[tuple[str, Answer]] = []
    for answer in answers:
        if answer.is_detractor:
            continue
        seen += 1
        counts[rules.decide(answer)] += 1
        rule = rules.met_by(answer)
        if rule is not None and answer.score is not None:
            by_rule[rule.id] += 1
            if rule.then == "case":
                opening.append((rule.id, answer))
    latest = nlargest(examples, opening, key=lambda each: (each[1].answered_at, each[1].response_id))
    return Tried(seen, by_rule, counts["case"], counts["thanks"], counts["nothing"], latest)


def what_became_of(answer: Answer, erased_at: datetime | None) -> ThanksResult:
    """Whether a customer who was to be thanked for an answer still is, now that second thoughts have come."""
    if erased_at is not None and answer.answered_at <= erased_at:
        return "erased"
    if answer.case_id is not None:
        return "case"
    if answer.score is None:
        return "withdrawn"
    return "worse" if answer.is_detractor else "asked"


def thanks_id(cause_id: UUID, response_id: str) -> UUID:
    """The cause of the request to thank for an answer: one for each answer, ever."""
    return named(cause_id, f"thanks/{response_id}")
