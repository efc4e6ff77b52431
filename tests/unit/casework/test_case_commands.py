"""What people can do with a case in each state, and what they cannot."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from libs.events.contracts.cases import CaseAssigned, CaseContacted, CaseEscalated, CaseReopened, CaseResolved
from services.casework.domain import commands
from services.casework.domain.agents import Agent, Staff
from services.casework.domain.cases import Case, Decision
from services.casework.domain.clocks import Stage
from services.casework.domain.errors import (
    AlreadyClosed,
    AlreadyOpen,
    AlreadyResolved,
    AtHighestLevel,
    NotContacted,
    Refused,
)
from services.casework.domain.names import AgentId, ContactOutcome, RootCauseId
from services.casework.domain.policies import DEFAULT_POLICIES
from services.casework.domain.timeline import Cause

ACase = Callable[..., Case]
ACause = Callable[..., Cause]
Hours = Callable[[float], datetime]
Command = Callable[[Case, Staff, Cause], Decision]

POLICY = DEFAULT_POLICIES["standard"]


def contact(case: Case, _staff: Staff, cause: Cause) -> Decision:
    return commands.record_contact(case, "reached", POLICY, cause, attempt_id="a-9", note="Дозвонилась")


def assign(case: Case, staff: Staff, cause: Cause) -> Decision:
    return commands.assign(case, staff.agents[AgentId("boris")], cause)


def escalate(case: Case, staff: Staff, cause: Cause) -> Decision:
    return commands.escalate(case, "no_authority", POLICY, staff, cause)


def resolve(case: Case, staff: Staff, cause: Cause) -> Decision:
    return commands.resolve(case, RootCauseId("service.waiting"), POLICY, staff, cause)


def reopen(case: Case, staff: Staff, cause: Cause) -> Decision:
    return commands.reopen(case, "by_hand", POLICY, staff, cause, since=cause.at)


def note(case: Case, _staff: Staff, cause: Cause) -> Decision:
    return commands.note(case, "Просит звонить после шести", cause)


@pytest.mark.parametrize(
    ("status", "command", "refusal"),
    [
        ("open", contact, None),
        ("open", assign, None),
        ("open", escalate, None),
        ("open", resolve, NotContacted),
        ("open", reopen, AlreadyOpen),
        ("open", note, None),
        ("contacted", contact, None),
        ("contacted", assign, None),
        ("contacted", escalate, None),
        ("contacted", resolve, None),
        ("contacted", reopen, AlreadyOpen),
        ("contacted", note, None),
        ("resolved", contact, None),
        ("resolved", assign, None),
        ("resolved", escalate, AlreadyResolved),
        ("resolved", resolve, AlreadyResolved),
        ("resolved", reopen, None),
        ("resolved", note, None),
        ("confirmed", contact, AlreadyClosed),
        ("confirmed", assign, AlreadyClosed),
        ("confirmed", escalate, AlreadyClosed),
        ("confirmed", resolve, AlreadyClosed),
        ("confirmed", reopen, None),
        ("confirmed", note, None),
        ("unconfirmed", reopen, None),
        ("unconfirmed", note, None),
    ],
)
def test_each_state_allows_what_its_picture_says(
    a_case: ACase, a_cause: ACause, staff: Staff, status: str, command: Command, refusal: type[Refused] | None
) -> None:
    case = a_case(status)
    if refusal is not None:
        with pytest.raises(refusal):
            command(case, staff, a_cause())
        return
    decision = command(case, staff, a_cause())
    assert decision.case.version == case.version + len(decision.steps) > case.version


def test_the_first_conversation_stops_the_first_contact_clock(a_case: ACase, a_cause: ACause, hours: Hours) -> None:
    missed = commands.record_contact(a_case(), "no_answer", POLICY, a_cause(hours(1)), attempt_id="a-1")
    assert missed.case.status == "open"
    reached = commands.record_contact(missed.case, "reached", POLICY, a_cause(hours(2)), attempt_id="a-2")
    assert (reached.case.status, reached.case.first_contacted_at) == ("contacted", hours(2))
    assert reached.case.fires_at == reached.case.resolution.warn_at
    again = commands.record_contact(reached.case, "reached", POLICY, a_cause(hours(3)), attempt_id="a-3")
    assert again.case.first_contacted_at == hours(2)
    told = [step.payload for step in (*missed.steps, *reached.steps, *again.steps)]
    assert [(each.attempt_id, each.first_reached) for each in told if isinstance(each, CaseContacted)] == [
        ("a-1", False),
        ("a-2", True),
        ("a-3", False),
    ]


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        ("reached", "contacted"),
        ("declined", "contacted"),
        ("no_answer", "open"),
        ("wrong_number", "open"),
        ("call_later", "open"),
    ],
)
def test_only_a_conversation_counts_as_contact(
    a_case: ACase, a_cause: ACause, outcome: ContactOutcome, status: str
) -> None:
    assert commands.record_contact(a_case(), outcome, POLICY, a_cause(), attempt_id="a-1").case.status == status


def test_a_call_after_the_resolution_is_written_down_and_changes_nothing(a_case: ACase, a_cause: ACause) -> None:
    case = a_case("resolved")
    called = commands.record_contact(case, "reached", POLICY, a_cause(), attempt_id="a-2").case
    assert (called.status, called.confirm_by, called.round) == (case.status, case.confirm_by, case.round)


def test_who_gets_a_case_by_hand_is_told_and_who_has_it_already_is_not(
    a_case: ACase, a_cause: ACause, staff: Staff, an_agent: Callable[..., Agent]
) -> None:
    case = a_case()
    given = commands.assign(case, an_agent("galina"), a_cause(), note="Она говорит по-татарски")
    (step,) = given.steps
    assert isinstance(step.payload, CaseAssigned)
    assert (step.payload.owner.employee_id, step.payload.previous_owner_id) == ("galina", "anna")
    assert (given.case.owner_id, given.case.owner_reason, step.entry.text) == (
        "galina",
        "by_hand",
        "Она говорит по-татарски",
    )
    assert commands.assign(case, staff.agents[AgentId("anna")], a_cause()).steps == ()


def test_escalation_climbs_to_the_top_and_the_owner_stays(a_case: ACase, a_cause: ACause, staff: Staff) -> None:
    once = commands.escalate(a_case(), "several_departments", POLICY, staff, a_cause(), note="Нужен склад")
    (step,) = once.steps
    assert isinstance(step.payload, CaseEscalated)
    assert step.payload.responsible is not None
    assert step.payload.owner == staff.employee(AgentId("anna"))
    assert (step.payload.from_level, step.payload.to_level, step.payload.responsible.employee_id) == (
        "frontline",
        "management",
        "boris",
    )
    twice = commands.escalate(once.case, "customer_asked", POLICY, staff, a_cause())
    assert (twice.case.level, twice.case.responsible_id, twice.case.owner_id) == ("executive", "vera", "anna")
    with pytest.raises(AtHighestLevel):
        commands.escalate(twice.case, "customer_asked", POLICY, staff, a_cause())


def test_a_resolution_asks_the_customer_in_the_owners_name(
    a_case: ACase, a_cause: ACause, staff: Staff, hours: Hours
) -> None:
    decision = resolve(a_case("contacted"), staff, a_cause(hours(5)))
    case = decision.case
    (step,) = decision.steps
    assert isinstance(step.payload, CaseResolved)
    assert (step.payload.round, step.payload.root_cause, step.payload.agent_name) == (1, "service.waiting", "Anna")
    assert step.payload.confirm_by == case.confirm_by == case.fires_at == hours(5) + timedelta(days=7)


def test_a_reopened_case_has_new_clocks_and_counts_its_rounds(
    a_case: ACase, a_cause: ACause, staff: Staff, hours: Hours
) -> None:
    reopened = reopen(a_case("confirmed"), staff, a_cause(hours(100)))
    case = reopened.case
    (step,) = reopened.steps
    assert isinstance(step.payload, CaseReopened)
    assert (step.payload.round, step.payload.reason) == (1, "by_hand")
    assert (case.status, case.outcome, case.root_cause_id, case.closed_at) == ("open", None, None, None)
    assert (case.first_contact.due_at, case.first_contact.stage) == (hours(124), Stage.RUNNING)
    assert case.resolution.due_at == hours(220)
    with pytest.raises(NotContacted):
        resolve(case, staff, a_cause(hours(101)))
    contacted = contact(case, staff, a_cause(hours(101))).case
    assert resolve(contacted, staff, a_cause(hours(102))).case.round == 2


def test_every_step_says_who_when_and_why(a_case: ACase, a_cause: ACause, staff: Staff, hours: Hours) -> None:
    cause = a_cause(hours(7))
    (step,) = commands.escalate(
        a_case(), "no_authority", POLICY, staff, cause, note="Возврат больше моего лимита"
    ).steps
    assert (step.entry.actor, step.entry.at, step.cause) == (cause.actor, hours(7), cause)
    assert (step.entry.details["reason"], step.entry.text) == ("no_authority", "Возврат больше моего лимита")
