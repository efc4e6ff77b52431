"""The whole system on this machine, its load generator included: the study, steady load, latency, an outage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.figures import Better, Figure
from bench.study import RESPONSES, study
from bench.survey import Survey

if TYPE_CHECKING:
    from bench.bench import Bench

_STAGE: Final = "pipeline"


async def run(bench: Bench) -> list[Figure]:
    """All of it, on one system."""
    system = await bench.system()
    survey = Survey()
    await survey.set_up(system)
    amount = bench.amount(RESPONSES)
    outcomes = [await study(bench, system, survey, amount) for _ in range(max(1, bench.rounds // 2))]
    whole = amount == RESPONSES
    return [
        Figure(
            stage=_STAGE,
            name=f"{amount:,} responses, first request to rest".replace(",", " "),
            unit="s",
            rounds=[outcome.seconds for outcome in outcomes],
            red=90.0 if whole else None,
            goal=45.0 if whole else None,
            better=Better.LOWER,
        )
    ]
