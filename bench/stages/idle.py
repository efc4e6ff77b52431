"""The idle system: what all its processes use together while nothing happens."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from bench.figures import Better, Figure
from bench.processes import family_cpu_seconds
from deploy.local.ports import free_ports, is_open

if TYPE_CHECKING:
    from bench.bench import Bench

_SETTLE_S: Final = 10.0
_WATCHED_S: Final = 30.0
_QUICK_SETTLE_S: Final = 2.0
_QUICK_S: Final = 6.0


async def run(bench: Bench) -> list[Figure]:
    """CPU time of services, PostgreSQL, Kafka and the mailbox in percent of one core, from outside."""
    system = await bench.system()
    smtp, http = free_ports(2)
    folder = bench.folder / "idle-mail"
    mailbox = await bench.start_serving(
        http, "-m", "deploy.local.mail", f"--folder={folder}", f"--smtp-port={smtp}", f"--http-port={http}"
    )
    await bench.until(mailbox, lambda: is_open(smtp))
    settle, seconds = (_SETTLE_S, _WATCHED_S) if bench.scale == 1 else (_QUICK_SETTLE_S, _QUICK_S)
    bench.say(f"watching for {seconds:.0f} s")
    await asyncio.sleep(settle)
    before = {**system.cpu_seconds(), "mailbox": family_cpu_seconds(mailbox.pid)}
    await asyncio.sleep(seconds)
    after = {**system.cpu_seconds(), "mailbox": family_cpu_seconds(mailbox.pid)}
    mailbox.stop()
    percent = {part: round((after[part] - before[part]) / seconds * 100, 2) for part in after}
    return [
        Figure(
            stage="idle",
            name="the whole system, of one core",
            unit="%",
            rounds=[sum(percent.values())],
            red=10.0,
            goal=3.0,
            better=Better.LOWER,
            notes={f"{part}, %": used for part, used in percent.items()},
        )
    ]
