"""The command: `python -m faults -n 12 --seed 7 --only 'kill@*,crash@*'`, with a table and a JSON file."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Final

import uvloop
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.local.settings import ROOT, SERVICES
from faults.catalogue import Fault, select
from faults.run import PER_SECOND, RECOVERY_S, catalogue, run_faults
from faults.sabotage import copy_tree
from faults.servers import Servers
from faults.stage import Stage
from faults.strikes_on_servers import FULL
from faults.upgrades import older_tree, upgrade_faults

if TYPE_CHECKING:
    from faults.report import Report
    from faults.trial import Row

_WIDTH: Final = 160
"""Where nobody looks at a terminal."""
_REPORT: Final = ROOT / ".data" / "faults-report.json"


async def run(given: argparse.Namespace, faults: list[Fault], console: Console) -> Report:
    """Play it, with a progress bar, over a folder that is thrown away unless it is asked for."""
    folder = Path(tempfile.mkdtemp(prefix="otklik-"))
    servers = Servers(folder / "servers", own_disk=any(fault.name == FULL for fault in faults))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=console) as progress:
            bar = progress.add_task("starting", total=given.n)

            def told(what: Row | str) -> None:
                if isinstance(what, str):
                    progress.update(bar, description=what)
                    return
                verdict = "[red]broken[/red]" if what.broken else "[green]kept[/green]"
                back = f"recovered in {what.recovered_s:4.1f} s"
                progress.console.print(
                    f"{what.number:>4} {what.fault:<44} {verdict}  {back}  {what.happened}",
                    highlight=False,
                )
                for broken in what.broken:
                    progress.console.print(f"     [red]{escape(str(broken))}[/red]", highlight=False)
                progress.advance(bar)

            await servers.start()
            tree = copy_tree(folder / "tree")
            older = older_tree(folder / "older", given.older) if given.older else None
            return await run_faults(
                Stage(folder / "stage", servers, tree=older or tree),
                [*faults, *([] if older is None else upgrade_faults(SERVICES, tree))],
                seed=given.seed,
                count=given.n,
                per_second=given.rate,
                recovery_s=given.recovery,
                bound_s=given.minutes * 60,
                told=told,
            )
    finally:
        await servers.stop()
        if given.keep:
            console.print(f"Logs and data are in {folder}")
        else:
            shutil.rmtree(folder)


def main() -> None:
    """Read the command line, run, report; status 1 where an invariant is broken."""
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("-n", type=int, default=12, help="how many faults")
    parser.add_argument("--seed", type=int, default=None, help="of the run; another one each time where none is given")
    parser.add_argument("--only", default="", help="patterns of names, separated by commas, as 'kill@*,*@postgres'")
    parser.add_argument("--rate", type=float, default=PER_SECOND, help="how much is sent a second")
    parser.add_argument("--recovery", type=float, default=RECOVERY_S, help="seconds; more on a machine that others use")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no fault after so many minutes")
    parser.add_argument("--report", type=Path, default=_REPORT, help="where the JSON goes")
    parser.add_argument("--list", action="store_true", help="list the faults and do nothing")
    parser.add_argument("--from", dest="older", help="begin with an older build, a revision, and upgrade it under load")
    parser.add_argument("--keep", action="store_true", help="keep the logs and data of the run")
    given = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    faults = select(catalogue(), given.only or None)
    if given.list or not faults:
        console.print("\n".join(fault.name for fault in faults) or f"No fault is called {given.only}", highlight=False)
        sys.exit(0 if given.list else 2)
    if given.seed is None:
        given.seed = SystemRandom().getrandbits(31)
    # A polite end from outside is taken like Ctrl-C: everything that was started is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report = runner.run(run(given, faults, console))
    report.write(given.report)
    report.show(console)
    console.print(f"JSON: {given.report}")
    sys.exit(0 if report.kept else 1)


if __name__ == "__main__":
    main()
