"""Clocks counted anew: what runs moves, what happened stays, and what is too late by the new instant breaches once."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.contracts.cases import CaseClockChanged
from services.casework.domain import commands, waiting
from services.casework.domain.agents import Staff
from services.casework.domain.alarms import fire
from services.casework.domain.calendars import Calendar, CalendarId, Shift
from services.casework.domain.cases import Case, Decision
from services.casework.domain.clocks import Stage
from services.casework.domain.policies import DEFAULT_POLICIES, Policy
from services.casework.domain.recomputing import Recomputation, breached_by, recompute
from services.casework.domain.timeline import Actor, Cause
from services.casework.domain.watchdog import Checking, ClockLoop

ACase = Callable[..., Case]
ACause = Callable[..., Cause]
Hours = Callable[[float], datetime]

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
POLICY = DEFAULT_POLICIES["standard"]
ASKED = Recomputation(
    id=UUID(int=7), program=None, tier=None, level=None, calendar_id=None, dry_run=False, actor=Actor("person", "boris")
)
DAY = (Shift(9 * 60, 18 * 60),)
OFFICE = Calendar(id=CalendarId("office"), zone=ZoneInfo("UTC"), week=(DAY, DAY, DAY, DAY, DAY, (), ()))


def kinds(decision: Decision) -> list[str]:
    return [step.entry.kind for step in decision.steps]


def test_by_the_policy_by_which_it_runs_nothing_moves(a_case: ACase, staff: Staff, hours: Hours) -> None:
    for case in (a_case(), a_case("contacted"), fire(a_case(), POLICY, staff, hours(37)).case):
        assert recompute(case, POLICY, staff, ASKED, hours(38)) == Decision(case)


def test_what_runs_moves_with_its_warnings_and_says_so(a_case: ACase, staff: Staff, hours: Hours) -> None:
    policy = replace(POLICY, first_contact=timedelta(hours=72), warnings=(0.5, 0.9))
    moved = recompute(a_case(), policy, staff, ASKED, hours(40))
    (step,) = moved.steps
    assert isinstance(step.payload, CaseClockChanged)
    assert (step.payload.first_contact_due_at, step.payload.resolution_due_at, step.payload.escalation_due_at) == (
        hours(72),
        hours(240),
        None,
    )
    assert step.entry.actor == Actor("person", "boris")
    assert step.entry.details["first_contact_due_at_before"] == hours(48).isoformat()
    # The first warning's moment has passed, and it is not given after the fact; the second lies ahead.
    assert (moved.case.first_contact.stage, moved.case.first_contact.warn_at) == (Stage.RUNNING, hours(64.8))
    assert recompute(moved.case, policy, staff, ASKED, hours(40)) == Decision(moved.case)


def test_too_late_by_the_new_instant_it_breaches_and_climbs_once(a_case: ACase, staff: Staff, hours: Hours) -> None:
    policy = replace(POLICY, first_contact=timedelta(hours=8))
    found = recompute(a_case(), policy, staff, ASKED, hours(20))
    assert kinds(found) == ["clock_changed", "clock_breached", "escalated"]
    assert breached_by(found) == ["first_contact"]
    again = recompute(found.case, policy, staff, ASKED, hours(20))
    assert again == Decision(found.case)
    # A breach that was told stays, whatever time the next policy gives.
    assert recompute(found.case, POLICY, staff, ASKED, hours(21)).case.first_contact.stage is Stage.BREACHED


def test_a_levels_clock_counts_from_when_the_case_came_there(
    a_case: ACase, staff: Staff, a_cause: ACause, hours: Hours
) -> None:
    case = commands.escalate(a_case(), "no_authority", POLICY, staff, a_cause(hours(1))).case
    longer = recompute(case, replace(POLICY, management=timedelta(hours=36)), staff, ASKED, hours(2)).case
    assert longer.escalation is not None
    assert longer.escalation.due_at == hours(37)
    gone = recompute(case, replace(POLICY, management=timedelta(hours=2)), staff, ASKED, hours(5))
    assert (kinds(gone), gone.case.level) == (["clock_changed", "clock_breached", "escalated"], "executive")


def test_what_was_paused_is_added_also_by_a_calendar(
    a_case: ACase, staff: Staff, a_cause: ACause, hours: Hours
) -> None:
    case = waiting.wait(a_case("contacted"), "other", hours(48), POLICY, a_cause(hours(24))).case
    case = waiting.resume(case, POLICY, a_cause(hours(48))).case
    assert recompute(case, POLICY, staff, ASKED, hours(50)) == Decision(case)
    office = replace(POLICY, calendar=OFFICE, resolution=timedelta(hours=36))
    # Four days of nine hours from Monday 9:00 end on Thursday; Tuesday 9:00 to Wednesday 9:00 was paused: one more.
    moved = recompute(case, office, staff, ASKED, hours(50)).case
    assert moved.resolution.due_at == datetime(2026, 1, 9, 18, tzinfo=UTC)


def test_of_a_case_that_waits_nothing_breaches_before_it_goes_on(
    a_case: ACase, staff: Staff, a_cause: ACause, hours: Hours
) -> None:
    case = waiting.wait(a_case("contacted"), "other", hours(100), POLICY, a_cause(hours(24))).case
    short = replace(POLICY, resolution=timedelta(hours=48))
    moved = recompute(case, short, staff, ASKED, hours(60))
    assert kinds(moved) == ["clock_changed"]
    on = waiting.resume(moved.case, short, a_cause(hours(60)))
    assert on.case.resolution.due_at == hours(48 + 36)
    assert fire(on.case, short, staff, hours(60)).steps == ()


def test_a_further_round_counts_from_its_reopening(a_case: ACase, staff: Staff, a_cause: ACause, hours: Hours) -> None:
    case = commands.reopen(a_case("confirmed"), "by_hand", POLICY, staff, a_cause(hours(10)), since=hours(10)).case
    assert recompute(case, POLICY, staff, ASKED, hours(11)) == Decision(case)
    moved = recompute(case, replace(POLICY, reopened_first_contact=timedelta(hours=6)), staff, ASKED, hours(11)).case
    assert moved.first_contact.due_at == hours(16)


@pytest.mark.parametrize("status", ["resolved", "confirmed", "unconfirmed"])
def test_what_the_customer_was_promised_stays(a_case: ACase, staff: Staff, hours: Hours, status: str) -> None:
    case = a_case(status)
    policy = replace(POLICY, confirmation=timedelta(days=1), resolution=timedelta(hours=1))
    assert recompute(case, policy, staff, ASKED, hours(100)) == Decision(case)


def test_only_cases_of_the_calendar_are_meant_where_one_is_named() -> None:
    asked = replace(ASKED, calendar_id="office")
    assert asked.concerns(replace(POLICY, calendar=OFFICE))
    assert not asked.concerns(POLICY)
    assert ASKED.concerns(POLICY)


policies = st.builds(
    lambda contact, resolution, calendar, warnings: replace(
        POLICY,
        first_contact=timedelta(hours=contact),
        resolution=timedelta(hours=contact + resolution),
        calendar=calendar,
        warnings=warnings,
    ),
    st.integers(1, 72),
    st.integers(0, 300),
    st.sampled_from([None, OFFICE]),
    st.sampled_from([(0.75,), (0.5, 0.75, 0.9)]),
)


@given(st.lists(st.tuples(policies, st.floats(0, 60)), min_size=1, max_size=5))
def test_however_often_the_rules_change_each_clock_breaches_once_and_never_early(
    a_case: ACase, staff: Staff, changes: list[tuple[Policy, float]]
) -> None:
    case, now = a_case(), MONDAY
    breached: list[object] = []
    causes: list[tuple[UUID, str]] = []
    for number, (policy, later) in enumerate(changes):
        now += timedelta(hours=later)
        asked = replace(ASKED, id=UUID(int=number))
        fired = fire(case, policy, staff, now)
        moved = recompute(fired.case, policy, staff, asked, now)
        case = moved.case
        for step in (*fired.steps, *moved.steps):
            causes.append((step.cause.id, step.entry.kind))
            due_at = step.entry.details.get("due_at")
            if step.entry.kind == "clock_breached":
                assert isinstance(due_at, str)
                assert datetime.fromisoformat(due_at) <= now
                breached.append(step.entry.details["clock"])
        assert case.fires_at is not None
        assert case.fires_at > now
    of_the_answer = [clock for clock in breached if clock != "escalation"]
    assert len(of_the_answer) == len(set(of_the_answer))
    assert len(causes) == len(set(causes))


def test_clocks_that_nobody_looks_at_or_that_are_late_are_an_alarm(hours: Hours) -> None:
    def checking(cases_at: datetime, oldest_at: datetime | None = None) -> Checking:
        rounds: dict[ClockLoop, datetime] = {"cases": cases_at, "callbacks": hours(1), "tasks": hours(1)}
        return Checking(hours(1), rounds, oldest_at, None)

    minute = timedelta(minutes=1)
    assert checking(hours(1) - minute).alarm is None
    assert checking(hours(1) - minute - timedelta(seconds=1)).alarm == "not_checked"
    assert checking(hours(1), hours(2)).late == timedelta(0)
    assert checking(hours(1), hours(1) - minute).alarm is None
    late = checking(hours(1), hours(0))
    assert (late.alarm, late.late) == ("late", timedelta(hours=1))
