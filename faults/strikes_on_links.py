"""What happens to links: to PostgreSQL, Kafka, the mail server, receivers of web hooks; and to that server itself."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Final, get_args

from starlette.responses import Response

from faults.catalogue import Fault
from faults.mailsink import Trick

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from faults.catalogue import Strike
    from faults.proxy import AtCommit, Link, Mode
    from faults.trial import Trial

    Which = Callable[[Trial], Link]

_MODES: Final[tuple[Mode, ...]] = ("late", "slow", "held", "dropped", "refused")
_AT_COMMIT: Final[tuple[AtCommit, ...]] = ("cut_before", "cut_after", "held")
_STRUCK_S: Final = 30.0
_AUTO_COMMIT_S: Final = 7.0
"""Longer than any client's usual interval for committing offsets by itself."""
_ODD_ANSWERS: Final[dict[str, Callable[[], Response]]] = {
    "429": lambda: Response(status_code=429, headers={"retry-after": "2"}),
    "500": lambda: Response(status_code=500),
    "503": lambda: Response(status_code=503),
    "404": lambda: Response(status_code=404),
    "garbage": lambda: Response(b"\xff{", 200),
}
_TRICKS: Final[tuple[Trick, ...]] = get_args(Trick)


def link_faults(services: Sequence[str]) -> list[Fault]:
    """Every way of breaking every link."""
    found: list[Fault] = []
    for service in services:
        for name, which in (("database", _database_of(service)), ("kafka", _kafka_of(service))):
            found.append(Fault(f"{name}.cut@{service}", _cut(which)))
            found += [Fault(f"{name}.{mode}@{service}", _broken(which, mode)) for mode in _MODES]
        found += [Fault(f"commit.{how}@{service}", _at_commit(service, how)) for how in _AT_COMMIT]
        found.append(Fault(f"database.dropped-then-kill@{service}", _dropped_then_killed(service)))
    if "notify" in services:
        found.append(Fault("mail.cut@notify", _cut(_mail), mails=True))
        found += [Fault(f"mail.{mode}@notify", _broken(_mail, mode), mails=True) for mode in _MODES]
        found += [Fault(f"mail.{trick}@notify", _tricked(trick), mails=True) for trick in _TRICKS]
        found.append(Fault("hooks.cut@notify", _cut(_hooks)))
        found += [Fault(f"hooks.{mode}@notify", _broken(_hooks, mode)) for mode in _MODES]
    if "ingest" in services:
        found.append(Fault("vendor.cut@ingest", _cut(_vendor)))
        found += [Fault(f"vendor.{mode}@ingest", _broken(_vendor, mode)) for mode in _MODES]
        found += [Fault(f"vendor.{name}@ingest", _odd_answers(odd)) for name, odd in _ODD_ANSWERS.items()]
    return found


def _database_of(service: str) -> Which:
    return lambda trial: trial.stage.servers.database_links[service]


def _kafka_of(service: str) -> Which:
    return lambda trial: trial.stage.servers.kafka_links[service]


def _mail(trial: Trial) -> Link:
    return trial.stage.mail_link


def _hooks(trial: Trial) -> Link:
    return trial.stage.hooks_link


def _vendor(trial: Trial) -> Link:
    return trial.stage.vendor_link


def _odd_answers(odd: Callable[[], Response]) -> Strike:
    async def strike(trial: Trial, random: Random) -> str:
        count = random.randint(1, 4)
        faults = trial.stage.vendor_apis.faults
        faults.extend(odd() for _ in range(count))
        for _ in range(int(_STRUCK_S / 0.1)):
            if not faults:
                break
            await asyncio.sleep(0.1)
        left = len(faults)
        faults.clear()
        return f"{count - left} questions" if left < count else f"NOT REACHED within {_STRUCK_S:.0f} s"

    return strike


def _cut(which: Which) -> Strike:
    async def strike(trial: Trial, random: Random) -> str:
        times = random.randint(1, 3)
        cut = 0
        for _ in range(times):
            cut += which(trial).cut()
            await asyncio.sleep(random.uniform(0.1, 0.8))
        return f"{cut} connections cut in {times} strokes"

    return strike


def _broken(which: Which, mode: Mode) -> Strike:
    async def strike(trial: Trial, random: Random) -> str:
        seconds = random.uniform(2.0, 7.0)
        late, rate = random.uniform(0.05, 0.4), random.uniform(20_000, 100_000)
        which(trial).become(mode, seconds=late, bytes_per_second=rate)
        await asyncio.sleep(seconds)
        which(trial).heal()
        how = {"late": f" by {late:.2f} s", "slow": f", {rate / 1000:.0f} kB/s"}.get(mode, "")
        return f"{mode}{how} for {seconds:.1f} s"

    return strike


def _at_commit(service: str, how: AtCommit) -> Strike:
    async def strike(trial: Trial, random: Random) -> str:
        seconds = random.uniform(1.0, 4.0) if how == "held" else 0.3
        times = random.randint(2, 4)  # some are the relay's, some a handler's, and nobody sees from outside which
        struck = trial.stage.servers.database_links[service].watch_for_commit(how, seconds=seconds, times=times)
        try:
            async with asyncio.timeout(_STRUCK_S):
                await struck.wait()
        except TimeoutError:
            return f"NOT REACHED: no COMMIT within {_STRUCK_S:.0f} s"
        await asyncio.sleep(seconds + 0.2)
        told = {"cut_before": "cut before the COMMIT", "cut_after": "cut before its answer"}
        return f"{times} times {told.get(how, f'COMMIT held for {seconds:.1f} s')}"

    return strike


def _dropped_then_killed(service: str) -> Strike:
    """Records are in hand and cannot be done; whoever has committed their offsets by now has lost them."""

    async def strike(trial: Trial, _random: Random) -> str:
        link = trial.stage.servers.database_links[service]
        link.become("dropped")
        await asyncio.sleep(_AUTO_COMMIT_S)
        process = trial.stage.services[service]
        process.send(signal.SIGKILL)
        await process.ended()
        link.heal()
        return f"the database half-open for {_AUTO_COMMIT_S:.0f} s, then SIGKILL"

    return strike


def _tricked(trick: Trick) -> Strike:
    async def strike(trial: Trial, random: Random) -> str:
        count = random.randint(1, 3)
        sink = trial.stage.sink
        sink.play([trick] * count)
        for _ in range(int(_STRUCK_S / 0.1)):
            if not sink.tricks_left:
                break
            await asyncio.sleep(0.1)
        left = sink.tricks_left
        sink.forget_tricks()
        return f"{count - left} of {count} mails" if left < count else f"NOT REACHED within {_STRUCK_S:.0f} s"

    return strike
