"""The stream: nothing skipped, nothing twice, each role its part; over a real server, as browsers read it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import TextClause, text

from libs.events.contracts.customers import CustomerErased
from libs.events.event import Event
from libs.webapi.keys import create_key
from services.portal import broadcast, store
from services.portal.broadcast import Broadcast
from services.portal.domain.stream import Position, StreamEvent
from services.portal.handlers import forget_customers
from services.portal.jobs import Pruning
from tests.portal_company import Company
from tests.portal_server import SECONDS, a_poller, a_server, until
from tests.portal_visitor import PASSWORD

INSERT = text("""
    INSERT INTO events (event_id, type, subject, happened_at, received_at, facts)
    VALUES (gen_random_uuid(), 'test.happened.v1', :subject, now(), now(), '{}')
""")


MANY = text("""
    INSERT INTO events (event_id, type, subject, happened_at, received_at, facts)
    SELECT gen_random_uuid(), 'test.happened.v1', 'many', now(), now(), '{}' FROM generate_series(1, 20000)
""")


class Reading:
    """A reader of a broadcast, in the background."""

    def __init__(self, broadcast: Broadcast, after: Position | None = None, **options: float) -> None:
        self.seen: list[StreamEvent] = []
        self.beats = 0
        self._fresh = asyncio.Condition()
        self.task = asyncio.create_task(self._read(broadcast, after, options))

    async def _read(self, broadcast: Broadcast, after: Position | None, options: dict[str, Any]) -> None:
        async for event in broadcast.follow(after, **options):
            async with self._fresh:
                if event is None:
                    self.beats += 1
                else:
                    self.seen.append(event)
                self._fresh.notify_all()

    @property
    def subjects(self) -> list[str]:
        return [event.subject for event in self.seen]

    async def until(self, how_many: int) -> None:
        async with asyncio.timeout(SECONDS), self._fresh:
            await self._fresh.wait_for(lambda: len(self.seen) >= how_many)

    async def until_beats(self, how_many: int) -> None:
        async with asyncio.timeout(SECONDS), self._fresh:
            await self._fresh.wait_for(lambda: self.beats >= how_many)

    async def stop(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


@asynccontextmanager
async def a_reading(company: Company, after: Position | None = None, **options: float) -> AsyncIterator[Reading]:
    before = company.broadcast.readers
    reading = Reading(company.broadcast, after, **options)
    await until(lambda: company.broadcast.readers > before or reading.task.done())
    try:
        yield reading
    finally:
        await reading.stop()


async def happen(company: Company, *subjects: str) -> None:
    for subject in subjects:
        async with company.database.transaction() as tx:
            await tx.execute(INSERT, {"subject": subject})


async def poll(company: Company) -> None:
    while await company.broadcast.step():
        pass


async def test_what_happens_is_given_to_every_reader_in_order_and_once(company: Company) -> None:
    async with a_reading(company) as one, a_reading(company) as other:
        await happen(company, "a", "b")
        await poll(company)
        await happen(company, "c")
        await poll(company)
        await poll(company)
        await one.until(3)
        await other.until(3)
        assert one.subjects == other.subjects == ["a", "b", "c"]


async def test_an_event_that_commits_late_with_a_low_number_is_not_skipped(company: Company) -> None:
    async with a_reading(company) as reading:
        slow = await company.database.engine.connect()
        await slow.execute(INSERT, {"subject": "early number, late commit"})
        await happen(company, "late number, early commit")

        await poll(company)
        assert reading.subjects == []

        await slow.commit()
        await slow.close()
        await poll(company)
        await reading.until(2)
        assert reading.subjects == ["early number, late commit", "late number, early commit"]


async def test_a_transaction_that_gets_its_number_late_but_began_early_is_not_skipped_either(company: Company) -> None:
    async with a_reading(company) as reading:
        slow = await company.database.engine.connect()
        await slow.execute(text("SELECT pg_current_xact_id()"))
        await happen(company, "quick")
        await slow.execute(INSERT, {"subject": "slow"})
        await slow.commit()
        await slow.close()
        await poll(company)
        await reading.until(2)
        assert reading.subjects == ["slow", "quick"]


async def test_a_reader_that_comes_back_gets_what_it_missed(company: Company) -> None:
    async with a_reading(company) as reading:
        await happen(company, "a", "b", "c")
        await poll(company)
        await reading.until(3)
    left_after = reading.seen[0].position
    await happen(company, "d")

    async with a_reading(company, left_after) as back:
        await happen(company, "e")
        await poll(company)
        await back.until(4)
        assert back.subjects == ["b", "c", "d", "e"]


async def test_who_comes_without_a_position_gets_what_happens_from_now_on(company: Company) -> None:
    await happen(company, "before")
    async with a_reading(company) as reading:
        await happen(company, "after")
        await poll(company)
        await reading.until(1)
        assert reading.subjects == ["after"]


async def test_a_position_of_another_life_of_the_database_begins_here(company: Company) -> None:
    await happen(company, "before")
    async with a_reading(company, Position(2**62, 1)) as reading:
        await happen(company, "after")
        await poll(company)
        await reading.until(1)
        assert reading.subjects == ["after"]


async def follow_in_pieces(broadcast: Broadcast, position: Position, *, expected: int) -> list[str]:
    """Read until `expected` events were seen, leaving and coming back after every seventh."""
    seen: list[str] = []
    async with asyncio.timeout(SECONDS * 3):
        while len(seen) < expected:
            async with aclosing(broadcast.follow(position, beat_seconds=0.2)) as events:
                async for event in events:
                    if event is None:
                        continue
                    position = event.position
                    seen.append(event.subject)
                    if len(seen) % 7 == 0 or len(seen) == expected:
                        break
    return seen


async def test_readers_that_come_and_go_under_load_miss_nothing(company: Company) -> None:
    """Writers commit out of order, readers come back at odd places: each sees every event once, in one order."""
    writers, each = 4, 15
    async with company.database.reading() as tx:
        start = await store.horizon(tx)

    async def write(writer: int) -> None:
        for number in range(each):
            async with company.database.transaction() as tx:
                await tx.execute(INSERT, {"subject": f"{writer}-{number}-a"})
                await tx.execute(INSERT, {"subject": f"{writer}-{number}-b"})

    async with a_poller(company):
        followers = [
            asyncio.create_task(follow_in_pieces(company.broadcast, start, expected=writers * each * 2))
            for _ in range(3)
        ]
        await asyncio.gather(*(write(writer) for writer in range(writers)))
        views = await asyncio.gather(*followers)

    assert len(set(views[0])) == writers * each * 2
    assert views[0] == views[1] == views[2]


async def test_a_reader_that_does_not_keep_up_is_cut_and_the_others_are_not(company: Company) -> None:
    async with a_reading(company) as quick:
        slow = company.broadcast.follow(None, capacity=2)
        first = asyncio.create_task(anext(slow))
        await until(lambda: company.broadcast.readers == 2)
        await happen(company, "a", "b", "c", "d", "e")
        await poll(company)

        taken = [await first, *[event async for event in slow]]
        subjects = [event.subject for event in taken if event is not None]
        assert subjects == ["a", "b", "c", "d", "e"][: len(subjects)]
        assert len(subjects) < 5
        assert company.broadcast.readers == 1
        await quick.until(5)


async def test_silence_is_filled_with_beats_and_nobody_reading_asks_nothing(company: Company) -> None:
    async with a_reading(company, beat_seconds=0.02) as reading:
        await reading.until_beats(3)
    assert company.broadcast.readers == 0

    class Counting:
        def __getattr__(self, name: str) -> object:
            raise AssertionError(f"asked for {name}")

    idle = Broadcast(Counting())  # type: ignore[arg-type] # a database that must not be asked
    assert not await idle.step()


async def test_when_the_poller_stops_its_readers_go(company: Company) -> None:
    now = 0.0
    stopped = Broadcast(company.database, now=lambda: now)
    reading = Reading(stopped, beat_seconds=0.02)
    await reading.until_beats(1)
    now = 60.0
    async with asyncio.timeout(SECONDS):
        await reading.task


async def test_old_events_are_forgotten(company: Company) -> None:
    await company.take(company.scored("c", score=9))
    company.clock.shift = timedelta(days=2)
    await company.take(company.scored("c", score=3))
    pruning = Pruning(company.database, rules=company.settings.session_rules, events_kept=timedelta(days=1))
    await pruning.step()
    async with company.database.reading() as tx:
        left = await store.latest_events(tx, limit=10)
    assert [event.facts["score"] for event in left] == [3]


async def test_events_are_stored_without_contact_details_and_in_their_order(company: Company) -> None:
    await company.unhappy()
    async with company.database.reading() as tx:
        latest = await store.latest_events(tx, limit=10)
        rows = await tx.fetch(text("SELECT CAST(facts AS text) AS facts FROM events"))
    assert [event.type for event in reversed(latest)] == [
        "survey.response.scored.v1",
        "case.opened.v1",
        "case.assigned.v1",
    ]
    assert not any("@example.org" in row.facts for row in rows)


async def test_an_erasure_takes_the_person_out_of_what_happened_before_it_also_of_what_comes_late(
    company: Company,
) -> None:
    def answer_of(customer: str, *, hours_ago: float) -> Event[Any]:
        scored = company.scored(customer, score=2, comment="Меня зовут Мария").payload
        return company.event(scored, scored.response_id, time=company.clock() - timedelta(hours=hours_ago))

    await company.take(answer_of("maria", hours_ago=2), answer_of("other", hours_ago=2))
    erased = company.event(CustomerErased(customer_id="maria"), "maria", time=company.clock() - timedelta(hours=1))
    for _ in range(2):
        async with company.database.transaction() as tx:
            await forget_customers(tx, [erased])
    await company.take(answer_of("maria", hours_ago=1.5), answer_of("maria", hours_ago=0.5))
    async with company.database.reading() as tx:
        latest = [event.facts for event in reversed(await store.latest_events(tx, limit=10))]
    assert [facts.get("customer_id") for facts in latest] == [None, "other", None, "maria"]
    assert ["comment" in facts for facts in latest] == [False, True, False, True]
    assert [facts["score"] for facts in latest] == [2, 2, 2, 2]


async def test_adding_waits_for_an_erasure_that_has_not_committed(company: Company) -> None:
    erased = company.event(CustomerErased(customer_id="maria"), "maria")
    async with company.database.transaction() as tx:
        await forget_customers(tx, [erased])
        scored = company.scored("maria", score=2, comment="Мария").payload
        earlier = company.event(scored, scored.response_id, time=erased.time - timedelta(seconds=1))
        adding = asyncio.create_task(company.take(earlier))
        await until_blocked(company)
    await adding
    async with company.database.reading() as tx:
        [event] = await store.latest_events(tx, limit=10)
    assert "comment" not in event.facts


async def until_blocked(company: Company) -> None:
    async with asyncio.timeout(SECONDS):
        while True:
            async with company.database.reading() as tx:
                if await tx.fetch(text("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")):
                    return


async def test_a_batch_is_one_transaction_whatever_its_size(company: Company) -> None:
    await company.take(*(company.scored("c", score=number % 11) for number in range(300)))
    async with company.database.reading() as tx:
        row = await tx.fetch_one(text("SELECT count(*) AS n, count(DISTINCT txid) AS transactions FROM events"))
    assert row is not None
    assert (row.n, row.transactions) == (300, 1)


# --- over HTTP


class Wire:
    """One connection to `/v1/events`."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def next(self) -> tuple[str, dict[str, Any]]:
        """The next event: its id and its data."""
        id_ = ""
        async with asyncio.timeout(SECONDS):
            async for line in self._lines:
                if line.startswith("id: "):
                    id_ = line.removeprefix("id: ")
                if line.startswith("data: "):
                    return id_, json.loads(line.removeprefix("data: "))
        raise AssertionError("the stream ended")


@pytest.fixture
async def served(company: Company) -> AsyncIterator[str]:
    """The portal behind a real server, with its poller running."""
    async with a_server(company) as address:
        yield address


@asynccontextmanager
async def a_wire(
    company: Company, served: str, login: str | None, headers: dict[str, str] | None = None, query: str = ""
) -> AsyncIterator[Wire]:
    cookies = {}
    if login:
        visitor = await company.visitor().log_in(login, PASSWORD)
        cookies = {"otklik": visitor.http.cookies["otklik"]}
        await visitor.close()
    async with (
        httpx.AsyncClient(base_url=served, cookies=cookies, timeout=SECONDS) as client,
        client.stream("GET", f"/v1/events{query}", headers=headers or {}) as response,
    ):
        if response.status_code != 200:
            await response.aread()
        yield Wire(response)


async def test_a_browser_follows_and_resumes_after_the_last_event_it_had(company: Company, served: str) -> None:
    async with a_wire(company, served, "olga") as wire:
        assert wire.response.headers["content-type"].startswith("text/event-stream")
        await company.take(company.scored("customer-1", score=2, comment="Ждала"))
        first, data = await wire.next()
        assert data["title"] == "Клиент поставил 2: критик"
        assert data["quote"] == "Ждала"
    await company.take(company.scored("customer-1", score=9))
    await company.take(company.scored("customer-1", score=7))

    async with a_wire(company, served, "olga", {"Last-Event-ID": first}) as wire:
        assert [(await wire.next())[1]["data"]["score"] for _ in range(2)] == [9, 7]
    async with a_wire(company, served, "olga", query=f"?after={first}") as wire:
        assert (await wire.next())[1]["data"]["score"] == 9


@pytest.mark.parametrize(
    ("login", "sees", "does_not_see"),
    [
        ("irina", ["Ждала", "customer-1"], []),
        ("oleg", ["customer-1"], ["Ждала"]),
        ("anna", ["branch", '"score": 2'], ["Ждала", "customer-1"]),
    ],
)
async def test_each_role_gets_its_part(
    company: Company, served: str, login: str, sees: list[str], does_not_see: list[str]
) -> None:
    async with a_wire(company, served, login) as wire:
        await company.take(company.scored("customer-1", score=2, comment="Ждала"))
        _, data = await wire.next()
    shown = json.dumps(data, ensure_ascii=False)
    assert all(each in shown for each in sees)
    assert not any(each in shown for each in does_not_see)


async def test_the_page_shows_no_more_than_the_stream(company: Company) -> None:
    await company.take(company.scored("customer-1", score=2, comment="Ждала сорок минут"))
    for login, sees_comment, sees_customer in (("olga", True, False), ("oleg", False, False), ("anna", False, False)):
        visitor = await company.visitor().log_in(login)
        page = await visitor.get("/events?lang=ru")
        assert ("Ждала сорок минут" in page.text) is sees_comment
        assert ("customer-1" in page.text) is sees_customer
        assert "Клиент поставил 2: критик" in page.text
        await visitor.close()


async def test_who_is_not_logged_in_gets_no_stream(company: Company, served: str) -> None:
    async with a_wire(company, served, None) as wire:
        assert wire.response.status_code == 401
        assert wire.response.headers["content-type"] == "application/problem+json"
        assert "Bearer" in wire.response.headers["www-authenticate"]


async def test_a_program_follows_by_a_key_with_its_scope_and_sees_no_comments(company: Company, served: str) -> None:
    async with company.database.transaction() as tx:
        may = await create_key(tx, name="tail", scopes=["events:read"])
        may_not = await create_key(tx, name="other", scopes=["cases:read"])
    async with a_wire(company, served, None, {"Authorization": f"Bearer {may_not}"}) as wire:
        assert wire.response.status_code == 403
    async with a_wire(company, served, None, {"Authorization": f"Bearer {may}"}) as wire:
        await company.take(company.scored("customer-1", score=2, comment="Ждала"))
        _, data = await wire.next()
    assert data["data"]["customer_id"] == "customer-1"
    assert "comment" not in data["data"]
    assert data["quote"] is None


@pytest.mark.parametrize("after", ["nonsense", "%00", "9" * 5_000 + "-1", "1-2-3"])
async def test_a_made_up_position_is_never_an_error_of_ours(company: Company, served: str, after: str) -> None:
    async with a_wire(company, served, "olga", query=f"?after={after}") as wire:
        assert wire.response.status_code in {200, 400}


async def test_one_reader_too_many_is_asked_to_come_later(
    company: Company, served: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcast, "MOST_READERS", 1)
    async with a_wire(company, served, "olga"):
        await until(lambda: company.broadcast.readers == 1)
        async with a_wire(company, served, "irina") as second:
            assert second.response.status_code == 503
            assert int(second.response.headers["retry-after"]) > 0


@pytest.mark.parametrize("statement", [store._EVENTS_AFTER, store._LATEST_EVENTS])
async def test_reading_the_stream_costs_the_same_however_long_it_is(company: Company, statement: TextClause) -> None:
    async with company.database.transaction() as tx:
        await tx.execute(MANY)
        await tx.execute(text("ANALYZE events"))
    explain = text(f"EXPLAIN {statement.text}")
    parameters = {"txid": "1", "number": 1, "limit": 100} if "txid" in statement._bindparams else {"limit": 100}
    async with company.database.reading() as tx:
        plan = "\n".join(row[0] for row in await tx.fetch(explain, parameters))
    assert "Index Scan" in plan
    assert "Sort" not in plan
    assert "Seq Scan" not in plan


async def test_a_reader_that_leaves_is_forgotten(company: Company, served: str) -> None:
    async with a_wire(company, served, "olga") as wire:
        await company.take(company.scored(str(uuid4()), score=2))
        await wire.next()
        assert company.broadcast.readers == 1
    await until(lambda: company.broadcast.readers == 0)


async def test_types_and_ids_are_shown_to_who_runs_the_system_and_to_nobody_else(company: Company) -> None:
    await company.unhappy()
    for login, shown in (("irina", False), ("oleg", True)):
        visitor = await company.visitor().log_in(login)
        page = await visitor.get("/events")
        assert ("<code>case.opened.v1</code>" in page.text, "data-codes" in page.text) == (shown, shown)
        await visitor.close()
