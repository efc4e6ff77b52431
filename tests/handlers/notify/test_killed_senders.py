"""`kill -9` at every point of sending: never two mails, and never none in silence."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import Envelope
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from services.notify.clients import MailServerAway, Receipts
from services.notify.domain.messages import Entry
from services.notify.domain.outcomes import Settlement
from tests.handlers.notify.mail_trap import MailTrap
from tests.handlers.notify.post import Post
from tests.handlers.notify.world import Clock, World

Asked = tuple[Receipts, list[Any]]

ROOT = Path(__file__).parents[3]
_LOCK_ALL = text("SELECT FROM messages FOR UPDATE")
_WAITING = text("""
    SELECT count(*) AS sessions FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock'
""")

Eventually = Callable[[Callable[[], Awaitable[object]]], Awaitable[None]]
Victim = Callable[..., Awaitable[asyncio.subprocess.Process]]


async def dead(process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(60):
        assert await process.wait() == -signal.SIGKILL


async def starting_again(world: World, post: Post, clock: Clock) -> None:
    """A new process takes over: recovery, and sending."""
    clock.now = datetime.now(UTC) + timedelta(seconds=1)
    async with asyncio.timeout(60):
        while any(row.sender is not None for row in await world.rows()):
            await post.attendant.recovery()
            await post.rest()
    clock.move(timedelta(minutes=1))
    await post.rest()


@pytest.mark.parametrize("stage", ["greeting", "MAIL", "RCPT", "DATA"])
async def test_killed_before_the_last_dot_the_mail_goes_out_once_by_the_next_process(
    world: World, a_post: Callable[..., Post], trap: MailTrap, clock: Clock, victim: Victim, stage: str
) -> None:
    await world.cases(world.assigned())
    process = await victim()
    trap.tell(stage, process.kill)
    await dead(process)
    await starting_again(world, a_post(), clock)
    assert (await world.row()).status == "sent"
    assert len(trap.mails) == 1


async def test_killed_between_the_mark_and_the_last_dot_it_is_doubtful_and_settled_by_asking(
    world: World, a_post: Callable[..., Post], trap: MailTrap, clock: Clock, victim: Victim, receipts: Asked
) -> None:
    await world.cases(world.assigned())
    await dead(await victim("marked"))
    post = a_post(receipts[0])
    await starting_again(world, post, clock)
    row = await world.row()
    assert row.status == "doubtful"
    assert trap.mails == []
    assert await world.published_types() == ["message.queued", "message.failed"]

    # It might still be on its way: not before the doubt has settled.
    await post.attendant.doubts()
    await post.rest()
    assert (await world.row()).status == "doubtful"
    clock.move(timedelta(minutes=2))
    await post.attendant.doubts()
    await post.rest()
    assert (await world.row()).status == "sent"
    assert [str(mail["Message-ID"]) for mail in trap.mails] == [f"<{row.id.hex}@romashka.example>"]
    assert (await world.published_types())[2:] == ["message.queued", "message.sent"]


async def test_killed_after_the_last_dot_the_mail_that_arrived_is_found_and_not_sent_again(
    world: World, a_post: Callable[..., Post], trap: MailTrap, clock: Clock, victim: Victim, receipts: Asked
) -> None:
    await world.cases(world.assigned())
    process = await victim()

    keep = trap.keep

    def keep_and_kill(envelope: Envelope) -> None:
        keep(envelope)
        process.kill()

    trap.keep = keep_and_kill  # type: ignore[method-assign]  # between the server's word and ours
    await dead(process)
    trap.keep = keep  # type: ignore[method-assign]  # as it was
    post = a_post(receipts[0])
    await starting_again(world, post, clock)
    assert (await world.row()).status == "doubtful"
    await post.attendant.doubts()
    assert (await world.row()).status == "sent"
    assert await world.published_types() == ["message.queued", "message.failed", "message.sent"]
    clock.move(timedelta(days=1))
    await post.attendant.doubts()
    await post.rest()
    assert len(trap.mails) == 1


async def test_killed_between_the_servers_yes_and_the_record_it_is_not_sent_again(
    world: World,
    a_post: Callable[..., Post],
    trap: MailTrap,
    clock: Clock,
    victim: Victim,
    receipts: Asked,
    eventually: Eventually,
) -> None:
    await world.cases(world.assigned())
    async with world.database.engine.connect() as other:

        async def hold_the_record() -> None:
            await other.execute(_LOCK_ALL)

        trap.tell("dot", hold_the_record)
        process = await victim()
        await eventually(partial(waiting_sessions, world))
        assert len(trap.mails) == 1
        process.kill()
        await dead(process)
        await other.rollback()
    post = a_post(receipts[0])
    await starting_again(world, post, clock)
    await post.attendant.doubts()
    await post.rest()
    assert (await world.row()).status == "sent"
    assert len(trap.mails) == 1


async def arrived(trap: MailTrap) -> bool:
    return bool(trap.mails)


async def status_is(world: World, status: str) -> bool:
    row = await world.row()
    return bool(row.status == status)


async def waiting_sessions(world: World) -> int:
    async with world.database.reading() as tx:
        row = await tx.fetch_one(_WAITING)
    assert row is not None
    return int(row.sessions)


async def test_without_anybody_to_ask_a_doubt_stays_until_somebody_says(
    world: World, a_post: Callable[..., Post], trap: MailTrap, clock: Clock, victim: Victim
) -> None:
    await world.cases(world.assigned())
    await dead(await victim("marked"))
    post = a_post()
    await starting_again(world, post, clock)
    clock.move(timedelta(days=30))
    assert await post.attendant.doubts() is False
    await post.rest()
    assert (await world.row()).status == "doubtful"
    assert trap.mails == []


@pytest.mark.parametrize(
    "instead", [("500 Internal Server Error", "{}"), ("200 OK", "not json"), ("200 OK", '"words"'), ("404 None", "[]")]
)
async def test_a_receiving_side_that_gives_no_clear_answer_settles_nothing(
    world: World,
    a_post: Callable[..., Post],
    trap: MailTrap,
    clock: Clock,
    receipts: Asked,
    instead: tuple[str, str],
) -> None:
    trap.tell("dot", "cut")
    await world.cases(world.assigned())
    asked, answers = receipts
    post = a_post(asked)
    await post.rest()
    assert (await world.row()).status == "doubtful"
    clock.move(timedelta(days=1))
    answers.append(instead)
    await post.attendant.doubts()
    assert (await world.row()).status == "doubtful"
    await post.attendant.doubts()
    await post.rest()
    assert (await world.row()).status == "sent"
    assert len(trap.mails) == 1


async def test_a_process_that_is_only_stopped_is_not_taken_for_dead(
    world: World,
    a_post: Callable[..., Post],
    trap: MailTrap,
    clock: Clock,
    victim: Victim,
    eventually: Eventually,
) -> None:
    await world.cases(world.assigned())
    process = await victim()
    trap.tell("dot", lambda: process.send_signal(signal.SIGSTOP))
    await eventually(partial(arrived, trap))
    clock.now = datetime.now(UTC) + timedelta(hours=1)
    post = a_post()
    await post.attendant.recovery()
    await post.rest()
    assert (await world.row()).status == "transmitting"

    process.send_signal(signal.SIGCONT)
    await eventually(partial(status_is, world, "sent"))
    assert len(trap.mails) == 1


async def test_a_sender_that_was_given_up_finds_its_message_withdrawn(
    world: World, a_post: Callable[..., Post], trap: MailTrap
) -> None:
    """Its connection to the database broke, another took the message over, and then it comes to its last dot."""
    await world.cases(world.assigned())
    slow, quick = a_post(), a_post()
    mark, at_the_mark, go_on = slow.journal.before_last_dot, asyncio.Event(), asyncio.Event()

    async def slowly(entry: Entry) -> bool:
        at_the_mark.set()
        await go_on.wait()
        allowed: bool = await mark(entry)
        return allowed

    slow.journal.before_last_dot = slowly  # type: ignore[method-assign]  # as a process that stands still
    stepping = asyncio.create_task(slow.rest())
    await at_the_mark.wait()
    await slow.presence.leave()
    await quick.attendant.recovery()
    await quick.rest()
    go_on.set()
    await stepping
    assert (await world.row()).status == "sent"
    assert len(trap.mails) == 1


async def test_a_late_yes_of_a_sender_that_was_given_up_ends_the_doubt(
    world: World, a_post: Callable[..., Post], trap: MailTrap
) -> None:
    await world.cases(world.assigned())
    slow, other = a_post(), a_post()
    record, at_the_record, go_on = slow.journal.outcome, asyncio.Event(), asyncio.Event()

    async def slowly(entry: Entry, settlement: Settlement) -> None:
        at_the_record.set()
        await go_on.wait()
        await record(entry, settlement)

    slow.journal.outcome = slowly  # type: ignore[method-assign]  # as a process that stands still
    stepping = asyncio.create_task(slow.rest())
    await at_the_record.wait()
    await slow.presence.leave()
    await other.attendant.recovery()
    assert (await world.row()).status == "doubtful"
    go_on.set()
    await stepping
    assert (await world.row()).status == "sent"
    assert len(trap.mails) == 1


async def test_a_message_that_kills_each_process_is_given_up_in_the_end(
    world: World, a_post: Callable[..., Post], trap: MailTrap
) -> None:
    await world.cases(world.assigned())
    post = a_post()
    for _ in range(20):
        async with world.database.transaction() as tx:
            await tx.execute(text("UPDATE messages SET status = 'sending', attempt = attempt + 1, sender = 1"))
        await post.attendant.recovery()
    row = await world.row()
    assert (row.status, row.attempt) == ("failed", 20)
    assert "20 attempts" in row.reason
    assert trap.mails == []


FAULTS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["MAIL", "RCPT", "DATA", "dot"]),
            st.sampled_from(["450 4.2.1 busy", "550 5.7.1 no", "421 4.3.2 closing", "cut", "kill"]),
        ),
        st.tuples(st.just("dot"), st.sampled_from(["keep, then cut", "keep, then kill"])),
    ),
    max_size=12,
)


class Process:
    """A sending process that the trap can kill, and that is then started again."""

    def __init__(self, start: Callable[[], Post]) -> None:
        self._start = start
        self.post = start()
        self._killed = False

    def kill(self) -> str:
        """From inside of the mail server's answer: no more is heard of that line."""
        self._killed = True
        return "hang"

    async def go_on(self) -> None:
        """Send until nothing is due, or until killed; then look after what is left."""
        with suppress(MailServerAway):
            more = True
            while more and not self._killed:
                more = await self.post.sender.step() or bool(self.post.sender._in_flight)
        if self._killed:
            self._killed = False
            await self.post.killed()
            self.post = self._start()
        await self.post.attendant.recovery()
        await self.post.attendant.doubts()


@given(faults=FAULTS, size=st.integers(1, 8), answers=st.booleans())
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_happens_nobody_gets_a_mail_twice_and_nothing_is_lost_in_silence(
    world: World,
    a_post: Callable[..., Post],
    trap: MailTrap,
    clock: Clock,
    receipts: Asked,
    faults: list[tuple[str, str]],
    size: int,
    *,
    answers: bool,
) -> None:
    await world.clear()
    trap.forget()
    await world.cases(*(world.assigned(f"case-{number}") for number in range(size)))
    process = Process(partial(a_post, receipts[0] if answers else None))
    for stage, fault in faults:
        if fault == "keep, then kill":
            trap.tell(stage, lambda: f"keep, then {process.kill()}")
        else:
            trap.tell(stage, process.kill if fault == "kill" else fault)
    ends = ("sent", "failed") if answers else ("sent", "failed", "doubtful")
    async with asyncio.timeout(60):
        while not all(row.status in ends for row in await world.rows()):
            await process.go_on()
            clock.move(timedelta(hours=1))
    await process.post.killed()

    got = [str(mail["Message-ID"]) for mail in trap.mails]
    assert len(got) == len(set(got)), "somebody got it twice"
    for row in await world.rows():
        arrived = f"<{row.id.hex}@romashka.example>" in got
        assert row.status == "doubtful" or arrived == (row.status == "sent")
