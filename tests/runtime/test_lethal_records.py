"""Poison that kills the process: set aside when five of them ended with it in hand; its neighbours take effect once."""

import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from libs.events import codec as codec_module
from libs.events.attempts import DEATHS, prune
from libs.events.codec import Record
from libs.events.contracts.messages import ConfirmationAnswered
from libs.events.database import Database, Tx, utc_now
from libs.events.errors import PermanentError, TooManyDeadLetters
from libs.events.event import Contract, Event
from libs.events.inbox import place_id
from libs.events.outbox import Outgoing
from libs.events.testing import CONSUMER, MemorySubscription, Workbench, an_answer, eventually, running
from libs.events.topics import INBOX_RETENTION

MORTAL = Path(__file__).with_name("mortal.py")
NOTED = text("SELECT place, attempts FROM attempts")
NOTE = text("""
    INSERT INTO attempts VALUES (:consumer, :place, :attempts, :now)
        ON CONFLICT (consumer, place) DO UPDATE SET attempts = excluded.attempts
""")
SUICIDE = text("SELECT pg_terminate_backend(pg_backend_pid())")


class Killed(BaseException):
    """As good as SIGKILL for what is below: nothing catches it."""


def header(record: Outgoing, name: str) -> str:
    return dict(record.headers)[name].decode()


async def noted(database: Database) -> dict[UUID, int]:
    async with database.reading() as tx:
        return {row.place: row.attempts for row in await tx.fetch(NOTED)}


def place(bench: Workbench, offset: int, partition: int = 0) -> UUID:
    return place_id(Record(bench.topic.name, partition, offset, None, None, ()))


class Lives:
    """A supervised process, restarted until it ends by itself."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._url = url
        self.deaths = 0

    async def live(
        self,
        topics: dict[str, list[tuple[str, int]]],
        *,
        poison: Sequence[tuple[str, int]],
        slow: Sequence[tuple[str, int]] = (),
        partitions: int = 1,
        batch: int = 500,
    ) -> None:
        ids = {each: str(uuid4()) for answers in topics.values() for each in answers}
        scenario = {
            "topics": {name: [(ids[each], *each) for each in answers] for name, answers in topics.items()},
            "poison": [ids[each] for each in poison],
            "slow": [ids[each] for each in slow],
            "partitions": partitions,
            "batch": batch,
        }
        (self._folder / "records.json").write_text(json.dumps(scenario))
        while await self._one_life() != 0:
            self.deaths += 1
            assert self.deaths < 40

    async def _one_life(self) -> int:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(MORTAL), self._url, str(self._folder), stdout=asyncio.subprocess.DEVNULL
        )
        try:
            async with asyncio.timeout(60):
                status = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert status in (0, -signal.SIGKILL)
        return status


@pytest.fixture
def lives(tmp_path: Path, url: str) -> Lives:
    return Lives(tmp_path, url)


def answers(*customers: str, count: int) -> list[tuple[str, int]]:
    return [(customer, number) for number in range(count) for customer in customers]


async def test_a_record_that_kills_its_process_is_set_aside_and_its_neighbours_take_effect_once_and_in_order(
    lives: Lives, bench: Workbench, database: Database
) -> None:
    await lives.live({"answers": answers("anna", "boris", count=10)}, poison=[("anna", 4)])

    (letter,) = await bench.dead_letters()
    assert header(letter, "dlq_reason").startswith("Lethal: the process ended 5 times")
    assert (header(letter, "dlq_attempts"), header(letter, "dlq_offset")) == ("5", "8")
    assert lives.deaths == DEATHS
    assert await bench.effects.by_customer() == {
        "anna": [0, 1, 2, 3, 5, 6, 7, 8, 9],
        "boris": list(range(10)),
    }
    assert await noted(database) == {}


async def test_among_many_records_it_takes_no_more_deaths(lives: Lives, bench: Workbench, database: Database) -> None:
    await lives.live({"answers": answers("anna", "boris", count=60)}, poison=[("anna", 31)])

    (letter,) = await bench.dead_letters()
    assert header(letter, "dlq_reason").startswith("Lethal: the process ended 5 times")
    assert lives.deaths == DEATHS
    assert await bench.effects.by_customer() == {
        "anna": [number for number in range(60) if number != 31],
        "boris": list(range(60)),
    }
    assert await noted(database) == {}


async def test_it_is_found_wherever_it_stands_in_its_partition(
    lives: Lives, bench: Workbench, database: Database
) -> None:
    # Batches of seven; the poison stands in a later one, of which nothing is noted when it kills for the first time.
    poison = [("anna", 11)]
    await lives.live({"answers": answers("anna", "boris", "vera", count=15)}, poison=poison, partitions=3, batch=7)

    assert [header(letter, "ce_subject") for letter in await bench.dead_letters()] == ["case of anna"]
    assert DEATHS <= lives.deaths <= DEATHS + 1
    assert await bench.effects.by_customer() == {
        "anna": [number for number in range(15) if number != 11],
        "boris": list(range(15)),
        "vera": list(range(15)),
    }
    assert await noted(database) == {}


async def test_a_neighbour_that_is_in_hand_whenever_another_consumer_kills_the_process_is_not_blamed(
    lives: Lives, bench: Workbench, database: Database
) -> None:
    slow = [("boris", number) for number in range(5)]
    await lives.live({"answers": [("anna", 1)], "others": slow}, poison=[("anna", 1)], slow=slow)

    assert [header(letter, "ce_subject") for letter in await bench.dead_letters()] == ["case of anna"]
    assert await bench.effects.by_customer() == {"boris": list(range(5))}
    assert await noted(database) == {}


async def die(bench: Workbench, *numbers: int) -> None:
    async def handle(tx: Tx, events: Sequence[Event[Any]]) -> None:
        await bench.effects.handle(tx, events)
        if any(event.payload.round in numbers for event in events):
            raise Killed

    with pytest.raises(Killed):
        await bench.consumer(handle).run(asyncio.Event())


async def test_only_what_was_in_hand_when_a_process_ended_is_noted_and_what_is_done_no_more(
    bench: Workbench, database: Database
) -> None:
    bench.deliver(*(an_answer("anna", number) for number in range(3)))

    await die(bench, 1)
    assert await noted(database) == {place(bench, offset): 1 for offset in range(3)}
    await die(bench, 1)
    assert await noted(database) == {place(bench, 1): 2, place(bench, 2): 1}
    async with running(bench.consumer()):
        await bench.all_done()
    assert await noted(database) == {}
    assert await bench.effects.by_customer() == {"anna": [0, 1, 2]}


async def test_after_a_death_that_was_no_records_fault_many_are_not_taken_one_by_one(
    bench: Workbench, database: Database
) -> None:
    bench.deliver(*(an_answer("anna", number) for number in range(160)))
    await die(bench, 80)
    assert set((await noted(database)).values()) == {1}
    sizes = []

    async def handle(tx: Tx, events: Sequence[Event[Any]]) -> None:
        sizes.append(len(events))
        await bench.effects.handle(tx, events)

    async with running(bench.consumer(handle)):
        await bench.all_done()

    assert sizes == [10] * 16
    assert await noted(database) == {}
    assert await bench.effects.by_customer() == {"anna": list(range(160))}


async def test_only_the_few_that_were_in_hand_with_a_lethal_record_are_taken_one_by_one(
    bench: Workbench, database: Database
) -> None:
    bench.deliver(*(an_answer("anna", number) for number in range(64)))
    await die(bench, 21)
    await die(bench, 21)
    assert await noted(database) == {
        place(bench, offset): 2 if offset in range(20, 24) else 1 for offset in range(20, 64)
    }
    await die(bench, 21)
    assert await noted(database) == {
        place(bench, offset): 3 if offset == 21 else 2 if offset in (22, 23) else 1 for offset in range(21, 64)
    }


async def test_a_bad_record_among_the_few_costs_none_of_its_neighbours(bench: Workbench, database: Database) -> None:
    bench.deliver(*(an_answer("anna", number) for number in range(64)))
    await die(bench, 40)

    async def handle(tx: Tx, events: Sequence[Event[Any]]) -> None:
        if any(event.payload.round == 5 for event in events):
            raise PermanentError("cannot be handled")
        await bench.effects.handle(tx, events)

    async with running(bench.consumer(handle)):
        await bench.all_done()

    assert len(await bench.dead_letters()) == 1
    assert await noted(database) == {}
    assert await bench.effects.by_customer() == {"anna": [number for number in range(64) if number != 5]}


async def test_an_outage_is_no_death_however_often_it_comes_and_a_stop_in_it_leaves_no_note(
    bench: Workbench, database: Database
) -> None:
    outages = 0

    async def handle(tx: Tx, _: Sequence[Event[Any]]) -> None:
        nonlocal outages
        outages += 1
        await tx.execute(SUICIDE)

    bench.deliver(an_answer())
    for _ in range(2):
        before = outages
        async with running(bench.consumer(handle)):
            await eventually(lambda before=before: outages - before == 4)  # type: ignore[misc]
            assert set((await noted(database)).values()) <= {1}
        assert await noted(database) == {}

    async with running(bench.consumer()):
        await bench.all_done()
    assert await bench.effects.by_customer() == {"anna": [1]}
    assert await bench.dead_letters() == []


async def test_a_stop_between_attempts_and_the_breaker_leave_no_note(bench: Workbench, database: Database) -> None:
    def judge(_: Event[Any]) -> None:
        raise ValueError("a bug")

    bench.deliver(*(an_answer("anna", number) for number in range(5)))
    bench.effects.judge = judge
    with pytest.raises(TooManyDeadLetters):
        await bench.consumer(dead_letters_in_a_row=3).run(asyncio.Event())

    assert await noted(database) == {}
    assert len(await bench.dead_letters()) == 3


def impatient(bench: Workbench) -> MemorySubscription:
    return bench.broker.subscription(CONSUMER, bench.topic.name, rebalance_timeout=timedelta(seconds=0.2))


async def test_what_members_noted_that_are_alive_is_taken_back(bench: Workbench, database: Database) -> None:
    """A member that is thought dead, with the record in hand; then another one, and the first one comes back."""
    held, let_go = asyncio.Event(), asyncio.Event()

    async def hold(tx: Tx, events: Sequence[Event[Any]]) -> None:
        held.set()
        await let_go.wait()
        await bench.effects.handle(tx, events)

    bench.deliver(an_answer("anna", 1), an_answer("anna", 2))
    async with running(bench.consumer(hold, subscription=impatient(bench))):
        await eventually(held.is_set)
        async with running(bench.consumer(subscription=impatient(bench))):
            # The new owner of the partition notes the record, too, and waits for the mark in the inbox.
            await eventually(lambda: has_noted(database, place(bench, 0), 2))
            let_go.set()
            await bench.all_done()

    assert await bench.effects.by_customer() == {"anna": [1, 2]}
    assert await noted(database) == {}
    assert await bench.dead_letters() == []


async def has_noted(database: Database, where: UUID, attempts: int) -> bool:
    return (await noted(database)).get(where) == attempts


async def test_a_record_that_a_frozen_process_has_in_hand_is_not_set_aside_before_that_one_has_ended(
    bench: Workbench, database: Database
) -> None:
    held, let_go = asyncio.Event(), asyncio.Event()

    async def hold(tx: Tx, events: Sequence[Event[Any]]) -> None:
        held.set()
        await let_go.wait()
        await bench.effects.handle(tx, events)

    bench.deliver(an_answer())
    async with running(bench.consumer(hold, subscription=impatient(bench))):
        await eventually(held.is_set)
        await note(database, place(bench, 0), DEATHS + 1)
        async with running(bench.consumer(subscription=impatient(bench))):
            await eventually(lambda: has_noted(database, place(bench, 0), DEATHS + 2))
            let_go.set()
            await bench.all_done()

    assert await bench.effects.by_customer() == {"anna": [1]}
    assert await bench.dead_letters() == []
    assert await noted(database) == {}


async def note(database: Database, where: UUID, attempts: int) -> None:
    async with database.transaction() as tx:
        await tx.execute(NOTE, {"consumer": CONSUMER, "place": where, "attempts": attempts, "now": tx.now})


async def test_a_lethal_record_that_was_set_aside_is_handled_when_it_is_put_back(
    bench: Workbench, database: Database
) -> None:
    bench.deliver(an_answer())
    await note(database, place(bench, 0), DEATHS)
    async with running(bench.consumer()):
        await bench.all_done()
        (letter,) = await bench.dead_letters()
        assert await bench.effects.ids() == []
        bench.deliver_record(Outgoing(bench.topic.name, letter.key, letter.value, letter.headers))
        await bench.all_done()

    assert await bench.effects.by_customer() == {"anna": [1]}


async def test_one_that_cannot_even_be_decoded_without_dying_is_set_aside_undecoded(
    bench: Workbench, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a crash in a decoder's own code would: nothing may look into the value before it is set aside."""
    bench.deliver(an_answer("anna", 1), an_answer("boris", 2))
    await note(database, place(bench, 0), DEATHS)
    decoders: dict[str, Any] = dict(codec_module._DECODERS)
    decoder = decoders[ConfirmationAnswered.TYPE]

    class Dying:
        def decode(self, value: bytes) -> Contract:
            if b"anna" in value:
                raise Killed
            return decoder.decode(value)  # type: ignore[no-any-return]  # the decoder of a contract

    monkeypatch.setattr(codec_module, "_DECODERS", decoders | {ConfirmationAnswered.TYPE: Dying()})
    async with running(bench.consumer()):
        await bench.all_done()

    assert [header(letter, "dlq_offset") for letter in await bench.dead_letters()] == ["0"]
    assert await bench.effects.by_customer() == {"boris": [2]}


async def test_without_the_table_of_notes_nothing_is_handled(bench: Workbench, database: Database) -> None:
    """New code on the old schema stops, and has lost nothing."""
    async with database.transaction() as tx:
        await tx.execute(text("ALTER TABLE attempts RENAME TO mislaid"))
    bench.deliver(an_answer())

    with pytest.raises(ProgrammingError):
        await bench.consumer().run(asyncio.Event())

    assert (bench.lag, await bench.effects.ids()) == (1, [])


async def test_old_notes_are_forgotten_with_the_inbox(bench: Workbench, database: Database) -> None:
    await note(database, place(bench, 0), 1)
    async with database.transaction() as tx:
        await prune(tx)
    assert len(await noted(database)) == 1

    later = Database(database.engine, clock=lambda: utc_now() + INBOX_RETENTION + timedelta(seconds=5))
    async with later.transaction() as tx:
        await prune(tx)
    assert await noted(database) == {}
