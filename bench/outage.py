"""An outage under load: scoring and casework stand still, come back, and work off what has piled up."""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.processes import forget_peak, memory_mb
from bench.study import finished, require_accepted, start_load
from bench.watch import Watch
from libs.events.topics import SURVEY_RESPONSES

if TYPE_CHECKING:
    from bench.bench import Bench
    from bench.survey import Survey
    from bench.system import System

STRUCK: Final = ("scoring", "casework")
_GROUPS: Final = ("scoring.responses", "casework.scores")
_BOUND_S: Final = 600.0
_NORMAL_S: Final = 0.5
"""So much of the load is on its way at any moment."""
_AFTERWARDS: Final = 2.5
"""The load goes on for so many times the time in which it should be over."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """One outage and what came after it."""

    took_s: float
    """From the end of the outage until no more waits than usual."""
    ideal_s: float
    """T·r / (own rate − r)."""
    backlog: int
    """How many records waited at the end of the outage."""
    memory: dict[str, tuple[float, float]]
    """Of each process that was struck: megabytes before, and at the highest while it caught up."""


async def recover(
    bench: Bench, system: System, survey: Survey, *, rate: float, own_rate: float, outage_s: float
) -> Recovery:
    """Let both stand still for `outage_s` at `rate` responses a second."""
    bench.say(f"outage of {outage_s:.0f} s at {rate:.0f} responses a second")
    ideal = outage_s * rate / (own_rate - rate)
    seconds = 2 + outage_s + ideal * _AFTERWARDS
    watch = Watch(system)
    wave = survey.answers(int(rate * seconds))
    first = watch.look()
    before = {name: memory_mb(system.pid(name)) for name in STRUCK}
    for name in STRUCK:
        forget_peak(system.pid(name))
    load = start_load(bench, system, wave, "--rate", str(rate), "--seconds", str(seconds), "--once")
    came_in = first.ends[SURVEY_RESPONSES.name]
    await watch.until(lambda sample: sample.ends[SURVEY_RESPONSES.name] > came_in, bound_s=_BOUND_S)
    try:
        for name in STRUCK:
            system.signal(name, signal.SIGSTOP)
        await asyncio.sleep(outage_s)
    finally:
        for name in STRUCK:
            system.signal(name, signal.SIGCONT)
    over = time.time()
    backlog = (await asyncio.to_thread(watch.look)).lag(*_GROUPS)
    caught_up = await watch.until(lambda sample: sample.lag(*_GROUPS) <= rate * _NORMAL_S, bound_s=_BOUND_S)
    peak = {name: memory_mb(system.pid(name), peak=True) for name in STRUCK}
    await watch.until_rest(responses=came_in + len(wave.requests), bound_s=_BOUND_S)
    require_accepted(finished(load), len(wave.requests))
    return Recovery(caught_up.at - over, ideal, backlog, {name: (before[name], peak[name]) for name in STRUCK})
