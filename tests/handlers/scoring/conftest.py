"""Scoring on a real database: deliveries as the runtime makes them, and what went out."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import httpx
import pytest
from sqlalchemy import text

from libs.events import inbox
from libs.events.contracts.responses import Instrument, ResponseReceived, ResponseRevised
from libs.events.database import Database
from libs.events.event import Event
from libs.webapi import keys
from services.scoring.api import build_app
from services.scoring.handlers import score_responses

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
SCOPES = ("customers:read", "customers:write", "rules:read", "rules:write", "metrics:read", "on-behalf")

_CLEAR = text("""
    TRUNCATE customers, accounts, erasures, responses, instrument_versions, cells, tallies, day_counts, month_counts,
             invitations, account_scores, account_scores_due, segment_dry_runs, segment_dry_run_movers,
             theme_tallies, theme_day_counts, theme_month_counts,
             inbox, outbox
""")


@pytest.fixture
async def database(service_database: Callable[[str], str]) -> AsyncIterator[Database]:
    database = Database.connect(service_database("scoring"), pool_size=6)
    yield database
    await database.close()


@pytest.fixture
def clear(database: Database) -> Callable[[], Awaitable[None]]:
    """Begin anew, for each example of a property."""

    async def empty() -> None:
        async with database.transaction() as tx:
            await tx.execute(_CLEAR)

    return empty


@pytest.fixture(scope="session")
def an_answer() -> Callable[..., Event[Any]]:
    """A response event: `response` and `revision` make it the same one; `asked` changes its instrument."""

    def make(
        response: str = "r-1", revision: int = 1, *, asked: dict[str, Any] | None = None, **changes: object
    ) -> Event[Any]:
        members: dict[str, Any] = {
            "response_id": response,
            "revision": revision,
            "source": "typeform",
            "vendor_response_id": f"vendor-{response}",
            "program": "retail",
            "touchpoint": "branch",
            "instrument": a_way_of_asking(**(asked or {})),
            "score": 3,
            "comment": "Ждала сорок минут",
            "customer_id": "c-1",
            "language": "ru",
            "answered_at": MONDAY,
            "received_at": MONDAY + timedelta(minutes=1),
        }
        contract = ResponseReceived if revision == 1 else ResponseRevised
        payload = contract(**(members | changes))
        id_ = uuid5(NAMESPACE_URL, f"{response}/{revision}")
        return Event.root(id_, payload, subject=response, time=MONDAY, source="/ingest", traceparent="00-a-b-01")

    return make


def a_way_of_asking(**changes: object) -> Instrument:
    asked: dict[str, Any] = {
        "metric": "nps",
        "question": "Порекомендуете ли вы нас друзьям?",
        "scale_min": 0,
        "scale_max": 10,
        "kind": "transactional",
        "channel": "email",
    }
    return Instrument(**(asked | changes))


@pytest.fixture
def deliver(database: Database) -> Callable[..., Awaitable[None]]:
    """One batch, as the runtime hands it over: what is new, in order, in one transaction with the inbox."""

    async def handle(*events: Event[Any]) -> None:
        async with database.transaction() as tx:
            # Each event stands in a place of its own.
            new = await inbox.mark(tx, "scoring.responses", [(event.id, event.id) for event in events])
            fresh = []
            for event in events:
                if event.id in new:
                    new.discard(event.id)
                    fresh.append(event)
            if fresh:
                await score_responses(tx, fresh)

    return handle


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a key that may do everything, and speak for a person; no group is too small for it."""
    async with database.transaction() as tx:
        key = await keys.create_key(tx, name="crm", scopes=SCOPES)
    transport = httpx.ASGITransport(build_app(database, privacy_threshold=1))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://scoring", headers={"Authorization": f"Bearer {key}"}
    ) as client:
        yield client


@pytest.fixture
async def discreet(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """The same of an app that hides what fewer than five said."""
    async with database.transaction() as tx:
        key = await keys.create_key(tx, name="page", scopes=SCOPES)
    transport = httpx.ASGITransport(build_app(database))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://scoring", headers={"Authorization": f"Bearer {key}"}
    ) as client:
        yield client


@pytest.fixture(scope="session")
def a_customer() -> Callable[..., dict[str, Any]]:
    """A customer's profile as a body."""

    def make(**changes: object) -> dict[str, Any]:
        body: dict[str, Any] = {
            "name": "Анна Орлова",
            "email": "anna@example.org",
            "phone": "+7 495 000-00-01",
            "language": "ru",
            "time_zone": "Europe/Moscow",
            "potential_value": 2_000_000,
        }
        return body | changes

    return make
