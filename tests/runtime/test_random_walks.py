"""Random walks over deliveries, duplicates, poison, crashes, restarts, rebalances and outages.

Whatever happens, when it is over: the effects are the distinct good events, per customer in order; the dead letters are
the poison, once for each place where it stood; what the effects caused is published, per customer in order; the
committed offsets are at the ends; and of no record an attempt is noted. Excused is what was in hand at so many crashes
that it had to be taken for their cause.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from sqlalchemy import text

from libs.events import loop as loop_module
from libs.events.attempts import DEATHS
from libs.events.codec import Record
from libs.events.consumer import Consumer
from libs.events.database import Database, Tx
from libs.events.errors import PermanentError, TooManyDeadLetters, Unavailable, is_unavailable
from libs.events.event import Event
from libs.events.outbox import Outgoing
from libs.events.relay import Relay
from libs.events.retry import Backoff
from libs.events.testing import (
    CONSUMER,
    MemoryPublisher,
    MemorySubscription,
    Workbench,
    a_broken_record,
    an_answer,
    an_outgoing,
)

CAUSED = "caused"
CUSTOMERS = st.sampled_from(["anna", "boris", "vera", "gleb"])
EMPTY = text("TRUNCATE inbox, outbox, effects, attempts")
NOTED = text("SELECT place FROM attempts")
SUICIDE = text("SELECT pg_terminate_backend(pg_backend_pid())")
KINDS = (*("good",) * 5, "again", "fails at first", "poison", "of no use", "no event", "lethal")
THEN = (
    "finishes",
    "finishes",
    "finishes",
    "keeps it in hand",
    # Where it crashes:
    "before the transaction",
    "in the handler",
    "after the database commit",
    "after the offset commit",
)

T = TypeVar("T")


class Crash(BaseException):
    """The process is gone: nothing below catches it."""


class Member(MemorySubscription):
    """A member that takes one batch each time it is let, and can be made to crash at a point of it."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__(bench.broker, CONSUMER, bench.topic.name, timedelta(seconds=60))
        self.may_go = asyncio.Event()
        self.waits = asyncio.Event()
        self.limit = 1
        self.crash_at: str | None = None
        self.in_hand: Sequence[Record] = ()
        self.stop_consumer = asyncio.Event()
        self.running: asyncio.Task[None] | None = None

    def reached(self, point: str) -> None:
        if self.crash_at == point:
            raise Crash

    async def gate(self) -> None:
        self.waits.set()
        await self.may_go.wait()
        self.may_go.clear()

    async def start(self) -> None:
        try:
            await super().start()
        except Unavailable:
            await self.gate()
            raise

    @asynccontextmanager
    async def batch(self, limit: int, wait: timedelta) -> AsyncIterator[Sequence[Record]]:
        await self.gate()
        async with super().batch(min(limit, self.limit), wait) as records:
            self.in_hand = records
            if records:
                self.reached("before the transaction")
            yield records
        self.in_hand = ()

    async def commit(self, offsets: dict[tuple[str, int], int]) -> None:
        self.reached("after the database commit")
        await super().commit(offsets)
        self.reached("after the offset commit")


class DyingPublisher(MemoryPublisher):
    """A publisher whose process may die when all is acknowledged and nothing deleted."""

    dies = False

    async def publish(self, records: Sequence[Outgoing]) -> None:
        await super().publish(records)
        if self.dies:
            raise Crash


class World:
    """One database for all walks, and its outages."""

    def __init__(self, url: str, runner: asyncio.Runner) -> None:
        self.url = url
        self.name = url.split("@/")[1].split("?", maxsplit=1)[0]
        self.run = runner.run
        self.database = Database.connect(url, pool_size=5)

    async def as_administrator(self, *statements: str) -> None:
        connection = await asyncpg.connect(self.url.replace(f"@/{self.name}", "@/postgres"))
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    @property
    def cut(self) -> str:
        return f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self.name}'"  # noqa: S608

    async def empty(self) -> None:
        async with self.database.transaction() as tx:
            await tx.execute(EMPTY)


class Walk(RuleBasedStateMachine):
    """One walk; `world` is set by the test."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.run(self.world.empty())
        self.bench = Workbench(self.world.database, partitions=3)
        self.bench.broker.create_topic(CAUSED, 2)
        self.publisher = DyingPublisher(self.bench.broker)
        self.relay = Relay("walk", self.world.database, self.publisher, self.bench.health)
        self.members: list[Member] = []
        self.held: Member | None = None
        self.let_go = asyncio.Event()
        self.database_is_away = False
        self.delivered: list[Outgoing] = []
        self.good: dict[str, list[int]] = {}
        self.poison: dict[UUID, Exception] = {}
        self.lethal: set[UUID] = set()
        self.numbers: dict[UUID, int] = {}
        self.crashes: Counter[tuple[int, int]] = Counter()
        """How often a process ended with the record of each place in hand; at least."""
        self.blips: dict[UUID, int] = {}
        self.cut_soon = False
        self.caused_something = False
        self.number = 0

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.world.run(work)

    @initialize()
    def begin(self) -> None:
        self.join()
        self.deliver([("good", customer, 0) for customer in ("anna", "boris", "anna", "vera")])

    # What arrives

    @rule(arrivals=st.lists(st.tuples(st.sampled_from(KINDS), CUSTOMERS, st.integers(0, 100)), min_size=1, max_size=6))
    def deliver(self, arrivals: list[tuple[str, str, int]]) -> None:
        for kind, customer, number in arrivals:
            match kind:
                case "good":
                    self._deliver_good(customer)
                case "fails at first":
                    self.blips[self._deliver_good(customer)] = 1 + number % 3
                case "poison":
                    self.poison[self._deliver(customer)] = ValueError("a bug")
                case "of no use":
                    self.poison[self._deliver(customer)] = PermanentError("of no use")
                case "lethal":
                    self.lethal.add(self._deliver(customer))
                case "no event":
                    self._put(a_broken_record(topic=self.bench.topic.name, key=customer))
                case _:
                    self.bench.deliver_record(self.delivered[number % len(self.delivered)])

    def _deliver_good(self, customer: str) -> UUID:
        id_ = self._deliver(customer)
        self.good.setdefault(customer, []).append(self.number)
        return id_

    def _deliver(self, customer: str) -> UUID:
        self.number += 1
        event = an_answer(customer, self.number)
        self._put(an_outgoing(event, topic=self.bench.topic.name, key=customer))
        self.numbers[event.id] = self.number
        return event.id

    def _put(self, record: Outgoing) -> None:
        self.delivered.append(record)
        self.bench.deliver_record(record)

    # Members come, work, crash and go

    @precondition(lambda self: len(self.members) < 2)
    @rule()
    def join(self) -> None:
        self.run(self._join())

    @precondition(lambda self: self.members and self.bench.lag)
    @rule(which=st.integers(0, 1), limit=st.integers(1, 12), then=st.sampled_from(THEN))
    def work(self, which: int, limit: int, then: str) -> None:
        member = self.members[which % len(self.members)]
        if then == "keeps it in hand" and self.held is None and not self.database_is_away:
            self._take_in_hand(member, limit)
            return
        member.crash_at = then
        self.run(self._work(member, limit))
        member.crash_at = None

    def _take_in_hand(self, member: Member, limit: int) -> None:
        self.let_go.clear()
        self.held = member
        self.run(self._work(member, limit))
        if member.waits.is_set():
            self.held = None  # there was nothing to take

    @precondition(lambda self: self.held is not None)
    @rule()
    def finish_the_batch_in_hand(self) -> None:
        self.run(self._finish())

    @precondition(lambda self: len(self.members) == 2)
    @rule(which=st.integers(0, 1))
    def leave(self, which: int) -> None:
        if self.members[which] is not self.held:
            self.run(self._leave(self.members[which]))

    async def _join(self) -> None:
        member = Member(self.bench)
        consumer = Consumer(
            CONSUMER,
            self.bench.topic,
            self._handler_of(member),
            database=self.world.database,
            subscription=member,
            health=self.bench.health,
            backoff=Backoff(timedelta(0), timedelta(0), attempts=5),
            dead_letters_in_a_row=3,
        )
        self.members.append(member)
        member.running = asyncio.create_task(consumer.run(member.stop_consumer))
        await self._until_it_waits(member)

    def _handler_of(self, member: Member) -> Callable[[Tx, Sequence[Event[Any]]], Coroutine[Any, Any, None]]:
        async def handle(tx: Tx, events: Sequence[Event[Any]]) -> None:
            await self.bench.effects.handle(tx, events)
            for event in events:
                tx.emit_record(CAUSED, event.payload.customer_id, str(event.payload.round).encode(), ())
            self.caused_something = True
            member.reached("in the handler")
            if self.cut_soon:
                self.cut_soon = False
                await tx.fetch(SUICIDE)
            if self.held is member:
                await self.let_go.wait()
            for event in events:
                if event.id in self.lethal:
                    raise Crash
                if (error := self.poison.get(event.id)) is not None:
                    raise error
                if self.blips.get(event.id, 0) > 0:
                    self.blips[event.id] -= 1
                    raise ValueError("a blip")

        return handle

    async def _work(self, member: Member, limit: int) -> None:
        if not member.waits.is_set():
            return  # it has a batch in hand
        member.limit = limit
        member.waits.clear()
        member.may_go.set()
        await self._until_it_waits(member)

    async def _until_it_waits(self, member: Member) -> None:
        """Until the member asks for the next batch, has ended, or holds a batch in its hand."""
        assert member.running is not None
        waits = asyncio.create_task(member.waits.wait())
        holds = asyncio.create_task(self._holds(member))
        await asyncio.wait([waits, holds, member.running], return_when=asyncio.FIRST_COMPLETED, timeout=20)
        waits.cancel()
        holds.cancel()
        if member.running.done():
            self.members.remove(member)
            if self.held is member:
                self.held = None
            # What it was made to do, and what three dead letters in a row lead to.
            with contextlib.suppress(TooManyDeadLetters):
                try:
                    member.running.result()
                except Crash:
                    self.crashes.update(place(record) for record in member.in_hand)
        else:
            assert member.waits.is_set() or self.held is member

    async def _holds(self, member: Member) -> None:
        while not (self.held is member and member.has_batch_in_hand):
            await asyncio.sleep(0.001)

    async def _leave(self, member: Member) -> None:
        member.stop_consumer.set()
        await self._work(member, 1)
        if member in self.members:
            assert member.running is not None
            await asyncio.wait([member.running], timeout=20)
            await self._until_it_waits(member)

    async def _finish(self) -> None:
        member, self.held = self.held, None
        assert member is not None
        self.let_go.set()
        await self._until_it_waits(member)

    # The relay

    @precondition(lambda self: self.caused_something and not self.database_is_away)
    @rule(fault=st.sampled_from(["none", "in the middle", "before the deletion"]), written=st.integers(0, 3))
    def publish(self, fault: str, written: int) -> None:
        self.bench.broker.fail_after = written if fault == "in the middle" else None
        self.publisher.dies = fault == "before the deletion"
        self.run(self._publish())
        self.bench.broker.fail_after = None
        self.publisher.dies = False

    async def _publish(self) -> None:
        self.caused_something = False
        try:
            async with self.world.database.connection() as connection:
                await self.relay.relay_once(connection)
        except (Crash, Exception) as error:  # noqa: BLE001 - every row is still there then, and looked at in the end
            assert isinstance(error, Crash) or is_unavailable(error)  # noqa: PT017 - either will do

    # What is away

    @rule(what=st.sampled_from(["all connections", "the next batch's connection", "database", "broker"]))
    def go_away_or_come_back(self, what: str) -> None:
        match what:
            case "broker":
                self.bench.broker.available = not self.bench.broker.available
            case "the next batch's connection":
                self.cut_soon = True
            case "all connections" if self.held is None:
                self.run(self.world.as_administrator(self.world.cut))
            case "database" if self.held is None:
                self._database_goes_away_or_comes_back()

    def _database_goes_away_or_comes_back(self) -> None:
        self.database_is_away = not self.database_is_away
        allowed = "false" if self.database_is_away else "true"
        statement = f"ALTER DATABASE {self.world.name} WITH ALLOW_CONNECTIONS {allowed}"
        self.run(self.world.as_administrator(statement, self.world.cut))

    # The reckoning

    @precondition(lambda self: self.bench.lag or self.caused_something)
    @rule()
    def settle(self) -> None:
        self._settle_all()

    def _settle_all(self) -> None:
        if self.database_is_away:
            self._database_goes_away_or_comes_back()
        self.bench.broker.available = True
        self.cut_soon = False
        self.run(self._settle())

    async def _settle(self) -> None:
        if self.held is not None:
            await self._finish()
        for _ in range(1000):
            if self.bench.lag == 0:
                break
            if not self.members:
                await self._join()
            for member in list(self.members):
                await self._work(member, 12)
        for _ in range(5):
            await self._publish()

        broker, topic = self.bench.broker, self.bench.topic
        assert self.bench.lag == 0
        assert await self.bench.waiting() == []
        assert await self._noted() == []
        poison = {place(record) for record in broker.records(topic.name) if self._is_poison(record)}
        letters = set(broker.records(topic.dead_letters(CONSUMER)))
        blamed = {origin(letter) for letter in letters} - poison
        assert all(self.crashes[where] >= DEATHS for where in blamed)
        excused = {self._number(record) for record in broker.records(topic.name) if place(record) in blamed}
        good = without(excused, self.good)
        assert without(excused, await self.bench.effects.by_customer()) == good
        assert without(excused, caused(broker.records(CAUSED))) == good
        assert {origin(letter) for letter in letters} == poison | blamed
        assert len({(origin(letter), letter.headers) for letter in letters}) == len(poison | blamed)

    async def _noted(self) -> list[UUID]:
        async with self.world.database.reading() as tx:
            return [row.place for row in await tx.fetch(NOTED)]

    def _number(self, record: Record) -> int:
        return self.numbers[UUID(dict(record.headers)["ce_id"].decode())]

    def _is_poison(self, record: Record) -> bool:
        id_ = dict(record.headers).get("ce_id")
        return id_ is None or UUID(id_.decode()) in self.poison.keys() | self.lethal

    def teardown(self) -> None:
        self._settle_all()
        self.run(self._end())

    async def _end(self) -> None:
        for member in list(self.members):
            await self._leave(member)
        assert self.members == []


def caused(records: Sequence[Record]) -> dict[str, list[int]]:
    """What was published, by customer, each number where it first appeared."""
    numbers: dict[str, list[int]] = {}
    for record in records:
        of_customer = numbers.setdefault((record.key or b"").decode(), [])
        number = int(record.value or b"0")
        if number not in of_customer:
            of_customer.append(number)
    return numbers


def without(excused: set[int], numbers: dict[str, list[int]]) -> dict[str, list[int]]:
    rest = {
        customer: [each for each in of_customer if each not in excused] for customer, of_customer in numbers.items()
    }
    return {customer: of_customer for customer, of_customer in rest.items() if of_customer}


def place(record: Record) -> tuple[int, int]:
    return record.partition, record.offset


def origin(letter: Record) -> tuple[int, int]:
    headers = dict(letter.headers)
    return int(headers["dlq_partition"]), int(headers["dlq_offset"])


def test_whatever_happens_each_event_takes_effect_once_and_poison_is_set_aside(
    make_url: Callable[[], Coroutine[Any, Any, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_module, "OUTAGE", Backoff(timedelta(milliseconds=1), timedelta(milliseconds=2)))
    with asyncio.Runner() as runner:
        Walk.world = World(runner.run(make_url()), runner)
        try:
            run_state_machine_as_test(
                Walk,
                settings=settings(
                    max_examples=20,
                    stateful_step_count=40,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(Walk.world.database.close())
