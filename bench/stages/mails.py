"""Mails: the real ledger loop of notify to a mail server on this machine, beside aiosmtplib sending bytes ready.

The mail is the question to a customer whether the problem is really solved: the one that has a signed link of its own
and goes to everybody whose case was resolved. The floor sends it over 16 kept connections, which keep its one core
busy; ours over 32, because each of ours waits for a commit as well. The receiving side counts, from the first mail to
the last. What is not to be written to stands in the ledger too, and must not arrive.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from signal import SIGKILL
from typing import TYPE_CHECKING, Final
from uuid import UUID

import asyncpg

from bench.figures import Better, Figure, against_floor
from deploy.local.ports import free_ports
from services.notify.domain.messages import MessageId
from services.notify.letters import Addressed, Letters
from services.notify.links import ConfirmationLinks
from services.notify.mime import Mailbox

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from bench.bench import Bench, Process
    from libs.events.contracts.messages import MessageKind
    from services.notify.domain.messages import Facts

STAGE: Final = "mails"
FLOOR: Final = "aiosmtplib × 16, bytes ready"
_CONNECTIONS: Final = 16
_OUR_CONNECTIONS: Final = 32
_MAILS: Final = 10_000
_MAILS_AT_A_KILL: Final = 6_000
_MAILS_FOR_GROWTH: Final = 50_000
_PER: Final = 100_000
_SENDER: Final = Mailbox("Ромашка", "care@company.example")
_SECRET: Final = "a secret of forty-three characters, or so.."  # noqa: S105 - of links that nobody opens
_BOUND_S: Final = 600.0
_POLL_S: Final = 0.05
_LONGEST_LINE: Final = 1 << 25
"""Of what the sink says: the names of some hundred thousand mails."""
# Every fiftieth has withdrawn the consent. Two languages, as anywhere.
_FILL: Final = """
    WITH numbers AS (
             SELECT n, 'c-' || n AS customer, md5('mail ' || n)::uuid AS id FROM generate_series($1::int, $2) AS n),
         people AS (
             INSERT INTO profiles (customer_id, version, name, email, language, time_zone, email_consent,
                                   email_mark)
             SELECT customer, 1, 'Екатерина Иванова ' || n, 'customer-' || n || '@mail.example',
                    CASE WHEN n % 2 = 0 THEN 'ru' ELSE 'en' END, 'Europe/Moscow', n % 50 <> 0,
                    encode(sha256(convert_to('customer-' || n || '@mail.example', 'UTF8')), 'hex') FROM numbers),
         rounds AS (
             INSERT INTO confirmations (case_id, round, case_version, message_id, customer_id, agent_name, asked_about,
                                        confirm_by)
             SELECT 'case-' || n, 1, 3, id, customer, 'Анна Петрова', now(), now() + interval '7 days' FROM numbers)
    INSERT INTO messages (id, cause_id, recipient, kind, case_id, case_version, round, customer_id, facts, status,
                          due_at, created_at, changed_at, traceparent)
    SELECT id, id, 'customer:' || customer, 'confirmation_request', 'case-' || n, 3, 1, customer, $3, 'queued',
           now(), now(), now(), '00-' || md5('trace ' || n) || '-0123456789abcdef-01' FROM numbers
"""
_UNSETTLED: Final = "SELECT count(*) FROM messages WHERE status IN ('queued', 'sending', 'transmitting')"
_STATUSES: Final = "SELECT status, count(*) AS amount FROM messages GROUP BY status"
_IN_FLIGHT: Final = "SELECT count(*) FROM messages WHERE status IN ('sending', 'transmitting')"
_DOUBTFUL: Final = "SELECT replace(id::text, '-', '') AS name FROM messages WHERE status = 'doubtful'"


@dataclass(frozen=True, slots=True)
class Seen:
    """What the receiving side has counted."""

    mails: int
    distinct: int
    recipients: int
    seconds: float
    doubled: list[str]


class Sink:
    """The receiving side, in a process of its own."""

    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.port = port

    @classmethod
    async def start(cls, bench: Bench) -> Sink:
        """Start it."""
        [port] = free_ports(1)
        return cls(await bench.start_serving(port, "-m", "bench.floors.smtp_sink", str(port)), port)

    async def begin(self) -> None:
        """Forget what was counted."""
        await self._ask(b"XBEGIN\r\n")

    async def seen(self) -> Seen:
        """What was counted since."""
        return Seen(**json.loads((await self._ask(b"XSEEN\r\n"))[4:]))

    async def names(self) -> set[str]:
        """The Message-IDs that arrived since, without their domain."""
        return set((await self._ask(b"XNAMES\r\n"))[4:].decode().split())

    async def trouble(self, one_of: int) -> None:
        """Let one of so many mails go wrong from now on; 0: none."""
        await self._ask(b"XTROUBLE %d\r\n" % one_of)

    async def _ask(self, verb: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=_LONGEST_LINE)
        try:
            await reader.readline()
            writer.write(verb)
            return await reader.readline()
        finally:
            writer.close()


class Stage:
    """A worker of notify over a database of its own, the sink, and what the floor sends."""

    def __init__(self, bench: Bench, sink: Sink, url: str, mail: Path) -> None:
        self.bench = bench
        self.sink = sink
        self.url = url
        self._mail = mail
        self._written = 0
        self.worker: Process
        self.cpu: dict[str, list[float]] = {"floor": [], "floor's sink": [], "worker": [], "sink": []}
        """CPU seconds a mail, in microseconds."""

    async def start_worker(self) -> None:
        """Start notify's worker."""
        [port] = free_ports(1)
        self.worker = await self.bench.start_serving(
            port,
            "-m",
            "services.notify",
            "worker",
            environment={
                "NOTIFY_DATABASE_URL": self.url,
                "NOTIFY_PORT": str(port),
                "NOTIFY_LINK_SECRET": _SECRET,
                "NOTIFY_SENDER": f"{_SENDER.name} <{_SENDER.address}>",
                "NOTIFY_SMTP_CONNECTIONS": str(_OUR_CONNECTIONS),
                "OTKLIK_SMTP_URL": f"smtp://127.0.0.1:{self.sink.port}",
                "OTKLIK_KAFKA_BOOTSTRAP_SERVERS": self.bench.kafka,
            },
        )

    async def floor(self) -> float:
        """Mails a second that the floor gets there."""
        amount = self.bench.amount(_MAILS)
        await self.sink.begin()
        before = self.sink.process.cpu_seconds()
        arguments = [str(self.sink.port), str(_CONNECTIONS), str(amount), str(self._mail)]
        said = await asyncio.to_thread(self.bench.run, "-m", "bench.floors.smtp_aiosmtplib", *arguments)
        seen = await self.sink.seen()
        if seen.distinct != amount:
            raise RuntimeError(f"the floor sent {amount} mails, and {seen} arrived")
        self.cpu["floor"].append(float(said.split()[0]))
        self.cpu["floor's sink"].append((self.sink.process.cpu_seconds() - before) / amount * 1e6)
        return seen.mails / seen.seconds

    async def ours(self) -> float:
        """Mails a second that notify gets there; RuntimeError unless each arrived once, and no other."""
        amount = self.bench.amount(_MAILS)
        before = self.sink.process.cpu_seconds(), self.worker.cpu_seconds()
        seen = await self.send(amount)
        sink, worker = self.sink.process.cpu_seconds() - before[0], self.worker.cpu_seconds() - before[1]
        self.cpu["sink"].append(sink / seen.mails * 1e6)
        self.cpu["worker"].append(worker / seen.mails * 1e6)
        return seen.mails / seen.seconds

    async def send(self, amount: int) -> Seen:
        """Fill the ledger so that `amount` mails may go, and wait until all has come to its end."""
        await self.sink.begin()
        allowed = await self.fill(amount)
        await self.settled()
        seen = await self.sink.seen()
        if (seen.mails, seen.distinct, seen.recipients) != (allowed, allowed, allowed):
            raise RuntimeError(f"{allowed} customers are to get one mail each, and {seen} arrived")
        return seen

    async def fill(self, amount: int) -> int:
        """Write `amount` messages into the ledger, due now; how many of them may go."""
        first, last = self._written + 1, self._written + amount
        self._written = last
        now = datetime.now(UTC)
        facts = {
            "agent": "Анна Петрова",
            "answered_at": (now - timedelta(days=5)).isoformat(),
            "confirm_by": (now + timedelta(days=7)).isoformat(),
        }
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(_FILL, first, last, json.dumps(facts))
        finally:
            await connection.close()
        return sum(number % 50 != 0 for number in range(first, last + 1))

    async def settled(self) -> None:
        """Wait until nothing is due or in hand."""
        connection = await asyncpg.connect(self.url)
        try:

            async def is_settled() -> bool:
                return bool(await connection.fetchval(_UNSETTLED) == 0)

            await until(is_settled)
        finally:
            await connection.close()

    async def killed_in_the_middle(self) -> dict[str, int]:
        """Kill the worker in the middle of sending, start another, and compare the two sides' sets."""
        connection = await asyncpg.connect(self.url)
        try:
            await self.sink.begin()
            amount = self.bench.amount(_MAILS_AT_A_KILL, at_least=1_000)
            allowed = await self.fill(amount)

            async def is_half_done() -> bool:
                return (await self.sink.seen()).mails >= allowed // 2

            await until(is_half_done)
            self.worker.stop(SIGKILL)
            in_flight: int = await connection.fetchval(_IN_FLIGHT)
            at_the_kill = (await self.sink.seen()).mails
            await self.start_worker()
            await self.settled()
            seen = await self.sink.seen()
            doubtful = {row["name"] for row in await connection.fetch(_DOUBTFUL)}
        finally:
            await connection.close()
        return {
            "mails": allowed,
            "arrived before the kill": at_the_kill,
            "in flight": in_flight,
            "doubled": seen.mails - seen.distinct,
            "doubled and not listed": len(set(seen.doubled) - doubtful),
            "doubtful, listed": len(doubtful),
            "neither arrived nor listed": max(0, allowed - seen.distinct - len(doubtful)),
        }

    async def statuses(self) -> dict[str, int]:
        """The ledger, counted."""
        connection = await asyncpg.connect(self.url)
        try:
            return {row["status"]: row["amount"] for row in await connection.fetch(_STATUSES)}
        finally:
            await connection.close()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Look again and again until it is so; TimeoutError after ten minutes."""
    async with asyncio.timeout(_BOUND_S):
        while not await condition():  # noqa: ASYNC110 - what other processes do is looked at again and again
            await asyncio.sleep(_POLL_S)


def a_letter(kind: MessageKind, facts: Facts) -> bytes:
    """A mail as notify writes it."""
    letters = Letters(
        sender=_SENDER,
        links=ConfirmationLinks("http://127.0.0.1:8004", [_SECRET]),
        portal_url="http://127.0.0.1:8000",
        time_zone="Europe/Moscow",
    )
    message = Addressed(
        id=MessageId(UUID(int=1)),
        kind=kind,
        case_id="case-1",
        facts=facts,
        recipient=Mailbox("Екатерина Иванова 1000", "customer-1000@mail.example"),
        language="ru",
        time_zone="Europe/Moscow",
    )
    return letters.mail(message, datetime.now(UTC))


def _a_mail() -> bytes:
    now = datetime.now(UTC)
    facts: Facts = {
        "agent": "Анна Петрова",
        "answered_at": (now - timedelta(days=5)).isoformat(),
        "confirm_by": (now + timedelta(days=7)).isoformat(),
    }
    return a_letter("confirmation_request", facts)


async def run(bench: Bench) -> list[Figure]:
    """All figures of mails."""
    await bench.make_registry_topics()
    sink = await Sink.start(bench)
    mail = bench.folder / "mail.eml"
    mail.write_bytes(_a_mail())
    stage = Stage(bench, sink, await bench.service_database("notify"), mail)
    await stage.start_worker()
    bench.say("warming up")
    await stage.send(bench.amount(_MAILS))
    floor, ours = await bench.in_turns(stage.floor, stage.ours)
    cpu: dict[str, float | int | str] = {
        f"CPU µs a mail, {who}": round(sum(each) / len(each), 1) for who, each in stage.cpu.items() if each
    }
    speed = against_floor(
        STAGE,
        "suppression, link, ledger, events, sent",
        floor_name=FLOOR,
        floor=floor,
        ours=ours,
        measured_in="mails/s",
        red=0.5,
        goal=0.8,
        notes={"bytes of a mail": mail.stat().st_size, "missing": 0, "doubled": 0, **cpu},
    )
    return [speed, *await _memory(bench, stage), *await _kill(bench, stage)]


async def _memory(bench: Bench, stage: Stage) -> list[Figure]:
    bench.say("memory")
    stage.worker.forget_peak()
    before = stage.worker.memory_mb()
    amount = bench.amount(_MAILS_FOR_GROWTH)
    await stage.send(amount)
    growth = (stage.worker.memory_mb() / before - 1) * 100 * _PER / amount
    peak = stage.worker.memory_mb(peak=True)
    lower = Better.LOWER
    return [
        Figure(stage=STAGE, name="memory, loaded", unit="MB", rounds=[peak], red=250, goal=130, better=lower),
        Figure(
            stage=STAGE,
            name="growth of memory per 100,000 mails",
            unit="%",
            rounds=[growth],
            red=10,
            goal=2,
            better=lower,
            notes={"mails": amount, "MB before": round(before, 1)},
        ),
    ]


async def _kill(bench: Bench, stage: Stage) -> list[Figure]:
    bench.say("kill -9 in the middle")
    told = await stage.killed_in_the_middle()
    doubled = 100 * told["doubled"] / max(1, told["in flight"])
    lost = told["neither arrived nor listed"] + told["doubled and not listed"]
    lower = Better.LOWER
    notes: dict[str, float | int | str] = {**told, **{f"ledger: {k}": v for k, v in (await stage.statuses()).items()}}
    return [
        Figure(
            stage=STAGE,
            name="doubled at a kill -9, of those in flight",
            unit="%",
            rounds=[doubled],
            red=0.5,
            goal=0.5,
            better=lower,
            notes=notes,
        ),
        Figure(
            stage=STAGE,
            name="lost, or doubled and not listed, at a kill -9",
            unit="mails",
            rounds=[lost],
            red=0,
            goal=0,
            better=lower,
        ),
    ]
