"""Casework's nouns, made with whatever a test cares about; all times are counted from one Monday morning."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import pytest

from services.casework.domain import alarms, commands, replies
from services.casework.domain.agents import Agent, Staff
from services.casework.domain.answers import Answer
from services.casework.domain.cases import Case
from services.casework.domain.names import AgentId, RootCauseId
from services.casework.domain.policies import DEFAULT_POLICIES
from services.casework.domain.routing import Choice
from services.casework.domain.timeline import Actor, Cause

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)


def make_agent(id_: str = "anna", **changes: object) -> Agent:
    fields: dict[str, Any] = {
        "name": id_.title(),
        "email": f"{id_}@example.org",
        "language": "ru",
        "role": "agent",
        "seniority": 1,
        "capacity": 10,
    }
    return Agent(id=AgentId(id_), **(fields | changes))


def make_staff() -> Staff:
    return Staff.of(
        [
            make_agent("anna"),
            make_agent("boris", role="manager"),
            make_agent("vera", role="executive"),
        ]
    )


def make_answer(response_id: str = "r-1", *, score: int | None = 3, **changes: object) -> Answer:
    fields: dict[str, Any] = {
        "response_id": response_id,
        "revision": 1,
        "customer_id": "c-1",
        "program": "retail",
        "touchpoint": "branch",
        "kind": "transactional",
        "metric": "nps",
        "score": score,
        "nps_class": None if score is None else "detractor" if score <= 6 else "passive" if score <= 8 else "promoter",
        "comment": "Ждала сорок минут",
        "tier": "standard",
        "language": "ru",
        "answered_at": MONDAY,
    }
    fields |= changes
    fields.setdefault("cause_id", uuid5(NAMESPACE_URL, f"{response_id}/{fields['revision']}"))
    return Answer(**fields)


def make_case(status: str = "open", *, customer_id: str | None = "c-1", at: datetime = MONDAY) -> Case:
    """A case of Anna's that got into this state the ordinary way."""
    staff = make_staff()
    policy = DEFAULT_POLICIES["standard"]
    numbers = count(1)

    def cause() -> Cause:
        return Cause(UUID(int=next(numbers)), at, Actor("person", "anna"))

    choice = Choice(staff.agents[AgentId("anna")], "least_loaded", {})
    answer = make_answer(customer_id=customer_id, answered_at=at)
    case = replies.open_case(answer, 3, choice, policy, staff, cause()).case
    if status == "open":
        return case
    case = commands.record_contact(case, "reached", policy, cause(), attempt_id="a-1").case
    if status == "contacted":
        return case
    case = commands.resolve(case, RootCauseId("service"), policy, staff, cause()).case
    if status == "resolved":
        return case
    word = replies.Confirmation(round=1, solved=True, comment=None, answered_at=at)
    if status == "confirmed":
        return replies.confirm(case, word, policy, staff, cause()).case
    assert status == "unconfirmed"
    later = at + policy.confirmation
    return alarms.fire(case, policy, staff, later).case


@pytest.fixture(scope="session")
def an_agent() -> Callable[..., Agent]:
    return make_agent


@pytest.fixture(scope="session")
def staff() -> Staff:
    """Anna, an agent, Boris, a manager, and Vera, an executive."""
    return make_staff()


@pytest.fixture(scope="session")
def an_answer() -> Callable[..., Answer]:
    return make_answer


@pytest.fixture(scope="session")
def a_case() -> Callable[..., Case]:
    return make_case


@pytest.fixture(scope="session")
def a_cause() -> Callable[..., Cause]:
    """A command of Anna's at some moment."""
    numbers = count(1_000_000)

    def make(at: datetime = MONDAY, by: Actor | None = None) -> Cause:
        return Cause(UUID(int=next(numbers)), at, by or Actor("person", "anna"))

    return make


@pytest.fixture(scope="session")
def hours() -> Callable[[float], datetime]:
    """The moment so many hours after the Monday morning of the answer."""
    return lambda number: MONDAY + timedelta(hours=number)
