"""The life of an initiative, and the quarter in which customers have to hear of it."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from libs.events.contracts.cases import Employee
from services.casework.domain import initiatives as domain
from services.casework.domain.clocks import Stage
from services.casework.domain.errors import InitiativeRefused
from services.casework.domain.initiatives import Evidence, Initiative, InitiativeId, Moment, Status
from services.casework.domain.names import AgentId, RootCauseId
from services.casework.domain.timeline import CLOCK, Actor, Cause

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
OWNER = Employee(employee_id="boris", name="Boris", email="boris@example.org", language="ru")
EVIDENCE = Evidence(cases=12, customers=11, value_at_stake=5_000.0, earliest_feedback_at=MONDAY)


def cause(number: int = 1, at: datetime = MONDAY) -> Cause:
    return Cause(UUID(int=number), at, Actor("person", "vera"))


def a_draft(**changes: object) -> Initiative:
    draft = Initiative(
        id=InitiativeId(UUID(int=7)),
        title="A second counter in the morning",
        problem="Customers wait forty minutes",
        root_causes=(RootCauseId("service.waiting"),),
        themes=("waiting",),
        department_id="branches",
        owner_id=AgentId("boris"),
        status=Status.PROPOSED,
        proposed_at=MONDAY,
    )
    return replace(draft, **changes)


def proposed() -> Initiative:
    return domain.propose(a_draft(), EVIDENCE, OWNER, cause()).initiative


def approve(initiative: Initiative) -> Moment:
    return domain.approve(
        initiative, OWNER, cause(2), due_on=date(2026, 3, 1), budget=100.0, currency="RUB", reason="it pays"
    )


def decline(initiative: Initiative) -> Moment:
    return domain.decline(initiative, OWNER, cause(3), reason="the branch closes")


def start(initiative: Initiative) -> Moment:
    return domain.start(initiative, OWNER, cause(4))


def ship(initiative: Initiative) -> Moment:
    return domain.ship(initiative, OWNER, cause(5), learned="a", changed="b", next_steps=None)


def told(initiative: Initiative, at: datetime = MONDAY) -> Moment | None:
    return domain.communicated(initiative, OWNER, cause(6), campaign_id="c-1", sent_at=at)


STEPS: dict[str, Callable[[Initiative], Moment]] = {
    "approve": approve,
    "decline": decline,
    "start": start,
    "ship": ship,
}
ALLOWED = {
    ("proposed", "approve"): "approved",
    ("proposed", "decline"): "declined",
    ("approved", "decline"): "declined",
    ("approved", "start"): "in_progress",
    ("in_progress", "ship"): "shipped",
}


@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=8))
def test_no_step_leads_anywhere_but_along_the_arrows_of_the_picture(steps: list[str]) -> None:
    initiative = proposed()
    for step in steps:
        target = ALLOWED.get((initiative.status.value, step))
        if target is None:
            with pytest.raises(InitiativeRefused):
                STEPS[step](initiative)
            continue
        moment = STEPS[step](initiative)
        assert moment.initiative.status == target
        assert moment.initiative.version == initiative.version + 1
        assert moment.payload is not None
        initiative = moment.initiative


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (datetime(2026, 1, 5, 9, tzinfo=UTC), datetime(2026, 4, 5, 9, tzinfo=UTC)),
        (datetime(2025, 11, 30, 9, tzinfo=UTC), datetime(2026, 2, 28, 9, tzinfo=UTC)),
        (datetime(2027, 11, 30, 9, tzinfo=UTC), datetime(2028, 2, 29, 9, tzinfo=UTC)),
        (datetime(2026, 12, 31, 23, 59, tzinfo=UTC), datetime(2027, 3, 31, 23, 59, tzinfo=UTC)),
    ],
)
def test_a_quarter_is_three_months_of_the_calendar(since: datetime, until: datetime) -> None:
    assert domain.a_quarter_after(since) == until


@given(st.integers(0, 4 * 10**9), st.integers(0, 10**9))
def test_later_feedback_never_ends_the_quarter_earlier(after_1970: int, seconds: int) -> None:
    since = datetime.fromtimestamp(after_1970, UTC)
    later = since + timedelta(seconds=seconds)
    assert domain.a_quarter_after(since) <= domain.a_quarter_after(later)
    assert timedelta(days=89) <= domain.a_quarter_after(since) - since <= timedelta(days=92)


def test_earlier_feedback_moves_the_end_nearer_and_later_feedback_moves_nothing() -> None:
    initiative = proposed()
    assert initiative.communicate_by == datetime(2026, 4, 5, 9, tzinfo=UTC)
    later = domain.add_cases(initiative, 3, MONDAY + timedelta(days=9), cause())
    assert later is not None
    assert later.initiative.communicate_by == initiative.communicate_by
    earlier = domain.add_cases(initiative, 3, MONDAY - timedelta(days=5), cause())
    assert earlier is not None
    assert earlier.initiative.communicate_by == datetime(2026, 3, 31, 9, tzinfo=UTC)


def fire(initiative: Initiative, now: datetime) -> Moment | None:
    return domain.fire(initiative, OWNER, now, lambda id_: Cause(id_, now, CLOCK))


def test_the_quarter_warns_once_when_a_third_is_left_and_breaches_once_at_its_end() -> None:
    initiative = proposed()
    warn_at = initiative.fires_at
    assert warn_at == MONDAY + timedelta(days=60)
    assert fire(initiative, warn_at - timedelta(microseconds=1)) is None

    warned = fire(initiative, warn_at)
    assert warned is not None
    assert warned.kind == "clock_warned"
    assert warned.initiative.fires_at == initiative.communicate_by
    assert fire(warned.initiative, warn_at) is None

    breached = fire(warned.initiative, datetime(2026, 4, 5, 9, tzinfo=UTC))
    assert breached is not None
    assert breached.kind == "clock_breached"
    assert breached.initiative.fires_at is None
    assert fire(breached.initiative, datetime(2030, 1, 1, tzinfo=UTC)) is None


def test_found_late_the_quarter_breaches_without_a_warning_after_the_fact() -> None:
    moment = fire(proposed(), datetime(2026, 4, 6, tzinfo=UTC))
    assert moment is not None
    assert (moment.kind, moment.initiative.clock_stage) == ("clock_breached", Stage.BREACHED)


def test_the_same_firing_has_the_same_cause_whoever_comes_first() -> None:
    first, second = (fire(proposed(), datetime(2026, 4, day, tzinfo=UTC)) for day in (6, 7))
    assert first is not None
    assert second is not None
    assert first.cause.id == second.cause.id


def test_only_a_campaign_that_was_sent_stops_the_quarter() -> None:
    shipped = ship(start(approve(proposed()).initiative).initiative).initiative
    assert shipped.fires_at is not None
    moment = told(shipped, MONDAY + timedelta(days=80))
    assert moment is not None
    assert moment.initiative.fires_at is None
    assert moment.payload is not None
    assert moment.payload.in_time is True  # type: ignore[attr-defined]
    assert told(moment.initiative) is None


def test_what_is_told_after_the_quarter_is_told_late() -> None:
    shipped = ship(start(approve(proposed()).initiative).initiative).initiative
    moment = told(shipped, MONDAY + timedelta(days=100))
    assert moment is not None
    assert moment.payload is not None
    assert moment.payload.in_time is False  # type: ignore[attr-defined]


@pytest.mark.parametrize("initiative", [proposed(), approve(proposed()).initiative, decline(proposed()).initiative])
def test_a_campaign_about_what_has_not_shipped_stops_nothing(initiative: Initiative) -> None:
    assert told(initiative) is None


def test_a_declined_initiative_is_silent_and_is_edited_no_more() -> None:
    declined = decline(proposed()).initiative
    assert declined.fires_at is None
    with pytest.raises(InitiativeRefused):
        domain.add_cases(declined, 1, MONDAY, cause())


def test_an_edit_that_says_nothing_new_is_none() -> None:
    initiative = proposed()
    same = {
        name: getattr(initiative, name)
        for name in ("title", "problem", "root_causes", "themes", "department_id", "owner_id")
    }
    assert domain.edit(initiative, cause(), **same) is None
    other = domain.edit(initiative, cause(), **(same | {"owner_id": AgentId("vera")}))
    assert other is not None
    assert (other.initiative.owner_id, other.initiative.version) == ("vera", 2)
