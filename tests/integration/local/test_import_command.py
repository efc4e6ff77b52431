"""`otklik import` against a real server: what it shows, and that either side may be killed at any moment."""

import asyncio
import csv
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from deploy.local.ports import free_ports
from deploy.local.postgres import PostgresServer
from deploy.local.schemas import as_role, bootstrap
from libs.events.database import Database
from libs.events.migrate import upgrade
from libs.webapi.keys import create_key, list_keys

ROOT = Path(__file__).parents[3]
DEADLINE_S = 60.0
HEADER = "Номер ответа;Дата ответа;Оценка;Комментарий;Клиент"
SCOPES = ("sources:write", "responses:write", "deliveries:read")
INSTRUMENT = {
    "metric": "nps",
    "question": "Порекомендуете ли вы нас?",
    "scale_min": 0,
    "scale_max": 10,
    "kind": "relationship",
    "channel": "email",
}


def until(look: Callable[[], Any], what: str) -> Any:  # noqa: ANN401 - whatever it looks for
    deadline = time.monotonic() + DEADLINE_S
    while not (found := look()):
        assert time.monotonic() < deadline, f"there never was {what}"
        time.sleep(0.02)
    return found


@dataclass
class Server:
    """Ingest as a process, which can be killed and started again at the same address."""

    url: str
    port: int
    key: str
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        environment = os.environ | {"INGEST_DATABASE_URL": self.url, "INGEST_PORT": str(self.port)}
        command = [sys.executable, "-m", "services.ingest", "api"]
        self._processes.append(
            subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )
        until(self._serves, "a server")

    def kill(self) -> None:
        self._processes[-1].kill()
        self._processes[-1].wait()

    def imports(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._ask("GET", "/v1/imports").json()["items"]
        return found

    def put_source(self) -> None:
        body = {"vendor": "generic-token", "program": "retail", "instrument": INSTRUMENT, "secret": "t" * 32}
        self._ask("PUT", "/v1/sources/shop", body | {"time_zone": "Europe/Moscow"})

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def _serves(self) -> bool:
        try:
            return httpx.get(f"{self.address}/livez").is_success
        except httpx.TransportError:
            return False

    def _ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.request(method, self.address + path, json=body, headers=headers).raise_for_status()


async def a_key(url: str) -> str:
    database = Database.connect(url, pool_size=1)
    try:
        async with database.transaction() as tx:
            return await create_key(tx, name="tests", scopes=SCOPES)
    finally:
        await database.close()


async def counts(url: str) -> tuple[int, int, int]:
    """Deliveries, responses, and events that wait to be published."""
    connection = await asyncpg.connect(url)
    try:
        tables = ("deliveries", "responses", "outbox")
        one, two, three = [await connection.fetchval(f"SELECT count(*) FROM {table}") for table in tables]  # noqa: S608 - a constant
        return one, two, three
    finally:
        await connection.close()


async def active_keys(url: str) -> list[str]:
    database = Database.connect(url, pool_size=1)
    try:
        async with database.transaction() as tx:
            return [key.name for key in await list_keys(tx) if key.revoked_at is None]
    finally:
        await database.close()


@pytest.fixture
def server(service_database: Callable[[str], str]) -> Iterator[Server]:
    url = service_database("ingest")
    [port] = free_ports(1)
    with closing(Server(url, port, asyncio.run(a_key(url)))) as server:
        server.start()
        server.put_source()
        yield server


@pytest.fixture
def import_into() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the command against a server."""
    started: list[subprocess.Popen[str]] = []

    def start(server: Server, path: Path, *arguments: str, key: str | None = None) -> subprocess.Popen[str]:
        environment = os.environ | {
            "OTKLIK_INGEST_URL": server.address,
            "OTKLIK_INGEST_KEY": server.key if key is None else key,
            "INGEST_DATABASE_URL": server.url,
            "COLUMNS": "160",
            "PYTHONIOENCODING": "utf-8",
        }
        command = [sys.executable, "-m", "deploy.cli", "import", str(path), "--source", "shop", *arguments]
        pipe = subprocess.PIPE
        started.append(
            subprocess.Popen(command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def start_import(
    server: Server, import_into: Callable[..., subprocess.Popen[str]]
) -> Callable[..., subprocess.Popen[str]]:
    return partial(import_into, server)


class OwnPostgres:
    """A server of one test's own, with ingest's schema, that can be stopped, killed and started again."""

    def __init__(self, folder: Path) -> None:
        # It syncs, as it does where people work: what it acknowledged it has after a crash.
        self._server = PostgresServer(folder=folder / "postgres", password="administrator", log=folder / "postgres.log")
        self._child = self._server.start()
        self.url = as_role(self._server.dsn("postgres"), "ingest", "ingest")
        asyncio.run(bootstrap(self._server.dsn("postgres"), {"ingest": "ingest"}))
        asyncio.run(upgrade(self.url, ROOT / "services" / "ingest" / "migrations"))

    def start(self) -> None:
        self._child = self._server.start()

    def stop(self) -> None:
        self._child.stop()

    def crash(self) -> None:
        """Everything at once, the processes of its connections too, as when a machine dies."""
        self._child.wipe_out()


@pytest.fixture
def own_postgres() -> Iterator[OwnPostgres]:
    folder = Path(tempfile.mkdtemp(prefix="otklik-"))
    server = OwnPostgres(folder)
    yield server
    server.stop()
    shutil.rmtree(folder)


def write_file(path: Path, rows: int) -> int:
    """A file as an old program writes it, with one row in a thousand that is none; how many rows are good."""
    with path.open("w", encoding="cp1251", newline="") as file:
        file.write(HEADER + "\r\n")
        for number in range(rows):
            if number % 1_000 == 500:
                file.write(f'r-{number};оборвано;"и не закрыто\r\n')
            else:
                words = f'"Долго ждал,\nответа ""№ {number}"" нет"' if number % 10 == 0 else "Всё хорошо; спасибо"
                words = words if words.startswith('"') else f'"{words}"'
                file.write(f"r-{number};01.03.2026 09:15:{number % 60:02};{number % 11};{words};c-{number % 997}\r\n")
    return rows - rows // 1_000


def test_either_side_may_be_killed_and_each_row_counts_once(
    server: Server, start_import: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    path = tmp_path / "ответы.csv"
    good = write_file(path, 20_000)

    def taken(rows: int) -> Callable[[], bool]:
        return lambda: any(import_["accepted"] >= rows for import_ in server.imports())

    command = start_import(path, "--yes")
    until(taken(3_000), "a part of the file")
    server.kill()
    server.start()
    until(taken(9_000), "more of the file")
    command.kill()
    command.wait()
    [stopped] = server.imports()
    assert not stopped["finished"]

    out, err = start_import(path, "--yes").communicate(timeout=DEADLINE_S)

    assert "Going on after" in out, err
    [done] = server.imports()
    assert done["finished"]
    assert (done["accepted"], done["duplicates"], done["errors"]) == (good, 0, 20)
    assert asyncio.run(counts(server.url)) == (good, good, good)
    with (tmp_path / "ответы.csv.errors.csv").open(encoding="cp1251", newline="") as file:
        heading, *errors = csv.reader(file, delimiter=";")
    assert heading == [*HEADER.split(";"), "line", "reason"]
    assert len(errors) == 20
    assert errors[0][0] == 'r-500;оборвано;"и не закрыто'
    assert errors[0][-2:] == ["552", "there is text after the closing quote of a field"]

    again, _ = start_import(path, "--yes").communicate(timeout=DEADLINE_S)
    assert "was imported before" in again
    assert asyncio.run(counts(server.url)) == (good, good, good)


def test_the_database_may_go_away_and_the_import_goes_on_by_itself(
    own_postgres: OwnPostgres, tmp_path: Path, import_into: Callable[..., subprocess.Popen[str]]
) -> None:
    path = tmp_path / "answers.csv"
    good = write_file(path, 8_000)
    with closing(Server(own_postgres.url, free_ports(1)[0], asyncio.run(a_key(own_postgres.url)))) as server:
        server.start()
        server.put_source()

        def taken(rows: int) -> Callable[[], bool]:
            def look() -> bool:
                with suppress(httpx.HTTPStatusError):  # the database has only just come back
                    return any(import_["accepted"] >= rows for import_ in server.imports())
                return False

            return look

        command = import_into(server, path, "--yes")
        until(taken(1_000), "a part of the file")
        own_postgres.crash()  # in the middle of whatever it was doing
        assert command.poll() is None
        own_postgres.start()
        until(taken(3_000), "more of the file")
        own_postgres.stop()
        assert command.poll() is None
        own_postgres.start()
        out, err = command.communicate(timeout=DEADLINE_S)

        assert command.returncode == 0, err
        assert f"{good:,}".replace(",", "") in out.replace(",", "").replace("\u202f", ""), out
        [done] = server.imports()
        assert done["finished"]
        # A batch that was committed and never acknowledged is not read a second time, and so nothing is a duplicate.
        assert (done["accepted"], done["duplicates"], done["errors"]) == (good, 0, 8)
        assert asyncio.run(counts(own_postgres.url)) == (good, good, good)


def test_whoever_reaches_the_database_needs_no_key(
    server: Server, start_import: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    path = tmp_path / "answers.csv"
    good = write_file(path, 40)

    out, err = start_import(path, "--yes", key="").communicate(timeout=DEADLINE_S)

    assert f"{good} accepted" in out, err
    assert asyncio.run(active_keys(server.url)) == ["tests"]


def test_what_was_found_is_shown_before_anything_is_sent(
    server: Server, start_import: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    path = tmp_path / "answers.csv"
    write_file(path, 50)

    shown, _ = start_import(path, "--dry-run").communicate(timeout=DEADLINE_S)
    declined = start_import(path)
    _, question = declined.communicate("n\n", timeout=DEADLINE_S)

    for fact in ("windows-1251", "semicolon ';'", "day-first", "Оценка", "Долго ждал", "2026-03-01T06:15:00+00:00"):
        assert fact in shown
    assert "Import it?" in question
    assert declined.returncode == 1
    assert server.imports() == []


def test_a_file_that_cannot_be_understood_says_what_to_say(
    start_import: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    path = tmp_path / "answers.csv"
    path.write_text("one;two\n1;2\n", encoding="utf-8")

    command = start_import(path, "--yes")
    _, err = command.communicate(timeout=DEADLINE_S)

    assert command.returncode == 1
    assert "which column is answered_at and which score?" in " ".join(err.split())


def test_ctrl_c_leaves_an_import_that_goes_on(
    server: Server, start_import: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    path = tmp_path / "answers.csv"
    good = write_file(path, 40_000)

    command = start_import(path, "--yes")
    until(lambda: any(import_["accepted"] for import_ in server.imports()), "a part of the file")
    command.send_signal(signal.SIGINT)
    _, err = command.communicate(timeout=DEADLINE_S)

    assert command.returncode == 130
    assert "goes on there" in " ".join(err.split())
    start_import(path, "--yes").communicate(timeout=DEADLINE_S)
    assert server.imports()[0]["accepted"] == good
