"""How answers meet cases: opened once, joined, revised, remembered."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from libs.events.contracts.cases import CaseAssigned, CaseJoined, CaseOpened
from services.casework.domain import replies
from services.casework.domain.agents import Agent, Staff
from services.casework.domain.answers import Answer
from services.casework.domain.casebook import Casebook, Intake, Surroundings
from services.casework.domain.cases import Case
from services.casework.domain.names import AgentId, CustomerId, ResponseId, case_id_of
from services.casework.domain.policies import DEFAULT_POLICIES, Policies
from services.casework.domain.routing import Desk
from services.casework.domain.timeline import Cause

AnAnswer = Callable[..., Answer]
AnAgent = Callable[..., Agent]
ACase = Callable[..., Case]

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
NOW = MONDAY + timedelta(hours=1)


class Desktop:
    """Answers taken one after another into one casebook."""

    def __init__(self, staff: Staff) -> None:
        self.staff = staff
        self.previous_owners: dict[CustomerId, AgentId] = {}
        self.erased_at: dict[CustomerId, datetime] = {}

    def take(
        self, *answers: Answer, cases: Iterable[Case] = (), known: Iterable[Answer] = ()
    ) -> tuple[Casebook, dict[str, Answer]]:
        book = Casebook(cases)
        around = Surroundings(
            now=NOW,
            staff=self.staff,
            desk=Desk(self.staff, NOW),
            policies=Policies(DEFAULT_POLICIES),
            previous_owners=self.previous_owners,
            erased_at=self.erased_at,
        )
        intake = Intake(book, known, around)
        for answer in answers:
            intake.take(answer)
        return book, {answer.response_id: answer for answer in intake.taken}


@pytest.fixture
def desktop(staff: Staff) -> Desktop:
    return Desktop(staff)


def kinds(book: Casebook) -> list[str]:
    return [step.entry.kind for step in book.steps]


def test_a_detractor_opens_a_case_whose_id_follows_from_the_answer(desktop: Desktop, an_answer: AnAnswer) -> None:
    book, taken = desktop.take(an_answer("r-7", score=0))
    (change,) = book.changes
    assert (change.before, change.after.id) == (None, case_id_of(ResponseId("r-7")))
    assert (change.after.owner_id, change.after.score, change.after.version) == ("anna", 0, 2)
    assert taken["r-7"].case_id == change.after.id
    opened, assigned = (step.payload for step in book.steps)
    assert isinstance(opened, CaseOpened)
    assert isinstance(assigned, CaseAssigned)
    assert (opened.version, assigned.version, assigned.previous_owner_id) == (1, 2, None)
    assert (opened.owner, assigned.reason) == (assigned.owner, "least_loaded")


@pytest.mark.parametrize(
    "changes",
    [
        {"score": 7},
        {"score": 10},
        {"score": None},
        {"metric": "ces", "score": 1, "nps_class": None},
        {"metric": "csat", "score": 1, "nps_class": None},
    ],
)
def test_who_is_no_detractor_opens_nothing_and_is_remembered(
    desktop: Desktop, an_answer: AnAnswer, changes: dict[str, object]
) -> None:
    book, taken = desktop.take(an_answer(**changes))
    assert (book.changes, taken["r-1"].case_id) == ([], None)


def test_further_answers_of_one_batch_join_the_case_that_the_first_opened(
    desktop: Desktop, an_answer: AnAnswer
) -> None:
    book, taken = desktop.take(an_answer("r-1"), an_answer("r-2", score=5), an_answer("r-3", score=9))
    (change,) = book.changes
    assert kinds(book) == ["opened", "assigned", "joined", "joined"]
    assert {answer.case_id for answer in taken.values()} == {change.after.id}
    assert change.after.score == 3


def test_answers_of_nobody_in_particular_each_open_their_own(desktop: Desktop, an_answer: AnAnswer) -> None:
    book, _ = desktop.take(an_answer("r-1", customer_id=None), an_answer("r-2", customer_id=None))
    assert [change.after.event_key for change in book.changes] == ["r-1", "r-2"]


@pytest.mark.parametrize("status", ["open", "contacted", "resolved"])
@pytest.mark.parametrize("score", [1, 8, 10, None])
def test_whatever_a_customer_with_an_open_case_answers_joins_it(
    desktop: Desktop, an_answer: AnAnswer, a_case: ACase, status: str, score: int | None
) -> None:
    case = a_case(status)
    book, taken = desktop.take(an_answer("r-9", score=score), cases=[case])
    assert kinds(book) == ["joined"]
    assert taken["r-9"].case_id == case.id
    (step,) = book.steps
    assert isinstance(step.payload, CaseJoined)
    assert (step.payload.version, step.payload.score) == (case.version + 1, score)


@pytest.mark.parametrize("status", ["confirmed", "unconfirmed"])
def test_after_a_closed_case_a_detractor_opens_the_next_with_the_same_owner(
    desktop: Desktop, an_answer: AnAnswer, an_agent: AnAgent, a_case: ACase, status: str
) -> None:
    desktop.staff = Staff.of([an_agent("anna", running_cases=9), an_agent("zoya")])
    desktop.previous_owners[CustomerId("c-1")] = AgentId("anna")
    book, _ = desktop.take(an_answer("r-9"), cases=[a_case(status)])
    (change,) = book.changes
    assert (change.before, change.after.owner_id, change.after.owner_reason) == (None, "anna", "previous_owner")


def test_a_late_comment_is_a_revision_of_the_case(desktop: Desktop, an_answer: AnAnswer, a_case: ACase) -> None:
    case = a_case()
    known = an_answer(comment=None).of_case(case.id)
    late = an_answer(revision=2, score=2, comment="И никто не перезвонил")
    book, taken = desktop.take(late, cases=[case], known=[known])
    assert kinds(book) == ["revised"]
    assert (taken["r-1"].comment, taken["r-1"].case_id) == ("И никто не перезвонил", case.id)
    assert book[case.id].score == 2


@pytest.mark.parametrize("revision", [1, 2])
def test_a_revision_seen_before_or_older_changes_nothing(
    desktop: Desktop, an_answer: AnAnswer, a_case: ACase, revision: int
) -> None:
    case = a_case()
    known = an_answer(revision=2).of_case(case.id)
    book, taken = desktop.take(an_answer(revision=revision, score=0), cases=[case], known=[known])
    assert (book.changes, taken) == ([], {})


def test_an_answer_revised_to_a_detractors_opens_a_case(desktop: Desktop, an_answer: AnAnswer) -> None:
    book, _ = desktop.take(an_answer(revision=2, score=4), known=[an_answer(score=8)])
    assert kinds(book) == ["opened", "assigned"]


def test_an_answer_revised_to_a_better_one_leaves_the_case_to_a_person(
    desktop: Desktop, an_answer: AnAnswer, a_case: ACase
) -> None:
    case = a_case()
    book, _ = desktop.take(an_answer(revision=2, score=9), cases=[case], known=[an_answer().of_case(case.id)])
    assert kinds(book) == ["revised"]
    assert (book[case.id].status, book[case.id].score) == ("open", 9)


def test_a_comment_after_the_end_is_added_to_the_closed_case(
    desktop: Desktop, an_answer: AnAnswer, a_case: ACase
) -> None:
    case = a_case("confirmed")
    known = an_answer().of_case(case.id)
    book, taken = desktop.take(an_answer(revision=2, comment="Спасибо"), cases=[case], known=[known])
    assert kinds(book) == ["revised"]
    assert (book[case.id].status, taken["r-1"].case_id) == ("closed", case.id)


def test_the_answer_of_a_closed_case_that_becomes_a_detractors_again_reopens_it(
    desktop: Desktop, an_answer: AnAnswer, a_case: ACase
) -> None:
    case = a_case("confirmed")
    known = an_answer(revision=2, score=9).of_case(case.id)
    book, taken = desktop.take(an_answer(revision=3, score=1), cases=[case], known=[known])
    assert kinds(book) == ["revised", "reopened"]
    assert (book[case.id].status, taken["r-1"].case_id) == ("open", case.id)


def test_a_passive_answer_in_a_closed_case_that_becomes_a_detractors_opens_the_next(
    desktop: Desktop, an_answer: AnAnswer, a_case: ACase
) -> None:
    case = a_case("confirmed")
    known = an_answer("r-2", score=8).of_case(case.id)
    book, taken = desktop.take(an_answer("r-2", revision=2, score=1), cases=[case], known=[known])
    assert kinds(book) == ["opened", "assigned"]
    assert taken["r-2"].case_id == case_id_of(ResponseId("r-2"))


def test_a_revision_that_names_the_customer_gives_the_case_its_customer(
    desktop: Desktop, an_answer: AnAnswer, a_case: ACase
) -> None:
    case = a_case(customer_id=None)
    known = an_answer(customer_id=None).of_case(case.id)
    book, _ = desktop.take(an_answer(revision=2), an_answer("r-2"), cases=[case], known=[known])
    assert kinds(book) == ["revised", "joined"]
    assert (book[case.id].customer_id, book[case.id].event_key) == ("c-1", "r-1")


def test_a_customer_never_gets_a_second_open_case_by_a_revision(
    desktop: Desktop, an_answer: AnAnswer, a_case: ACase, a_cause: Callable[..., Cause]
) -> None:
    anonymous = a_case(customer_id=None)
    named = replies.open_case(
        an_answer("r-2"),
        3,
        Desk(desktop.staff, NOW).choose("low"),
        DEFAULT_POLICIES["low"],
        desktop.staff,
        a_cause(),
    ).case
    known = an_answer(customer_id=None).of_case(anonymous.id)
    book, _ = desktop.take(an_answer(revision=2), cases=[anonymous, named], known=[known])
    assert (book[anonymous.id].customer_id, book[named.id].customer_id) == (None, "c-1")


def test_with_nobody_to_own_a_case_the_answer_waits_and_none_is_lost(
    desktop: Desktop, an_answer: AnAnswer, an_agent: AnAgent, staff: Staff
) -> None:
    desktop.staff = Staff.of([an_agent("anna", disabled=True)])
    book, taken = desktop.take(an_answer("r-1"), an_answer("r-2"), an_answer("r-3", score=9))
    assert book.changes == []
    assert [answer.waits_for_owner for answer in taken.values()] == [True, True, False]
    around = Surroundings(
        now=NOW,
        staff=staff,
        desk=Desk(staff, NOW),
        policies=Policies(DEFAULT_POLICIES),
        previous_owners={},
        erased_at={},
    )
    intake = Intake(book, taken.values(), around)
    for answer in (taken["r-1"], taken["r-2"]):
        intake.take_waiting(answer)
    assert kinds(book) == ["opened", "assigned", "joined"]
    assert [answer.waits_for_owner for answer in intake.taken] == [False, False]


def test_a_waiting_answer_revised_to_a_better_one_waits_no_more(desktop: Desktop, an_answer: AnAnswer) -> None:
    book, taken = desktop.take(an_answer(revision=2, score=9), known=[an_answer().waiting()])
    assert (book.changes, taken["r-1"].waits_for_owner) == ([], False)


def test_what_a_customer_said_before_being_forgotten_opens_nothing_and_loses_its_words(
    desktop: Desktop, an_answer: AnAnswer
) -> None:
    desktop.erased_at[CustomerId("c-1")] = MONDAY + timedelta(minutes=1)
    book, taken = desktop.take(an_answer("r-1"), an_answer("r-2", answered_at=MONDAY + timedelta(minutes=2)))
    assert (taken["r-1"].case_id, taken["r-1"].comment) == (None, None)
    assert (taken["r-2"].case_id, taken["r-2"].comment) == (case_id_of(ResponseId("r-2")), "Ждала сорок минут")
    assert kinds(book) == ["opened", "assigned"]


def test_a_batch_gives_what_its_answers_give_one_by_one(desktop: Desktop, an_answer: AnAnswer) -> None:
    answers = [
        an_answer("r-1", score=9),
        an_answer("r-2"),
        an_answer("r-1", revision=2, score=2),
        an_answer("r-3", customer_id="c-2", score=7),
        an_answer("r-2", revision=2, comment="И ещё одно"),
        an_answer("r-3", customer_id="c-2", revision=2, score=6),
        an_answer("r-2"),
    ]
    at_once, taken_at_once = desktop.take(*answers)
    cases: dict[object, Case] = {}
    known: dict[str, Answer] = {}
    steps = []
    for answer in answers:
        book, taken = desktop.take(answer, cases=cases.values(), known=known.values())
        cases |= {change.after.id: change.after for change in book.changes}
        known |= taken
        steps += book.steps
    # The one difference: what the loads were is read anew each time, and here nobody wrote them down.
    assert [replace(change.after, owner_reason_details={}) for change in at_once.changes] == [
        replace(case, owner_reason_details={}) for case in cases.values()
    ]
    assert taken_at_once == known
    assert [step.entry.kind for step in at_once.steps] == [step.entry.kind for step in steps]
