"""`otklik sources` and `otklik deliveries` over a served ingest: list, show, replay, and what they refuse."""

import asyncio
import io
import json
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import uvicorn

from deploy.cli import main
from libs.events.database import Database
from libs.webapi.keys import create_key
from services.ingest.api import build_app

TOKEN = "a token that is long enough"
SCOPES = ("sources:read", "sources:write", "deliveries:read", "deliveries:write")
NO_ID = "00000000-0000-7000-8000-000000000000"


@dataclass(frozen=True)
class Done:
    """What a command said, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Server:
    """Ingest, and a key for it."""

    url: str
    key: str

    def call(self, method: str, path: str, **body: object) -> Any:  # noqa: ANN401 - JSON
        answer = httpx.request(method, self.url + path, json=body, headers={"Authorization": f"Bearer {self.key}"})
        assert answer.is_success, answer.text
        return answer.json()

    def put(self, name: str = "shop", **changes: object) -> None:
        instrument = {
            "metric": "nps",
            "question": "How likely?",
            "scale_min": 0,
            "scale_max": 10,
            "kind": "transactional",
            "channel": "email",
        }
        body = {"vendor": "generic-token", "program": "retail", "instrument": instrument, "secret": TOKEN}
        self.call("PUT", f"/v1/sources/{name}", **body | changes)

    def deliver(self, response: str, source: str = "shop", **told: object) -> str:
        body = {"response_id": response, "answered_at": "2026-01-05T10:00:00Z", "score": 3} | told
        return str(self.call("POST", f"/v1/webhooks/{source}/{TOKEN}", **body)["delivery_id"])


Otklik = Callable[..., Done]


@pytest.fixture
def server(service_database: Callable[[str], str]) -> Iterator[Server]:
    """Ingest in a thread of its own, as a command runs loops of its own."""
    url = service_database("ingest")
    keys: list[str] = []
    ready = threading.Event()
    serving: list[tuple[uvicorn.Server, asyncio.AbstractEventLoop]] = []

    async def serve() -> None:
        database = Database.connect(url, pool_size=3)
        async with database.transaction() as tx:
            keys.append(await create_key(tx, name="tests", scopes=SCOPES))
        config = uvicorn.Config(build_app(database), host="127.0.0.1", port=0, log_level="error", lifespan="off")
        server = uvicorn.Server(config)
        serving.append((server, asyncio.get_running_loop()))
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0)
        ready.set()
        await task
        await database.close()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(20)
    [(running, loop)] = serving
    yield Server(f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}", keys[0])
    loop.call_soon_threadsafe(lambda: setattr(running, "should_exit", True))
    thread.join(20)


@pytest.fixture
def otklik(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Otklik:
    """Run the command with these arguments against this server."""

    def run(server: Server, *arguments: str, stdin: str = "") -> Done:
        monkeypatch.setattr(sys, "argv", ["otklik", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        monkeypatch.setenv("OTKLIK_INGEST_URL", server.url)
        monkeypatch.setenv("OTKLIK_INGEST_KEY", server.key)
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return Done(int(left.value.code or 0), said.out, said.err)

    return run


def test_sources_are_listed_and_shown(server: Server, otklik: Otklik) -> None:
    server.put()
    server.put("phone", program="claims", field_map={"score": {"path": "grade"}})
    listed = otklik(server, "sources", "list")
    assert (listed.returncode, listed.stdout.index("phone") < listed.stdout.index("shop")) == (0, True)
    assert "path grade" in listed.stdout
    lines = otklik(server, "sources", "list", "--program", "claims", "--json").stdout.splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["phone"]
    server.deliver("r-1")
    shown = otklik(server, "sources", "show", "shop")
    assert all(said in shown.stdout for said in ("How likely?", "/v1/webhooks/shop", "accepted", "in use"))
    assert TOKEN not in shown.stdout
    assert json.loads(otklik(server, "sources", "show", "shop", "--json").stdout)["vendor"] == "generic-token"


def test_deliveries_are_listed_shown_and_replayed(server: Server, otklik: Otklik) -> None:
    server.put(field_map={"score": {"path": "grade"}})
    first = server.deliver("r-1", grade="no number", comment="Ужасно \u202e")
    second = server.deliver("r-2", grade="no number")
    good = server.deliver("r-3", grade=3)

    listed = otklik(server, "deliveries", "list")
    assert listed.stdout.index(good) < listed.stdout.index(second) < listed.stdout.index(first)
    quarantined = otklik(server, "deliveries", "list", "--status", "quarantined", "--since", "1h", "--json").stdout
    assert [json.loads(line)["id"] for line in quarantined.splitlines()] == [second, first]
    shown = otklik(server, "deliveries", "show", first)
    assert all(said in shown.stdout for said in (first, "quarantined", '"comment": "Ужасно', "grade"))
    assert "\u202e" not in shown.stdout
    assert json.loads(otklik(server, "deliveries", "show", first, "--raw").stdout)["response_id"] == "r-1"

    server.put()
    refused = otklik(server, "deliveries", "replay", "--source", "shop", stdin="n\n")
    assert refused.returncode == 1
    assert "Replay 2: shop 2" in refused.stderr
    one = otklik(server, "deliveries", "replay", first, "--yes")
    assert (one.returncode, one.stdout) == (0, "Replayed: 1. They are now: accepted 1.\n")
    rest = otklik(server, "deliveries", "replay", "--everything", "--yes")
    assert rest.stdout == "Replayed: 1. They are now: accepted 1.\n"
    assert otklik(server, "deliveries", "replay", "--everything", "--yes").stdout == "No deliveries are like that.\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("deliveries", "replay"), "Which? Say ids"),
        (("deliveries", "replay", NO_ID, "--everything"), "Either ids or filters"),
        (("deliveries", "show", NO_ID), "There is no such delivery."),
        (("deliveries", "replay", NO_ID, "--yes"), "There is no such delivery."),
        (("deliveries", "list", "--since", "yesterday"), "--since yesterday is not understood"),
        (("deliveries", "list", "--source", "NO"), "Ingest answered 422"),
        (("sources", "show", "none"), "There is no such source."),
    ],
)
def test_what_cannot_be_done_is_said(server: Server, otklik: Otklik, arguments: tuple[str, ...], says: str) -> None:
    done = otklik(server, *arguments)
    assert done.returncode == 1
    assert says in done.stderr


def test_an_absent_server_is_said(otklik: Otklik) -> None:
    done = otklik(Server("http://127.0.0.1:1", "otk_none"), "deliveries", "list")
    assert done.returncode == 1
    assert "not reachable" in done.stderr


def test_a_number_is_no_id(otklik: Otklik) -> None:
    assert otklik(Server("http://127.0.0.1:1", "otk_none"), "deliveries", "show", "17").returncode == 2
