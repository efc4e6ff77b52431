"""How much the whole system takes for as long as one likes: the highest rate at which nothing piles up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.study import finished, require_accepted, start_load
from bench.watch import Watch
from libs.events.topics import SURVEY_RESPONSES

if TYPE_CHECKING:
    from bench.bench import Bench
    from bench.survey import Survey
    from bench.system import System

_TAIL_S: Final = 1.5
"""What comes in last is at rest after so long, mails included, also where nothing piles up."""
_TRIALS: Final = 6
_FINE: Final = 1.1
"""Two rates that differ by less are one."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One rate, tried."""

    rate: float
    tail_s: float
    """From the last request to rest."""
    steady: bool
    largest_lag: int


async def highest_rate(
    bench: Bench, system: System, survey: Survey, *, begin_at: float, seconds: float
) -> tuple[float, list[Trial]]:
    """Try rates between one that holds and one that does not, ever closer; the highest that held, and all trials."""
    trials: list[Trial] = []
    held, failed = 0.0, float("inf")
    rate = begin_at
    while len(trials) < (_TRIALS if bench.scale == 1 else _TRIALS // 2) and failed / max(held, 1.0) > _FINE:
        bench.say(f"steady load: {rate:.0f} responses a second")
        trial = await _try(bench, system, survey, rate, seconds)
        trials.append(trial)
        if trial.steady:
            held = max(held, rate)
        else:
            failed = min(failed, rate)
        rate = held * 1.4 if failed == float("inf") else failed * 0.6 if not held else (held * failed) ** 0.5
    return held or failed * 0.6, trials


async def _try(bench: Bench, system: System, survey: Survey, rate: float, seconds: float) -> Trial:
    watch = Watch(system)
    wave = survey.answers(int(rate * seconds))
    first = watch.look()
    load = start_load(bench, system, wave, "--rate", str(rate), "--seconds", str(seconds), "--once")
    target = first.ends[SURVEY_RESPONSES.name] + len(wave.requests)
    samples = await watch.until_rest(responses=target, bound_s=seconds * 20 + 60)
    said = finished(load)
    require_accepted(said, len(wave.requests))
    tail = samples[-1].at - said["began_at"] - seconds
    # What piled up in all this time is worked off in the tail: so much of the time, so much too fast.
    steady = tail < _TAIL_S + 0.05 * seconds
    return Trial(rate, tail, steady, max(sample.lag() for sample in samples))
