"""Campaigns: "what we changed" from the frozen audience to the last mail, beside aiosmtplib sending bytes ready.

Everything is the product's own: the audience is computed and frozen, messages are put into the ledger with their
events, written in two languages with an unsubscribe link each, held back where somebody wants no news, and sent. Then
the drill: the sending process is killed twenty times while the mail server fails, slows and drops; and the audience of
a million, to see what it costs in memory.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from signal import SIGKILL
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

import asyncpg

from bench.figures import Better, Figure, against_floor
from bench.stages.mails import Sink, Stage, a_letter, until
from services.notify.domain.messages import Facts, message_id

if TYPE_CHECKING:
    from bench.bench import Bench

STAGE: Final = "campaigns"
FLOOR: Final = "aiosmtplib × 16, bytes ready"
_MAILS: Final = 10_000
_DRILL: Final = 100_000
_MILLION: Final = 1_000_000
_KILLS: Final = 20
_TROUBLE: Final = 50
"""One of so many mails goes wrong."""
# Every fiftieth customer has withdrawn the consent. Two languages, as anywhere; all have answered.
_PEOPLE: Final = """
    WITH people AS (
        INSERT INTO profiles (customer_id, version, name, email, language, time_zone, email_consent, email_mark, tier)
        SELECT 'c-' || n, 1, 'Екатерина Иванова ' || n, 'customer-' || n || '@mail.example',
               CASE WHEN n % 2 = 0 THEN 'ru' ELSE 'en' END, 'Europe/Moscow', n % 50 <> 0,
               encode(sha256(convert_to('customer-' || n || '@mail.example', 'UTF8')), 'hex'), 'standard'
          FROM generate_series($1::int, $2) AS n)
    INSERT INTO answers (response_id, revision, customer_id, program, answered_at, themes)
    SELECT 'r-' || n, 1, 'c-' || n, $3, now() - make_interval(days => n % 60), '{waiting}'
      FROM generate_series($1::int, $2) AS n
"""
_START: Final = """
    INSERT INTO campaigns (id, version, status, plan, created_at, edited_by, told_up_to, pace_base, started_at)
    VALUES ($1, 3, 'starting', $2, now(), 'bench', 0, 0, now())
"""
_TEXT: Final[Facts] = {
    "subject": "Вы ждали на линии – теперь мы перезваниваем",
    "about": "ожидание на линии",
    "learned": "Каждый третий звонок ждал дольше пяти минут.\n\nБольше всего – по понедельникам.",
    "changed": "Если мы не ответили за минуту, мы перезваниваем сами.",
    "next_steps": "Летом так же будет в чате.",
}
_SENT: Final = "SELECT count(*) FROM messages WHERE cause_id = $1 AND status = 'sent'"
_DOUBTFUL: Final = """
    SELECT replace(id::text, '-', '') AS name FROM messages WHERE cause_id = $1 AND status = 'doubtful'
"""


@dataclass(frozen=True, slots=True)
class Drill:
    """What both sides say after the drill."""

    allowed: int
    mails: int
    distinct: int
    doubtful: int
    doubled_unlisted: int
    neither: int
    kills: int


class Campaigns(Stage):
    """A worker of notify, the sink, and a program with customers of its own for each campaign."""

    def __init__(self, bench: Bench, sink: Sink, url: str) -> None:
        super().__init__(bench, sink, url, bench.folder / "campaign.eml")
        self._people = 0

    async def write_a_mail(self) -> int:
        """Keep one of our mails for the floor; its size."""
        captured = self.bench.folder / "campaign.eml"
        captured.write_bytes(_a_mail())
        return captured.stat().st_size

    async def begin(self, amount: int, *, named: str) -> UUID:
        """Start a campaign for `amount` new customers; its id."""
        campaign_id = uuid4()
        plan = {
            "name": named,
            "initiative_ids": ["i-1"],
            "audience": {"customers": {"which": "respondents", "programs": [named]}},
            "content": {"ru": _TEXT, "en": _TEXT},
            "per_minute": 100_000_000,
        }
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(_PEOPLE, self._people + 1, self._people + amount, named)
            await connection.execute("ANALYZE profiles, answers")
            await connection.execute(_START, campaign_id, json.dumps(plan))
        finally:
            await connection.close()
        self._people += amount
        return campaign_id

    async def wait_for(self, campaign_id: UUID, query: str, wanted: object) -> None:
        """Until the database says so."""
        connection = await asyncpg.connect(self.url)
        try:

            async def is_so() -> bool:
                return bool(await connection.fetchval(query, campaign_id) == wanted)

            await until(is_so)
        finally:
            await connection.close()

    async def told(self) -> float:
        """Mails a second of a whole campaign; RuntimeError unless each who may be told was, once."""
        amount = self.bench.amount(_MAILS)
        await self.sink.begin()
        allowed = sum(number % 50 != 0 for number in range(self._people + 1, self._people + amount + 1))
        campaign_id = await self.begin(amount, named=_name_of(self._people))
        await self.wait_for(campaign_id, "SELECT status FROM campaigns WHERE id = $1", "completed")
        seen = await self.sink.seen()
        if (seen.mails, seen.distinct, seen.recipients) != (allowed, allowed, allowed):
            raise RuntimeError(f"{allowed} customers are to get one mail each, and {seen} arrived")
        return seen.mails / seen.seconds

    async def drill(self) -> Drill:
        """A campaign whose sender is killed twenty times, to a mail server that fails, slows and drops."""
        amount = self.bench.amount(_DRILL, at_least=2_000)
        await self.sink.begin()
        await self.sink.trouble(_TROUBLE)
        first = self._people + 1
        campaign_id = await self.begin(amount, named=_name_of(self._people))
        allowed = {number for number in range(first, first + amount) if number % 50}
        connection = await asyncpg.connect(self.url)
        try:
            for kill in range(1, _KILLS + 1):
                goal = len(allowed) * kill // (_KILLS + 2)

                async def is_far_enough(goal: int = goal) -> bool:
                    return (await self.sink.seen()).distinct >= goal

                await until(is_far_enough)
                self.worker.stop(SIGKILL)
                await self.start_worker()
            await self.wait_for(campaign_id, "SELECT status FROM campaigns WHERE id = $1", "completed")
            seen = await self.sink.seen()
            names = await self.sink.names()
            doubtful = {row["name"] for row in await connection.fetch(_DOUBTFUL, campaign_id)}
        finally:
            await self.sink.trouble(0)
            await connection.close()
        expected = {message_id(campaign_id, f"customer:c-{number}").hex for number in allowed}
        return Drill(
            allowed=len(allowed),
            mails=seen.mails,
            distinct=seen.distinct,
            doubtful=len(doubtful),
            doubled_unlisted=len(set(seen.doubled) - doubtful),
            neither=len(expected - names - doubtful) + len(names - expected),
            kills=_KILLS,
        )


def _name_of(number: int) -> str:
    """A program of its own for each campaign's customers."""
    return f"bench-{number}"


def _a_mail() -> bytes:
    return a_letter("changes_for_customers", _TEXT | {"answered_at": datetime.now(UTC).isoformat()})


async def run(bench: Bench) -> list[Figure]:
    """All figures of campaigns."""
    await bench.make_registry_topics()
    sink = await Sink.start(bench)
    stage = Campaigns(bench, sink, await bench.service_database("notify"))
    size = await stage.write_a_mail()
    await stage.start_worker()
    bench.say("warming up")
    await stage.told()
    floor, ours = await bench.in_turns(stage.floor, stage.told)
    speed = against_floor(
        STAGE,
        "audience, suppression, unsubscribe link, ledger, events, sent",
        floor_name=FLOOR,
        floor=floor,
        ours=ours,
        measured_in="mails/s",
        red=0.5,
        goal=0.8,
        notes={"bytes of a mail": size, "missing": 0, "doubled": 0},
    )
    return [speed, *await _drill(bench, stage), *await _a_million(bench, stage)]


async def _drill(bench: Bench, stage: Campaigns) -> list[Figure]:
    bench.say("killed twenty times, by a mail server that fails")
    told = await stage.drill()
    notes: dict[str, float | int | str] = {
        "mails": told.allowed,
        "kills": told.kills,
        "arrived": told.distinct,
        "doubtful, listed": told.doubtful,
        "twice": told.mails - told.distinct,
    }
    return [
        Figure(
            stage=STAGE,
            name="neither arrived nor listed, or twice and not listed, after twenty kills",
            unit="mails",
            rounds=[told.neither + told.doubled_unlisted],
            red=0,
            goal=0,
            better=Better.LOWER,
            notes=notes,
        )
    ]


async def _a_million(bench: Bench, stage: Campaigns) -> list[Figure]:
    amount = bench.amount(_MILLION, at_least=20_000)
    bench.say(f"an audience of {amount:,}")
    stage.worker.forget_peak()
    before = stage.worker.memory_mb()
    campaign_id = await stage.begin(amount, named="bench-million")
    goal = bench.amount(_MAILS)
    connection = await asyncpg.connect(stage.url)
    try:

        async def has_told_some() -> bool:
            return bool(await connection.fetchval(_SENT, campaign_id) >= goal)

        await until(has_told_some)
        peak = stage.worker.memory_mb(peak=True)
        await connection.execute(
            "UPDATE campaigns SET status = 'cancelled', ended_at = now() WHERE id = $1", campaign_id
        )
    finally:
        await connection.close()
    await stage.settled()
    return [
        Figure(
            stage=STAGE,
            name="memory, telling an audience of a million",
            unit="MB",
            rounds=[peak],
            red=250,
            goal=130,
            better=Better.LOWER,
            notes={"audience": amount, "MB before": round(before, 1)},
        )
    ]
