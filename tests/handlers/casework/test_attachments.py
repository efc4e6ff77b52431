"""Files of a case: what is taken and what is not, how it is handed out, and when it goes."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import httpx
import pytest

from libs.events.database import Database
from libs.events.event import Event
from libs.webapi import keys
from services.casework.api import build_app
from services.casework.attachment_jobs import SPARED, Orphans, Removals
from services.casework.domain.names import ResponseId, case_id_of
from services.casework.store import attachments
from services.casework.store.attachment_files import ROWS, AttachmentFiles

Make = Callable[..., Event[Any]]
Deliver = Callable[..., Coroutine[None, None, None]]
Rows = Callable[..., Awaitable[Sequence[Any]]]


class Clock(Protocol):
    now: datetime


LIMIT = 2_000_000
PDF = b"%PDF-1.7\n" + bytes(range(256)) * 40
CASE = f"/v1/cases/{case_id_of(ResponseId('r-1'))}"
FILES = f"{CASE}/attachments"

pytestmark = pytest.mark.usefixtures("staff")


@pytest.fixture
def files(tmp_path: Path) -> AttachmentFiles:
    return AttachmentFiles(tmp_path / "attachments", size_limit=LIMIT, per_case=3)


@pytest.fixture
async def key(database: Database) -> str:
    async with database.transaction() as tx:
        return await keys.create_key(tx, name="portal", scopes=("cases:read", "cases:write", "on-behalf"))


@pytest.fixture
async def desk(database: Database, files: AttachmentFiles, key: str) -> AsyncIterator[httpx.AsyncClient]:
    """Anna at a desk that has a folder for files."""
    transport = httpx.ASGITransport(build_app(database, files))
    headers = {"Authorization": f"Bearer {key}", "Otklik-Person": "anna", "Otklik-Role": "agent"}
    async with httpx.AsyncClient(transport=transport, base_url="http://casework", headers=headers) as client:
        yield client


async def send(client: httpx.AsyncClient, content: bytes, name: str = "file", **headers: str) -> httpx.Response:
    return await client.post(FILES, content=content, headers={"Otklik-File-Name": quote(name), **headers})


async def all_round(orphans: Orphans) -> None:
    for _ in ROWS[:-1]:
        assert await orphans.step()
    assert not await orphans.step()


def kept(files: AttachmentFiles, content: bytes) -> Path:
    return files.path(hashlib.sha256(content).hexdigest())


async def test_a_file_is_attached_listed_saved_and_removed_with_a_reason(
    desk: httpx.AsyncClient, files: AttachmentFiles, database: Database, deliver: Deliver, scored: Make
) -> None:
    await deliver(scored("r-1"))
    sent = await send(desk, PDF, "../Договор Ольги.exe", **{"Content-Type": "text/html", "Idempotency-Key": "k"})
    assert (sent.status_code, sent.json()["media_type"], sent.headers["etag"]) == (201, "application/pdf", '"3"')
    again = await send(desk, PDF, "../Договор Ольги.exe", **{"Content-Type": "text/html", "Idempotency-Key": "k"})
    assert (again.json(), again.headers["idempotency-replayed"]) == (sent.json(), "true")
    other = await send(desk, PDF + b"!", "../Договор Ольги.exe", **{"Idempotency-Key": "k"})
    assert other.json()["type"] == "urn:otklik:problem:idempotency-key-reused"
    (listed,) = (await desk.get(FILES)).json()["items"]
    assert (listed["name"], listed["size"], listed["by"]["name"]) == ("Договор Ольги.exe.pdf", len(PDF), "Anna")
    assert kept(files, PDF).stat().st_mode & 0o077 == 0

    saved = await desk.get(sent.headers["location"])
    assert (saved.status_code, saved.content) == (200, PDF)
    assert saved.headers["content-disposition"] == (f"attachment; filename*=UTF-8''{quote('Договор Ольги.exe.pdf')}")
    for header, value in (
        ("content-type", "application/pdf"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "sandbox; default-src 'none'"),
        ("content-length", str(len(PDF))),
        ("etag", f'"{hashlib.sha256(PDF).hexdigest()}"'),
    ):
        assert saved.headers[header] == value
    known = {"If-None-Match": saved.headers["etag"]}
    assert (await desk.get(sent.headers["location"], headers=known)).status_code == 304

    assert (await desk.delete(sent.headers["location"])).status_code == 422
    seen = {"If-Match": '"1"'}
    wrong = await desk.delete(sent.headers["location"], params={"reason": "wrong_case"}, headers=seen)
    assert wrong.status_code == 412
    gone = await desk.delete(sent.headers["location"], params={"reason": "wrong_case"})
    assert (gone.status_code, gone.json()["version"]) == (200, 4)
    assert (await desk.get(sent.headers["location"])).status_code == 404
    assert (await desk.delete(sent.headers["location"], params={"reason": "other"})).status_code == 404
    attached, detached = (await desk.get(CASE)).json()["timeline"][-2:]
    assert (attached["kind"], attached["text"], attached["details"]["bytes"]) == ("attached", listed["name"], len(PDF))
    assert (detached["kind"], detached["details"]["reason"], detached["actor"]["id"]) == (
        "detached",
        "wrong_case",
        "anna",
    )
    assert kept(files, PDF).exists()
    await Removals(database, files, batch=10).step()
    assert not kept(files, PDF).exists()


async def test_what_is_too_large_or_of_another_type_is_refused_before_it_is_read_to_the_end(
    desk: httpx.AsyncClient, files: AttachmentFiles, deliver: Deliver, scored: Make, rows: Rows
) -> None:
    await deliver(scored("r-1"))
    pulled = 0

    async def pieces(first: bytes) -> AsyncIterator[bytes]:
        nonlocal pulled
        for _ in range(100):
            pulled += 1
            yield first
            first = b"a" * 50_000

    assert (await desk.post(FILES, content=pieces(PDF))).status_code == 413
    assert 40 <= pulled < 50
    pulled = 0
    assert (await desk.post(FILES, content=pieces(b"MZ\x90\0" + bytes(1_000)))).status_code == 415
    assert pulled < 50
    announced = {"Content-Length": str(LIMIT + 1)}
    assert (await desk.post(FILES, content=pieces(PDF), headers=announced)).status_code == 413
    for content in (b"", b"MZ\x90\0", b"PK\x03\x04" + bytes(100), "Ольга".encode("utf-16"), b"a\0b"):
        refused = await send(desk, content, "harmless.pdf", **{"Content-Type": "application/pdf"})
        assert (refused.status_code, refused.json()["status"]) == (415, 415)
    large = await desk.post(f"{CASE}/notes", content=b'{"text": "' + b"a" * 1_100_000 + b'"}')
    assert large.status_code == 413
    assert await rows("SELECT id FROM attachments") == []
    assert [path for path in files.path("00").parents[1].rglob("*") if path.is_file()] == []


async def test_text_is_handed_out_as_text_and_a_name_that_is_no_name_is_refused(
    desk: httpx.AsyncClient, deliver: Deliver, scored: Make
) -> None:
    await deliver(scored("r-1"))
    page = await send(desk, b"<script>alert(1)</script>", "page.html", **{"Content-Type": "text/html"})
    saved = await desk.get(page.headers["location"])
    assert saved.headers["content-type"] == "text/plain; charset=utf-8"
    assert saved.headers["content-disposition"].endswith("''page.html.txt")
    table = await send(desk, b"a;b\r\n1;2\r\n", "t.csv", **{"Content-Type": "text/csv; charset=utf-8"})
    assert table.json()["media_type"] == "text/csv"
    assert (await desk.post(FILES, content=PDF, headers={"Otklik-File-Name": "%ff"})).status_code == 422
    nameless = await desk.post(FILES, content=PDF)
    assert (await desk.get(nameless.headers["location"])).headers["content-disposition"].endswith("''attachment.pdf")
    full = await send(desk, PDF)
    assert (full.status_code, full.json()["type"]) == (409, "urn:otklik:problem:case-has-too-many-attachments")


async def test_only_who_closes_loops_sees_files_and_without_a_folder_there_are_none(
    desk: httpx.AsyncClient, anna: httpx.AsyncClient, deliver: Deliver, scored: Make
) -> None:
    await deliver(scored("r-1"))
    location = (await send(desk, PDF)).headers["location"]
    operator = {"Otklik-Role": "operator"}
    refused = [
        await desk.get(FILES, headers=operator),
        await desk.get(location, headers=operator),
        await desk.delete(location, params={"reason": "other"}, headers=operator),
        await send(desk, PDF, **operator),
    ]
    assert [answer.status_code for answer in refused] == [403] * 4
    elsewhere = f"/v1/cases/{case_id_of(ResponseId('r-9'))}/attachments"
    assert [(await desk.get(elsewhere)).status_code, (await desk.post(elsewhere, content=PDF)).status_code] == [404] * 2
    none = [await send(anna, PDF), await anna.get(location)]
    assert {(answer.status_code, answer.json()["type"]) for answer in none} == {
        (503, "urn:otklik:problem:attachments-not-kept")
    }


async def test_a_crash_between_file_and_row_leaves_an_orphan_that_goes_when_it_is_old(
    desk: httpx.AsyncClient,
    files: AttachmentFiles,
    database: Database,
    deliver: Deliver,
    scored: Make,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await deliver(scored("r-1"))
    await send(desk, PDF)

    async def die(*_arguments: object, **_more: object) -> None:
        raise ConnectionResetError("the database went away")

    with monkeypatch.context() as patch:
        patch.setattr(attachments, "add", die)
        assert (await send(desk, b"an orphan")).status_code == 503
    assert [entry["kind"] for entry in (await desk.get(CASE)).json()["timeline"]].count("attached") == 1
    arriving = kept(files, PDF).parents[1] / "arriving" / "0123"
    arriving.write_bytes(b"half a fi")
    orphans = Orphans(database, files)
    everything = (kept(files, PDF), kept(files, b"an orphan"), arriving)
    young, old = clock.now.timestamp(), (clock.now - SPARED - timedelta(minutes=1)).timestamp()
    for path in everything:
        os.utime(path, (young, young))
    await all_round(orphans)
    assert [path.exists() for path in everything] == [True, True, True]
    for path in everything:
        os.utime(path, (old, old))
    await all_round(orphans)
    assert [path.exists() for path in everything] == [True, False, False]


async def test_a_file_of_two_cases_goes_with_the_second_and_an_erasure_takes_rows_names_and_files(
    desk: httpx.AsyncClient,
    files: AttachmentFiles,
    database: Database,
    deliver: Deliver,
    scored: Make,
    erased: Make,
    rows: Rows,
) -> None:
    await deliver(scored("r-1"), scored("r-2", customer_id="c-2"))
    other_case = f"/v1/cases/{case_id_of(ResponseId('r-2'))}/attachments"
    await send(desk, PDF, "Ольга.pdf", **{"Idempotency-Key": "k"})
    await send(desk, b"only hers", "Ольга.txt")
    other = await desk.post(other_case, content=PDF)
    removals = Removals(database, files, batch=10)
    await deliver(erased("c-1"))
    await removals.step()
    assert (await desk.get(FILES)).json() == {"items": [], "most_bytes": LIMIT, "most_files": 3}
    assert (kept(files, PDF).exists(), kept(files, b"only hers").exists()) == (True, False)
    assert (await desk.get(other.headers["location"])).content == PDF
    for everything in (
        "SELECT CAST(t.* AS text) AS row FROM attachments AS t",
        "SELECT CAST(t.* AS text) AS row FROM timeline AS t",
        "SELECT convert_from(body, 'UTF8') AS row FROM idempotency_keys",
    ):
        assert "Ольга" not in str([row.row for row in await rows(everything)])
    await desk.delete(other.headers["location"], params={"reason": "customer_asked"})
    await removals.step()
    assert not kept(files, PDF).exists()
    assert await rows("SELECT sha256 FROM attachment_removals") == []


async def test_who_sends_a_file_while_it_is_taken_away_has_it(
    desk: httpx.AsyncClient,
    files: AttachmentFiles,
    database: Database,
    deliver: Deliver,
    scored: Make,
    somebody_waits: Callable[[], Awaitable[None]],
) -> None:
    await deliver(scored("r-1"))
    first = await send(desk, PDF)
    await desk.delete(first.headers["location"], params={"reason": "duplicate"})
    digest = hashlib.sha256(PDF).hexdigest()
    async with database.transaction() as tx:
        assert await attachments.to_remove(tx, 10) == [digest]
        await attachments.lock(tx, [digest])
        sending = asyncio.create_task(send(desk, PDF))
        await somebody_waits()
        await files.remove(await attachments.unknown(tx, [digest]))
        await attachments.removed(tx, [digest])
    sent = await sending
    assert (await desk.get(sent.headers["location"])).content == PDF
