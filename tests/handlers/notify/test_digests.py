"""The employees' digest: made once when all can be had, told to everybody once, and to nobody who wants none."""

import asyncio
import json
import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import text

from libs.events.database import Database
from services.notify.digest_reports import Reports
from services.notify.digests import Digests
from services.notify.domain.digests import Colleague
from services.notify.telemetry import DIGEST_WAITS
from tests.handlers.notify.mail_trap import MailTrap
from tests.handlers.notify.post import Post
from tests.handlers.notify.world import Clock, World

Links = Any

ROOT = Path(__file__).parents[3]
MOSCOW_EIGHT = datetime(2026, 3, 2, 5, tzinfo=UTC)
"""Monday, eight o'clock in Moscow."""
PORTION = {"n": 10, "count": 9, "value": 0.9, "ci_low": 0.6, "ci_high": 0.98}
HEALTH = {
    "group": None,
    "cases": 12,
    "running": 2,
    "contacted_within_48_hours": PORTION,
    "time_to_contact": {"n": 10, "hours": 3.5},
    "time_to_resolve": {"n": 8, "hours": 40.0},
    "confirmed": PORTION,
    "unconfirmed": PORTION,
    "reopened": PORTION,
    "escalated": PORTION,
}


def a_loop(*groups: str | None) -> dict[str, Any]:
    return {
        "groups": [HEALTH | {"group": group} for group in groups],
        "initiatives": {"shipped": 1, "communicated_within_a_quarter": PORTION},
    }


def a_person(id_: str, **changes: object) -> dict[str, Any]:
    return {
        "id": id_,
        "name": f"Name of {id_}",
        "email": f"{id_}@company.example",
        "language": "ru",
        "role": "agent",
        "team_id": None,
        "department_id": None,
        "leads": [],
        "manages": [],
        "cases": 3,
        "cases_overdue": 1,
        "tasks": 0,
        "tasks_overdue": 0,
    } | changes


def a_comment(customer_id: str | None, comment: str, score: int = 3) -> dict[str, Any]:
    return {
        "comment": comment,
        "score": score,
        "metric": "nps",
        "touchpoint": "call_centre",
        "customer_id": customer_id,
        "erased": False,
    }


PEOPLE = "/v1/measures/work"


class Others:
    """What casework and scoring answer; as `digest_process.py` reads it from a file."""

    def __init__(self) -> None:
        nps = {"kind": "relationship", "n": 100, "promoters": 50, "passives": 30, "detractors": 20, "nps": 30.0}
        self.away: set[str] = set()
        self.asked: list[str] = []
        self.answers: dict[str, Any] = {
            "/v1/measures/deeds": {
                "departments": [{"id": "care", "name": "Забота", "tasks_done": 2, "cases_closed": 5}],
                "initiatives": [
                    {"title": "Перезваниваем", "department_id": "care", "stage": "shipped", "reason": None}
                ],
                "owed": [
                    {
                        "title": "Понятные счета",
                        "department_id": "care",
                        "owner_name": "Борис",
                        "due_on": "2026-02-20",
                        "communicate_by": None,
                        "is_overdue": True,
                        "is_quarter_over": False,
                    }
                ],
            },
            "/v1/measures/loop": a_loop(None),
            "/v1/measures/loop?by=team": a_loop("north"),
            "/v1/measures/loop?by=department": a_loop("care", None),
            "/v1/teams": {"items": [{"id": "north", "name": "Север"}], "next_cursor": None},
            "/v1/recognitions/told": [
                {"agent_id": "anna", "name": "Анна Петрова", "place": "Забота", "cases": 20, "well": 19}
            ],
            "/v1/metrics/nps": {"items": [nps | {"ci_low": 20.0, "ci_high": 39.0}], "instrument_breaks": []},
            "/v1/metrics/ces": {"items": []},
            "/v1/metrics/csat": {"items": []},
            "/v1/metrics/themes": {"items": []},
            "/v1/responses": {
                "items": [
                    a_comment("c-1", "Меня зовут Иван, звоните Иванову на +7 916 123-45-67"),
                    a_comment("c-unknown", "Профиля этого клиента здесь нет, имени не знаем"),
                    a_comment(None, "Всё быстро и вежливо, спасибо вам большое", score=10),
                ],
                "next_cursor": None,
            },
            PEOPLE: {
                "items": [
                    a_person("anna"),
                    a_person("boris", role="manager", manages=["care"], leads=["north"], language="en"),
                    a_person("broken", email="nowhere"),
                ],
                "next_cursor": None,
            },
        }

    def __call__(self, request: httpx.Request) -> httpx.Response:
        asked = [f"{name}={request.url.params[name]}" for name in ("by", "cursor") if name in request.url.params]
        self.asked.append(request.url.path)
        if request.url.path in self.away:
            return httpx.Response(503)
        return httpx.Response(200, json=self.answers["?".join([request.url.path, *asked])])

    def hire(self, people: int, per_page: int) -> None:
        """So many people, page after page."""
        for first in range(0, people, per_page):
            key = PEOPLE if first == 0 else f"{PEOPLE}?cursor={first}"
            last = min(first + per_page, people)
            items = [a_person(f"e-{number:05}") for number in range(first, last)]
            self.answers[key] = {"items": items, "next_cursor": str(last) if last < people else None}


@pytest.fixture
def others() -> Others:
    return Others()


@pytest.fixture
def digests(database: Database, others: Others, clock: Clock) -> Digests:
    clock.now = MOSCOW_EIGHT
    return a_worker(database, others)


def a_worker(database: Database, others: Others) -> Digests:
    transport = httpx.MockTransport(others)
    reports = Reports(
        casework_url="http://casework",
        casework_key="k",
        scoring_url="http://scoring",
        scoring_key="k",
        transports={"casework": transport, "scoring": transport},
    )
    return Digests(database, reports, time_zone="Europe/Moscow")


@pytest.fixture(autouse=True)
async def _long_begun(database: Database) -> None:
    """The tests' time is before that of their database."""
    async with database.transaction() as tx:
        await tx.execute(text("UPDATE digests_begin SET at = '2026-02-22T21:00:00Z'"))


async def until_told(digests: Digests) -> None:
    while await digests.step():
        pass


async def kept(database: Database) -> list[Any]:
    async with database.reading() as tx:
        return list(await tx.fetch(text("SELECT *, CAST(content AS text) AS said FROM digests ORDER BY kind")))


async def test_a_week_is_told_to_everybody_once_in_their_language_and_by_their_role(
    digests: Digests, database: Database, world: World, post: Post, trap: MailTrap, clock: Clock, others: Others
) -> None:
    await world.customers(world.profile("c-1"))
    clock.now = MOSCOW_EIGHT - timedelta(days=1, minutes=1)  # Sunday, the first of March
    assert not await digests.step()
    assert others.asked == [], "it is not eight yet"
    clock.now = MOSCOW_EIGHT
    await until_told(digests)
    found = {row.kind: row for row in await kept(database)}
    assert str(found["weekly"].starts) == "2026-02-23"
    assert str(found["monthly"].starts) == "2026-02-01"
    assert all(row.told_at is not None for row in found.values())
    statuses = await world.statuses()
    assert sorted(statuses) == sorted(
        [
            ("employee:anna", "queued", None),
            ("employee:boris", "queued", None),
            ("employee:broken", "suppressed", "no_address"),
        ]
        * 2
    )
    await until_told(a_worker(database, others))
    assert len(await world.rows()) == 6

    await post.rest()
    by_reader = {str(mail["To"].addresses[0].username): mail for mail in trap.mails if "Неделя" in mail["Subject"]}
    weekly = by_reader["anna"]
    said = text_of(weekly)
    assert "+30 (n 100; 95 %: +20…+39); к прошлой неделе 0" in said
    assert "3 открытых обращения (просрочено: 1)" in said
    assert "Анна Петрова" in said
    assert "Забота" in said
    assert "Меня зовут •••, звоните ••• на •••" in said
    assert "Всё быстро и вежливо" in said
    assert "колл-центр" in said
    assert "Профиля этого клиента" not in said, "nobody knows what to mask"
    assert "Понятные счета" not in said, "what is late is for those who lead"
    assert weekly["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    boss = next(
        mail for mail in trap.mails if mail["To"].addresses[0].username == "boris" and "week" in mail["Subject"]
    )
    assert "Понятные счета" in text_of(boss)
    assert "call centre" in text_of(boss)
    assert not any("call_centre" in text_of(mail) for mail in trap.mails)
    assert "Север: 12 cases" in text_of(boss)
    assert "Забота: 12 cases" in text_of(boss)


def text_of(mail: Any) -> str:  # noqa: ANN401 - an EmailMessage
    part = mail.get_body(("plain",))
    return str(part.get_content())


async def test_what_cannot_be_had_makes_the_whole_digest_wait_and_is_seen(
    digests: Digests, database: Database, clock: Clock, others: Others, world: World
) -> None:
    for away in ("/v1/metrics/nps", "/v1/responses", "/v1/measures/deeds", "/v1/recognitions/told", "/v1/teams"):
        others.away = {away}
        assert not await digests.step()
        assert await kept(database) == []
    clock.move(timedelta(hours=1))
    await digests.step()
    assert DIGEST_WAITS.labels("weekly")._value.get() == 3600
    others.away = {PEOPLE}
    assert await digests.step()
    assert DIGEST_WAITS.labels("weekly")._value.get() == 0
    assert not await digests.step(), "nobody can be told yet"
    assert await world.rows() == []
    others.away = set()
    await until_told(digests)
    assert len(await world.rows()) == 6


async def test_it_tells_of_no_time_before_it_was_there_and_only_of_the_last_that_ended(
    digests: Digests, database: Database, clock: Clock
) -> None:
    async with database.transaction() as tx:
        await tx.execute(text("UPDATE digests_begin SET at = '2026-03-01T21:00:00Z'"))
    await until_told(digests)
    assert await kept(database) == [], "the week ended as it began"
    clock.now = MOSCOW_EIGHT + timedelta(days=15)
    await until_told(digests)
    assert [(row.kind, str(row.starts)) for row in await kept(database)] == [("weekly", "2026-03-09")]


async def test_who_turned_it_off_gets_none_and_it_is_written_down_why(
    digests: Digests, world: World, post: Post, client: httpx.AsyncClient, links: Links, clock: Clock
) -> None:
    await until_told(digests)
    weekly = next(
        row
        for row in await world.rows()
        if row.employee_id == "anna" and json.loads(row.facts_text)["period"] == "weekly"
    )
    page = links.digests.link(weekly.id).removeprefix("https://otklik.example")
    looked = await client.get(page)
    assert looked.status_code == 200
    assert "Больше не присылать недельный дайджест?" in looked.text
    one_click = await client.post(page, content="List-Unsubscribe=One-Click", headers={"Content-Type": "text/plain"})
    assert one_click.status_code == 200
    assert "Дайджест отключён" in one_click.text
    await post.rest()
    after = {
        (row.employee_id, json.loads(row.facts_text)["period"]): (row.status, row.reason) for row in await world.rows()
    }
    assert after[("anna", "weekly")] == ("suppressed", "unsubscribed")
    assert after[("anna", "monthly")] == ("sent", None)
    assert after[("boris", "weekly")] == ("sent", None)
    assert "message.suppressed" in await world.published_types()
    again = await client.post(page, data={"answer": "again"})
    assert "Больше не присылать недельный дайджест?" in again.text
    clock.now = MOSCOW_EIGHT + timedelta(days=7)
    await until_told(digests)
    assert len([row for row in await world.rows() if row.employee_id == "anna" and row.status == "queued"]) == 1
    assert (await client.get("/u/d/nonsense")).status_code == 404


async def test_words_of_who_is_erased_are_in_no_mail_that_goes_out_later(
    digests: Digests, database: Database, world: World, post: Post, trap: MailTrap
) -> None:
    await world.customers(world.profile("c-1"))
    await until_told(digests)
    await world.customers(world.erasure("c-1"))
    await post.rest()
    assert len(trap.mails) == 4
    assert all("Меня зовут" not in text_of(mail) for mail in trap.mails)
    assert all("Меня зовут" not in row.said for row in await kept(database))


async def test_people_in_our_lists_are_told_too_but_nobody_under_two_names(
    digests: Digests, world: World, client: httpx.AsyncClient
) -> None:
    assert (await client.put("/v1/lists/all", json={"side": "employees", "name": "All"})).is_success
    assert (await client.put("/v1/lists/more", json={"side": "employees", "name": "More"})).is_success
    assert (await client.put("/v1/lists/them", json={"side": "partners", "name": "Them"})).is_success
    for list_id, members in (
        ("all", (("x-1", "ANNA@company.example"), ("x-2", "cleaner@company.example"))),
        ("more", (("x-3", "cleaner@company.example"), ("x-4", "guard@company.example"))),
        ("them", (("p-1", "partner@partner.example"),)),
    ):
        put = [{"member_id": id_, "name": id_, "email": email, "language": "ru"} for id_, email in members]
        assert (await client.post(f"/v1/lists/{list_id}/members", json={"put": put})).is_success
    await until_told(digests)
    told = {row.recipient for row in await world.rows() if json.loads(row.facts_text)["period"] == "weekly"}
    assert told == {f"employee:{id_}" for id_ in ("anna", "boris", "broken", "x-2", "x-4")}


async def test_whoever_was_overtaken_while_telling_does_not_begin_again_where_they_were(
    digests: Digests, database: Database, others: Others
) -> None:
    await digests.step()
    overtaken, ahead = a_worker(database, others), a_worker(database, others)
    people = overtaken._reports.people

    async def after_the_other(position: str | None) -> tuple[list[Colleague], str | None]:
        page = await people(position)
        await until_told(ahead)
        return page

    overtaken._reports.people = after_the_other  # type: ignore[method-assign]  # the slower of two
    assert not await overtaken.step()
    assert {digest.stage for digest in await kept(database)} == {"told"}


async def test_a_kill_at_any_point_repeats_and_loses_nobody(
    database: Database, world: World, others: Others, clock: Clock, tmp_path: Path, trap: MailTrap, post: Post
) -> None:
    others.hire(50, per_page=20)
    clock.now = MOSCOW_EIGHT
    answers, points = tmp_path / "answers.json", tmp_path / "points"
    answers.write_text(json.dumps(others.answers))
    points.mkdir()
    url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)

    async def run(script: str, *arguments: str, killed_at: str | None = None) -> int:
        if killed_at is not None:
            (points / killed_at).touch()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).with_name(script)),
            url,
            *arguments,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OTKLIK_CRASHPOINTS": str(points)},
        )
        async with asyncio.timeout(60):
            return await process.wait()

    worker = ("digest_process.py", str(answers), MOSCOW_EIGHT.isoformat())
    assert await run(*worker, killed_at="notify.digests.before_freeze") == -signal.SIGKILL
    assert await kept(database) == []
    assert await run(*worker, killed_at="notify.digests.before_commit") == -signal.SIGKILL
    assert await run(*worker) == 0
    recipients = [(row.cause_id, row.recipient) for row in await world.rows()]
    assert len(recipients) == len(set(recipients)) == 100
    assert len(await kept(database)) == 2
    queued = [each for each in await world.published() if each.type == "message.queued.v1"]
    assert len(queued) == len({each.id for each in queued}) == 100

    assert await run("sending_process.py", trap.url, killed_at="notify.after_claim") == -signal.SIGKILL
    async with asyncio.timeout(60):
        while any(row.status != "sent" for row in await world.rows()):
            await post.attendant.recovery()
            await post.rest()
    assert len(trap.received()) == len({id_ for _, id_ in trap.received()}) == 100


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """What the database is told meanwhile."""
    told: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        told.append(statement)

    engine = database.engine.sync_engine
    sqlalchemy_event.listen(engine, "before_cursor_execute", note)
    try:
        yield told
    finally:
        sqlalchemy_event.remove(engine, "before_cursor_execute", note)


async def test_ten_thousand_people_cost_the_same_for_each_page_and_no_memory(
    digests: Digests, database: Database, others: Others
) -> None:
    others.hire(10_000, per_page=200)
    async with database.transaction() as tx:
        await tx.execute(text("UPDATE digests_begin SET at = '2026-03-01T12:00:00Z'"))
    await digests.step()
    costs: list[int] = []
    more, early = True, 0
    while more:
        with statements(database) as told:
            more = await digests.step()
        costs.append(len(told))
        if len(costs) == 10:
            early = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert len(costs) > 50
    assert max(costs[:-2]) == min(costs[:-2]), "as many statements for the last page as for the first"
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - early
    assert kilobytes < 16_000, "8,000 people more"
    async with database.reading() as tx:
        (row,) = await tx.fetch(text("SELECT count(*) AS people, count(DISTINCT recipient) AS told FROM messages"))
    assert row.told == 10_000
