"""Tasks: they belong to somebody, hold the case until they end, and their clocks speak once."""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from msgspec.structs import replace

from libs.events.contracts.cases import CaseEscalated, CaseTaskBreached, CaseTaskDeclined, CaseTaskOpened
from libs.events.event import derived_id
from services.casework.domain import commands, tasks
from services.casework.domain.agents import Agent, Staff
from services.casework.domain.cases import Case
from services.casework.domain.clocks import deadline
from services.casework.domain.errors import AlreadyClosed, AlreadyResolved, TaskEnded, TasksOpen
from services.casework.domain.names import AgentId, RootCauseId, TaskKind
from services.casework.domain.policies import DEFAULT_POLICIES
from services.casework.domain.tasks import Moment, TaskId, TaskState
from services.casework.domain.timeline import Cause

POLICY = DEFAULT_POLICIES["standard"]
ACase = Callable[..., Case]
Hours = Callable[[float], datetime]
Open = Callable[..., Moment]
BORIS = AgentId("boris")


@pytest.fixture
def opened(staff: Staff, a_cause: Callable[..., Cause], hours: Hours) -> Open:
    """A task for Boris on a case, due 48 hours after the answer."""

    def make(case: Case, kind: TaskKind = "department", number: int = 1) -> Moment:
        clock = deadline(None, hours(0), timedelta(hours=48), (0.5, 0.75), timedelta(0))
        return tasks.open_task(
            case,
            TaskId(UUID(int=number)),
            kind,
            "Проверить счёт",
            staff.agents[BORIS],
            clock,
            staff,
            a_cause(hours(0)),
            department_id="billing",
        )

    return make


def test_a_case_is_not_resolved_before_the_departments_have_answered(
    a_case: ACase, staff: Staff, a_cause: Callable[..., Cause], opened: Open
) -> None:
    case = opened(a_case("contacted")).decision.case
    with pytest.raises(TasksOpen) as refused:
        commands.resolve(case, RootCauseId("service"), POLICY, staff, a_cause(), open_tasks=1)
    assert refused.value.tasks == 1
    assert commands.resolve(case, RootCauseId("service"), POLICY, staff, a_cause()).case.round == 1


@pytest.mark.parametrize(
    ("status", "kind", "refusal"),
    [
        ("resolved", "department", AlreadyResolved),
        ("confirmed", "department", AlreadyClosed),
        ("confirmed", "follow_up", AlreadyClosed),
    ],
)
def test_an_ended_case_asks_nobody_for_anything(
    a_case: ACase, opened: Open, status: str, kind: str, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        opened(a_case(status), kind)
    assert opened(a_case("resolved"), "follow_up").task.state is TaskState.OPEN


def test_each_step_is_a_line_and_an_event_of_the_case(
    a_case: ACase, staff: Staff, a_cause: Callable[..., Cause], opened: Open, an_agent: Callable[..., Agent]
) -> None:
    case = a_case("contacted")
    one = opened(case)
    assert (one.task.state, one.task.owner_id) == (TaskState.OPEN, "boris")
    assigned = tasks.assign_task(one.decision.case, one.task, staff.agents[AgentId("vera")], a_cause())
    ended = tasks.decline(assigned.decision.case, assigned.task, "not_ours", staff, a_cause(), note="Это к логистам")
    steps = [*one.decision.steps, *assigned.decision.steps, *ended.decision.steps]
    assert [(step.entry.kind, step.entry.version - case.version) for step in steps] == [
        ("task_opened", 1),
        ("task_assigned", 2),
        ("task_declined", 3),
    ]
    told = [step.payload for step in steps]
    assert isinstance(told[0], CaseTaskOpened)
    assert isinstance(told[2], CaseTaskDeclined)
    assert (told[0].case_owner.employee_id, told[2].owner.employee_id, told[2].reason) == ("anna", "vera", "not_ours")
    assert (ended.task.state, ended.task.declined_because, ended.task.fires_at) == (
        TaskState.DECLINED,
        "not_ours",
        None,
    )
    with pytest.raises(TaskEnded):
        tasks.finish(case, ended.task, staff, a_cause())
    with pytest.raises(TaskEnded):
        tasks.decline(case, ended.task, "other", staff, a_cause())
    with pytest.raises(TaskEnded):
        tasks.assign_task(case, ended.task, an_agent("zoya"), a_cause())
    assert tasks.assign_task(case, one.task, staff.agents[BORIS], a_cause()).decision.steps == ()


def test_several_tasks_of_one_command_have_events_of_their_own(a_case: ACase, opened: Open) -> None:
    case = a_case("contacted")
    first = opened(case, number=1)
    second = opened(first.decision.case, number=2)
    (one,), (other,) = first.decision.steps, second.decision.steps
    type_ = CaseTaskOpened.TYPE
    assert derived_id(one.cause.id, type_) != derived_id(other.cause.id, type_)


def test_a_late_task_warns_then_breaches_once_and_the_case_climbs(
    a_case: ACase, staff: Staff, opened: Open, hours: Hours
) -> None:
    moment = opened(a_case("contacted"))
    kinds: list[str] = []
    for hour in (23, 24, 30, 36, 47.9, 48, 49, 500):
        moment = tasks.fire_task(
            moment.decision.case, moment.task, POLICY, staff, {"billing": AgentId("vera")}, hours(hour)
        )
        kinds += [f"{hour}:{step.entry.kind}" for step in moment.decision.steps]
        for step in moment.decision.steps:
            match step.payload:
                case CaseTaskBreached(manager=manager, case_owner=owner):
                    assert manager is not None
                    assert (manager.employee_id, owner.employee_id) == ("vera", "anna")
                case CaseEscalated(reason=reason, to_level=level):
                    assert (reason, level) == ("task_overdue", "management")
    assert kinds == ["24:task_warned", "36:task_warned", "48:task_breached", "48:escalated"]
    assert moment.task.clock.is_breached


def test_a_promise_that_is_not_kept_is_told_and_lifts_no_case(
    a_case: ACase, staff: Staff, opened: Open, hours: Hours
) -> None:
    for status in ("contacted", "resolved"):
        moment = opened(a_case(status), "follow_up")
        fired = tasks.fire_task(moment.decision.case, moment.task, POLICY, staff, {}, hours(60))
        assert [step.entry.kind for step in fired.decision.steps] == ["task_breached"]
        assert fired.decision.case.level == "frontline"


def test_at_the_top_a_late_task_asks_the_executives_again(
    a_case: ACase, staff: Staff, opened: Open, hours: Hours
) -> None:
    moment = opened(a_case("contacted"))
    case = replace(moment.decision.case, level="executive", responsible_id=AgentId("vera"))
    fired = tasks.fire_task(case, moment.task, POLICY, staff, {}, hours(48))
    assert [step.entry.kind for step in fired.decision.steps] == ["task_breached"]
    assert fired.decision.case.escalation is not None
