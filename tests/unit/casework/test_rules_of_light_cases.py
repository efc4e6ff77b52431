"""What becomes of answers that are no detractor's: the first rule that is met decides; strangers are not thanked."""

from collections.abc import Callable

import pytest

from services.casework.domain.answers import Answer
from services.casework.domain.outreach import OutreachRule, OutreachRules, Then, try_on

AnAnswer = Callable[..., Answer]

RULES = OutreachRules(
    rules=(
        OutreachRule(id="slow", then="case", themes=("waiting", "queue"), score_to=8),
        OutreachRule(id="seven", then="nothing", score_from=7, score_to=7),
        OutreachRule(id="worth much", then="case", tiers=("key",)),
    ),
    otherwise="thanks",
)


@pytest.mark.parametrize(
    ("changes", "rule", "then"),
    [
        ({"score": 7, "themes": ("price", "queue"), "tier": "key"}, "slow", "case"),
        ({"score": 9, "themes": ("queue",)}, None, "thanks"),
        # The rule before it says that nothing is done.
        ({"score": 7, "tier": "key"}, "seven", "nothing"),
        ({"score": 8, "tier": "key"}, "worth much", "case"),
        ({"score": 8}, None, "thanks"),
        ({"score": 8, "customer_id": None}, None, "nothing"),
        ({"score": None, "tier": "key"}, "worth much", "nothing"),
    ],
)
def test_the_first_rule_that_is_met_decides(
    an_answer: AnAnswer, changes: dict[str, object], rule: str | None, then: Then
) -> None:
    known = {"nps_class": "passive", "tier": "standard", "themes": (), "customer_id": "c-1"}
    answer = an_answer(**(known | changes))
    met = RULES.met_by(answer)
    assert (None if met is None else met.id, RULES.decide(answer)) == (rule, then)
    assert RULES.opens_case(answer) == (then == "case")
    tried = try_on(RULES, [answer])
    assert (tried.cases, tried.thanks, tried.nothing) == (then == "case", then == "thanks", then == "nothing")


def test_a_detractor_s_answer_is_no_business_of_these_rules(an_answer: AnAnswer) -> None:
    answer = an_answer(score=3, nps_class="detractor", tier="key", themes=("queue",))
    assert not RULES.opens_case(answer)
    assert try_on(RULES, [answer]).answers == 0
