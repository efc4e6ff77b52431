"""Runs the benchmarks: `python -m bench [--quick] [--only STAGE …] [--rounds N] [--scale SHARE]`."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench import drawings, report
from bench.bench import Bench
from bench.processes import family_cpu_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.figures import Figure

STAGES: Final = (
    "ingest",
    "fetches",
    "imports",
    "relay",
    "scoring",
    "customers",
    "statistics",
    "casework",
    "clocks",
    "lists",
    "portal",
    "mails",
    "campaigns",
    "hooks",
    "pipeline",
    "growth",
    "idle",
)
"""Modules of `bench.stages`, in the order in which they run."""
_ROUNDS: Final = 5
_QUICK_ROUNDS: Final = 1
_NOT_QUICK: Final = frozenset({"campaigns", "customers", "growth", "fetches", "clocks", "lists", "portal"})
"""Spend longer on being set up than on measuring little: in a quick run only where they are named."""
_QUICK_SCALE: Final = 0.05
_STOPPED: Final = 128 + signal.SIGTERM
_WIDE_ENOUGH: Final = 150
"""Columns of the table where nobody's terminal says how many there are."""


def main() -> None:
    """Do as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less of everything, in under two minutes; rougher")
    parser.add_argument("--only", nargs="+", choices=STAGES, metavar="STAGE", help=", ".join(STAGES))
    parser.add_argument("--rounds", type=int, help=f"rounds of each comparison ({_ROUNDS}; {_QUICK_ROUNDS} when quick)")
    parser.add_argument("--scale", type=float, help=f"share of the full amounts (1; {_QUICK_SCALE} when quick)")
    parser.add_argument("--json", type=Path, default=Path(".data/bench.json"), help="where to write everything")
    parser.add_argument("--plot", type=Path, default=Path(".data/bench.svg"), help="where to draw it")
    arguments = parser.parse_args()
    rounds: int = arguments.rounds or (_QUICK_ROUNDS if arguments.quick else _ROUNDS)
    scale: float = arguments.scale or (_QUICK_SCALE if arguments.quick else 1.0)
    console = Console(width=None if sys.stdout.isatty() else _WIDE_ENOUGH)
    stages: Sequence[str] = arguments.only or [
        stage for stage in STAGES if not (arguments.quick and stage in _NOT_QUICK)
    ]
    # A stop from outside ends what was started like any other end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_STOPPED))
    figures, failed = _measure(stages, rounds, scale, console)
    console.print(report.table(figures))
    report.write_json(figures, arguments.json, rounds=rounds, scale=scale)
    report.plot(figures, arguments.plot)
    drawn = [arguments.plot, *drawings.draw(figures, arguments.plot)]
    console.print(f"Everything: {arguments.json}   Drawn: {', '.join(map(str, drawn))}")
    if failed:
        sys.exit(f"Not measured to the end: {', '.join(failed)}")


def _measure(stages: Sequence[str], rounds: int, scale: float, console: Console) -> tuple[list[Figure], list[str]]:
    """The figures of all stages, and the names of those that failed: one of them costs no other its figures."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[doing]}"))
    figures: list[Figure] = []
    failed: list[str] = []
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=len(stages), doing="")
        bench = Bench(rounds=rounds, scale=scale, say=lambda doing: progress.update(bar, doing=doing))
        try:
            for stage in stages:
                progress.update(bar, description=stage, doing="")
                began, used = time.monotonic(), family_cpu_seconds(os.getpid())
                try:
                    figures += asyncio.run(import_module(f"bench.stages.{stage}").run(bench))
                except Exception:  # noqa: BLE001 - whatever it is, it is shown, and the run fails in the end
                    console.print_exception()
                    failed.append(stage)
                took, cpu = time.monotonic() - began, family_cpu_seconds(os.getpid()) - used
                console.print(f"{stage} took {took:.0f} s, and {cpu:.0f} s of CPU", highlight=False)
                progress.advance(bar)
        finally:
            bench.close()
    return figures, failed


if __name__ == "__main__":
    main()
