"""Files of responses over HTTP: whole or in pieces, again and elsewhere, with rows that are none."""

import hashlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from libs.events.database import Database, Tx
from services.ingest import imports as reading
from services.ingest import intake
from services.ingest.domain.deliveries import Arrival
from services.ingest.store.deliveries import record

HEADER = "Response ID;Answered at;NPS score;Why?;Customer"
SCRAPS = [
    *(bytes([byte]) for byte in b'";,|\t\n\r\0{}[]a9\xff\x98'),
    *("Ж".encode(), "Ж".encode("cp1251"), b"\xef\xbb\xbf", b"sep=;\n", b"\\ud800", b"\\u0000", b"1e999", b"9" * 30),
    *(b"2026-03-01T10:00:00Z;7\n", b"01.02.2026;11\n", b'{"date":"2026-03-01T10:00:00Z","score":3}\n'),
]
ASource = Callable[..., Awaitable[dict[str, Any]]]
Rows = Callable[[], Awaitable[Sequence[Any]]]

_OUTBOX = text("SELECT count(*) AS amount FROM outbox")


def a_file(*rows: str, header: str = HEADER, encoding: str = "utf-8") -> bytes:
    return "\r\n".join([header, *rows, ""]).encode(encoding)


def a_row(number: int, *, score: object = 9, why: str = "fine", day: int = 1) -> str:
    return f"r-{number};{day:02}.03.2026 09:15;{score};{why};c-{number}"


def the_file(content: bytes) -> dict[str, Any]:
    return {"digest": hashlib.sha256(content).hexdigest(), "size": len(content)}


async def post(client: httpx.AsyncClient, content: bytes = b"", **parameters: object) -> dict[str, Any]:
    query: Any = {"source": "shop"} | parameters
    answer = await client.post("/v1/imports", params=query, content=content)
    assert answer.status_code in {200, 201}, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def put(client: httpx.AsyncClient, id_: str, content: bytes, offset: int) -> httpx.Response:
    return await client.put(f"/v1/imports/{id_}/content", params={"offset": offset}, content=content)


async def events(database: Database) -> int:
    async with database.reading() as tx:
        [row] = await tx.fetch(_OUTBOX)
    return int(row.amount)


def counted(import_: dict[str, Any]) -> tuple[int, int, int, int]:
    return import_["accepted"], import_["duplicates"], import_["ignored"], import_["errors"]


async def test_a_whole_file_is_imported_in_one_request(
    client: httpx.AsyncClient, a_source: ASource, deliveries: Rows
) -> None:
    await a_source(time_zone="Europe/Moscow")

    done = await post(client, a_file(a_row(1, score=3, why='"slow,\nand rude"'), a_row(2)))

    assert done["finished"] is True
    assert counted(done) == (2, 0, 0, 0)
    assert done["layout"]["map"] == {
        "response_id": "Response ID",
        "answered_at": "Answered at",
        "score": "NPS score",
        "comment": "Why?",
        "customer": "Customer",
    }
    kept = await deliveries()
    assert [(each.via, each.status) for each in kept] == [("file", "accepted")] * 2
    assert bytes(kept[0].body).decode().startswith('{"Answered at":"01.03.2026 09:15","Customer":"c-1"')


async def test_the_same_file_twice_adds_nothing(
    client: httpx.AsyncClient, a_source: ASource, database: Database, deliveries: Rows
) -> None:
    await a_source()
    content = a_file(a_row(1), a_row(2))
    await post(client, content)

    again = await post(client, content, name="the same under another name")

    assert counted(again) == (0, 2, 0, 0)
    assert await events(database) == 2
    assert len(await deliveries()) == 2


async def test_with_its_digest_the_same_file_is_the_same_import(client: httpx.AsyncClient, a_source: ASource) -> None:
    await a_source()
    content = a_file(a_row(1), a_row(2))

    first = await post(client, content, **the_file(content))
    again = await post(client, content, **the_file(content))

    assert again == first
    assert counted(first) == (2, 0, 0, 0)


async def test_a_changed_row_of_a_known_response_is_its_next_revision(
    client: httpx.AsyncClient, a_source: ASource, published: Callable[[], Awaitable[Sequence[Any]]]
) -> None:
    await a_source()
    await post(client, a_file(a_row(1, score=3), a_row(2)))

    changed = await post(client, a_file(a_row(1, score=9), a_row(2)))

    assert counted(changed) == (1, 1, 0, 0)
    assert [(event.payload.revision, event.payload.score) for event in await published()] == [(1, 3), (1, 9), (2, 9)]


async def test_rows_without_an_id_are_known_by_all_that_they_say(client: httpx.AsyncClient, a_source: ASource) -> None:
    await a_source()
    header = "when,score"

    first = await post(client, a_file("2026-03-01 10:00,9", "2026-03-01 10:00,8", header=header))
    other = await post(client, a_file("9,2026-03-01 10:00", "7,2026-03-01 10:00", header="score,when"))

    assert "response_id" not in first["layout"]["map"]
    assert (counted(first), counted(other)) == ((2, 0, 0, 0), (1, 1, 0, 0))


async def test_pieces_may_be_cut_anywhere_and_sent_again(
    client: httpx.AsyncClient, a_source: ASource, deliveries: Rows
) -> None:
    await a_source()
    content = a_file(*(a_row(number, why=f'"because\nof {number}"') for number in range(40)))
    import_ = await post(client, **the_file(content))
    assert import_["layout"] is None

    at = 0
    for cut in (200, 201, 333, 700, 1_400, len(content)):
        again = max(0, at - 50)
        answer = await put(client, import_["id"], content[again:cut], again)
        assert answer.status_code == 200, answer.text
        at = answer.json()["offset"]
        assert at <= cut

    done = (await client.get(f"/v1/imports/{import_['id']}")).json()
    assert done["finished"] is True
    assert (done["offset"], done["lines"], counted(done)) == (len(content), 81, (40, 0, 0, 0))
    assert len(await deliveries()) == 40


async def test_what_would_leave_a_gap_is_refused_with_the_place_to_go_on(
    client: httpx.AsyncClient, a_source: ASource
) -> None:
    await a_source()
    content = a_file(a_row(1), a_row(2))
    import_ = await post(client, **the_file(content))

    beyond = await put(client, import_["id"], content[10:], 10)
    longer = await put(client, import_["id"], content + b"more", 0)

    assert (beyond.status_code, beyond.json()["offset"]) == (409, 0)
    assert longer.status_code == 409


async def test_two_who_send_the_same_file_at_once_record_each_row_once(
    client: httpx.AsyncClient, a_source: ASource, database: Database
) -> None:
    await a_source()
    content = a_file(*map(a_row, range(1_200)))
    import_ = await post(client, **the_file(content))
    await put(client, import_["id"], content[:90_000], 0)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 5_000):
            if start == 45_000:
                other = await put(client, import_["id"], content, 0)
                assert other.json()["finished"] is True
            yield content[start : start + 5_000]

    second = await client.put(f"/v1/imports/{import_['id']}/content", params={"offset": 0}, content=pieces())

    done = (await client.get(f"/v1/imports/{import_['id']}")).json()
    assert second.status_code in {200, 409}
    assert counted(done) == (1_200, 0, 0, 0)
    assert await events(database) == 1_200


async def test_rows_that_bring_nothing_are_listed_with_line_and_reason(
    client: httpx.AsyncClient, a_source: ASource, deliveries: Rows
) -> None:
    await a_source()
    content = a_file(a_row(1), a_row(2, score=11), "r-3;too;few", a_row(4, why='"never closed'), a_row(5), ";;;;")

    done = await post(client, content)

    assert counted(done) == (2, 0, 0, 3)
    listed = await client.get(f"/v1/imports/{done['id']}/errors", params={"limit": 2})
    rest = await client.get(f"/v1/imports/{done['id']}/errors", params={"cursor": listed.json()["next_cursor"]})
    found = listed.json()["items"] + rest.json()["items"]
    assert [(each["line"], each["delivery_id"] is None) for each in found] == [(3, False), (4, True), (5, True)]
    assert found[0]["reason"] == "the score (question 'NPS score') is 11 outside the scale 0 to 10"
    assert content[found[1]["offset"] :][: found[1]["size"]].strip() == b"r-3;too;few"
    assert [each.status for each in await deliveries()] == ["accepted", "quarantined", "accepted"]


async def test_what_was_not_understood_is_replayed_by_a_mended_map(
    client: httpx.AsyncClient, a_source: ASource
) -> None:
    await a_source()
    header = "Response ID;Answered at;stars;NPS score"
    rows = [f"r-{number};2026-03-01T10:00:00Z;bad;{number}" for number in range(3)]
    done = await post(client, a_file(*rows, header=header), map=["score=stars"])
    assert counted(done) == (0, 0, 0, 3)

    fields = ["response_id=Response ID", "answered_at=Answered at", "score=NPS score"]
    changed = await client.put(f"/v1/imports/{done['id']}/map", params={"map": fields})
    replayed = await client.post("/v1/deliveries/replay", json={"source": "shop"})

    assert changed.json()["layout"]["map"]["score"] == "NPS score"
    assert [each["status"] for each in replayed.json()["items"]] == ["accepted"] * 3


async def test_a_dry_run_of_a_kept_row_reads_it_by_its_columns(
    client: httpx.AsyncClient, a_source: ASource, a_source_body: Callable[..., dict[str, Any]], deliveries: Rows
) -> None:
    await a_source()
    await post(client, a_file(a_row(1, score=3)))
    [kept] = await deliveries()

    tried = await client.post("/v1/dry-runs", json=a_source_body() | {"delivery_id": str(kept.id)})

    assert (tried.json()["status"], tried.json()["response"]["score"]) == ("understood", 3)


async def test_the_preview_shows_what_was_found_and_keeps_nothing(
    client: httpx.AsyncClient, a_source: ASource, deliveries: Rows
) -> None:
    await a_source(time_zone="Europe/Moscow")
    header = "Номер ответа;Дата ответа;Оценка (порекомендуете?);Почему?;Клиент"
    content = a_file(a_row(1, score=2, why="Долго ждал"), a_row(2, score="x"), header=header, encoding="cp1251")

    shown = (await client.post("/v1/imports/preview", params={"source": "shop", "whole": True}, content=content)).json()

    layout = shown["layout"]
    assert (layout["format"], layout["encoding"], layout["separator"]) == ("csv", "windows-1251", "semicolon")
    assert layout["map"]["score"] == "Оценка (порекомендуете?)"
    assert [row["understood"] for row in shown["rows"]] == [True, False]
    assert shown["rows"][0]["response"]["comment"] == "Долго ждал"
    assert shown["rows"][0]["response"]["answered_at"] == "2026-03-01T06:15:00+00:00"
    assert await deliveries() == []


async def test_json_lines_name_their_fields_by_paths(
    client: httpx.AsyncClient, a_source: ASource, published: Callable[[], Awaitable[Sequence[Any]]]
) -> None:
    await a_source()
    content = (
        b'{"response_id": 17, "answered_at": "2026-03-01T10:00:00Z", "answers": {"nps_score": 4, "why": "so slow"}}\n'
        b'broken\n\n{"response_id": 18, "answered_at": "2026-03-01T10:00:00Z", "answers": {"nps_score": null}}'
    )

    done = await post(client, content)

    assert counted(done) == (2, 0, 0, 1)
    assert done["layout"]["map"]["score"] == "answers.nps_score"
    assert [(event.payload.score, event.payload.comment) for event in await published()] == [
        (4, "so slow"),
        (None, None),
    ]


@pytest.mark.parametrize(
    ("parameters", "content", "wrong"),
    [
        ({"source": "nowhere"}, b"", "/source"),
        ({"digest": "0" * 64}, b"", "/size"),
        ({"map": ["score"]}, b"", "/map"),
        ({"map": ["score=missing"]}, a_file(a_row(1)), "/map"),
        ({}, b"a;b\n1;2\n", "/map"),
        ({}, b"score;date\n9;02/03/2026\n", "/times"),
        ({}, b"alone\n1\n", "/separator"),
    ],
)
async def test_what_cannot_be_imported_is_refused_and_says_what_to_say(
    client: httpx.AsyncClient, a_source: ASource, parameters: dict[str, Any], content: bytes, wrong: str
) -> None:
    await a_source()

    answer = await client.post("/v1/imports", params={"source": "shop"} | parameters, content=content)

    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [wrong]


async def test_a_file_is_not_imported_in_two_ways(client: httpx.AsyncClient, a_source: ASource) -> None:
    await a_source()
    content = a_file(a_row(1))
    done = await post(client, content, **the_file(content))

    query: Any = {"source": "shop", "map": ["comment="]} | the_file(content)
    answer = await client.post("/v1/imports", params=query, content=content)

    assert (answer.status_code, answer.json()["import_id"]) == (409, done["id"])


async def test_a_row_that_the_database_refuses_costs_nothing_but_itself(
    client: httpx.AsyncClient, a_source: ASource, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    await a_source()

    async def refusing(tx: Tx, arrivals: Sequence[Arrival]) -> Sequence[Any]:
        for arrival in arrivals:
            if b"poison" in arrival.body and getattr(arrival.verdict, "response", None) is not None:
                raise ValueError
        return await record(tx, arrivals)

    monkeypatch.setattr(intake, "record", refusing)
    done = await post(client, a_file(a_row(1), a_row(2, why="poison"), a_row(3)))

    assert counted(done) == (2, 0, 0, 1)
    assert await events(database) == 2


async def test_no_more_files_are_read_at_once_than_memory_allows(
    app: FastAPI, client: httpx.AsyncClient, a_source: ASource
) -> None:
    await a_source()
    importer: reading.Importer = app.state.importer
    importer._at_once = reading.AT_ONCE

    busy = await client.post("/v1/imports", params={"source": "shop"}, content=a_file(a_row(1)))

    assert (busy.status_code, busy.headers["Retry-After"]) == (429, "5")


async def test_no_bytes_make_the_server_fail(client: httpx.AsyncClient, a_source: ASource) -> None:
    await a_source()
    chance = random.Random(17)
    for _ in range(150):
        content = b"".join(chance.choices(SCRAPS, k=chance.randrange(30)))
        query: Any = {"source": "shop", "times": "iso"} | chance.choice(
            [
                {},
                {"format": "jsonl"},
                {"encoding": "windows-1251"},
                {"separator": "tab"},
                {"digest": "0" * 64, "size": 90},
            ]
        )
        path = chance.choice(["/v1/imports", "/v1/imports/preview"])
        answer = await client.post(path, params=query, content=chance.choice([b"", b"date;score\n"]) + content)
        assert answer.status_code < 500, (path, query, content, answer.text)


@pytest.mark.parametrize(("method", "path"), [("POST", ""), ("POST", "/preview"), ("GET", "")])
async def test_without_a_key_nothing_is_taken_or_told(app: FastAPI, method: str, path: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ingest") as stranger:
        answer = await stranger.request(method, f"/v1/imports{path}", params={"source": "shop"})

    assert answer.status_code == 401
