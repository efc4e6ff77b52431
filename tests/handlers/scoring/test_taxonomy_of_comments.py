"""The taxonomy that the company edits: tried, put into force, read into what is stored; and what is counted by it."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from libs.events.contracts.responses import ResponseWithdrawn
from libs.events.database import Database
from libs.events.event import Event, EventId
from libs.statistics.nps import nps
from services.scoring import comment_jobs
from services.scoring.comment_jobs import fold_mentions, read_anew

AnAnswer = Callable[..., Event[Any]]
Deliver = Callable[..., Coroutine[None, None, None]]
Published = Callable[[], Awaitable[list[tuple[str, Event[Any]]]]]
Rows = Callable[..., Awaitable[Sequence[Any]]]

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
NAMES = {"ru": "Тема", "en": "Theme"}
PARKING = {"id": "parking", "names": {"ru": "Парковка", "en": "Parking"}, "patterns": {"ru": ["парковка"]}}
QUEUES = {"id": "waiting", "names": NAMES, "patterns": {"ru": ["очередь"]}}
STORED = "SELECT id, themes FROM responses ORDER BY id"


async def test_there_is_a_taxonomy_from_the_first_day_and_it_is_valid(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/themes")
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"1"')
    body = answer.json()
    assert body["created_by"] == "installation"
    assert len(body["themes"]) == 19
    assert [signal["id"] for signal in body["urgent"]] == ["leaving", "legal", "safety"]
    same = await client.put("/v1/themes", json={"themes": body["themes"], "urgent": body["urgent"]})
    assert (same.status_code, same.json()["version"]) == (200, 1)


async def test_stored_comments_are_read_by_a_new_taxonomy_and_nobody_is_told(
    client: httpx.AsyncClient,
    database: Database,
    an_answer: AnAnswer,
    deliver: Deliver,
    published: Published,
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(comment_jobs, "COMMENTS_AT_ONCE", 2)
    while await read_anew(database):
        pass
    assert (await client.get("/v1/themes")).json()["reading"] is False
    comments = ["Очередь", "Парковка мала", "Очередь и дорого", None, "Парковка"]
    await deliver(*(an_answer(f"r-{n}", comment=comment) for n, comment in enumerate(comments)))
    told = len(await published())
    put = await client.put("/v1/themes", json={"themes": [PARKING, QUEUES]}, headers={"If-Match": '"1"'})
    assert (put.status_code, put.headers["ETag"], put.json()["reading"]) == (200, '"2"', True)
    # What comes meanwhile is read by it at once.
    await deliver(an_answer("r-0", 2, comment="Парковка"))
    assert (await client.get("/v1/themes")).json()["comments_to_read"] is None
    progress = []
    more = True
    while more:
        more = await read_anew(database)
        body = (await client.get("/v1/themes")).json()
        progress.append((body["comments_read"], body["comments_to_read"], body["reading"]))
    assert progress == [(2, 4, True), (4, 4, True), (4, 4, False)]
    stored = {row.id: row.themes for row in await rows(STORED)}
    # A retired theme stays where it was told.
    assert stored == {
        "r-0": ["parking"],
        "r-1": ["parking", "branch"],
        "r-2": ["waiting", "price"],
        "r-3": [],
        "r-4": ["parking", "branch"],
    }
    assert len(await published()) == told + 1
    assert (await client.get("/v1/themes")).json()["reading"] is False
    assert await read_anew(database) is False
    themes = {theme["id"]: theme["retired"] for theme in (await client.get("/v1/themes")).json()["themes"]}
    assert (themes["parking"], themes["waiting"], themes["price"]) == (False, False, True)
    assert await counted(client) == {"waiting": 1, "price": 1, "parking": 3, "branch": 2}


async def test_versions_say_who_changed_what(client: httpx.AsyncClient) -> None:
    urgent = [{"id": "legal", "patterns": {"ru": ["суд"]}}]
    await client.put("/v1/themes", json={"themes": [PARKING, QUEUES], "urgent": urgent})
    olga = {"Otklik-Person": "olga", "Otklik-Role": "manager"}
    back = {"themes": [PARKING | {"names": NAMES}, QUEUES | {"retired": True}], "urgent": urgent}
    await client.put("/v1/themes", json=back, headers=olga)
    first = (await client.get("/v1/themes/versions", params={"limit": 2})).json()
    second = (await client.get("/v1/themes/versions", params={"cursor": first["next_cursor"]})).json()
    told = [
        (each["version"], each["created_by"], each["added"], each["changed"], len(each["retired"]), each["restored"])
        for each in first["items"] + second["items"]
    ]
    changed = ["waiting", "urgent:legal", "urgent:leaving", "urgent:safety"]
    assert told == [
        (3, "crm/olga", [], ["parking"], 1, []),
        (2, "crm", ["parking"], changed, 18, []),
        (1, "installation", [], [], 0, []),
    ]


async def test_a_dry_run_tells_what_would_change_and_changes_nothing(
    client: httpx.AsyncClient, an_answer: AnAnswer, deliver: Deliver
) -> None:
    await deliver(an_answer("r-1", comment="Очередь. Подам на вас в суд"), an_answer("r-2", comment="Парковка"))
    answer = await client.put("/v1/themes", params={"dry_run": True}, json={"themes": [PARKING, QUEUES]})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["comments"], body["changed"]) == (2, 2)
    assert body["themes"] == [
        {"theme": "parking", "before": 0, "after": 1},
        {"theme": "urgent:legal", "before": 1, "after": 0},
    ]
    assert {each["response_id"]: each["after"] for each in body["examples"]} == {
        "r-1": ["waiting"],
        "r-2": ["parking", "branch"],
    }
    few = await client.put("/v1/themes", params={"dry_run": True, "latest": 1}, json={"themes": [QUEUES]})
    assert few.json()["comments"] == 1
    assert (await client.get("/v1/themes")).json()["version"] == 1


async def test_a_wrong_taxonomy_is_refused_with_its_place_and_a_late_one_too(client: httpx.AsyncClient) -> None:
    wrong = {"themes": [QUEUES | {"patterns": {"ru": ["очередь", "~ долго"]}}]}
    for params in ({}, {"dry_run": "true"}):
        answer = await client.put("/v1/themes", json=wrong, params=params)
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
        assert answer.json()["errors"] == [
            {
                "pointer": "/themes/0/patterns/ru/1",
                "detail": "~ and & stand between words",
                "why": {"code": "pattern-distance", "parameters": {}},
            }
        ]
    assert (await client.put("/v1/themes", json=[])).status_code == 422
    assert (await client.put("/v1/themes", json={"themes": [QUEUES]})).status_code == 200
    late = await client.put("/v1/themes", json={"themes": [PARKING]}, headers={"If-Match": '"1"'})
    assert (late.status_code, late.headers["ETag"]) == (412, '"2"')


async def counted(client: httpx.AsyncClient, **params: str) -> dict[str, int]:
    items = (await client.get("/v1/metrics/themes", params=params)).json()["items"]
    return {item["theme"]: item["mentions"] for item in items}


async def test_themes_are_counted_with_the_nps_of_those_who_mention_them(
    client: httpx.AsyncClient, an_answer: AnAnswer, deliver: Deliver, database: Database
) -> None:
    scores = [9, 10, 3, 8, 0, None]
    await deliver(*(an_answer(f"r-{n}", score=score, comment="Очередь") for n, score in enumerate(scores)))
    await deliver(an_answer("later", score=10, comment="Дорого", answered_at=MONDAY + timedelta(days=40)))
    for _ in range(2):
        answer = (await client.get("/v1/metrics/themes", params={"to": "2026-02-01T00:00:00Z"})).json()
        (item,) = answer["items"]
        expected = nps(promoters=2, passives=1, detractors=2)
        assert (item["theme"], item["name_ru"], item["mentions"], item["n"]) == ("waiting", "Ожидание", 6, 5)
        assert (item["promoters"], item["passives"], item["detractors"]) == (2, 1, 2)
        assert item["nps"] == expected.value
        assert item["ci_low"] == pytest.approx(expected.low, abs=0.005)
        assert item["ci_high"] == pytest.approx(expected.high, abs=0.005)
        await fold_mentions(database)
    by_month = (await client.get("/v1/metrics/themes", params={"by": "month"})).json()["items"]
    assert [(item["period"], item["theme"], item["mentions"]) for item in by_month] == [
        ("2026-01", "waiting", 6),
        ("2026-02", "price", 1),
    ]


async def test_themes_that_few_mention_are_hidden(
    discreet: httpx.AsyncClient, an_answer: AnAnswer, deliver: Deliver
) -> None:
    await deliver(*(an_answer(f"many-{n}", comment="Очередь") for n in range(5)))
    await deliver(*(an_answer(f"few-{n}", comment="Дорого") for n in range(4)))
    items = (await discreet.get("/v1/metrics/themes")).json()["items"]
    assert {item["theme"]: (item["hidden"], item["mentions"]) for item in items} == {
        "waiting": (False, 5),
        "price": (True, None),
    }


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_mentions_are_counted_as_a_recount_counts_them(
    seed: int, client: httpx.AsyncClient, an_answer: AnAnswer, deliver: Deliver, database: Database, rows: Rows
) -> None:
    chance = random.Random(seed)
    comments = ["Очередь", "Дорого", "Очередь и дорого", "Парковка", None, "ну такое"]
    revisions: Counter[str] = Counter()
    for _ in range(40):
        match chance.randrange(8):
            case 0:
                await fold_mentions(database)
            case 1:
                themes = chance.sample([PARKING, QUEUES], chance.randint(1, 2))
                await client.put("/v1/themes", json={"themes": themes})
            case 2:
                await read_anew(database)
            case 3:
                await client.delete(f"/v1/customers/c-{chance.randrange(4)}")
            case 4:
                response = f"r-{chance.randrange(10)}"
                revisions[response] += 1
                await deliver(withdrawal(response, revisions[response]))
            case _:
                batch = []
                for response in chance.sample([f"r-{n}" for n in range(10)], 3):
                    revisions[response] += 1
                    made = an_answer(
                        response,
                        revisions[response],
                        score=chance.choice([0, 7, 10, None]),
                        comment=chance.choice(comments),
                        customer_id=f"c-{chance.randrange(4)}",
                        answered_at=MONDAY + timedelta(hours=chance.randrange(2000)),
                    )
                    batch.append(made)
                await deliver(*batch)
        since, until = sorted(MONDAY + timedelta(hours=chance.randrange(-100, 2100)) for _ in range(2))
        assert await counted(client, **{"from": since.isoformat(), "to": until.isoformat()}) == {
            row.theme: row.n
            for row in await rows(
                "SELECT theme, count(*) AS n FROM responses CROSS JOIN unnest(themes) AS theme"
                " WHERE answered_at >= :since AND answered_at < :until GROUP BY 1",
                since=since,
                until=until,
            )
        }


def withdrawal(response: str, revision: int) -> Event[Any]:
    payload = ResponseWithdrawn(
        response_id=response,
        revision=revision,
        source="typeform",
        vendor_response_id=f"vendor-{response}",
        program="retail",
        withdrawn_at=MONDAY,
        received_at=MONDAY,
    )
    id_ = EventId(uuid4())
    return Event.root(id_, payload, subject=response, time=MONDAY, source="/ingest", traceparent="00-a-b-01")
