"""The short way of deliveries through a real server answers as the usual one does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import text

from deploy.local.ports import free_ports
from libs.events.database import Database
from libs.events.direct_protocol import Direct, DirectProtocol, Headers
from services.ingest.api import build_app
from services.ingest.intake import Bounds
from services.ingest.telemetry import REFUSED

Put = Callable[..., Awaitable[dict[str, Any]]]
Signed = Callable[..., Any]
Deliver = Callable[..., Awaitable[httpx.Response]]
Rows = Callable[[], Awaitable[Sequence[Any]]]


class Counting(DirectProtocol):
    """Notes how each request was answered."""

    directly = 0

    def _taken(self, direct: Direct, name: str, headers: Headers, body: bytes) -> bool:
        taken = super()._taken(direct, name, headers, body)
        Counting.directly += taken
        return taken


def refusals(reason: str) -> float:
    counted: float = REFUSED.labels(reason)._value.get()
    return counted


def forged_secret() -> str:
    return "whsec_" + "A" * 44


async def a_server(app: FastAPI) -> uvicorn.Server:
    [port] = free_ports(1)
    config = uvicorn.Config(app, port=port, http=Counting, log_config=None, lifespan="off", server_header=False)
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    await server.on_tick(0)  # says what the time is
    return server


@pytest.fixture
async def connected(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    Counting.directly = 0
    server = await a_server(app)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.config.port}") as client:
        yield client
    await server.shutdown()


async def test_what_is_authentic_is_answered_directly_and_all_answers_are_those_of_the_usual_way(
    connected: httpx.AsyncClient, client: httpx.AsyncClient, a_source: Put, signed: Signed, deliver: Deliver
) -> None:
    await a_source()
    first = await deliver(signed({"response_id": "r-0"}), connected)  # the sources are looked up: the usual way
    assert first.json()["status"] == "accepted"
    before = Counting.directly
    accepted = await deliver(signed(), connected)
    assert (accepted.status_code, accepted.json()["status"]) == (202, "accepted")
    assert Counting.directly == before + 1
    assert (await deliver(signed(), connected)).json() == accepted.json() | {"status": "duplicate"}
    assert (await deliver(signed(body=b"nonsense"), connected)).json()["status"] == "quarantined"
    for sent in (
        signed(),
        signed(age=timedelta(minutes=6)),
        signed(source="nobody"),
        signed(secret=forged_secret()),
        signed(content_type="text/plain"),
        signed(body=b"nonsense"),
    ):
        usual, direct = await deliver(sent, client), await deliver(sent, connected)
        assert direct.status_code == usual.status_code
        assert direct.content == usual.content
        headers = dict(direct.headers)
        assert headers.pop("date")
        assert headers == dict(usual.headers)


async def test_forgeries_are_refused_directly_once_the_sources_are_sure(
    connected: httpx.AsyncClient, a_source: Put, signed: Signed, deliver: Deliver, deliveries: Rows
) -> None:
    await a_source()
    await a_source("fenced", networks=["192.0.2.0/24"])
    await deliver(signed(), connected)
    forged = signed(secret=forged_secret())
    refused = {"wrong": forged, "stale": signed(age=timedelta(minutes=6)), "unknown_source": signed(source="nobody")}
    refused |= {"missing": signed(webhook_signature=""), "fenced": signed(source="fenced", secret=forged_secret())}
    for name, sent in refused.items():
        reason = "wrong" if name == "fenced" else name
        before, counted = Counting.directly, refusals(reason)
        async with asyncio.timeout(60):
            tries = 0
            while Counting.directly == before:  # the first one after a moment is worth a look at the database
                assert (await deliver(sent, connected)).status_code == 401
                tries += 1
        assert refusals(reason) == counted + tries
    # Authentic, and from elsewhere: whose word counts for the address is not known before the usual way.
    assert (await deliver(signed(source="fenced"), connected)).status_code == 401
    assert len(await deliveries()) == 1


async def test_a_rotated_secret_is_noticed_although_the_sources_were_at_hand(
    connected: httpx.AsyncClient, database: Database, a_source: Put, signed: Signed, deliver: Deliver, other_secret: str
) -> None:
    await a_source()
    sent = signed(secret=other_secret)
    assert (await deliver(signed({"response_id": "r-0"}), connected)).status_code == 202
    async with database.transaction() as tx:  # as another process does it
        await tx.execute(text("UPDATE source_secrets SET secret = :secret"), {"secret": other_secret})
    async with asyncio.timeout(60):
        while (answer := await deliver(sent, connected)).status_code == 401:
            pass
    assert answer.json()["status"] == "accepted"


async def test_many_over_many_connections_are_each_answered_with_their_own(
    connected: httpx.AsyncClient, a_source: Put, signed: Signed, deliver: Deliver, deliveries: Rows
) -> None:
    await a_source()
    sent = [signed({"response_id": f"r-{number}"}, id_=f"m-{number}") for number in range(60)]
    answers = await asyncio.gather(*(deliver(each, connected) for each in sent))
    told = {
        answer.json()["delivery_id"]: each.headers["webhook-id"] for each, answer in zip(sent, answers, strict=True)
    }
    assert {str(row.id): row.delivery_key for row in await deliveries()} == told


async def test_a_full_queue_is_said_directly_too(
    database: Database, a_source: Put, signed: Signed, deliver: Deliver
) -> None:
    await a_source()
    server = await a_server(build_app(database, bounds=Bounds(waiting=1)))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.config.port}") as through:
        await deliver(signed({"response_id": "r-0"}), through)
        many = await asyncio.gather(*(deliver(signed({"response_id": f"r-{n}"}), through) for n in range(12)))
        full = [answer for answer in many if answer.status_code == 429]
        assert full
        assert full[0].headers["retry-after"]
    await server.shutdown()
