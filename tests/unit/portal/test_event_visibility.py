from datetime import UTC, datetime

import msgspec
import pytest

from libs.events.contracts.cases import CaseAssigned, CaseOpened, CaseResolved, Employee
from libs.events.contracts.messages import ConfirmationAnswered, MessageFailed
from libs.events.contracts.scores import ResponseScored
from libs.events.event import Contract
from libs.events.topics import CASEWORK_CASES, CASEWORK_INITIATIVES, NOTIFY_MESSAGES, SURVEY_SCORES
from services.portal.domain import stream
from services.portal.domain.people import Role
from services.portal.domain.stream import Position, StreamEvent, parse_position, seen_by, stored_facts

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
OWNER = Employee(employee_id="irina", name="Irina Sokolova", email="irina@example.org", language="ru")
SEES_ALL = [Role.AGENT, Role.MANAGER, Role.EXECUTIVE, Role.ADMINISTRATOR]

SCORED = ResponseScored(
    response_id="response-1",
    revision=1,
    program="rent",
    touchpoint="branch",
    kind="transactional",
    metric="nps",
    score=2,
    nps_class="detractor",
    comment="I waited for Mr Ivanov",
    customer_id="customer-1",
    account_id="account-1",
    tier="key",
    tier_reason="worth a lot",
    language="ru",
    instrument_id="instrument-1",
    instrument_version=3,
    answered_at=NOW,
)
OPENED = CaseOpened(
    case_id="case-1",
    customer_id="customer-1",
    version=1,
    response_id="response-1",
    program="rent",
    touchpoint="branch",
    score=2,
    tier="key",
    level="frontline",
    owner=OWNER,
    answered_at=NOW,
    first_contact_due_at=NOW,
    resolution_due_at=NOW,
)
ASSIGNED = CaseAssigned(
    case_id="case-1",
    customer_id="customer-1",
    version=2,
    owner=OWNER,
    previous_owner_id=None,
    reason="most_senior",
    tier="key",
    score=2,
    first_contact_due_at=NOW,
)
RESOLVED = CaseResolved(
    case_id="case-1",
    customer_id="customer-1",
    version=5,
    round=1,
    root_cause="service.waiting",
    agent_id="irina",
    agent_name="Irina Sokolova",
    answered_at=NOW,
    confirm_by=NOW,
)
FAILED = MessageFailed(
    message_id="message-1",
    kind="confirmation_request",
    cause_id="cause-1",
    case_id="case-1",
    customer_id="customer-1",
    employee_id=None,
    reason="550 no such user maria@example.org",
    doubtful=False,
)
ANSWERED = ConfirmationAnswered(
    case_id="case-1", customer_id="customer-1", round=1, solved=False, comment="Still broken", answered_at=NOW
)
ALL = [SCORED, OPENED, ASSIGNED, RESOLVED, FAILED, ANSWERED]


def an_event(payload: Contract, subject: str = "case-1") -> StreamEvent:
    return StreamEvent(
        Position(700, 1), "event-1", payload.TYPE, subject, NOW, stored_facts(msgspec.to_builtins(payload))
    )


def everything_in(value: object) -> str:
    return msgspec.json.encode(value).decode()


@pytest.mark.parametrize("payload", ALL, ids=lambda payload: payload.TYPE)
def test_contact_details_are_not_even_stored(payload: Contract) -> None:
    assert "irina@example.org" not in everything_in(an_event(payload).facts)


@pytest.mark.parametrize("role", SEES_ALL)
def test_those_who_close_loops_see_everything_that_is_stored(role: Role) -> None:
    event = an_event(SCORED)
    assert seen_by(role, event) == event
    assert seen_by(role, event).facts["comment"] == "I waited for Mr Ivanov"


@pytest.mark.parametrize("payload", ALL, ids=lambda payload: payload.TYPE)
def test_an_operator_sees_ids_and_states_but_nothing_that_somebody_wrote_or_is_called(payload: Contract) -> None:
    seen = seen_by(Role.OPERATOR, an_event(payload))
    shown = everything_in(seen.facts)
    assert seen.subject == "case-1"
    assert "customer-1" in shown
    for personal in ("Ivanov", "Irina", "Still broken", "maria@", "worth a lot "):
        assert personal not in shown


@pytest.mark.parametrize("payload", ALL, ids=lambda payload: payload.TYPE)
def test_an_employee_sees_what_happened_and_never_to_whom(payload: Contract) -> None:
    seen = seen_by(Role.EMPLOYEE, an_event(payload, subject="customer-1"))
    shown = everything_in(seen.facts)
    assert seen.subject == ""
    for personal in ("customer-1", "case-1", "response-1", "account-1", "irina", "Irina", "Ivanov", "Still", "maria@"):
        assert personal not in shown


def test_an_employee_sees_the_score_and_the_class() -> None:
    facts = seen_by(Role.EMPLOYEE, an_event(SCORED)).facts
    assert facts["score"] == 2
    assert facts["nps_class"] == "detractor"
    assert facts["touchpoint"] == "branch"


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.EMPLOYEE])
def test_a_field_that_a_contract_gains_later_is_hidden_until_somebody_decides(role: Role) -> None:
    event = StreamEvent(Position(1, 1), "e", "case.opened.v2", "case-1", NOW, {"home_address": "Lenina 1", "score": 3})
    assert dict(seen_by(role, event).facts) == {"score": 3}


def test_contact_details_are_not_stored_of_one_person_nor_of_several() -> None:
    owner = msgspec.to_builtins(OWNER)
    named = {"employee_id": "irina", "name": "Irina Sokolova", "language": "ru"}
    assert stored_facts({"owner": owner, "mentioned": [owner, owner]}) == {"owner": named, "mentioned": [named, named]}


def test_every_field_of_every_contract_in_the_stream_has_been_decided_about() -> None:
    free_text_or_person = {"comment", "owner", "responsible", "agent_name", "priority_parts", "case_owner", "manager"}
    several_people = {"mentioned"}
    money = {"value_at_stake", "budget", "currency"}
    decided = stream._OPERATIONAL | free_text_or_person | several_people | money
    for topic in (SURVEY_SCORES, CASEWORK_CASES, CASEWORK_INITIATIVES, NOTIFY_MESSAGES):
        for contract in topic.types:
            fields = {field.name for field in msgspec.structs.fields(contract)}
            assert fields <= decided, contract.TYPE


@pytest.mark.parametrize("position", [Position(0, 0), Position(731, 12), Position(2**62, 2**62)])
def test_a_position_comes_back_from_its_text(position: Position) -> None:
    assert parse_position(str(position)) == position


@pytest.mark.parametrize("written", [None, "", "7", "-", "7-", "-7", "a-b", "٧-١", "1-2-3", "1" * 40 + "-1", "-1--1"])
def test_what_is_no_position_of_ours_is_none(written: str | None) -> None:
    assert parse_position(written) is None


def test_positions_are_ordered_by_transaction_before_number() -> None:
    assert Position(5, 100) < Position(6, 1) < Position(6, 2)
