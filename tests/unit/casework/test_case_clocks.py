"""Clocks of a case: never early, once each, and a late answer is late at once."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.contracts.cases import CaseClockBreached, CaseClockWarned, CaseClosed, CaseEscalated
from services.casework.domain import alarms, commands, replies
from services.casework.domain.agents import Staff
from services.casework.domain.alarms import fire
from services.casework.domain.answers import Answer
from services.casework.domain.cases import Case, Decision
from services.casework.domain.clocks import Firing, Stage
from services.casework.domain.names import AgentId, Tier, case_id_of
from services.casework.domain.policies import DEFAULT_POLICIES
from services.casework.domain.routing import Choice
from services.casework.domain.timeline import Cause, Step

ACase = Callable[..., Case]
ACause = Callable[..., Cause]
AnAnswer = Callable[..., Answer]
Hours = Callable[[float], datetime]

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
POLICY = DEFAULT_POLICIES["standard"]


def kinds(decision: Decision) -> list[str]:
    return [step.entry.kind for step in decision.steps]


def breaches_of_the_answer(steps: Iterable[Step]) -> list[UUID]:
    return [
        step.cause.id
        for step in steps
        if step.entry.kind == "clock_breached" and step.entry.details["clock"] != "escalation"
    ]


def opened(answer: Answer, staff: Staff, cause: Cause) -> Decision:
    choice = Choice(staff.agents[AgentId("anna")], "least_loaded", {})
    return replies.open_case(answer, 3, choice, DEFAULT_POLICIES[answer.tier], staff, cause)


@pytest.mark.parametrize(("tier", "days"), [("key", 5), ("high", 7), ("standard", 10), ("low", 14)])
def test_clocks_run_from_the_answer_and_not_from_its_arrival(
    an_answer: AnAnswer, a_cause: ACause, staff: Staff, hours: Hours, tier: Tier, days: int
) -> None:
    case = opened(an_answer(tier=tier), staff, a_cause(hours(6))).case
    assert (case.first_contact.due_at, case.first_contact.warn_at) == (hours(48), hours(36))
    assert case.resolution.due_at == MONDAY + timedelta(days=days)


def test_a_vendors_clock_that_runs_ahead_gives_no_more_time(
    an_answer: AnAnswer, a_cause: ACause, staff: Staff, hours: Hours
) -> None:
    case = opened(an_answer(answered_at=hours(0.1)), staff, a_cause(hours(0))).case
    assert (case.answered_at, case.first_contact.due_at) == (hours(0.1), hours(48))


def test_deadlines_are_instants_and_know_no_daylight_saving(an_answer: AnAnswer, a_cause: ACause, staff: Staff) -> None:
    summer = timezone(timedelta(hours=2))
    answered = datetime(2026, 3, 28, 23, 30, tzinfo=summer)
    case = opened(an_answer(answered_at=answered), staff, a_cause(answered)).case
    assert case.first_contact.due_at - answered == timedelta(hours=48)
    assert case.first_contact.due_at.tzinfo is UTC


def test_before_its_time_a_clock_is_silent(a_case: ACase, staff: Staff, hours: Hours) -> None:
    case = a_case()
    assert fire(case, POLICY, staff, hours(36) - timedelta(microseconds=1)) == Decision(case)


def test_a_warning_comes_once_and_then_the_breach_once(a_case: ACase, staff: Staff, hours: Hours) -> None:
    warned = fire(a_case(), POLICY, staff, hours(36))
    (step,) = warned.steps
    assert isinstance(step.payload, CaseClockWarned)
    assert (step.payload.clock, step.payload.due_at, step.payload.owner.employee_id) == (
        "first_contact",
        hours(48),
        "anna",
    )
    assert fire(warned.case, POLICY, staff, hours(48) - timedelta(microseconds=1)).steps == ()
    breached = fire(warned.case, POLICY, staff, hours(48))
    assert kinds(breached) == ["clock_breached", "escalated"]
    # Management has a clock of its own from now on; the first contact's says nothing more.
    assert breached.case.first_contact.fires_at is None
    assert (breached.case.level, breached.case.owner_id) == ("management", "anna")


def test_a_breach_names_who_answers_for_it_now(a_case: ACase, staff: Staff, hours: Hours) -> None:
    breach, climb = fire(a_case(), POLICY, staff, hours(50)).steps
    assert isinstance(breach.payload, CaseClockBreached)
    assert isinstance(climb.payload, CaseEscalated)
    assert breach.payload.responsible is not None
    assert breach.payload.responsible == climb.payload.responsible
    assert (climb.payload.reason, breach.payload.responsible.employee_id) == ("clock_breached", "boris")


def test_each_breach_climbs_one_level_and_the_top_is_the_end(a_case: ACase, staff: Staff, hours: Hours) -> None:
    first = fire(a_case(), POLICY, staff, hours(48))
    second = fire(first.case, POLICY, staff, hours(240))
    assert (first.case.level, second.case.level) == ("management", "executive")
    again = commands.reopen(
        alarms.close(second.case, "unconfirmed", "silence", second.steps[0].cause).case,
        "by_hand",
        DEFAULT_POLICIES["standard"],
        staff,
        second.steps[0].cause,
        since=hours(240),
    ).case
    third = fire(again, POLICY, staff, hours(264))
    assert kinds(third) == ["clock_breached"]
    assert third.steps[0].payload is not None
    assert third.case.level == "executive"


def test_found_late_a_clock_breaches_without_a_warning_after_the_fact(
    a_case: ACase, staff: Staff, hours: Hours
) -> None:
    assert kinds(fire(a_case(), POLICY, staff, hours(49))) == ["clock_breached", "escalated"]


def test_an_answer_that_arrives_too_late_opens_breached(
    an_answer: AnAnswer, a_cause: ACause, staff: Staff, hours: Hours
) -> None:
    late = opened(an_answer(), staff, a_cause(hours(60)))
    assert kinds(late) == ["opened", "assigned", "clock_breached", "escalated"]
    very_late = opened(an_answer(), staff, a_cause(hours(241)))
    assert kinds(very_late) == ["opened", "assigned", *["clock_breached", "escalated"] * 2]
    assert (very_late.case.level, very_late.case.fires_at) == ("executive", hours(241 + 0.75 * 48))


def test_after_contact_only_the_resolution_clock_runs(a_case: ACase, staff: Staff, hours: Hours) -> None:
    assert fire(a_case("contacted"), POLICY, staff, hours(100)).steps == ()
    assert kinds(fire(a_case("contacted"), POLICY, staff, hours(180))) == ["clock_warned"]


def test_silence_closes_a_resolved_case_unconfirmed(a_case: ACase, staff: Staff, hours: Hours) -> None:
    case = a_case("resolved")
    assert fire(case, POLICY, staff, hours(24 * 7) - timedelta(microseconds=1)).steps == ()
    (step,) = fire(case, POLICY, staff, hours(24 * 7)).steps
    assert isinstance(step.payload, CaseClosed)
    assert (step.payload.outcome, step.entry.details["reason"]) == ("unconfirmed", "silence")


@pytest.mark.parametrize("status", ["confirmed", "unconfirmed"])
def test_the_clocks_of_a_closed_case_are_silent_for_ever(a_case: ACase, staff: Staff, status: str) -> None:
    case = a_case(status)
    assert case.fires_at is None
    assert fire(case, POLICY, staff, MONDAY + timedelta(days=3650)).steps == ()


@given(st.lists(st.floats(0, 400, allow_nan=False), max_size=12), st.sampled_from(["open", "contacted", "resolved"]))
def test_looking_often_or_seldom_makes_the_same_things_happen_once(
    a_case: ACase, staff: Staff, moments: list[float], status: str
) -> None:
    """But for the escalation clock, which runs from when the case came to its level, and not from when it should."""
    case = a_case(status)
    steps: list[Step] = []
    for moment in sorted(moments):
        now = MONDAY + timedelta(hours=moment)
        decision = fire(case, POLICY, staff, now)
        for step in decision.steps:
            due = step.entry.details.get("due_at")
            if step.entry.kind == "clock_breached":
                assert isinstance(due, str)
                assert datetime.fromisoformat(due) <= now
        case = decision.case
        assert case.fires_at is None or case.fires_at > now
        steps += decision.steps
    breaches = breaches_of_the_answer(steps)
    last = max(moments, default=0)
    once = fire(a_case(status), POLICY, staff, MONDAY + timedelta(hours=last))
    assert breaches == breaches_of_the_answer(once.steps)
    assert (case.status, case.first_contact.stage, case.resolution.stage) == (
        once.case.status,
        once.case.first_contact.stage,
        once.case.resolution.stage,
    )
    assert len({(step.cause.id, step.entry.kind) for step in steps}) == len(steps)


def test_a_firing_is_known_by_its_clock_its_instant_and_what_it_does() -> None:
    case_id = case_id_of("r-1")  # type: ignore[arg-type]  # any text will do
    moscow = timezone(timedelta(hours=3))
    breach = Firing("resolution", "breached", MONDAY, MONDAY)
    assert breach.id(case_id) == Firing(
        "resolution", "breached", MONDAY.astimezone(moscow), MONDAY.astimezone(moscow)
    ).id(case_id)
    others = {
        Firing("resolution", "warned", MONDAY, MONDAY).id(case_id),
        Firing("first_contact", "breached", MONDAY, MONDAY).id(case_id),
        Firing("resolution", "breached", MONDAY + timedelta(microseconds=1), MONDAY + timedelta(microseconds=1)).id(
            case_id
        ),
        breach.id(case_id, 1),
        breach.id(case_id_of("r-2")),  # type: ignore[arg-type]  # as above
    }
    assert breach.id(case_id) not in others
    assert len(others) == 5


def test_stages_only_go_forward(a_case: ACase, staff: Staff, hours: Hours) -> None:
    case = a_case()
    seen = [case.first_contact.stage]
    for moment in (36, 40, 48, 60):
        case = fire(case, POLICY, staff, hours(moment)).case
        seen.append(case.first_contact.stage)
    assert seen == [Stage.RUNNING, Stage.WARNED, Stage.WARNED, Stage.BREACHED, Stage.BREACHED]
