"""What outcomes mean, what answers tell of people, and which page a round shows."""

from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.contracts.cases import CaseClockBreached, CaseClockReminded, CaseClockWarned, Employee
from libs.events.event import Event
from services.notify.api.throttle import Throttle
from services.notify.domain.mailboxes import is_address
from services.notify.domain.messages import Entry, MessageId, Status, message_id, notices_of
from services.notify.domain.outcomes import (
    RETRY,
    Accepted,
    Deferred,
    Outcome,
    Refused,
    Released,
    Unanswered,
    Withdrawn,
    scrub,
    settle,
)
from services.notify.domain.rounds import ANSWER_GRACE, Ending, View, stronger, takes, view
from services.notify.jobs import left_behind
from services.notify.store.delivery import Abandoned
from services.notify.texts import at, moment_in_short, zone

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Accepted("250 ok"), Status.SENT),
        (Refused("550 no"), Status.FAILED),
        (Deferred("451 later"), Status.QUEUED),
        (Unanswered("silence"), Status.DOUBTFUL),
        (Released(), Status.QUEUED),
    ],
)
def test_each_outcome_has_its_status(outcome: Outcome, status: Status) -> None:
    settlement = settle(outcome, 0)
    assert settlement is not None
    assert settlement.status is status


def test_a_message_that_is_no_longer_ours_is_left_alone() -> None:
    assert settle(Withdrawn(), 0) is None


def test_later_means_ever_later_and_not_for_ever() -> None:
    waits = [settle(Deferred("451 later"), failures) for failures in range(19)]
    assert all(each is not None and each.status is Status.QUEUED for each in waits)
    spans = [each.wait for each in waits if each is not None and each.wait is not None]
    assert timedelta(seconds=5) <= spans[0] <= timedelta(seconds=10)
    assert timedelta(minutes=30) <= spans[-1] <= timedelta(hours=1)
    assert timedelta(hours=5) < sum(spans, timedelta()) < timedelta(hours=13)
    last = settle(Deferred("451 later"), 19)
    assert last is not None
    assert (last.status, last.reason) == (Status.FAILED, "given up after 20 attempts: 451 later")
    assert RETRY.attempts == 20


def test_an_outage_counts_against_no_message() -> None:
    released = settle(Released(), 7)
    assert released is not None
    assert (released.failed_once_more, released.wait) == (False, timedelta(0))


@given(st.emails(), st.text(max_size=80), st.text(max_size=80))
def test_no_answer_tells_the_address(address: str, before: str, after: str) -> None:
    told = scrub(f"550 {before} <{address}> {address.upper()} {after}", address)
    assert address.lower() not in told.lower()
    assert len(told) <= 300
    assert "\n" not in told


def test_an_answer_about_a_mailbox_does_not_tell_whose() -> None:
    assert scrub("552 mailbox anna.petrova is full", "Anna.Petrova@mail.example") == "552 mailbox <address> is full"


def test_a_dead_senders_message_is_tried_again_or_doubted() -> None:
    entry = Entry(
        id=MessageId(uuid4()),
        cause_id=uuid4(),
        kind="case_assigned",
        case_id="case-1",
        customer_id=None,
        employee_id="e-1",
    )
    again = left_behind(Abandoned(entry, Status.SENDING, 0))
    assert (again.status, again.wait, again.failed_once_more) == (Status.QUEUED, timedelta(0), True)
    assert left_behind(Abandoned(entry, Status.TRANSMITTING, 0)).status is Status.DOUBTFUL
    assert left_behind(Abandoned(entry, Status.SENDING, 19)).status is Status.FAILED


@pytest.mark.parametrize("address", ["a@b", "иван@почта.рф", "a.b+c@mail.example"])
def test_addresses_that_can_be_written_to(address: str) -> None:
    assert is_address(address)


@pytest.mark.parametrize(
    "address", [None, "", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\r\nRCPT TO:<x@y>", "<a@b>", "a,b@c"]
)
def test_addresses_that_cannot(address: str | None) -> None:
    assert not is_address(address)


def test_the_same_cause_and_recipient_have_one_message_ever() -> None:
    cause = uuid4()
    assert message_id(cause, "employee:1") == message_id(cause, "employee:1")
    assert message_id(cause, "employee:1") != message_id(cause, "employee:2")
    assert message_id(cause, "employee:1") != message_id(uuid4(), "employee:1")


def test_a_breach_without_a_manager_is_told_to_the_owner_alone() -> None:
    owner = Employee(employee_id="e-1", name="Anna", email="anna@company.example", language="ru")
    breached = CaseClockBreached(
        case_id="case-1",
        customer_id="c-1",
        version=3,
        clock="resolution",
        due_at=MONDAY,
        owner=owner,
        responsible=None,
    )
    event = Event.root(uuid4(), breached, subject="case-1", time=MONDAY, source="/casework")
    assert [notice.recipient for notice in notices_of(event)] == ["employee:e-1"]


def test_who_was_asked_is_told_that_their_time_runs_out_and_is_reminded() -> None:
    owner = Employee(employee_id="e-1", name="Anna", email="anna@company.example", language="ru")
    boss = Employee(employee_id="e-2", name="Boris", email="boris@company.example", language="en")
    heading: dict[str, Any] = {
        "case_id": "case-1",
        "customer_id": "c-1",
        "version": 3,
        "due_at": MONDAY,
        "owner": owner,
    }
    for payload, kind, told in (
        (CaseClockWarned(**heading, clock="escalation", responsible=boss), "clock_warned", "e-2"),
        (CaseClockWarned(**heading, clock="escalation"), "clock_warned", "e-1"),
        (CaseClockWarned(**heading, clock="resolution"), "clock_warned", "e-1"),
        (CaseClockReminded(**heading, clock="escalation", responsible=boss), "clock_breached", "e-2"),
    ):
        (notice,) = notices_of(Event.root(uuid4(), payload, subject="case-1", time=MONDAY, source="/casework"))
        assert (notice.kind, notice.recipient) == (kind, f"employee:{told}")
    nobody = CaseClockReminded(**heading, clock="escalation", responsible=None)
    assert notices_of(Event.root(uuid4(), nobody, subject="case-1", time=MONDAY, source="/casework")) == ()


ENDINGS = st.one_of(st.none(), st.sampled_from(get_args(Ending)))


@pytest.mark.parametrize(
    ("ended", "solved", "late", "shown"),
    [
        (None, None, False, View.ASK),
        ("unconfirmed", None, False, View.ASK_LATE),
        ("unconfirmed", None, True, View.OVER),
        (None, None, True, View.OVER),
        (None, True, False, View.SAID_YES),
        ("confirmed", True, False, View.SAID_YES),
        ("confirmed", True, True, View.SAID_YES_LONG_AGO),
        (None, False, False, View.SAID_NOT_YET),
        ("reopened", False, False, View.SAID_NOT_YET),
        ("reopened", None, False, View.REOPENED),
        ("reopened", True, False, View.REOPENED),
        ("asked_again", False, False, View.ASKED_AGAIN),
        ("asked_again", None, True, View.ASKED_AGAIN),
    ],
)
def test_a_round_shows(*, ended: Ending | None, solved: bool | None, late: bool, shown: View) -> None:
    now = MONDAY + (ANSWER_GRACE if late else ANSWER_GRACE - timedelta(seconds=1))
    assert view(ended=ended, solved=solved, confirm_by=MONDAY, now=now) is shown


@given(ended=ENDINGS, solved=st.one_of(st.none(), st.booleans()), hours=st.integers(-1000, 2000), word=st.booleans())
def test_what_was_said_is_never_said_again_and_a_no_is_never_taken_back(
    *, ended: Ending | None, solved: bool | None, hours: int, word: bool
) -> None:
    shown = view(ended=ended, solved=solved, confirm_by=MONDAY, now=MONDAY + timedelta(hours=hours))
    if takes(shown, solved=word):
        assert solved is None or (solved and not word)
        assert ended in (None, "confirmed", "unconfirmed")
        assert hours < ANSWER_GRACE / timedelta(hours=1)


@given(st.lists(st.sampled_from(get_args(Ending)), min_size=1))
def test_a_newer_question_beats_a_reopening_beats_a_closing(endings: list[Ending]) -> None:
    ended: Ending | None = None
    for each in endings:
        ended = stronger(ended, each)
    closings = [each for each in endings if each in ("confirmed", "unconfirmed")]
    if "asked_again" in endings:
        assert ended == "asked_again"
    elif "reopened" in endings:
        assert ended == "reopened"
    else:
        assert ended == closings[-1]


def test_a_throttle_lets_a_few_through_at_once_and_then_some_each_minute() -> None:
    now = 0.0
    throttle = Throttle(burst=3, per_minute=60, capacity=2, clock=lambda: now)
    assert [throttle.admits("a") for _ in range(5)] == [True, True, True, False, False]
    assert throttle.admits("b")
    now = 1.0
    assert [throttle.admits("a") for _ in range(2)] == [True, False]
    throttle.admits("c")
    throttle.admits("d")
    assert len(throttle._buckets) == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Europe/Moscow", "понедельник, 2 марта, 12:00 (GMT+3)"),
        ("Asia/Kolkata", "понедельник, 2 марта, 14:30 (GMT+5:30)"),
        ("UTC", "понедельник, 2 марта, 09:00 (GMT+0)"),
        ("America/New_York", "понедельник, 2 марта, 04:00 (GMT-5)"),
        ("../../etc/passwd", "понедельник, 2 марта, 12:00 (GMT+3)"),
        ("", "понедельник, 2 марта, 12:00 (GMT+3)"),
        (None, "понедельник, 2 марта, 12:00 (GMT+3)"),
    ],
)
def test_moments_are_said_in_a_zone(name: str | None, said: str) -> None:
    assert at(MONDAY, "ru", zone(name, "Europe/Moscow")) == said


def test_moments_in_short() -> None:
    where = zone("Europe/Moscow", "UTC")
    assert moment_in_short(MONDAY, "ru", where) == "2 марта, 12:00"
    assert moment_in_short(MONDAY, "en", where) == "2 March, 12:00"
