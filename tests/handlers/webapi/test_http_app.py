"""What every app of ours does before its own code runs, asked over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI, Request
from pydantic import BaseModel, Field
from sqlalchemy import text
from starlette.responses import Response

from libs.events.database import Database, Tx
from libs.events.errors import Unavailable
from libs.webapi import keys
from libs.webapi.app import create_app
from libs.webapi.auth import Principal, requires
from libs.webapi.idempotency import once, prune_keys
from libs.webapi.problem import Problem

REMEMBER = text("INSERT INTO done (command_id, what) VALUES (:command_id, :what)")
DONE = text("SELECT what FROM done ORDER BY what")


class Work(BaseModel):
    what: str = Field(max_length=20)
    times: int = Field(default=1, ge=1)


def an_app(database: Database, *, pause: asyncio.Event | None = None) -> FastAPI:
    app = create_app("Sample", database, description="for tests", body_limit=2_000, body_limits={"/v1/big": 9_000})

    @app.get("/v1/works")
    async def works(
        principal: Annotated[Principal, requires("works:read", roles={"agent"})], limit: int = 1
    ) -> dict[str, str | int | None]:
        return {"name": principal.name, "person": principal.person_id, "role": principal.role, "limit": limit}

    @app.post("/v1/works")
    async def do(request: Request, work: Work, principal: Annotated[Principal, requires("works:write")]) -> Response:
        async def command(tx: Tx, command_id: UUID) -> tuple[int, dict[str, str], dict[str, str]]:
            await tx.execute(REMEMBER, {"command_id": command_id, "what": work.what})
            if work.what == "refused":
                raise Problem(409, "not-now", "Not now")
            if pause is not None:
                await pause.wait()
            return 201, {"id": str(command_id)}, {"Location": f"/v1/works/{command_id}"}

        return await once(database, request, principal, command)

    @app.post("/v1/big")
    async def big(work: Work) -> None:
        """Public for the test."""

    @app.get("/v1/broken")
    async def broken() -> None:
        raise RuntimeError("secret detail")

    @app.get("/v1/away")
    async def away() -> None:
        raise Unavailable("no route to 10.0.0.7")

    return app


@pytest.fixture
async def key(database: Database) -> str:
    async with database.transaction() as tx:
        return await keys.create_key(tx, name="caller", scopes=["works:read", "works:write"])


@pytest.fixture
async def client(database: Database, key: str) -> AsyncIterator[httpx.AsyncClient]:
    async with a_client(an_app(database), key) as client:
        yield client


def a_client(app: FastAPI, key: str | None) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://test",
        headers={"Authorization": f"Bearer {key}"} if key else {},
    )


def slug(response: httpx.Response) -> str:
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == response.status_code
    kind: str = response.json()["type"]
    return kind.removeprefix("urn:otklik:problem:")


async def done(database: Database) -> list[str]:
    async with database.reading() as tx:
        return [row.what for row in await tx.fetch(DONE)]


# --- who may pass


@pytest.mark.parametrize(
    "authorization", [None, "Basic dXNlcjpwYXNz", "Bearer", "Bearer x", "Bearer otk_" + "A" * 43, "bearer\t" + "otk_"]
)
async def test_without_a_known_key_the_answer_is_401_with_a_challenge(
    database: Database, authorization: str | None
) -> None:
    async with a_client(an_app(database), None) as client:
        response = await client.get("/v1/works", headers={"Authorization": authorization} if authorization else {})
    assert response.status_code == 401
    assert slug(response) == "unauthenticated"
    assert response.headers["www-authenticate"].startswith('Bearer realm="otklik"')


async def test_a_key_without_the_scope_is_told_which_one_it_lacks(database: Database) -> None:
    async with database.transaction() as tx:
        reader = await keys.create_key(tx, name="reader", scopes=["works:read"])
    async with a_client(an_app(database), reader) as client:
        response = await client.post("/v1/works", json={"what": "x"})
    assert response.status_code == 403
    assert slug(response) == "missing-scope"
    assert response.json()["scope"] == "works:write"


async def test_a_key_speaks_for_itself(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/works")
    assert response.json() == {"name": "caller", "person": None, "role": None, "limit": 1}


async def test_only_a_key_with_on_behalf_speaks_for_a_person(database: Database, client: httpx.AsyncClient) -> None:
    person = {"Otklik-Person": "person-1", "Otklik-Role": "agent"}
    refused = await client.get("/v1/works", headers=person)
    assert refused.status_code == 403
    assert refused.json()["scope"] == "on-behalf"

    async with database.transaction() as tx:
        trusted = await keys.create_key(tx, name="portal", scopes=["works:read", "on-behalf"])
    async with a_client(an_app(database), trusted) as portal:
        response = await portal.get("/v1/works", headers=person)
        assert response.json() == {"name": "portal", "person": "person-1", "role": "agent", "limit": 1}


async def test_the_role_of_the_person_narrows_what_the_key_may(database: Database) -> None:
    async with database.transaction() as tx:
        trusted = await keys.create_key(tx, name="portal", scopes=["works:read", "on-behalf"])
    async with a_client(an_app(database), trusted) as portal:
        response = await portal.get("/v1/works", headers={"Otklik-Person": "p", "Otklik-Role": "operator"})
    assert response.status_code == 403
    assert slug(response) == "role-not-allowed"
    assert response.json()["roles"] == ["agent"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Otklik-Person": "p"},
        {"Otklik-Role": "agent"},
        {"Otklik-Person": "p", "Otklik-Role": "owner"},
        {"Otklik-Person": "", "Otklik-Role": "agent"},
        {"Otklik-Person": "a b", "Otklik-Role": "agent"},
    ],
)
async def test_half_a_person_is_refused(database: Database, headers: dict[str, str]) -> None:
    async with database.transaction() as tx:
        trusted = await keys.create_key(tx, name="portal", scopes=["works:read", "on-behalf"])
    async with a_client(an_app(database), trusted) as portal:
        assert (await portal.get("/v1/works", headers=headers)).status_code == 400


def test_a_rule_with_an_unknown_role_is_a_mistake_at_start() -> None:
    with pytest.raises(ValueError, match="boss"):
        requires("works:read", roles={"boss"})


async def test_openapi_shows_the_scheme_and_the_scope(client: httpx.AsyncClient) -> None:
    described = (await client.get("/openapi.json")).json()
    assert described["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"
    assert described["paths"]["/v1/works"]["post"]["security"] == [{"apiKey": ["works:write"]}]


# --- what is refused before it is read


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"what": NaN}', 400),
        (b'{"what": "a", "what": "b"}', 400),
        (b'{"what": "\\u0000"}', 400),
        (b'{"what": "\\ud800"}', 400),
        (b'{"times": ' + b"9" * 1_900 + b"}", 400),
        (b"[" * 1_999, 400),
        (b"\xff", 400),
        (b"", 422),
        (b"[]", 422),
        (b'{"what": "' + b"x" * 3_000 + b'"}', 413),
    ],
)
async def test_a_bad_body_never_costs_more_than_a_refusal(client: httpx.AsyncClient, body: bytes, status: int) -> None:
    response = await client.post("/v1/works", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == status
    slug(response)


async def test_a_body_of_another_type_is_415(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/works", content=b"what=x", headers={"Content-Type": "text/plain"})
    assert response.status_code == 415


async def test_a_body_without_a_length_is_cut_off_at_the_limit(client: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1_000):
            sent += 500
            yield b" " * 500

    response = await client.post("/v1/works", content=endless(), headers={"Content-Type": "application/json"})

    assert response.status_code == 413
    assert sent <= 3_000


async def test_a_path_may_have_a_limit_of_its_own(client: httpx.AsyncClient) -> None:
    padded = b'{"what": "x"' + b" " * 8_000 + b"}"
    response = await client.post("/v1/big", content=padded, headers={"Content-Type": "application/json"})
    assert response.status_code == 200


async def test_fields_that_are_wrong_are_pointed_at_without_their_values(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/works", json={"what": "a contact detail that is too long", "times": 0})
    assert response.status_code == 422
    assert [error["pointer"] for error in response.json()["errors"]] == ["/what", "/times"]
    assert "contact detail" not in response.text


async def test_a_wrong_query_is_told_from_a_wrong_body(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/works?limit=" + "9" * 5_000)
    assert response.status_code == 422
    assert response.json()["errors"][0]["in"] == "query"


@pytest.mark.parametrize("address", ["/v1/works?limit=%00", "/v1/works%00"])
async def test_a_nul_in_the_address_is_400(client: httpx.AsyncClient, address: str) -> None:
    assert (await client.get(address)).status_code == 400


# --- how it fails


async def test_an_unforeseen_error_is_a_500_that_tells_nothing(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/broken")
    assert response.status_code == 500
    assert slug(response) == "internal"
    assert "secret" not in response.text


async def test_infrastructure_that_is_away_is_a_503_to_be_tried_again(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/away")
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    assert "10.0.0.7" not in response.text


async def test_a_database_that_is_away_is_a_503() -> None:
    nowhere = Database.connect("postgresql://nobody@127.0.0.1:1/nothing")
    async with a_client(an_app(nowhere), keys.new_key()) as client:
        response = await client.get("/v1/works")
    await nowhere.close()
    assert response.status_code == 503


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("DELETE", "/v1/works", 405)])
async def test_what_is_not_there_is_a_problem_too(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    response = await client.request(method, path)
    assert response.status_code == status
    slug(response)


@pytest.mark.parametrize("path", ["/v1/works", "/nowhere", "/v1/broken", "/docs", "/v1/works%00"])
async def test_every_answer_carries_the_security_headers(client: httpx.AsyncClient, path: str) -> None:
    headers = (await client.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


async def test_the_reference_needs_no_script_and_no_foreign_asset(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert "/v1/works" in page.text
    assert "works:write" in page.text
    assert "<script" not in page.text
    assert "//" not in page.text.replace("://test", "")


# --- sent twice, done once


async def test_the_same_command_sent_again_gets_the_stored_answer(
    database: Database, client: httpx.AsyncClient
) -> None:
    first = await client.post("/v1/works", json={"what": "once"}, headers={"Idempotency-Key": "k1"})
    again = await client.post("/v1/works", json={"what": "once"}, headers={"Idempotency-Key": "k1"})

    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    assert await done(database) == ["once"]


async def test_the_same_key_for_another_command_is_refused(database: Database, client: httpx.AsyncClient) -> None:
    await client.post("/v1/works", json={"what": "one"}, headers={"Idempotency-Key": "k1"})
    other = await client.post("/v1/works", json={"what": "two"}, headers={"Idempotency-Key": "k1"})

    assert other.status_code == 422
    assert slug(other) == "idempotency-key-reused"
    assert await done(database) == ["one"]


async def test_a_refused_command_leaves_nothing_and_may_be_tried_again(
    database: Database, client: httpx.AsyncClient
) -> None:
    for _ in range(2):
        refused = await client.post("/v1/works", json={"what": "refused"}, headers={"Idempotency-Key": "k1"})
        assert refused.status_code == 409
    assert await done(database) == []


async def test_two_callers_may_use_the_same_key(database: Database, client: httpx.AsyncClient) -> None:
    async with database.transaction() as tx:
        another = await keys.create_key(tx, name="another", scopes=["works:write"])
    await client.post("/v1/works", json={"what": "one"}, headers={"Idempotency-Key": "k1"})
    async with a_client(an_app(database), another) as other:
        response = await other.post("/v1/works", json={"what": "two"}, headers={"Idempotency-Key": "k1"})
    assert response.status_code == 201
    assert await done(database) == ["one", "two"]


async def test_at_the_same_moment_the_second_waits_for_the_first(database: Database, key: str) -> None:
    pause = asyncio.Event()
    async with a_client(an_app(database, pause=pause), key) as client:
        sent = [
            asyncio.create_task(client.post("/v1/works", json={"what": "once"}, headers={"Idempotency-Key": "k1"}))
            for _ in range(3)
        ]
        await until_waiting(database, how_many=2)
        pause.set()
        answers = await asyncio.gather(*sent)

    assert {answer.content for answer in answers} == {answers[0].content}
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 2
    assert await done(database) == ["once"]


async def until_waiting(database: Database, *, how_many: int) -> None:
    blocked = text("SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    async with asyncio.timeout(60):
        while True:
            async with database.reading() as tx:
                row = await tx.fetch_one(blocked)
            if row is not None and row.n == how_many:
                return


@pytest.mark.parametrize("key_sent", ["", "has space", "é", "x" * 256])
async def test_a_key_that_is_none_is_refused(client: httpx.AsyncClient, key_sent: str) -> None:
    response = await client.post(
        "/v1/works", json={"what": "x"}, headers={b"Idempotency-Key": key_sent.encode("latin-1")}
    )
    assert response.status_code == 400


async def test_without_a_key_each_sending_is_a_command(database: Database, client: httpx.AsyncClient) -> None:
    for _ in range(2):
        assert (await client.post("/v1/works", json={"what": "again"})).status_code == 201
    assert await done(database) == ["again", "again"]


async def test_old_keys_are_forgotten_a_few_at_a_time(database: Database, client: httpx.AsyncClient) -> None:
    for number in range(3):
        await client.post("/v1/works", json={"what": "x"}, headers={"Idempotency-Key": f"k{number}"})

    async with database.transaction() as tx:
        assert not await prune_keys(tx, older_than=timedelta(days=1))
        assert await prune_keys(tx, older_than=timedelta(0), limit=2)
        assert not await prune_keys(tx, older_than=timedelta(0), limit=2)
    replayed = await client.post("/v1/works", json={"what": "x"}, headers={"Idempotency-Key": "k0"})
    assert "idempotency-replayed" not in replayed.headers
