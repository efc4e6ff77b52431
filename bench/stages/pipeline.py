"""The whole system on this machine, its load generator included: the study, steady load, latency, an outage."""

from __future__ import annotations

import json
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from bench.deliveries import KEY, Deliveries
from bench.figures import Better, Figure, against_floor, percentile
from bench.first_case import Latencies, latencies
from bench.load import write_requests
from bench.outage import recover
from bench.report import number
from bench.steady import highest_rate
from bench.study import RESPONSES, Outcome, study
from bench.survey import Survey
from deploy.local.ports import free_ports

if TYPE_CHECKING:
    from bench.bench import Bench
    from bench.outage import Recovery
    from bench.steady import Trial
    from bench.system import System

_STAGE: Final = "pipeline"
_CORES: Final = 2
"""Of the machine for which the goals were set."""
_WARM_UP: Final = 2_000
_QUARTER: Final = 4
_OUTAGE_SHARE: Final = 3
"""The load during the outage is its own rate over this."""
_HOPS: Final = 3
"""Durable rows from the webhook to the case (ingest, scoring, casework), each followed by a way through Kafka."""


async def run(bench: Bench) -> list[Figure]:
    """All of it, on one system."""
    system = await bench.system()
    survey = Survey()
    await survey.set_up(system)
    full = bench.scale == 1
    if full:
        await study(bench, system, survey, _WARM_UP)
    amount = bench.amount(RESPONSES)
    outcomes = [await study(bench, system, survey, amount) for _ in range(max(1, bench.rounds // 2))]
    floors = await _Floors.start(bench, system)
    ingest_floor = await floors.capacity(3.0 if full else 1.5)
    rate, trials = await highest_rate(
        bench,
        system,
        survey,
        begin_at=amount / median(outcome.seconds for outcome in outcomes),
        seconds=10.0 if full else 2.5,
    )
    seconds = 15.0 if full else 3.0
    measured, sums = [], []
    for _ in range(max(1, bench.rounds // 2)):
        bench.say(f"latency at {rate / _QUARTER:.0f} responses a second")
        sums.append(await floors.of_hops(rate / _QUARTER, seconds / 3))
        measured.append(await latencies(system, survey, rate=rate / _QUARTER, seconds=seconds))
    recovery = await recover(
        bench, system, survey, rate=rate / _OUTAGE_SHARE, own_rate=rate, outage_s=30.0 if full else 3.0
    )
    return [
        _of_study(amount, outcomes),
        _of_rate(rate, ingest_floor, trials),
        *_of_latency(measured, sums, rate / _QUARTER),
        *_of_recovery(recovery),
    ]


def _of_study(amount: int, outcomes: list[Outcome]) -> Figure:
    last = outcomes[-1]
    cpu = sum(last.cpu.values())
    return Figure(
        stage=_STAGE,
        name=f"{number(amount)} responses, from the first request to rest",
        unit="s",
        rounds=[outcome.seconds for outcome in outcomes],
        red=90.0 if amount == RESPONSES else None,
        goal=45.0 if amount == RESPONSES else None,
        better=Better.LOWER,
        notes={
            **{f"{stage} done after, s": round(after, 1) for stage, after in last.done_after.items()},
            **{f"CPU of {part}, µs per response": round(used / amount * 1e6) for part, used in last.cpu.items()},
            "CPU of all, s": round(cpu, 1),
            "the same over two cores, s": round(cpu / _CORES, 1),
        },
        detail={"study": {"progress": last.progress, "cpu": last.cpu}},
    )


def _of_rate(rate: float, floor: float, trials: list[Trial]) -> Figure:
    return against_floor(
        _STAGE,
        "responses a second, lag flat",
        floor_name="bare ASGI with HMAC, as fast as it can",
        floor=[floor],
        ours=[rate],
        measured_in="/s",
        red=0.05,
        goal=0.10,
        notes={f"at {trial.rate:.0f}/s: rest after, s": round(trial.tail_s, 2) for trial in trials},
    )


def _of_latency(measured: list[Latencies], sums: list[dict[str, float]], rate: float) -> list[Figure]:
    p50 = [percentile(each.case, 0.5) for each in measured]
    p99 = [percentile(each.case, 0.99) for each in measured]
    return [
        against_floor(
            _STAGE,
            "webhook to case over REST, p50",
            floor_name="sum of the hops' floors",
            floor=[each["sum"] for each in sums],
            ours=p50,
            measured_in="ms",
            red=4.0,
            goal=2.0,
            better=Better.LOWER,
            notes={
                "responses a second": round(rate),
                "cases read": sum(len(each.case) for each in measured),
                "webhook to 202, p50, ms": round(median(percentile(each.answer, 0.5) for each in measured), 2),
                **{f"floor of {name}, ms": round(median(each[name] for each in sums), 2) for name in sums[0]},
            },
        ),
        Figure(
            stage=_STAGE,
            name="webhook to case over REST, p99 over p50",
            unit="×",
            rounds=[high / middle for high, middle in zip(p99, p50, strict=True)],
            goal=5.0,
            better=Better.LOWER,
            ours=p99,
            floor=p50,
            floor_name="p50",
            measured_in="ms",
        ),
    ]


def _of_recovery(recovery: Recovery) -> list[Figure]:
    growth = max(peak / before for before, peak in recovery.memory.values())
    return [
        Figure(
            stage=_STAGE,
            name="catching up after an outage, over T·r / (own rate − r)",
            unit="×",
            rounds=[recovery.took_s / recovery.ideal_s],
            red=2.0,
            goal=1.25,
            better=Better.LOWER,
            floor=[recovery.ideal_s],
            ours=[recovery.took_s],
            floor_name="T·r / (own rate − r)",
            measured_in="s",
            notes={"records that waited": recovery.backlog},
        ),
        Figure(
            stage=_STAGE,
            name="memory while catching up, at its highest over before",
            unit="×",
            rounds=[growth],
            better=Better.LOWER,
            notes={
                f"{name}, MB {when}": round(value, 1)
                for name, pair in recovery.memory.items()
                for when, value in zip(("before", "at its highest"), pair, strict=True)
            },
        ),
    ]


class _Floors:
    """What the same path costs without us."""

    def __init__(self, bench: Bench, system: System, port: int, topic: str) -> None:
        self._bench = bench
        self._system = system
        self._port = port
        self._topic = topic
        self._requests = bench.folder / "floor-requests.bin"
        write_requests(self._requests, Deliveries().make(500))

    @classmethod
    async def start(cls, bench: Bench, system: System) -> _Floors:
        (port,) = free_ports(1)
        await bench.start_serving(port, "-m", "bench.floors.http_hmac", str(port), KEY.hex())
        return cls(bench, system, port, system.make_topic("bench.hops"))

    async def capacity(self, seconds: float) -> float:
        """Requests per second of bare ASGI with HMAC."""
        self._bench.say("the floor of ingest")
        return float(self._load("--seconds", str(seconds))["per_second"])

    async def of_hops(self, rate: float, seconds: float) -> dict[str, float]:
        """Medians in milliseconds at `rate`: an HTTP exchange, a durable row, a way through Kafka, and all of it."""
        http = float(self._load("--rate", str(rate), "--seconds", str(seconds))["p50_ms"])
        servers = (self._system.administrator, self._system.addresses.bootstrap_servers, self._topic)
        said = self._bench.run("-m", "bench.floors.hops", *servers, str(rate), str(seconds)).split()
        row, hop = map(float, said[-2:])
        # In over HTTP and read over HTTP; between the two each of three services commits, and Kafka carries it on.
        return {"http": http, "row": row, "hop": hop, "sum": 2 * http + _HOPS * (row + hop)}

    def _load(self, *arguments: str) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(
            self._bench.run("-m", "bench.load", str(self._requests), "--port", str(self._port), *arguments)
        )
        return said
