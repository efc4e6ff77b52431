"""Themes suggested from what is stored: found, shown, decided, forgotten."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from libs.events.crashpoint import VARIABLE
from libs.events.database import Database
from libs.events.event import Event
from services.scoring.comment_jobs import LEASE, read_anew, suggest_themes

ROOT = Path(__file__).parents[3]
CLAIMED_BY_ANOTHER = text("SELECT FROM theme_searches FOR UPDATE")
AnAnswer = Callable[..., Event[Any]]
Deliver = Callable[..., Coroutine[None, None, None]]
Rows = Callable[..., Awaitable[Sequence[Any]]]


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 5, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def database(service_database: Callable[[str], str], clock: Clock) -> AsyncIterator[Database]:
    database = Database.connect(service_database("scoring"), pool_size=6, clock=clock)
    yield database
    await database.close()


@pytest.fixture
async def found(an_answer: AnAnswer, deliver: Deliver, database: Database, clock: Clock) -> None:
    """Six people asked for a playground, and the search has been."""
    asked = "Хочется детскую площадку, звоните 89160000000"
    await deliver(
        *(an_answer(f"wish-{n}", customer_id=f"c-{n}", comment=asked) for n in range(6)),
        *(an_answer(f"other-{n}", customer_id=f"o-{n}", comment="Очередь и очень дорого") for n in range(30)),
    )
    clock.now += timedelta(minutes=1)
    await suggest_themes(database)


CHILD = """
import asyncio, sys
from datetime import datetime
from libs.events.database import Database
from services.scoring.comment_jobs import suggest_themes
now = datetime.fromisoformat(sys.argv[2])
asyncio.run(suggest_themes(Database.connect(sys.argv[1], clock=lambda: now)))
"""


async def test_a_search_that_was_killed_before_it_was_noted_is_made_again_and_finds_the_same(
    an_answer: AnAnswer, deliver: Deliver, database: Database, clock: Clock, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    asked = "Хочется детскую площадку"
    await deliver(
        *(an_answer(f"wish-{n}", customer_id=f"c-{n}", comment=asked) for n in range(6)),
        *(an_answer(f"other-{n}", customer_id=f"o-{n}", comment="Очередь и очень дорого") for n in range(30)),
    )
    clock.now += timedelta(minutes=1)
    (tmp_path / "scoring.suggestions.before_commit").touch()
    url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, url, clock.now.isoformat(),
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), VARIABLE: str(tmp_path)},
    )  # fmt: skip
    async with asyncio.timeout(60):
        assert await process.wait() == -signal.SIGKILL
    await suggest_themes(database)
    assert await listed(client) == [], "it may be under way still: nobody begins before its time is over"
    clock.now += LEASE
    await suggest_themes(database)
    found = await listed(client)
    assert [each["comments"] for each in found if "площадку" in each["phrase"]] == [6]
    clock.now += LEASE
    await suggest_themes(database)
    assert await listed(client) == found


async def listed(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    answer = await client.get("/v1/theme-suggestions")
    assert answer.status_code == 200
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


@pytest.mark.usefixtures("found")
async def test_what_many_wish_is_suggested_with_examples_that_name_nobody(client: httpx.AsyncClient) -> None:
    (item,) = [each for each in await listed(client) if "площадку" in each["phrase"]]
    assert (item["language"], item["comments"]) == ("ru", 6)
    assert item["likelihood"] > 10.83
    assert item["examples"] == ["Хочется детскую площадку, звоните •••"] * 5


@pytest.mark.usefixtures("found")
async def test_an_erasure_reaches_the_examples(client: httpx.AsyncClient) -> None:
    for n in range(6):
        assert (await client.delete(f"/v1/customers/c-{n}")).status_code == 204
    assert [item["examples"] for item in await listed(client)] == [[]] * len(await listed(client))


@pytest.mark.usefixtures("found")
async def test_an_accepted_suggestion_is_a_theme_that_stored_comments_get(
    client: httpx.AsyncClient, database: Database, rows: Rows
) -> None:
    while await read_anew(database):
        pass
    (item,) = [each for each in await listed(client) if "площадку" in each["phrase"]]
    theme = {"id": "playground", "names": {"ru": "Детская площадка", "en": "Playground"}}
    path = f"/v1/theme-suggestions/{item['id']}"
    answer = await client.post(f"{path}/accept", json={"theme": theme}, headers={"Idempotency-Key": "once"})
    assert (answer.status_code, answer.json()["themes_version"]) == (200, 2)
    again = await client.post(f"{path}/accept", json={"theme": theme}, headers={"Idempotency-Key": "once"})
    assert again.json() == answer.json()
    assert (await client.post(f"{path}/dismiss")).status_code == 409
    while await read_anew(database):
        pass
    (row,) = await rows("SELECT count(*) AS n FROM responses WHERE themes = '{playground}'")
    assert row.n == 6
    assert item["id"] not in {each["id"] for each in await listed(client)}


@pytest.mark.usefixtures("found")
async def test_a_suggestion_may_join_a_theme_that_there_is(client: httpx.AsyncClient) -> None:
    (item,) = [each for each in await listed(client) if "площадку" in each["phrase"]]
    path = f"/v1/theme-suggestions/{item['id']}/accept"
    assert (await client.post(path, json={"theme": "nothing"})).status_code == 422
    taken = {"id": "branch", "names": {"ru": "Офис", "en": "Branch"}}
    assert (await client.post(path, json={"theme": taken})).status_code == 409
    assert (await client.post(path, json={"theme": "branch"})).json()["theme"] == "branch"
    (branch,) = [theme for theme in (await client.get("/v1/themes")).json()["themes"] if theme["id"] == "branch"]
    assert item["phrase"] in branch["patterns"]["ru"]


@pytest.mark.usefixtures("found")
async def test_a_dismissed_suggestion_does_not_come_again_and_the_search_once_a_day(
    client: httpx.AsyncClient, database: Database, clock: Clock, an_answer: AnAnswer, deliver: Deliver, rows: Rows
) -> None:
    before = {item["id"]: item for item in await listed(client)}
    (dismissed,) = [id_ for id_, item in before.items() if "площадку" in item["phrase"]]
    assert (await client.post(f"/v1/theme-suggestions/{dismissed}/dismiss")).json()["status"] == "dismissed"
    searched = "SELECT searched_at FROM theme_searches"
    ((at,),) = await rows(searched)
    clock.now += timedelta(hours=23)
    await deliver(an_answer("new", comment="Ну такое"))
    await suggest_themes(database)
    assert [tuple(row) for row in await rows(searched)] == [(at,)]
    clock.now += timedelta(hours=2)
    await suggest_themes(database)
    ((later,),) = await rows(searched)
    assert later == clock.now
    assert dismissed not in {item["id"] for item in await listed(client)}


async def test_many_new_comments_are_looked_at_sooner_and_by_one_alone(
    an_answer: AnAnswer, deliver: Deliver, database: Database, clock: Clock, rows: Rows
) -> None:
    await deliver(an_answer("r-0", comment="Ну такое"))
    clock.now += timedelta(minutes=1)
    await suggest_themes(database)
    clock.now += timedelta(hours=1)
    await deliver(*(an_answer(f"r-{n}", comment="Ну такое") for n in range(1, 202)))
    clock.now += timedelta(minutes=1)
    async with database.transaction() as tx:
        await tx.execute(CLAIMED_BY_ANOTHER)
        await suggest_themes(database)
    ((searched,),) = await rows("SELECT searched_at FROM theme_searches")
    assert searched < clock.now
    await suggest_themes(database)
    ((searched,),) = await rows("SELECT searched_at FROM theme_searches")
    assert searched == clock.now
