"""Nobody is left waiting at a level in silence; a case waits for its customer, and only then a clock is paused."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace as with_changes

from libs.events.contracts.cases import (
    CaseClockBreached,
    CaseClockReminded,
    CaseClockWarned,
    CaseEscalated,
    CaseResumed,
    CaseWaiting,
)
from services.casework.domain import commands, levels, replies, waiting
from services.casework.domain.agents import Staff
from services.casework.domain.alarms import fire
from services.casework.domain.answers import Answer
from services.casework.domain.calendars import Calendar, CalendarId, Shift
from services.casework.domain.cases import Case, Decision, Status
from services.casework.domain.clocks import Stage, deadline
from services.casework.domain.errors import AlreadyWaiting, NotContacted, NotWaiting, Refused, WaitTooLong
from services.casework.domain.names import AgentId, RootCauseId
from services.casework.domain.policies import DEFAULT_POLICIES, Policies
from services.casework.domain.timeline import CLOCK, Actor, Cause

ACase = Callable[..., Case]
ACause = Callable[..., Cause]
AnAnswer = Callable[..., Answer]
Hours = Callable[[float], datetime]

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
POLICY = DEFAULT_POLICIES["standard"]
DAY = timedelta(days=1)


def kinds(decision: Decision) -> list[str]:
    return [step.entry.kind for step in decision.steps]


def at_management(a_case: ACase, staff: Staff, a_cause: ACause, hours: Hours, status: str = "contacted") -> Case:
    """Climbed by hand an hour after the answer: management has until hour 25."""
    return commands.escalate(a_case(status), "no_authority", POLICY, staff, a_cause(hours(1))).case


def test_a_level_that_is_asked_has_a_clock_of_its_own(
    a_case: ACase, staff: Staff, a_cause: ACause, hours: Hours
) -> None:
    climbed = commands.escalate(a_case(), "no_authority", POLICY, staff, a_cause(hours(1)))
    (step,) = climbed.steps
    assert isinstance(step.payload, CaseEscalated)
    assert (climbed.case.escalated_at, step.payload.due_at) == (hours(1), hours(25))
    assert (climbed.case.next_due_at, climbed.case.fires_at) == (hours(25), hours(19))

    (warned,) = fire(climbed.case, POLICY, staff, hours(19)).steps
    assert isinstance(warned.payload, CaseClockWarned)
    assert warned.payload.responsible is not None
    assert (warned.payload.clock, warned.payload.responsible.employee_id) == ("escalation", "boris")


def test_a_level_that_does_not_act_is_passed_over_and_at_the_top_reminded(
    a_case: ACase, staff: Staff, a_cause: ACause, hours: Hours
) -> None:
    case = at_management(a_case, staff, a_cause, hours)
    passed = fire(case, POLICY, staff, hours(25))
    assert kinds(passed) == ["clock_breached", "escalated"]
    assert isinstance(passed.steps[0].payload, CaseClockBreached)
    assert (passed.case.level, passed.case.responsible_id) == ("executive", "vera")
    assert passed.case.escalation is not None
    assert passed.case.escalation.due_at == hours(25 + 48)

    top = fire(passed.case, POLICY, staff, hours(25 + 48))
    assert kinds(top) == ["clock_breached"]
    assert top.case.escalation is not None
    assert (top.case.escalation.stage, top.case.escalation.is_breached) == (Stage.REMINDING, True)
    reminded = fire(top.case, POLICY, staff, hours(25 + 96))
    assert kinds(reminded) == ["clock_reminded"]
    assert isinstance(reminded.steps[0].payload, CaseClockReminded)
    # Found late, one reminder is given and not one for each that was missed.
    late = fire(reminded.case, POLICY, staff, hours(25 + 10 * 48))
    assert [kind for kind in kinds(late) if kind == "clock_reminded"] == ["clock_reminded"]
    assert late.case.escalation is not None
    assert late.case.escalation.warn_at == hours(25 + 11 * 48)


@pytest.mark.parametrize(
    ("who", "stops"),
    [
        (Actor("person", "boris"), True),
        (Actor("person", "vera"), True),
        (Actor("person", "anna"), False),
        (Actor("person", "somebody-else"), False),
        (Actor("key", "boris"), False),
        (Actor("customer", "c-1"), False),
        (CLOCK, False),
    ],
)
def test_only_who_was_asked_or_stands_above_answers(
    a_case: ACase,
    staff: Staff,
    a_cause: ACause,
    hours: Hours,
    who: Actor,
    stops: bool,  # noqa: FBT001 - drawn
) -> None:
    case = levels.answered(at_management(a_case, staff, a_cause, hours), who, staff)
    assert (case.escalation is None) == (case.escalated_at is None) == stops
    assert (case.level, case.responsible_id) == ("management", "boris")


def test_a_manager_is_not_the_executive_who_was_asked(
    a_case: ACase, staff: Staff, a_cause: ACause, hours: Hours
) -> None:
    case = fire(at_management(a_case, staff, a_cause, hours), POLICY, staff, hours(25)).case
    assert levels.answered(case, Actor("person", "boris"), staff) is case
    assert levels.answered(case, Actor("person", "vera"), staff).escalation is None


def test_who_answers_for_the_case_answers_whatever_their_role(
    a_case: ACase, staff: Staff, a_cause: ACause, hours: Hours
) -> None:
    case = with_changes(at_management(a_case, staff, a_cause, hours), responsible_id=AgentId("anna"))
    assert levels.answered(case, Actor("person", "anna"), staff).escalation is None


def test_a_breach_at_the_top_asks_again_who_had_answered(
    a_case: ACase, staff: Staff, a_cause: ACause, hours: Hours
) -> None:
    case = fire(at_management(a_case, staff, a_cause, hours), POLICY, staff, hours(25)).case
    case = levels.answered(case, Actor("person", "vera"), staff)
    breached = fire(case, POLICY, staff, hours(240))
    assert kinds(breached)[-1] == "clock_breached"
    assert (breached.case.level, breached.case.escalated_at) == ("executive", hours(240))


def test_a_case_that_is_opened_again_asks_its_level_again(
    a_case: ACase, staff: Staff, a_cause: ACause, hours: Hours
) -> None:
    case = at_management(a_case, staff, a_cause, hours)
    resolved = commands.resolve(case, RootCauseId("service"), POLICY, staff, a_cause(hours(2))).case
    assert (resolved.escalation, resolved.escalated_at) == (None, None)
    again = commands.reopen(resolved, "by_hand", POLICY, staff, a_cause(hours(3)), since=hours(3)).case
    assert again.escalation is not None
    assert (again.level, again.escalation.due_at, again.clocks_since) == ("management", hours(27), hours(3))


def test_each_warning_is_given_once_and_of_several_found_late_only_the_latest(
    a_case: ACase, staff: Staff, hours: Hours
) -> None:
    first_contact = deadline(None, MONDAY, timedelta(hours=48), (0.5, 0.75, 0.9), timedelta(0))
    case = with_changes(a_case(), first_contact=first_contact)
    seen = []
    for moment in (23, 24, 30, 36, 43.2, 47, 48):
        decision = fire(case, POLICY, staff, hours(moment))
        case = decision.case
        seen.append(kinds(decision))
    assert seen == [[], ["clock_warned"], [], ["clock_warned"], ["clock_warned"], [], ["clock_breached", "escalated"]]

    late = fire(with_changes(a_case(), first_contact=first_contact), POLICY, staff, hours(40))
    assert (kinds(late), late.case.fires_at) == (["clock_warned"], hours(43.2))
    causes = {
        step.cause.id
        for at in (24, 36, 40, 44)
        for step in fire(with_changes(a_case(), first_contact=first_contact), POLICY, staff, hours(at)).steps
    }
    assert len(causes) == 3


def waited(case: Case, until: datetime, cause: Cause) -> Decision:
    return waiting.wait(case, "customer_information", until, POLICY, cause, note="Пришлёт договор")


def test_while_the_customer_has_the_word_the_resolution_is_paused_and_moves_by_the_time_paused(
    a_case: ACase, staff: Staff, a_cause: ACause, hours: Hours
) -> None:
    paused = waited(a_case("contacted"), hours(72), a_cause(hours(24)))
    (step,) = paused.steps
    assert isinstance(step.payload, CaseWaiting)
    assert (step.payload.reason, step.payload.until, step.entry.text) == (
        "customer_information",
        hours(72),
        "Пришлёт договор",
    )
    assert (paused.case.next_due_at, paused.case.fires_at) == (hours(72), hours(72))
    assert paused.case.resolution.due_at == hours(240)

    on = waiting.resume(paused.case, POLICY, a_cause(hours(54)))
    assert isinstance(on.steps[0].payload, CaseResumed)
    assert (on.steps[0].payload.reason, on.steps[0].payload.resolution_due_at) == ("by_hand", hours(270))
    assert (on.case.resolution.warn_at, on.case.pauses) == (hours(210), ((hours(24), hours(54)),))
    assert kinds(fire(on.case, POLICY, staff, hours(270))) == ["clock_breached", "escalated"]


def test_the_limit_resumes_by_itself_and_late_as_if_it_had_been_in_time(
    a_case: ACase, staff: Staff, a_cause: ACause, hours: Hours
) -> None:
    paused = waited(a_case("contacted"), hours(72), a_cause(hours(24))).case
    assert fire(paused, POLICY, staff, hours(72) - timedelta(microseconds=1)).steps == ()
    (step,) = fire(paused, POLICY, staff, hours(72)).steps
    assert step.entry.details["reason"] == "limit"
    late = fire(paused, POLICY, staff, hours(300))
    assert kinds(late) == ["resumed", "clock_breached", "escalated"]
    assert late.case.resolution.due_at == hours(240 + 48)


def test_a_breach_that_happened_is_not_undone_by_waiting(
    a_case: ACase, staff: Staff, a_cause: ACause, hours: Hours
) -> None:
    breached = fire(a_case("contacted"), POLICY, staff, hours(241)).case
    paused = waited(breached, hours(260), a_cause(hours(250))).case
    on = waiting.resume(paused, POLICY, a_cause(hours(255)))
    assert (on.case.resolution.stage, on.case.resolution.due_at) == (Stage.BREACHED, hours(240))


def test_the_customers_word_ends_the_waiting(
    a_case: ACase, an_answer: AnAnswer, staff: Staff, a_cause: ACause, hours: Hours
) -> None:
    paused = waited(a_case("contacted"), hours(72), a_cause(hours(24))).case
    answer = an_answer("r-2", answered_at=hours(30))
    for decision, reason in (
        (replies.join(paused, answer, POLICY, staff, a_cause(hours(30))), "customer_answered"),
        (replies.revise(paused, answer, POLICY, staff, a_cause(hours(30))), "customer_answered"),
        (commands.record_contact(paused, "reached", POLICY, a_cause(hours(30)), attempt_id="a-2"), "customer_reached"),
        (commands.resolve(paused, RootCauseId("service"), POLICY, staff, a_cause(hours(30))), "resolved"),
    ):
        assert decision.steps[0].entry.kind == "resumed"
        assert decision.steps[0].entry.details["reason"] == reason
        assert decision.case.waiting is None
        assert len({step.cause.id for step in decision.steps}) == 1
    tried = commands.record_contact(paused, "no_answer", POLICY, a_cause(hours(30)), attempt_id="a-3")
    assert (kinds(tried), tried.case.waiting) == (["contacted"], paused.waiting)
    forgotten = replies.forget(paused, a_cause(hours(30))).case
    assert (forgotten.status, forgotten.waiting, forgotten.fires_at) == (Status.CLOSED, None, None)


def test_the_first_contact_is_never_paused_and_a_wait_is_never_longer_than_the_policy_allows(
    a_case: ACase, a_cause: ACause, hours: Hours
) -> None:
    def refusal(case: Case, until: datetime, at: datetime) -> type[Refused]:
        with pytest.raises(Refused) as caught:
            waited(case, until, a_cause(at))
        return caught.type

    assert refusal(a_case("open"), hours(24), hours(1)) is NotContacted
    contacted = a_case("contacted")
    assert refusal(contacted, hours(1), hours(1)) is WaitTooLong
    assert refusal(contacted, hours(1 + 14 * 24 + 0.1), hours(1)) is WaitTooLong
    paused = waited(contacted, hours(1 + 14 * 24), a_cause(hours(1))).case
    assert refusal(paused, hours(20), hours(10)) is AlreadyWaiting
    # Ten days of the fourteen are gone, and come back with no further wait of this round.
    on = waiting.resume(paused, POLICY, a_cause(hours(1 + 240))).case
    assert refusal(on, hours(250 + 97), hours(250)) is WaitTooLong
    assert waited(on, hours(250 + 96), a_cause(hours(250))).case.waiting is not None
    with pytest.raises(NotWaiting):
        waiting.resume(on, POLICY, a_cause(hours(250)))


def test_in_business_hours_a_weekend_neither_counts_nor_is_paused(a_case: ACase, a_cause: ACause) -> None:
    day = (Shift(9 * 60, 18 * 60),)
    office = Calendar(id=CalendarId("o"), zone=ZoneInfo("UTC"), week=(day, day, day, day, day, (), ()))
    policy = replace(POLICY, calendar=office, resolution=timedelta(hours=36), longest_wait=30 * DAY)
    first_contact, resolution = policy.opened(MONDAY)
    assert (first_contact.due_at, resolution.due_at) == (
        datetime(2026, 1, 12, 12, tzinfo=UTC),
        datetime(2026, 1, 8, 18, tzinfo=UTC),
    )
    case = with_changes(a_case("contacted"), resolution=resolution)
    wednesday = MONDAY + 2 * DAY
    # Wednesday 9:00 to Monday 9:00: three working days, the weekend is none.
    paused = waiting.wait(case, "customer_trying", MONDAY + 8 * DAY, policy, a_cause(wednesday)).case
    on = waiting.resume(paused, policy, a_cause(MONDAY + 7 * DAY)).case
    assert on.resolution.due_at == datetime(2026, 1, 13, 18, tzinfo=UTC)
    assert (
        policy.resolution_of(MONDAY, reopened=False, paused=office.between(*on.pauses[0])).due_at
        == on.resolution.due_at
    )


def test_the_policy_of_a_program_goes_before_the_companys() -> None:
    own: Any = replace(POLICY, first_contact=timedelta(hours=4))
    policies = Policies(DEFAULT_POLICIES, {("retail", "standard"): own})
    assert policies.of("retail", "standard") is own
    assert policies.of("retail", "key") is DEFAULT_POLICIES["key"]
    assert policies.of("corporate", "standard") is DEFAULT_POLICIES["standard"]
