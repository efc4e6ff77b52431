"""Sources that say where their deliveries come from: others are refused like forgers, whatever they claim to be."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from deploy.local.ports import free_ports
from libs.events.testing import eventually
from services.ingest.telemetry import REFUSED

Put = Callable[..., Awaitable[dict[str, Any]]]
Body = Callable[..., dict[str, Any]]
Signed = Callable[..., Any]
Rows = Callable[[], Awaitable[Sequence[Any]]]
From = Callable[[str, Any], Coroutine[None, None, int]]

NETWORKS = ["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"]


@pytest.fixture
def coming_from(app: FastAPI) -> From:
    """Deliver from an address; the status."""

    async def deliver(address: str, sent: Any, **headers: str) -> int:  # noqa: ANN401 - what `signed` gives
        transport = httpx.ASGITransport(app, client=(address, 50_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
            path = f"/v1/webhooks/{sent.source}"
            return (await client.post(path, content=sent.body, headers=sent.headers | headers)).status_code

    return deliver


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("192.0.2.255", 202),
        ("::ffff:192.0.2.17", 202),
        ("2001:db8:1::9", 202),
        ("198.51.100.7", 202),
        ("192.0.3.0", 401),
        ("198.51.100.8", 401),
        ("2001:db9::1", 401),
        ("::ffff:192.0.3.1", 401),
        ("no address", 401),
        ("", 401),
    ],
)
async def test_only_the_listed_networks_are_let_in(
    a_source: Put, signed: Signed, coming_from: From, deliveries: Rows, address: str, status: int
) -> None:
    put = await a_source(networks=NETWORKS)
    assert put["networks"] == ["192.0.2.0/24", "2001:db8::/32", "198.51.100.7/32"]
    before = REFUSED.labels("network")._value.get()
    assert await coming_from(address, signed()) == status
    assert len(await deliveries()) == (status == 202)
    assert REFUSED.labels("network")._value.get() - before == (status == 401)


async def test_an_address_does_not_stand_in_for_a_signature(
    a_source: Put, signed: Signed, coming_from: From, other_secret: str
) -> None:
    await a_source(networks=NETWORKS)
    assert await coming_from("192.0.2.1", signed(secret=other_secret)) == 401


async def test_without_networks_deliveries_come_from_anywhere(a_source: Put, signed: Signed, coming_from: From) -> None:
    put = await a_source()
    assert put["networks"] == []
    assert await coming_from("203.0.113.5", signed()) == 202


@pytest.mark.parametrize("wrong", ["192.0.2.1/24", "everywhere", "", "192.0.2.0/33", "10.0.0.0/8 "])
async def test_what_is_no_network_is_refused_where_it_stands(
    client: httpx.AsyncClient, a_source_body: Body, wrong: str
) -> None:
    answer = await client.put("/v1/sources/shop", json=a_source_body(networks=["192.0.2.0/24", wrong]))
    if wrong.strip() == "10.0.0.0/8":
        assert answer.json()["networks"] == ["192.0.2.0/24", "10.0.0.0/8"]
    else:
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/networks/1"


@asynccontextmanager
async def a_server(url: str, **settings: str) -> AsyncIterator[httpx.AsyncClient]:
    """Ingest as it is deployed, on this machine."""
    [port] = free_ports(1)
    told = {"INGEST_DATABASE_URL": url, "INGEST_PORT": str(port), **settings}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.ingest", "api", env={**os.environ, **told}
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:

            async def is_up() -> bool:
                with contextlib.suppress(httpx.TransportError):
                    return (await client.get("/readyz")).status_code == 200
                return False

            await eventually(is_up)
            yield client
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.parametrize(
    ("proxies", "statuses"),
    [
        ("", {"192.0.2.1": 401}),  # nobody's word is taken, not even this machine's
        (
            "127.0.0.0/8, 10.0.0.0/8",
            {
                "192.0.2.1": 202,
                "192.0.2.1, 10.0.0.9": 202,  # through two proxies of ours
                "192.0.2.1, 203.0.113.5": 401,  # the nearest that is none of ours; what it says of others is hearsay
                "203.0.113.5, 192.0.2.1": 202,
            },
        ),
    ],
)
async def test_a_proxy_s_word_counts_only_where_the_settings_name_it(
    a_source: Put, url: str, proxies: str, statuses: dict[str, int]
) -> None:
    await a_source("token", vendor="generic-token", secret="a token of sixteen letters", networks=NETWORKS)
    body = b'{"response_id": "r-1", "answered_at": "2026-03-02T08:55:00Z", "score": 3}'
    headers = {"content-type": "application/json", "otklik-token": "a token of sixteen letters"}
    async with a_server(url, INGEST_TRUSTED_PROXIES=proxies) as server:
        for claimed, status in statuses.items():
            answer = await server.post(
                "/v1/webhooks/token", content=body, headers=headers | {"x-forwarded-for": claimed}
            )
            assert answer.status_code == status, claimed


async def test_a_proxy_that_is_no_network_stops_the_process_at_once(url: str) -> None:
    told = {"INGEST_DATABASE_URL": url, "INGEST_TRUSTED_PROXIES": "the-proxy"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.ingest",
        "api",
        env={**os.environ, **told},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert process.returncode != 0
    assert b"trusted_proxies" in said
