"""What happens to processes: killed, told to stop, stopped and resumed, doubled, and killed at named points."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING, Final

from faults.catalogue import Fault
from faults.streams import consumers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from faults.catalogue import Strike
    from faults.trial import Trial

_SESSION_S: Final = 10.0
"""After so long without a sign of life, a consumer's partitions are given to others."""
_REACHED_S: Final = 90.0
_PRODUCERS: Final = ("ingest", "scoring", "casework", "notify")
_OF_CONSUMERS: Final = ("after_consume", "before_commit", "between_commits", "after_offsets")
_OF_RELAYS: Final = ("relay.before_produce", "relay.after_ack", "relay.after_delete")
_OF_SERVICES: Final = {
    "ingest": ("ingest.after_verify", "ingest.batch_half_assembled", "ingest.after_commit"),
    "scoring": (
        "scoring.tiers.before_commit",
        "scoring.comments.before_commit",
        "scoring.comments.after_commit",
        "scoring.counts.before_commit",
        "scoring.mentions.before_commit",
    ),
    "notify": (
        "notify.after_claim",
        "notify.after_accepted",
        "notify.campaigns.before_commit",
        "notify.after_hook_accepted",
    ),
}


def process_faults(services: Sequence[str]) -> list[Fault]:
    """Faults of whole processes."""
    found: list[Fault] = []
    for service in services:
        found += [
            Fault(f"kill@{service}", _killed(service)),
            Fault(f"term@{service}", _told_to_stop(service)),
            Fault(f"pause@{service}", _paused(service, (1.0, 5.0))),
            Fault(f"zombie@{service}", _paused(service, (_SESSION_S + 2, _SESSION_S + 4))),
            Fault(f"twin@{service}", _doubled(service)),
        ]
    found.append(Fault("kill-all@services", _all_killed))
    return found


def crash_faults(services: Sequence[str]) -> list[Fault]:
    """One fault for each named point."""
    found = [(service, point) for service in services for point in _OF_SERVICES.get(service, ())]
    found += [(service, point) for service in services if service in _PRODUCERS for point in _OF_RELAYS]
    for consumer in sorted({consumer for consumer, _ in consumers()}):
        service = consumer.partition(".")[0]
        found += [(service, f"{consumer}.{point}") for point in _OF_CONSUMERS if service in services]
    return [
        Fault(
            f"crash@{point}" if not point.startswith("relay.") else f"crash@{service}.{point}",
            _crashed(service, point),
            named=True,
            mails=point.startswith("notify."),
        )
        for service, point in found
    ]


def _killed(service: str) -> Strike:
    async def strike(trial: Trial, _random: Random) -> str:
        process = trial.stage.services[service]
        process.send(signal.SIGKILL)
        await process.ended()
        return "SIGKILL"

    return strike


def _told_to_stop(service: str) -> Strike:
    async def strike(trial: Trial, random: Random) -> str:
        away = random.uniform(0.0, 3.0)
        process = trial.stage.services[service]
        began = time.monotonic()
        await process.down(signal.SIGTERM)
        took = time.monotonic() - began
        await asyncio.sleep(away)
        await process.start()
        return f"SIGTERM, down after {took:.1f} s, started again {away:.1f} s later"

    return strike


def _paused(service: str, span: tuple[float, float]) -> Strike:
    async def strike(trial: Trial, random: Random) -> str:
        seconds = random.uniform(*span)
        process = trial.stage.services[service]
        process.send(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            process.send(signal.SIGCONT)
        return f"SIGSTOP for {seconds:.1f} s"

    return strike


def _doubled(service: str) -> Strike:
    async def strike(trial: Trial, random: Random) -> str:
        seconds, killed = random.uniform(2.0, 5.0), random.random() < 0.5  # noqa: PLR2004 - as often as not
        async with trial.stage.twin(service, "all") as twin:
            url = trial.stage.twin_url(service)
            if service == "ingest":
                trial.sender.also_to(url)
            try:
                await asyncio.sleep(seconds)
            finally:
                if service == "ingest":
                    trial.sender.no_longer_to(url)
            if killed:
                await twin.down(signal.SIGKILL)
        return f"a second process for {seconds:.1f} s, then {'killed' if killed else 'stopped'}"

    return strike


async def _all_killed(trial: Trial, _random: Random) -> str:
    for process in trial.stage.services.values():
        process.send(signal.SIGKILL)
    for process in trial.stage.services.values():
        await process.ended()
    return f"SIGKILL to {', '.join(trial.stage.services)}"


def _crashed(service: str, point: str) -> Strike:
    async def strike(trial: Trial, _random: Random) -> str:
        process = trial.stage.services[service]
        armed = trial.stage.crash_folder(service) / point
        before = process.pid
        armed.touch()
        deadline = time.monotonic() + _REACHED_S
        while armed.exists():
            if time.monotonic() > deadline:
                armed.unlink(missing_ok=True)
                return f"NOT REACHED within {_REACHED_S:.0f} s"
            await asyncio.sleep(0.02)
        if process.pid == before:
            await process.ended()
        return f"SIGKILL at {point}"

    return strike
