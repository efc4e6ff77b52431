"""Claim loops, their pulses, and the waiting of all loops."""

import asyncio
from datetime import timedelta
from random import Random

import pytest

from libs.events import loop as loop_module
from libs.events.errors import PermanentError, TooManyDeadLetters, Unavailable, is_unavailable
from libs.events.health import STUCK_AFTER_SECONDS, Health
from libs.events.loop import Loop, wait_for
from libs.events.retry import OUTAGE, RECORD, Backoff
from libs.events.testing import eventually, running

AN_HOUR = timedelta(hours=1)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Steps:
    """Steps that do as they are told, one after the other, and then have nothing to do."""

    def __init__(self, *outcomes: bool | Exception) -> None:
        self._outcomes = list(outcomes)
        self.taken = 0

    async def __call__(self) -> bool:
        self.taken += 1
        outcome = self._outcomes.pop(0) if self._outcomes else False
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


async def test_while_there_is_more_work_the_next_step_follows_at_once() -> None:
    steps = Steps(True, True, True)
    async with running(Loop("clocks", steps, idle=AN_HOUR, health=Health())):
        await eventually(lambda: steps.taken == 4)


async def test_without_work_it_waits_and_comes_back() -> None:
    steps = Steps()
    async with running(Loop("clocks", steps, idle=timedelta(milliseconds=1), health=Health())):
        await eventually(lambda: steps.taken >= 3)


async def test_told_to_stop_it_does_not_wait_for_the_end_of_its_idle_time() -> None:
    steps = Steps()
    async with running(Loop("clocks", steps, idle=AN_HOUR, health=Health())):
        await eventually(lambda: steps.taken == 1)


@pytest.mark.parametrize("error", [Unavailable("away"), ConnectionResetError(), TimeoutError()])
async def test_an_outage_is_waited_out(error: Exception) -> None:
    health = Health()
    steps = Steps(error, error)
    async with running(Loop("clocks", steps, idle=AN_HOUR, health=health)):
        await eventually(lambda: "away" in health.not_ready().get("clocks", ""))
        await eventually(lambda: steps.taken == 3)
        await eventually(lambda: health.not_ready() == {})


@pytest.mark.parametrize("error", [ValueError("a bug"), FileNotFoundError(), PermanentError("of a record")])
async def test_any_other_error_ends_the_loop(error: Exception) -> None:
    with pytest.raises(type(error)):
        await Loop("clocks", Steps(error), idle=AN_HOUR, health=Health()).run(asyncio.Event())


async def test_a_loop_that_idles_for_an_hour_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "_BEAT_EVERY", timedelta(milliseconds=5))
    clock = Clock()
    health = Health(clock)
    steps = Steps()
    async with running(Loop("pruning", steps, idle=AN_HOUR, health=health)):
        await eventually(lambda: steps.taken)
        for _ in range(5):
            clock.now += STUCK_AFTER_SECONDS + 1
            await eventually(lambda: health.stuck() == {})
    assert steps.taken == 1
    clock.now += STUCK_AFTER_SECONDS + 1
    assert health.stuck().keys() == {"pruning"}


def test_a_loop_that_does_not_come_round_is_stuck_and_says_for_how_long() -> None:
    clock = Clock()
    health = Health(clock)
    health.beat("clocks")
    health.beat("relay")
    clock.now += STUCK_AFTER_SECONDS
    assert health.stuck() == {}
    health.beat("relay")
    clock.now += 1
    assert health.stuck() == {"clocks": "no beat for 61 s"}


def test_a_loop_is_not_ready_until_it_has_done_its_work_and_while_it_waits() -> None:
    health = Health()
    health.beat("relay")
    assert health.not_ready() == {"relay": "starting"}
    health.well("relay")
    assert health.not_ready() == {}
    health.trouble("relay", "broker away")
    health.beat("relay")
    assert health.not_ready() == {"relay": "broker away"}


async def test_waiting_for_an_event_has_a_bound() -> None:
    event = asyncio.Event()
    assert await wait_for(event, timedelta(milliseconds=1)) is False
    event.set()
    assert await wait_for(event, AN_HOUR) is True


def test_a_backoff_grows_is_spread_and_gives_up() -> None:
    backoff = Backoff(timedelta(seconds=1), timedelta(seconds=5), attempts=5)
    random = Random(1)
    waits = [backoff.next(attempt, random) for attempt in range(1, 6)]
    assert waits[-1] is None
    for wait, whole in zip(waits, (1, 2, 4, 5), strict=False):
        assert wait is not None
        assert whole / 2 <= wait.total_seconds() <= whole
    assert OUTAGE.next(10**6) is not None
    assert RECORD.next(5) is None


def test_an_outage_is_told_from_other_errors_through_its_causes() -> None:
    wrapped = RuntimeError("a handler's own words")
    wrapped.__cause__ = ConnectionResetError()
    assert is_unavailable(wrapped)
    assert not is_unavailable(RuntimeError())
    assert not is_unavailable(TooManyDeadLetters("casework.scores", 20))
    assert not is_unavailable(OSError("disk on fire"))
