"""The customer's own word: yes closes, no reopens and climbs, an outdated word changes nothing."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from libs.events.contracts.cases import CaseClosed, CaseEscalated, CaseReopened
from services.casework.domain import replies
from services.casework.domain.agents import Staff
from services.casework.domain.cases import Case, Decision
from services.casework.domain.policies import DEFAULT_POLICIES
from services.casework.domain.replies import Confirmation
from services.casework.domain.timeline import Cause

ACase = Callable[..., Case]
ACause = Callable[..., Cause]
Hours = Callable[[float], datetime]

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)


@pytest.fixture
def confirm(staff: Staff, a_cause: ACause) -> Callable[..., Decision]:
    def say(case: Case, *, solved: bool, round_: int = 1, at: datetime = MONDAY, **around: object) -> Decision:
        word = Confirmation(round=round_, solved=solved, comment="Счёт всё ещё неверный", answered_at=at)
        policy = DEFAULT_POLICIES["standard"]
        return replies.confirm(case, word, policy, staff, a_cause(at), **around)  # type: ignore[arg-type]  # as given

    return say


def kinds(decision: Decision) -> list[str]:
    return [step.entry.kind for step in decision.steps]


def test_a_yes_closes_the_case_confirmed(a_case: ACase, confirm: Callable[..., Decision]) -> None:
    decision = confirm(a_case("resolved"), solved=True)
    assert kinds(decision) == ["confirmation_answered", "closed"]
    assert decision.steps[0].entry.text == "Счёт всё ещё неверный"
    assert (decision.case.status, decision.case.outcome, decision.case.fires_at) == ("closed", "confirmed", None)
    assert isinstance(decision.steps[1].payload, CaseClosed)


def test_a_no_reopens_the_case_and_climbs_one_level_with_a_new_clock(
    a_case: ACase, confirm: Callable[..., Decision], hours: Hours
) -> None:
    decision = confirm(a_case("resolved"), solved=False, at=hours(30))
    assert kinds(decision) == ["confirmation_answered", "reopened", "escalated"]
    _, reopened, escalated = (step.payload for step in decision.steps)
    assert isinstance(reopened, CaseReopened)
    assert isinstance(escalated, CaseEscalated)
    assert (reopened.reason, reopened.round, escalated.reason) == ("customer_not_satisfied", 1, "not_solved")
    case = decision.case
    assert (case.status, case.level, case.owner_id, case.first_contact.due_at) == (
        "open",
        "management",
        "anna",
        hours(54),
    )


@pytest.mark.parametrize("solved", [True, False])
def test_a_word_about_an_earlier_round_only_goes_on_the_timeline(
    a_case: ACase,
    confirm: Callable[..., Decision],
    solved: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    case = a_case("resolved")
    decision = confirm(case, solved=solved, round_=0)
    (step,) = decision.steps
    assert (step.payload, step.entry.details["outdated"]) == (None, True)
    assert (decision.case.status, decision.case.confirm_by) == (case.status, case.confirm_by)


@pytest.mark.parametrize("solved", [True, False])
@pytest.mark.parametrize("status", ["open", "contacted"])
def test_a_word_about_a_resolution_that_no_longer_stands_is_outdated(
    a_case: ACase,
    confirm: Callable[..., Decision],
    status: str,
    solved: bool,  # noqa: FBT001 - as above
) -> None:
    decision = confirm(a_case(status), solved=solved, round_=0)
    assert (kinds(decision), decision.case.status) == (["confirmation_answered"], status)


def test_a_late_yes_turns_unconfirmed_into_confirmed(a_case: ACase, confirm: Callable[..., Decision]) -> None:
    decision = confirm(a_case("unconfirmed"), solved=True)
    assert kinds(decision) == ["confirmation_answered", "closed"]
    assert (decision.case.outcome, decision.steps[1].entry.details["reason"]) == ("confirmed", "confirmed_late")


def test_a_second_yes_changes_nothing(a_case: ACase, confirm: Callable[..., Decision]) -> None:
    assert kinds(confirm(a_case("confirmed"), solved=True)) == ["confirmation_answered"]


@pytest.mark.parametrize("status", ["confirmed", "unconfirmed"])
def test_a_no_after_the_end_reopens_the_case(a_case: ACase, confirm: Callable[..., Decision], status: str) -> None:
    decision = confirm(a_case(status), solved=False)
    assert kinds(decision) == ["confirmation_answered", "reopened", "escalated"]
    assert (decision.case.status, decision.case.outcome) == ("open", None)


def test_a_no_that_comes_to_light_late_reopens_already_breached(
    a_case: ACase, staff: Staff, a_cause: ACause, hours: Hours
) -> None:
    word = Confirmation(round=1, solved=False, comment=None, answered_at=hours(0))
    policy = DEFAULT_POLICIES["standard"]
    decision = replies.confirm(a_case("resolved"), word, policy, staff, a_cause(hours(25)))
    assert kinds(decision) == ["confirmation_answered", "reopened", "clock_breached", "escalated", "escalated"]
    assert decision.case.level == "executive"


def test_a_no_of_a_customer_with_another_open_case_is_told_there(
    a_case: ACase, confirm: Callable[..., Decision], a_cause: ACause
) -> None:
    closed = a_case("unconfirmed")
    other = a_case("open")
    decision = confirm(closed, solved=False, other_open_case=other)
    assert (kinds(decision), decision.case.status) == (["confirmation_answered"], "closed")
    assert decision.steps[0].entry.details["open_case_id"] == str(other.id)
    word = Confirmation(round=1, solved=False, comment="Всё то же", answered_at=MONDAY)
    heard = replies.overhear(other, word, closed, DEFAULT_POLICIES["standard"], a_cause())
    assert heard.steps[0].entry.text == "Всё то же"
    assert heard.steps[0].entry.details["about_case_id"] == str(closed.id)


@pytest.mark.parametrize("solved", [True, False])
def test_nobody_acts_on_the_word_of_a_customer_who_asked_to_be_forgotten(
    a_case: ACase,
    confirm: Callable[..., Decision],
    solved: bool,  # noqa: FBT001 - as above
) -> None:
    decision = confirm(a_case("unconfirmed"), solved=solved, forgotten=True)
    (step,) = decision.steps
    assert (step.entry.text, decision.case.outcome) == (None, "unconfirmed")


@pytest.mark.parametrize("status", ["open", "contacted", "resolved"])
def test_a_forgotten_customers_case_ends_because_nobody_may_call(a_case: ACase, a_cause: ACause, status: str) -> None:
    decision = replies.forget(a_case(status), a_cause(MONDAY + timedelta(days=1)))
    assert kinds(decision) == ["customer_erased", "closed"]
    assert (decision.case.outcome, decision.case.fires_at) == ("unconfirmed", None)
    assert decision.steps[1].entry.details["reason"] == "customer_erased"


def test_a_forgotten_customers_closed_case_only_says_so(a_case: ACase, a_cause: ACause) -> None:
    assert kinds(replies.forget(a_case("confirmed"), a_cause())) == ["customer_erased"]
