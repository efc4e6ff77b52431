"""A run: servers, one stage, its load, one fault after another, the ledger."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from deploy.local.settings import SERVICES
from faults.catalogue import plan
from faults.report import Report
from faults.strikes_on_clocks import clock_faults
from faults.strikes_on_digests import digest_faults
from faults.strikes_on_links import link_faults
from faults.strikes_on_processes import crash_faults, process_faults
from faults.strikes_on_records import record_faults
from faults.strikes_on_servers import server_faults
from faults.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from faults.catalogue import Fault
    from faults.stage import Stage
    from faults.trial import Row
    from faults.verdicts import Broken

PER_SECOND: Final = 20.0
RECOVERY_S: Final = 75.0


def catalogue(services: Sequence[str] = SERVICES) -> list[Fault]:
    """Every fault that can strike these services."""
    return [
        *process_faults(services),
        *crash_faults(services),
        *link_faults(services),
        *server_faults(services),
        *record_faults(services),
        *clock_faults(services),
        *digest_faults(services),
    ]


async def run_faults(
    stage: Stage,
    faults: Sequence[Fault],
    *,
    seed: int,
    count: int,
    per_second: float = PER_SECOND,
    recovery_s: float = RECOVERY_S,
    climbs_after: timedelta = timedelta(minutes=1),
    bound_s: float = float("inf"),
    stop_when: Callable[[Sequence[Broken]], bool] = lambda _broken: False,
    told: Callable[[Row | str], None] = lambda _what: None,
) -> Report:
    """Strike `count` faults on a fresh stage. After `bound_s` no more of them; the ledger follows in any case.

    Broken invariants for which `stop_when` holds end the run, without the ledger.
    """
    report = Report(seed)
    began = time.monotonic()
    async with Trial(
        stage, seed=seed, per_second=per_second, recovery_s=recovery_s, climbs_after=climbs_after
    ) as trial:
        for number, fault, fault_seed in plan(faults, seed, count):
            if time.monotonic() - began > bound_s:
                break
            told(f"{number} {fault.name}")
            row = await trial.strike(fault, number, fault_seed)
            report.rows.append(row)
            told(row)
            if stop_when(report.broken):
                report.took_s = time.monotonic() - began
                return report
        report.ledger = await trial.end(told)
        report.sizes = trial.sizes
        report.finished = True
    report.took_s = time.monotonic() - began
    return report
