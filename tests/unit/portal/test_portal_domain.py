from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.portal.domain.casefile import (
    Action,
    Status,
    instant_in,
    latest_wait,
    offered,
    path_of,
    running,
    steps_done,
)
from services.portal.domain.health import LoopStep, steps_of
from services.portal.domain.people import RIGHTS, Person, PersonId, Right, Role, normal_login
from services.portal.domain.period import Period, parse_period, span_of
from services.portal.domain.plot import Nps, on_scale, segments

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RUNNING = (Action.CALLBACK, Action.ASSIGN, Action.ESCALATE, Action.TASK, Action.COMMENT, Action.NOTE)
LATER = NOW + timedelta(days=5)


def an_nps(*, promoters: int = 0, passives: int = 0, detractors: int = 0) -> Nps:
    n = promoters + passives + detractors
    return Nps(n, promoters, passives, detractors, nps=0.0, low=-10.0, high=10.0)


def a_person(role: Role) -> Person:
    return Person(PersonId("p"), "p", "P", "p@example.org", role, "en")


def test_every_role_has_its_rights_and_only_those_who_close_loops_see_cases() -> None:
    assert set(RIGHTS) == set(Role)
    see_cases = {role for role in Role if a_person(role).may(Right.CASES)}
    assert see_cases == {Role.AGENT, Role.MANAGER, Role.EXECUTIVE, Role.ADMINISTRATOR}
    assert all(a_person(role).may(Right.EVENTS) and a_person(role).may(Right.METRICS) for role in Role)


def test_a_login_is_compared_without_case_and_space() -> None:
    assert normal_login("  Irina@Example.org ") == normal_login("irina@example.ORG")


@pytest.mark.parametrize(
    ("status", "level", "actions"),
    [
        ("open", "frontline", [Action.CONTACT, *RUNNING]),
        ("contacted", "management", [Action.RESOLVE, Action.WAIT, Action.CONTACT, *RUNNING]),
        (
            "contacted",
            "executive",
            [Action.RESOLVE, Action.WAIT, Action.CONTACT, *(each for each in RUNNING if each is not Action.ESCALATE)],
        ),
        ("resolved", "frontline", [Action.REOPEN, Action.CONTACT, Action.ASSIGN, Action.COMMENT, Action.NOTE]),
        ("closed", "frontline", [Action.REOPEN, Action.COMMENT, Action.NOTE]),
    ],
)
def test_a_page_offers_what_the_case_allows_the_likeliest_first(
    status: Status, level: str, actions: list[Action]
) -> None:
    assert list(offered(status, level)) == actions


def test_the_loop_is_closed_only_by_the_customers_word() -> None:
    assert [steps_done(status, None) for status in ("open", "contacted", "resolved")] == [1, 2, 3]
    assert steps_done("closed", "unconfirmed") == 3
    assert steps_done("closed", "confirmed") == 4


@pytest.mark.parametrize(
    ("status", "clock", "due_at"),
    [
        ("open", "first_contact", NOW),
        ("contacted", "resolution", LATER),
        ("resolved", "confirmation", LATER + timedelta(days=7)),
    ],
)
def test_the_clock_that_counts_follows_the_status(status: Status, clock: str, due_at: datetime) -> None:
    found = running(status, first_contact_due_at=NOW, resolution_due_at=LATER, confirm_by=LATER + timedelta(days=7))
    assert found is not None
    assert (found.clock, found.due_at) == (clock, due_at)


def test_a_closed_case_has_no_clock_and_of_two_the_earlier_counts() -> None:
    assert running("closed", first_contact_due_at=NOW, resolution_due_at=LATER, confirm_by=None) is None
    odd = running("open", first_contact_due_at=LATER, resolution_due_at=NOW, confirm_by=None)
    assert odd is not None
    assert odd.clock == "resolution"


@pytest.mark.parametrize(
    ("type_", "facts", "steps"),
    [
        ("survey.response.scored.v1", {"nps_class": "detractor"}, [LoopStep.ANSWERED, LoopStep.DETRACTOR]),
        ("survey.response.scored.v1", {"nps_class": None}, [LoopStep.ANSWERED]),
        ("survey.response.rescored.v1", {"nps_class": "detractor"}, []),
        ("case.contacted.v1", {"first_reached": True}, [LoopStep.REACHED]),
        ("case.contacted.v1", {"first_reached": False}, []),
        ("case.closed.v1", {"outcome": "confirmed"}, [LoopStep.CONFIRMED]),
        ("case.closed.v1", {"outcome": "unconfirmed"}, [LoopStep.UNCONFIRMED]),
        ("case.assigned.v1", {}, []),
    ],
)
def test_each_event_counts_as_the_steps_that_it_is(type_: str, facts: dict[str, object], steps: list[LoopStep]) -> None:
    assert steps_of(type_, facts) == steps


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 10_000))
def test_the_bar_is_filled_from_end_to_end_by_the_classes_that_are_there(p: int, q: int, d: int) -> None:
    parts = segments(an_nps(promoters=p, passives=q, detractors=d))
    assert [part.count for part in parts] == [count for count in (d, q, p) if count]
    if parts:
        assert parts[0].start == 0
        assert parts[-1].start + parts[-1].length == pytest.approx(100)
        for left, right in pairwise(parts):
            assert left.start + left.length == pytest.approx(right.start)


def test_the_scale_runs_from_minus_to_plus_a_hundred_and_no_further() -> None:
    assert [on_scale(value) for value in (-100, -50, 0, 100, 250, -250)] == [0, 25, 50, 100, 100, 0]


@pytest.mark.parametrize(("n", "few"), [(0, False), (1, True), (29, True), (30, False)])
def test_few_answers_carry_a_warning(n: int, few: bool) -> None:  # noqa: FBT001 - a table
    assert an_nps(promoters=n).few is few


def test_today_is_the_companys_day_and_a_week_is_seven_of_them() -> None:
    moscow = ZoneInfo("Europe/Moscow")
    late = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
    today = span_of(Period.TODAY, now=late, zone=moscow)
    assert today.since == datetime(2026, 11, 21, tzinfo=moscow)
    assert today.until == datetime(2026, 11, 22, tzinfo=moscow)
    assert span_of(Period.WEEK, now=late, zone=moscow).since == datetime(2026, 11, 15, tzinfo=moscow)


def test_the_day_on_which_the_clocks_change_has_its_own_length() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    span = span_of(Period.TODAY, now=datetime(2026, 10, 25, 12, tzinfo=UTC), zone=berlin)
    assert span.until.astimezone(UTC) - span.since.astimezone(UTC) == timedelta(hours=25)


@pytest.mark.parametrize("written", [None, "", "decade", "TODAY"])
def test_a_period_that_there_is_not_is_today(written: str | None) -> None:
    assert parse_period(written) is Period.TODAY


def test_who_waits_may_go_on_first_of_all_and_cannot_wait_twice() -> None:
    assert offered("contacted", "frontline", waiting=True) == (
        Action.RESUME,
        Action.RESOLVE,
        Action.CONTACT,
        *RUNNING,
    )


def test_pauses_of_a_round_count_together_against_the_longest_wait() -> None:
    pauses = [(NOW - timedelta(days=3), NOW - timedelta(days=1)), (NOW - timedelta(hours=5), NOW)]
    assert latest_wait(timedelta(days=7), pauses, now=NOW) == NOW + timedelta(days=4, hours=19)


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2026-11-24T18:30", datetime(2026, 11, 24, 15, 30, tzinfo=UTC)),
        ("2026-11-24", datetime(2026, 11, 23, 21, tzinfo=UTC)),
        ("soon", None),
        ("0001-01-01T00:00", None),
        ("", None),
    ],
)
def test_a_day_and_a_time_are_those_of_the_company(written: str, instant: datetime | None) -> None:
    assert instant_in(written, ZoneInfo("Europe/Moscow")) == instant


def test_an_agreed_callback_is_moved_or_cancelled_before_another_is_agreed() -> None:
    found = offered("open", "frontline", agreed=True)
    assert Action.CALLBACK not in found
    assert found[1:3] == (Action.MOVE_CALLBACK, Action.CANCEL_CALLBACK)
    assert path_of(Action.MOVE_CALLBACK, "7") == "callbacks/7/move"
    assert path_of(Action.ASSIGN, "") == "assign"
