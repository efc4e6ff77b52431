"""Whatever customers, people, clocks and crashes do to cases, on a real database: what may never happen never does.

Rules deliver answers, words and erasures (twice, or into a transaction that dies), let people act over HTTP (two at
once, or on what they saw long ago), and let time pass with and without anybody looking at the clocks. After each of
them everything that is stored and published is looked at as a whole.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, TypeVar

import httpx
import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from libs.events import inbox, outbox
from libs.events.codec import Record, decode
from libs.events.database import Database, Tx
from libs.events.event import Event
from libs.webapi import keys
from services.casework.api import build_app
from services.casework.contact_jobs import CallbackClocks
from services.casework.handlers import handle_customers, handle_messages, handle_scores
from services.casework.jobs import Clocks
from services.casework.store import people
from services.casework.task_jobs import TaskClocks

Make = Callable[..., Event[Any]]
ResultT = TypeVar("ResultT")

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
PEOPLE = {"anna": "agent", "dima": "agent", "boris": "manager", "vera": "executive"}
CUSTOMERS = ("c-1", "c-2", None)
HANDLERS: dict[str, tuple[str, Any]] = {
    "survey": ("casework.scores", handle_scores),
    "customer": ("casework.customers", handle_customers),
    "confirmation": ("casework.messages", handle_messages),
}
LEVELS = ("frontline", "management", "executive")
TOLD = {
    "opened": "case.opened.v1",
    "assigned": "case.assigned.v1",
    "contacted": "case.contacted.v1",
    "escalated": "case.escalated.v1",
    "clock_warned": "case.clock.warned.v1",
    "clock_breached": "case.clock.breached.v1",
    "resolved": "case.resolved.v1",
    "reopened": "case.reopened.v1",
    "closed": "case.closed.v1",
    "callback_agreed": "case.callback.agreed.v1",
    "callback_kept": "case.callback.kept.v1",
}
"""Lines of the timeline that each have their event, one for one."""

_CLEAR = text("""
    WITH customers_ AS (DELETE FROM customers), answers_ AS (DELETE FROM answers),
         cases_ AS (DELETE FROM cases), timeline_ AS (DELETE FROM timeline),
         callbacks_ AS (DELETE FROM callbacks), callback_cells_ AS (DELETE FROM callback_cells),
         resolutions_ AS (DELETE FROM resolutions), mentions_ AS (DELETE FROM mentions),
         tasks_ AS (DELETE FROM tasks), thanks_ AS (DELETE FROM thanks),
         agent_loads_ AS (DELETE FROM agent_loads), inbox_ AS (DELETE FROM inbox),
         outbox_ AS (DELETE FROM outbox), idempotency_keys_ AS (DELETE FROM idempotency_keys)
    SELECT 1
""")
_CASES = text("SELECT * FROM cases ORDER BY opened_at, id")
_TIMELINE = text("SELECT * FROM timeline ORDER BY case_id, version")
_ANSWERS = text("""
    SELECT response_id, answers.customer_id, metric, nps_class, case_id, waits_for_owner, answered_at, erased_at
      FROM answers LEFT JOIN customers ON customers.customer_id = answers.customer_id
""")
_CALLBACKS = text("SELECT * FROM callbacks ORDER BY id")
_TASKS = text("SELECT * FROM tasks ORDER BY id")
_LOADS = text("SELECT agent_id, running_cases FROM agent_loads")


class Killed(BaseException):
    """The process died before the commit."""


class World:
    """Casework as it stands, and hands to move it; one for all examples."""

    def __init__(self, url: str, scored: Make, said: Make, erased: Make) -> None:
        self.runner = asyncio.Runner()
        self.now = MONDAY
        self.scored, self.said, self.erased = scored, said, erased
        self.database = Database.connect(url, pool_size=6, clock=lambda: self.now)
        self.clients: dict[str, httpx.AsyncClient] = {}
        self.do(self._set_up())

    def do(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        return self.runner.run(work)

    async def _set_up(self) -> None:
        app = build_app(self.database)
        async with self.database.transaction() as tx:
            scopes = ("cases:read", "cases:write", "settings:read", "settings:write", "on-behalf")
            key = await keys.create_key(tx, name="portal", scopes=scopes)
            for id_, role in PEOPLE.items():
                agent: dict[str, object] = {
                    "name": id_.title(),
                    "email": f"{id_}@example.org",
                    "language": "ru",
                    "role": role,
                    "seniority": 1,
                    "team_id": None,
                    "department_id": None,
                    "capacity": 100,
                    "absent_from": None,
                    "absent_until": None,
                    "disabled": False,
                }
                await people.put_agent(tx, id_, agent)
        for id_, role in PEOPLE.items():
            headers = {"Authorization": f"Bearer {key}", "Otklik-Person": id_, "Otklik-Role": role}
            self.clients[id_] = httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://casework", headers=headers
            )

    async def clear(self) -> None:
        self.now = MONDAY
        async with self.database.transaction() as tx:
            await tx.execute(_CLEAR)

    async def deliver(self, batch: Sequence[Event[Any]], *, dies: bool = False) -> None:
        name, handler = HANDLERS[batch[0].type.partition(".")[0]]
        async with self.database.transaction() as tx:
            new = await inbox.mark(tx, name, [(event.id, event.id) for event in batch])
            fresh = [event for event in batch if event.id in new]
            if fresh:
                await handler(tx, fresh)
            if dies:
                raise Killed

    async def look_at_clocks(self, database: Any) -> None:  # noqa: ANN401 - the real one, or one that dies
        for loop in (
            Clocks(database, batch=50),
            CallbackClocks(database, batch=50),
            TaskClocks(database, batch=50),
        ):
            while await loop.step():
                pass

    async def rows(self, statement: Any) -> Sequence[Any]:  # noqa: ANN401 - a text clause
        async with self.database.reading() as tx:
            return await tx.fetch(statement)

    async def published(self) -> list[Event[Any]]:
        async with self.database.engine.connect() as connection:
            waiting = await outbox.oldest(connection, 100_000)
        found = []
        for row in waiting:
            record = row.record
            event = decode(Record(record.topic, 0, row.id, record.key.encode(), record.value, record.headers))
            assert event is not None
            found.append(event)
        return found

    async def seen(self) -> tuple[Sequence[Any], ...]:
        async with self.database.reading() as tx:
            stored = [await tx.fetch(each) for each in (_CASES, _TIMELINE, _ANSWERS, _CALLBACKS, _LOADS)]
        return (*stored, await self.published())

    async def everything(self) -> tuple[object, ...]:
        async with self.database.reading() as tx:
            stored = [await tx.fetch(each) for each in (_CASES, _TIMELINE, _ANSWERS, _CALLBACKS, _TASKS, _LOADS)]
        return (*([tuple(row) for row in sorted(rows, key=str)] for rows in stored), len(await self.published()))

    async def close(self) -> None:
        for client in self.clients.values():
            await client.aclose()
        await self.database.close()


class Dying:
    """The database, whose transactions die before they commit."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.clock = database.clock
        self.reading = database.reading

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        async with self._database.transaction() as tx:
            yield tx
            raise Killed


def commands() -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    """What people do; times are hours from now."""
    outcome = st.sampled_from(["reached", "reached", "no_answer", "call_later", "declined", "busy"])
    return st.one_of(
        outcome.map(lambda each: ("contact-attempts", {"outcome": each})),
        outcome.map(lambda each: ("contact-attempts", {"outcome": each, "callback_at": 5})),
        st.just(("resolve", {"root_cause_id": "service.waiting", "customer_contacts": 2})),
        st.just(("resolve", {"root_cause_id": "other", "follow_ups": [{"title": "Прислать договор", "due_at": 40}]})),
        st.just(("reopen", {})),
        st.sampled_from(sorted(PEOPLE)).map(lambda id_: ("assign", {"owner_id": id_})),
        st.just(("escalate", {"reason": "no_authority"})),
        st.sampled_from([1, 30, 400]).map(lambda hours: ("wait", {"reason": "customer_trying", "until": hours})),
        st.just(("resume", {})),
        st.just(("notes", {"text": "Перезвонить после шести"})),
        st.just(("comments", {"text": "@boris, посмотри"})),
        st.sampled_from([-1, 3, 48]).map(lambda hours: ("callbacks", {"at": hours})),
        st.just(("tasks", {"kind": "follow_up", "title": "Проверить счёт", "due_at": 30})),
    )


class AnyLife(RuleBasedStateMachine):
    """Two customers, one who stays unknown, four people, three clocks."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.delivered: list[Event[Any]] = []
        self.revisions: Counter[str] = Counter()
        self.looked_at = MONDAY

    @initialize(age=st.sampled_from([1, 60]))
    def begin(self, age: int) -> None:
        self.world.do(self.world.clear())
        self.a_customer_answers_or_corrects_it(0, 3, age, dies=False)

    def cases(self) -> Sequence[Any]:
        return self.world.do(self.world.rows(_CASES))

    @rule(
        response=st.integers(0, 5),
        score=st.one_of(st.none(), st.integers(0, 10), st.integers(0, 4)),
        age=st.sampled_from([0, 1, 47, 60]),
        dies=st.booleans(),
    )
    def a_customer_answers_or_corrects_it(self, response: int, score: int | None, age: int, *, dies: bool) -> None:
        name = f"r-{response}"
        self.revisions[name] += 1
        event = self.world.scored(
            name,
            self.revisions[name],
            score=score,
            customer_id=CUSTOMERS[response % 3],
            answered_at=MONDAY if self.revisions[name] > 1 else self.world.now - timedelta(hours=age),
        )
        self.deliver(event, dies=dies)

    def deliver(self, event: Event[Any], *, dies: bool) -> None:
        if dies:
            before = self.world.do(self.world.everything())
            with pytest.raises(Killed):
                self.world.do(self.world.deliver([event], dies=True))
            assert self.world.do(self.world.everything()) == before
        self.world.do(self.world.deliver([event]))
        self.delivered.append(event)

    @precondition(lambda self: self.delivered)
    @rule(place=st.integers(0, 100))
    def an_event_comes_again(self, place: int) -> None:
        before = self.world.do(self.world.everything())
        self.world.do(self.world.deliver([self.delivered[place % len(self.delivered)]]))
        assert self.world.do(self.world.everything()) == before

    @rule(which=st.integers(0, 5), solved=st.booleans(), earlier=st.booleans(), dies=st.booleans())
    def a_customer_says_whether_it_is_solved(self, which: int, *, solved: bool, earlier: bool, dies: bool) -> None:
        asked = [case for case in self.cases() if case.round and case.customer_id is not None]
        if asked:
            case = asked[which % len(asked)]
            round_ = max(1, case.round - earlier)
            said = self.world.said(case.id, solved=solved, round_=round_, customer=case.customer_id)
            self.deliver(said, dies=dies)

    @rule(customer=st.sampled_from(["c-1", "c-2"]), really=st.integers(0, 9))
    def a_customer_asks_to_be_forgotten(self, customer: str, really: int) -> None:
        if really == 0:
            self.deliver(self.world.erased(customer, at=self.world.now), dies=False)

    @precondition(lambda self: self.delivered)
    @rule(
        which=st.integers(0, 5),
        who=st.sampled_from(sorted(PEOPLE)),
        command=commands(),
        seen=st.sampled_from(["now", "long ago", "not said"]),
    )
    def somebody_acts(self, which: int, who: str, command: tuple[str, dict[str, Any]], seen: str) -> None:
        cases = self.cases()
        if not cases:
            return
        case = cases[which % len(cases)]
        headers = {"now": {"If-Match": f'"{case.version}"'}, "long ago": {"If-Match": '"1"'}, "not said": {}}[seen]
        answer = self.world.do(self.act(who, case, command, headers))
        assert answer.status_code in {200, 201, 409, 412, 422}, answer.text
        if seen == "long ago" and case.version > 1:
            assert answer.status_code == 412

    async def act(
        self,
        who: str,
        case: Any,  # noqa: ANN401 - a row
        command: tuple[str, dict[str, Any]],
        headers: dict[str, str],
    ) -> httpx.Response:
        path, body = command
        return await self.world.clients[who].post(
            f"/v1/cases/{case.id}/{path}", json=self.in_time(body), headers=headers
        )

    def in_time(self, body: dict[str, Any]) -> dict[str, Any]:
        def at(hours: int) -> str:
            return (self.world.now + timedelta(hours=hours)).isoformat()

        timed: dict[str, Any] = {
            name: at(each) if isinstance(each, int) and name != "customer_contacts" else each
            for name, each in body.items()
        }
        if "follow_ups" in timed:
            timed["follow_ups"] = [self.in_time(each) for each in timed["follow_ups"]]
        return timed

    @precondition(lambda self: self.delivered)
    @rule(which=st.integers(0, 5), command=commands(), late=st.booleans())
    def two_people_act_at_once_on_what_both_saw(
        self, which: int, command: tuple[str, dict[str, Any]], *, late: bool
    ) -> None:
        cases = self.cases()
        if not cases:
            return
        case = cases[which % len(cases)]
        headers = {"If-Match": f'"{case.version}"'}
        other = ("notes", {"text": "Звонила сама"})

        async def both() -> list[httpx.Response]:
            pairs = [("anna", command), ("boris", other)]
            acts = [self.act(who, case, each, headers) for who, each in (reversed(pairs) if late else pairs)]
            return await asyncio.gather(*acts)

        answers = self.world.do(both())
        # What one did the other was told of, and overwrote nothing: all that was added is one person's.
        timeline = self.world.do(self.world.rows(_TIMELINE))
        added = {line.actor_id for line in timeline if line.case_id == case.id and line.version > case.version}
        assert len(added) == 1
        assert all(answer.status_code in {200, 201, 409, 412, 422} for answer in answers)
        assert any(answer.is_success for answer in answers)

    @rule(hours=st.sampled_from([1, 5, 20, 50, 50, 200]), looking=st.booleans())
    def time_passes(self, hours: int, *, looking: bool) -> None:
        self.world.now += timedelta(hours=hours)
        if looking:
            self.the_clocks_are_looked_at(dies=False, workers=1)

    @rule(dies=st.booleans(), workers=st.integers(1, 2))
    def the_clocks_are_looked_at(self, *, dies: bool, workers: int) -> None:
        world = self.world
        if dies:
            before = world.do(world.everything())
            due = [case for case in self.cases() if case.fires_at is not None and case.fires_at <= world.now]
            try:
                world.do(world.look_at_clocks(Dying(world.database)))
            except Killed:
                pass
            else:
                assert not due
            assert world.do(world.everything()) == before

        async def look() -> None:
            await asyncio.gather(*(world.look_at_clocks(world.database) for _ in range(workers)))
            # What one passed over because the other held it is met again.
            await world.look_at_clocks(world.database)

        world.do(look())
        self.looked_at = world.now
        self.nothing_was_missed()
        before = world.do(world.everything())
        world.do(world.look_at_clocks(world.database))
        assert world.do(world.everything()) == before

    def nothing_was_missed(self) -> None:
        now = self.world.now
        timeline = self.world.do(self.world.rows(_TIMELINE))
        breached = {
            (line.case_id, line.details["clock"], datetime.fromisoformat(line.details["due_at"]))
            for line in timeline
            if line.kind == "clock_breached"
        }
        for case in self.cases():
            assert case.fires_at is None or case.fires_at > now
            if case.status == "open" and case.first_contact_due_at <= now:
                assert (case.id, "first_contact", case.first_contact_due_at) in breached
                assert case.level != "frontline"
            running = case.status == "open" or (case.status == "contacted" and case.waiting_until is None)
            if running and case.resolution_due_at <= now:
                assert (case.id, "resolution", case.resolution_due_at) in breached
            assert case.status != "resolved" or case.confirm_by > now
        for callback in self.world.do(self.world.rows(_CALLBACKS)):
            assert callback.fires_at is None or callback.fires_at > now
        for task in self.world.do(self.world.rows(_TASKS)):
            assert task.fires_at is None or task.fires_at > now

    @invariant()
    def what_may_never_happen_has_not(self) -> None:
        cases, timeline, answers, callbacks, loads, events = self.world.do(self.world.seen())
        _everybody_who_was_unhappy_has_one_case_with_one_owner(cases, answers, loads)
        _every_case_came_to_its_state_by_arrows_that_exist(cases, timeline, callbacks)
        _everything_is_told_once(timeline, events)


def _everybody_who_was_unhappy_has_one_case_with_one_owner(
    cases: Sequence[Any], answers: Sequence[Any], loads: Sequence[Any]
) -> None:
    assert all(case.owner_id in PEOPLE for case in cases)
    open_of = Counter(case.customer_id for case in cases if case.status != "closed")
    assert all(count == 1 for customer, count in open_of.items() if customer is not None)
    ids = {case.id for case in cases}
    for answer in answers:
        forgotten = answer.erased_at is not None and answer.answered_at <= answer.erased_at
        if answer.nps_class == "detractor" and not forgotten:
            assert answer.case_id in ids
    counted = {row.agent_id: row.running_cases for row in loads if row.running_cases}
    assert counted == Counter(case.owner_id for case in cases if case.status in ("open", "contacted"))


def _every_case_came_to_its_state_by_arrows_that_exist(
    cases: Sequence[Any], timeline: Sequence[Any], callbacks: Sequence[Any]
) -> None:
    lines: dict[Any, list[Any]] = {}
    for line in timeline:
        lines.setdefault(line.case_id, []).append(line)
    for case in cases:
        history = lines[case.id]
        assert [line.version for line in history] == list(range(1, case.version + 1))
        assert all(earlier.at <= later.at for earlier, later in pairwise(history))
        assert _walked(history) == (case.status, case.level)
        agreed = [each for each in callbacks if each.case_id == case.id and each.state == "agreed"]
        assert len(agreed) <= (case.status in ("open", "contacted"))
        assert case.status != "closed" or case.fires_at is None


def _everything_is_told_once(timeline: Sequence[Any], events: Sequence[Event[Any]]) -> None:
    assert len({event.id for event in events}) == len(events)
    told = Counter((event.type, event.payload.case_id, event.payload.version) for event in events)
    assert all(count == 1 for count in told.values())
    for line in timeline:
        if line.kind in TOLD:
            assert told[TOLD[line.kind], str(line.case_id), line.version] == 1
        if line.kind == "clock_breached":
            assert line.at >= datetime.fromisoformat(line.details["due_at"])


def _walked(history: Sequence[Any]) -> tuple[str, str]:  # noqa: C901 - a case for each arrow
    """Where the lines of a case's timeline lead; no line may come where the picture of the states has no arrow."""
    status, level, breaches, reopenings = "none", "frontline", set(), 0
    for line in history:
        match line.kind:
            case "opened":
                assert status == "none"
                status = "open"
            case "contacted":
                assert status != "closed"
                if line.details["first_reached"]:
                    assert status == "open"
                    status = "contacted"
            case "resolved":
                assert status == "contacted"
                status = "resolved"
            case "reopened":
                assert status in {"resolved", "closed"}
                status, reopenings = "open", reopenings + 1
            case "closed":
                assert status != "none"
                status = "closed"
            case "waiting" | "resumed":
                assert status == "contacted"
            case "clock_breached":
                breach = (line.details["clock"], line.details["due_at"], reopenings)
                assert breach not in breaches, "the same deadline was breached twice"
                breaches.add(breach)
            case _:
                assert status != "none"
        if "from_level" in line.details:
            assert line.details["from_level"] == level
            level = line.details["to_level"]
            assert level in LEVELS
            if line.kind == "escalated":
                assert LEVELS.index(level) == LEVELS.index(line.details["from_level"]) + 1
                assert status in {"open", "contacted"}
    return status, level


@pytest.fixture
def world(service_database: Callable[[str], str], scored: Make, said: Make, erased: Make) -> Iterator[World]:
    world = World(service_database("casework"), scored, said, erased)
    yield world
    world.do(world.close())
    world.runner.close()


def test_any_life_of_a_case(world: World) -> None:
    machine = type("Life", (AnyLife,), {"world": world})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=15,
            stateful_step_count=25,
            deadline=None,
            # Shrinking would live hundreds of lives more; the one that failed is printed step by step.
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )
