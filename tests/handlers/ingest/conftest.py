"""Ingest on a real database: its HTTP app, vendors that sign, and a look at everything that was kept."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import text

from libs.events import outbox
from libs.events.codec import Record, decode
from libs.events.database import Database
from libs.events.event import Event
from libs.webapi import keys
from services.ingest.api import build_app

SAMPLES = Path(__file__).parents[2] / "unit" / "ingest" / "samples"
SECRET = "whsec_" + base64.b64encode(b"the first secret, 24 byte").decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"another secret, 24 bytes.").decode()
SCOPES = ("sources:read", "sources:write", "responses:write", "deliveries:read", "deliveries:write", "on-behalf")

_DELIVERIES = text("SELECT * FROM deliveries ORDER BY id")
_RESPONSES = text("SELECT * FROM responses ORDER BY id")
_CLEAR = text("TRUNCATE deliveries, responses, unsubscriptions, outbox, idempotency_keys")


class Clock:
    """The database's clock, which tests turn."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Sent:
    """One webhook request."""

    source: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="session")
def secret() -> str:
    """The secret of every source, unless a test says otherwise."""
    return SECRET


@pytest.fixture(scope="session")
def other_secret() -> str:
    return OTHER_SECRET


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def advance(clock: Clock) -> Callable[[timedelta], None]:
    """Turn the clock."""

    def turn(by: timedelta) -> None:
        clock.now += by

    return turn


@pytest.fixture
def url(service_database: Callable[[str], str]) -> str:
    return service_database("ingest")


@pytest.fixture
async def database(url: str, clock: Clock) -> AsyncIterator[Database]:
    database = Database.connect(url, pool_size=6, clock=clock)
    yield database
    await database.close()


@pytest.fixture
async def key(database: Database) -> str:
    async with database.transaction() as tx:
        return await keys.create_key(tx, name="tests", scopes=SCOPES)


@pytest.fixture
def app(database: Database) -> FastAPI:
    return build_app(database)


@pytest.fixture
def a_client(key: str) -> Callable[[FastAPI], AbstractAsyncContextManager[httpx.AsyncClient]]:
    """An HTTP client of an app, with a key that may do everything. Deliveries ignore it."""

    @asynccontextmanager
    async def connect(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://ingest", headers=headers) as client:
            yield client

    return connect


@pytest.fixture
async def client(
    app: FastAPI, a_client: Callable[[FastAPI], AbstractAsyncContextManager[httpx.AsyncClient]]
) -> AsyncIterator[httpx.AsyncClient]:
    async with a_client(app) as client:
        yield client


@pytest.fixture(scope="session")
def a_source_body() -> Callable[..., dict[str, Any]]:
    def make(vendor: str = "generic", *, asked: dict[str, Any] | None = None, **changes: object) -> dict[str, Any]:
        instrument = {
            "metric": "nps",
            "question": "How likely are you to recommend us?",
            "scale_min": 0,
            "scale_max": 10,
            "kind": "transactional",
            "channel": "email",
        }
        body = {"vendor": vendor, "program": "retail", "instrument": instrument | (asked or {}), "secret": SECRET}
        return body | changes

    return make


@pytest.fixture
def a_source(
    client: httpx.AsyncClient, a_source_body: Callable[..., dict[str, Any]]
) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Put a source (`shop`, of our own shape, unless told otherwise) through the API."""

    async def put(name: str = "shop", vendor: str = "generic", **changes: object) -> dict[str, Any]:
        answer = await client.put(f"/v1/sources/{name}", json=a_source_body(vendor, **changes))
        assert answer.status_code in {200, 201}, answer.text
        found: dict[str, Any] = answer.json()
        return found

    return put


@pytest.fixture
def signed(clock: Clock) -> Callable[..., Sent]:
    """A delivery of our own shape (or `body`, as it is), signed by Standard Webhooks."""

    def make(
        payload: dict[str, Any] | None = None,
        *,
        source: str = "shop",
        body: bytes | None = None,
        id_: str | None = None,
        secret: str = SECRET,
        age: timedelta = timedelta(),
        **headers: str,
    ) -> Sent:
        if body is None:
            answers = {"response_id": "r-1", "answered_at": "2026-03-02T08:55:00Z", "score": 3} | (payload or {})
            body = json.dumps(answers, ensure_ascii=False).encode()
        message = id_ or hashlib.sha256(body).hexdigest()[:20]
        timestamp = str(int((clock.now - age).timestamp()))
        secret_key = base64.b64decode(secret.removeprefix("whsec_"))
        digest = hmac.new(secret_key, f"{message}.{timestamp}.".encode() + body, hashlib.sha256).digest()
        return Sent(
            source,
            body,
            {
                "content-type": "application/json",
                "webhook-id": message,
                "webhook-timestamp": timestamp,
                "webhook-signature": "v1," + base64.b64encode(digest).decode(),
            }
            | {name.replace("_", "-"): value for name, value in headers.items()},
        )

    return make


@pytest.fixture
def deliver(client: httpx.AsyncClient) -> Callable[..., Awaitable[httpx.Response]]:
    async def post(sent: Sent, through: httpx.AsyncClient | None = None) -> httpx.Response:
        address = f"/v1/webhooks/{sent.source}"
        return await (through or client).post(address, content=sent.body, headers=sent.headers)

    return post


@pytest.fixture(scope="session")
def sample() -> Callable[[str], bytes]:
    """A vendor's documented payload."""

    def read(vendor: str) -> bytes:
        [file] = SAMPLES.glob(f"{vendor}.*")
        return file.read_bytes()

    return read


@pytest.fixture
def deliveries(database: Database) -> Callable[[], Awaitable[Sequence[Any]]]:
    """All that was kept, in order."""

    async def rows() -> Sequence[Any]:
        async with database.reading() as tx:
            return await tx.fetch(_DELIVERIES)

    return rows


@pytest.fixture
def responses(database: Database) -> Callable[[], Awaitable[Sequence[Any]]]:
    async def rows() -> Sequence[Any]:
        async with database.reading() as tx:
            return await tx.fetch(_RESPONSES)

    return rows


@pytest.fixture
def published(database: Database) -> Callable[[], Awaitable[list[Event[Any]]]]:
    """The events that wait to be published, in order, as a consumer will read them."""

    async def events() -> list[Event[Any]]:
        async with database.engine.connect() as connection:
            waiting = await outbox.oldest(connection, 10_000)
        found = []
        for number, row in enumerate(waiting):
            record = row.record
            event = decode(Record(record.topic, 0, number, record.key.encode(), record.value, record.headers))
            assert event is not None
            found.append(event)
        return found

    return events


@pytest.fixture
def clear(database: Database) -> Callable[[], Awaitable[None]]:
    """Begin anew, for each example of a property."""

    async def empty() -> None:
        async with database.transaction() as tx:
            await tx.execute(_CLEAR)

    return empty


@pytest.fixture
def statements() -> Callable[[Database], AbstractContextManager[list[str]]]:
    """The statements that a database is sent, in a context."""

    @contextmanager
    def recorded(database: Database) -> Iterator[list[str]]:
        seen: list[str] = []

        def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
            seen.append(statement)

        sqlalchemy_event.listen(database.engine.sync_engine, "before_cursor_execute", note)
        try:
            yield seen
        finally:
            sqlalchemy_event.remove(database.engine.sync_engine, "before_cursor_execute", note)

    return recorded
