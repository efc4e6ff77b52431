"""The 97,000-response study: signed webhooks in, until every score, case, mail and projection is there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bench.load import write_requests
from bench.watch import Watch
from libs.events.topics import CASEWORK_CASES, NOTIFY_MESSAGES, SURVEY_RESPONSES, SURVEY_SCORES

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.bench import Bench, Process
    from bench.survey import Survey, Wave
    from bench.system import System
    from bench.watch import Sample

RESPONSES: Final = 97_000
_CONNECTIONS: Final = 64
_BOUND_S: Final = 600.0
_COUNTS: Final = """
    SELECT (SELECT count(*) FROM ingest.deliveries) AS deliveries,
           (SELECT count(*) FROM scoring.responses) AS scores,
           (SELECT count(*) FROM casework.cases WHERE kind = 'full') AS cases,
           (SELECT count(*) FROM notify.messages WHERE status = 'sent') AS mails,
           (SELECT count(*) FROM notify.messages WHERE status <> 'sent') AS unsent,
           (SELECT count(*) FROM portal.events) AS events
"""
_BACKENDS: Final = """
    SELECT pid, coalesce(nullif(application_name, ''), backend_type) AS who FROM pg_stat_activity
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One study."""

    seconds: float
    """From the first request to rest."""
    done_after: dict[str, float]
    """When each stage had done all that it had to do, in seconds from the first request."""
    cpu: dict[str, float]
    """CPU seconds of each part."""
    progress: dict[str, list[tuple[float, int]]]
    """How many records each stage had done, over time."""


async def study(bench: Bench, system: System, survey: Survey, amount: int) -> Outcome:
    """Send the answers of `amount` customers as fast as ingest takes them; check that everything is there."""
    bench.say(f"study: {amount} customers set up")
    watch = Watch(system)
    await survey.add_customers(system, amount)
    await watch.until_rest(responses=0, bound_s=_BOUND_S)
    wave = survey.answers(amount)
    [before] = await system.rows(_COUNTS)
    first, cpu_before = watch.look(), system.cpu_seconds()
    bench.say(f"study: {amount} responses")
    load = start_load(bench, system, wave, "--connections", str(_CONNECTIONS), "--once")

    def check() -> None:
        if load.popen.poll() is not None:
            require_accepted(finished(load), amount)

    target = first.ends[SURVEY_RESPONSES.name] + amount
    samples = await watch.until_rest(responses=target, bound_s=_BOUND_S, check=check)
    cpu_after = system.cpu_seconds()
    said = finished(load)
    require_accepted(said, amount)
    [after] = await system.rows(_COUNTS)
    _require_all(amount, wave, {name: after[name] - before[name] for name in dict(before)}, first, samples[-1])
    began = said["began_at"]
    progress = {
        name: [
            (round(sample.at - began, 2), so_far(sample) - so_far(first)) for sample in samples if sample.at >= began
        ]
        for name, so_far in STAGES.items()
    }
    return Outcome(
        seconds=samples[-1].at - began,
        done_after={
            "answered": said["seconds"],
            **{name: next(at for at, done in points if done == points[-1][1]) for name, points in progress.items()},
        },
        cpu={
            **{part: cpu_after[part] - cpu_before[part] for part in cpu_after},
            "load generator": said["own_cpu_share"] * said["seconds"],
        },
        progress=progress,
    )


def _require_all(amount: int, wave: Wave, rows: dict[str, int], first: Sample, last: Sample) -> None:
    """Rest alone could mean that something was lost."""
    topics = (SURVEY_SCORES.name, CASEWORK_CASES.name, NOTIFY_MESSAGES.name)
    expected = {
        "deliveries": amount,
        "scores": amount,
        "cases": len(wave.detractors),
        "mails": last.mails - first.mails,
        "unsent": 0,
        "events": sum(last.ends[topic] - first.ends[topic] for topic in topics),
    }
    if rows != expected or rows["mails"] < len(wave.detractors):
        raise RuntimeError(f"something is missing: {rows}, and not {expected}")


def start_load(bench: Bench, system: System, wave: Wave, *arguments: str) -> Process:
    """The load generator, with the requests of a wave, against ingest."""
    path = bench.folder / "requests.bin"
    write_requests(path, wave.requests)
    return bench.start("-m", "bench.load", str(path), "--port", str(system.ports.ingest), *arguments)


def finished(load: Process) -> dict[str, Any]:
    """What a load generator says when it has ended."""
    load.popen.wait(120)
    output = load.log.read_text(encoding="utf-8", errors="replace")
    if load.popen.returncode:
        raise RuntimeError(f"the load generator failed:\n{output[-2000:]}")
    said: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    return said


def require_accepted(said: dict[str, Any], amount: int) -> None:
    """Raise unless each of `amount` requests was answered 202."""
    if said["statuses"] != {"202": amount}:
        raise RuntimeError(f"not all of {amount} were accepted: {said['statuses']}")


def _of_group(*names: str) -> Callable[[Sample], int]:
    return lambda sample: sum(done for (group, _), done in sample.done.items() if group in names)


STAGES: Final[dict[str, Callable[[Sample], int]]] = {
    "ingest": lambda sample: sample.ends[SURVEY_RESPONSES.name],
    "scoring": _of_group("scoring.responses"),
    "casework": _of_group("casework.scores"),
    "notify": lambda sample: sample.mails,
    "portal": _of_group("portal.events"),
}
"""What each stage had done by a sample."""
