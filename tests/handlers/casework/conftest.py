"""Casework on a real database: deliveries as the runtime makes them, a clock that the test sets, and what went out."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import httpx
import pytest
from sqlalchemy import text

from libs.events import inbox
from libs.events.contracts.customers import CustomerErased, CustomerProfileChanged
from libs.events.contracts.messages import CampaignCompleted, ConfirmationAnswered
from libs.events.contracts.scores import ResponseRescored, ResponseRetracted, ResponseScored
from libs.events.database import Database
from libs.events.event import Event
from libs.webapi import keys
from services.casework.api import build_app
from services.casework.handlers import handle_customers, handle_messages, handle_scores
from services.casework.store import people

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
SCOPES = ("cases:read", "cases:write", "settings:read", "settings:write", "on-behalf")

# Truncating makes files anew, and waits for the disk for each of them.
_CLEAR = text("""
    WITH customers_ AS (DELETE FROM customers), answers_ AS (DELETE FROM answers),
         cases_ AS (DELETE FROM cases), timeline_ AS (DELETE FROM timeline),
         callbacks_ AS (DELETE FROM callbacks), callback_cells_ AS (DELETE FROM callback_cells),
         resolutions_ AS (DELETE FROM resolutions), mentions_ AS (DELETE FROM mentions),
         tasks_ AS (DELETE FROM tasks), thanks_ AS (DELETE FROM thanks),
         agent_loads_ AS (DELETE FROM agent_loads), inbox_ AS (DELETE FROM inbox),
         outbox_ AS (DELETE FROM outbox)
    SELECT 1
""")


class SetClock:
    """The time, as the test says."""

    def __init__(self) -> None:
        self.now = MONDAY + timedelta(hours=1)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
async def database(service_database: Callable[[str], str], clock: SetClock) -> AsyncIterator[Database]:
    database = Database.connect(service_database("casework"), pool_size=8, clock=clock)
    yield database
    await database.close()


@pytest.fixture
def clear(database: Database) -> Callable[[], Awaitable[None]]:
    """Begin anew with the same staff, for each example of a property."""

    async def empty() -> None:
        async with database.transaction() as tx:
            await tx.execute(_CLEAR)

    return empty


@pytest.fixture
def hire(database: Database) -> Callable[..., Awaitable[None]]:
    """Put an agent with whatever the test cares about."""

    async def put(id_: str, **changes: object) -> None:
        fields: dict[str, object] = {
            "name": id_.title(),
            "email": f"{id_}@example.org",
            "language": "ru",
            "role": "agent",
            "seniority": 1,
            "team_id": None,
            "department_id": None,
            "capacity": 100,
            "absent_from": None,
            "absent_until": None,
            "disabled": False,
        }
        async with database.transaction() as tx:
            await people.put_agent(tx, id_, fields | changes)

    return put


@pytest.fixture
async def staff(hire: Callable[..., Awaitable[None]]) -> None:
    """Anna, an agent, Boris, a manager, and Vera, an executive."""
    await hire("anna")
    await hire("boris", role="manager")
    await hire("vera", role="executive")


@pytest.fixture(scope="session")
def scored() -> Callable[..., Event[Any]]:
    """A scored answer; `revision` above 1 makes it a rescored one of the same response, or one that is withdrawn."""

    def make(
        response: str = "r-1", revision: int = 1, *, score: int | None = 3, withdrawn: bool = False, **changes: object
    ) -> Event[Any]:
        members: dict[str, Any] = {
            "response_id": response,
            "revision": revision,
            "program": "retail",
            "touchpoint": "branch",
            "kind": "transactional",
            "metric": "nps",
            "score": score,
            "nps_class": None
            if score is None
            else "detractor"
            if score <= 6
            else "passive"
            if score <= 8
            else "promoter",
            "comment": "Ждала сорок минут",
            "customer_id": "c-1",
            "account_id": None,
            "tier": "standard",
            "tier_reason": "rule 3",
            "language": "ru",
            "instrument_id": "i-1",
            "instrument_version": 1,
            "answered_at": MONDAY,
        }
        payload: ResponseScored | ResponseRescored | ResponseRetracted
        if revision == 1:
            payload = ResponseScored(**(members | changes))
        elif withdrawn:
            payload = ResponseRetracted(**(members | changes), previous_score=None, previous_class=None)
        else:
            payload = ResponseRescored(**(members | changes), previous_score=None, previous_class=None)
        id_ = uuid5(NAMESPACE_URL, f"{response}/{revision}")
        return Event.root(id_, payload, subject=response, time=MONDAY, source="/scoring", traceparent="00-a-b-01")

    return make


@pytest.fixture(scope="session")
def profile() -> Callable[..., Event[Any]]:
    """A customer's profile at some version."""

    def make(customer: str = "c-1", version: int = 1, **changes: object) -> Event[Any]:
        members: dict[str, Any] = {
            "name": "Ольга Смирнова",
            "email": "olga@example.org",
            "phone": "+7 495 000-00-01",
            "language": "ru",
            "time_zone": "Europe/Moscow",
            "account_id": None,
            "account_name": "ООО «Ромашка»",
            "account_role": None,
            "tier": "high",
            "tier_reason": "rule 2",
        }
        payload = CustomerProfileChanged(customer_id=customer, version=version, **(members | changes))
        id_ = uuid5(NAMESPACE_URL, f"profile/{customer}/{version}")
        return Event.root(id_, payload, subject=customer, time=MONDAY, source="/scoring")

    return make


@pytest.fixture(scope="session")
def erased() -> Callable[..., Event[Any]]:
    """The customer asked to be forgotten."""

    def make(customer: str = "c-1", *, at: datetime = MONDAY + timedelta(hours=2)) -> Event[Any]:
        id_ = uuid5(NAMESPACE_URL, f"erased/{customer}/{at}")
        return Event.root(id_, CustomerErased(customer_id=customer), subject=customer, time=at, source="/scoring")

    return make


@pytest.fixture(scope="session")
def said() -> Callable[..., Event[Any]]:
    """The customer's word by the signed link."""

    def make(
        case_id: object, *, solved: bool, round_: int = 1, customer: str = "c-1", comment: str | None = None
    ) -> Event[Any]:
        payload = ConfirmationAnswered(
            case_id=str(case_id),
            customer_id=customer,
            round=round_,
            solved=solved,
            comment=comment,
            answered_at=MONDAY + timedelta(hours=1),
        )
        id_ = uuid5(NAMESPACE_URL, f"said/{case_id}/{round_}/{solved}")
        return Event.root(id_, payload, subject=str(case_id), time=MONDAY, source="/notify", traceparent="00-c-d-01")

    return make


@pytest.fixture
def deliver(database: Database) -> Callable[..., Awaitable[None]]:
    """Batches as the runtime hands them over: what is new, in order, in one transaction with the inbox.

    Neighbours for one consumer are one batch.
    """
    handlers: dict[object, tuple[str, Any]] = {
        ResponseScored: ("casework.scores", handle_scores),
        ResponseRescored: ("casework.scores", handle_scores),
        ResponseRetracted: ("casework.scores", handle_scores),
        CustomerProfileChanged: ("casework.customers", handle_customers),
        CustomerErased: ("casework.customers", handle_customers),
        ConfirmationAnswered: ("casework.messages", handle_messages),
        CampaignCompleted: ("casework.messages", handle_messages),
    }

    async def handle(*events: Event[Any]) -> None:
        batches: list[tuple[str, Any, list[Event[Any]]]] = []
        for event in events:
            name, handler = handlers[type(event.payload)]
            if not batches or batches[-1][0] != name:
                batches.append((name, handler, []))
            batches[-1][2].append(event)
        for name, handler, batch in batches:
            async with database.transaction() as tx:
                # Each event stands in a place of its own.
                new = await inbox.mark(tx, name, [(event.id, event.id) for event in batch])
                fresh = []
                for event in batch:
                    if event.id in new:
                        new.discard(event.id)
                        fresh.append(event)
                if fresh:
                    await handler(tx, fresh)

    return handle


@pytest.fixture
async def log_in(database: Database) -> AsyncIterator[Callable[..., Awaitable[httpx.AsyncClient]]]:
    """Clients: with a key of these scopes, speaking for a person of some role or for itself."""
    app = build_app(database)
    async with AsyncExitStack() as stack:

        async def make(
            person: str | None = None, role: str = "agent", *, scopes: Sequence[str] = SCOPES
        ) -> httpx.AsyncClient:
            async with database.transaction() as tx:
                key = await keys.create_key(tx, name="portal", scopes=scopes)
            headers = {"Authorization": f"Bearer {key}"}
            if person is not None:
                headers |= {"Otklik-Person": person, "Otklik-Role": role}
            transport = httpx.ASGITransport(app)
            client = httpx.AsyncClient(transport=transport, base_url="http://casework", headers=headers)
            return await stack.enter_async_context(client)

        yield make


@pytest.fixture
async def anna(log_in: Callable[..., Awaitable[httpx.AsyncClient]]) -> httpx.AsyncClient:
    """The agent Anna at her desk."""
    return await log_in("anna")
