"""The drill: a campaign whose sender is killed at random, to a mail server that fails, slows and drops.

`python -m faults.drill --mails 100000 --kills 20 --seed 7`. Everything is counted at the receiving mail server: each of
the frozen audience has the mail once, or it is written down why not; what was in flight at a kill was listed as
doubtful, and settled by what the receiving side says. The kills and the troubles come at random points of the way.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid5

import asyncpg
import httpx
import uvloop

from faults.bounds import memory_mb
from faults.evidence import payload_of
from faults.processes import ProcessFailed
from faults.quicksink import QuickSink
from faults.sabotage import copy_tree
from faults.servers import Servers
from faults.stage import Stage
from faults.streams import Streams
from faults.verdicts import Broken, Findings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from faults.mailsink import Trick
    from faults.proxy import Mode

MAILS: Final = 100_000
KILLS: Final = 20
_TROUBLES_A_KILL: Final = 3
"""Of the mail server, and as many of the line to it."""
_TRICKS: Final[tuple[Trick, ...]] = ("421", "450", "451", "silent_unkept", "silent_kept", "cut_kept")
_MODES: Final[tuple[Mode, ...]] = ("late", "slow", "held", "dropped", "refused")
_CONNECTIONS: Final = 32
_NO_CONSENT: Final = 50
"""Every so manieth customer agreed to no mail."""
_STUCK_S: Final = 600.0
_LOOK_EVERY_S: Final = 0.1
_AUTHOR: Final = {"Otklik-Person": "olga", "Otklik-Role": "manager"}
_APPROVER: Final = {"Otklik-Person": "pavel", "Otklik-Role": "executive"}
_PEOPLE: Final = """
    WITH people AS (
        INSERT INTO profiles (customer_id, version, name, email, language, time_zone, email_consent, email_mark, tier)
        SELECT 'c-' || n, 1, 'Екатерина Иванова ' || n, 'c-' || n || '@customers.example',
               CASE WHEN n % 2 = 0 THEN 'ru' ELSE 'en' END, 'Europe/Moscow', n % $2 <> 0,
               encode(sha256(convert_to('c-' || n || '@customers.example', 'UTF8')), 'hex'), 'standard'
          FROM generate_series(1, $1::int) AS n)
    INSERT INTO answers (response_id, revision, customer_id, program, answered_at, themes)
    SELECT 'r-' || n, 1, 'c-' || n, 'drill', now() - make_interval(days => n % 60), '{waiting}'
      FROM generate_series(1, $1::int) AS n
"""
_INITIATIVE: Final = """
    INSERT INTO initiatives (initiative_id, version, title, root_causes, themes, department_id, learned, changed,
                             shipped_at)
    VALUES ('i-1', 4, 'Call back', '{}', '{waiting}', 'service', 'You waited.', 'We call back.', now())
"""
_IN_FLIGHT: Final = "SELECT replace(id::text, '-', '') AS id FROM messages WHERE status IN ('sending', 'transmitting')"
_OPEN: Final = """
    SELECT (SELECT count(*) FROM messages WHERE status IN ('waiting', 'queued', 'sending', 'transmitting', 'doubtful'))
         + (SELECT count(*) FROM outbox)
         + (SELECT count(*) FROM campaigns WHERE status <> 'completed') AS open
"""
_TEXT: Final = {
    "subject": "Вы ждали на линии – теперь мы перезваниваем",
    "about": "ожидание на линии",
    "learned": "Каждый третий звонок ждал дольше пяти минут.\n\nБольше всего – по понедельникам.",
    "changed": "Если мы не ответили за минуту, мы перезваниваем сами.",
    "next_steps": "Летом так же будет в чате.",
}


@dataclass(slots=True)
class Outcome:
    """What both sides say after the drill."""

    seed: int
    audience: int
    allowed: int
    """Of the audience: those who agreed to mail."""
    kills: int = 0
    troubles: dict[str, int] = field(default_factory=dict)
    in_flight_at_kills: int = 0
    received: int = 0
    distinct: int = 0
    doubtful_listed: int = 0
    """Each was settled afterwards."""
    took_s: float = 0.0
    peak_mb: int = 0
    """Of notify's memory, over all its lives."""
    broken: list[Broken] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For people and for a file."""
        return {**asdict(self), "took_s": round(self.took_s, 1), "broken": [str(each) for each in self.broken]}


class Drill:
    """One campaign, from the first mail to the last doubt."""

    def __init__(self, stage: Stage, *, mails: int, kills: int, seed: int, tell: Callable[[str], None]) -> None:
        self._stage = stage
        self._mails = mails
        self._kills = kills
        self._random = Random(f"drill {seed}")  # noqa: S311 - it is to be repeatable
        self._tell = tell
        self._streams = Streams(stage.servers.bootstrap_servers, stage.names)
        self._in_flight: set[str] = set()
        self._outcome = Outcome(seed, audience=mails, allowed=mails - mails // _NO_CONSENT)

    async def run(self) -> Outcome:
        """Play it, and compare."""
        stage = self._stage
        stage.surroundings["notify"] = {"NOTIFY_SMTP_CONNECTIONS": str(_CONNECTIONS)}
        await stage.prepare()
        connection = await asyncpg.connect(stage.dsn("notify"))
        watching = asyncio.create_task(self._watch_memory(), name="memory")
        try:
            await self._streams.open()
            await connection.execute(_PEOPLE, self._mails, _NO_CONSENT)
            await connection.execute(_INITIATIVE)
            await connection.execute("ANALYZE profiles, answers")
            await stage.start()
            async with httpx.AsyncClient(
                base_url=stage.url("notify"),
                headers={"Authorization": f"Bearer {stage.keys['notify']}"},
                timeout=60.0,
                trust_env=False,
            ) as client:
                campaign_id = await _begin(client)
                began = time.monotonic()
                await self._on_the_way(connection)
                self._tell("nothing more goes wrong")
                await self._until(lambda: _is_over(connection), "it is never over")
                self._outcome.took_s = time.monotonic() - began
                self._tell("counting")
                await self._compare(client, campaign_id)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await connection.close()
            await stage.stop()
            await self._streams.close()
        return self._outcome

    async def _on_the_way(self, connection: Any) -> None:  # noqa: ANN401 - asyncpg publishes no types
        allowed = self._outcome.allowed
        acts: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            ("kill", partial(self._kill, connection))
        ] * self._kills
        for _ in range(_TROUBLES_A_KILL * self._kills):
            trick, mode = self._random.choice(_TRICKS), self._random.choice(_MODES)
            acts += [(trick, partial(self._trick, trick)), (f"line {mode}", partial(self._trouble_line, mode))]
        self._random.shuffle(acts)
        goals = sorted(int(self._random.uniform(0.01, 0.97) * allowed) for _ in acts)
        for goal, (what, act) in zip(goals, acts, strict=True):
            await self._until(partial(self._has_received, goal), f"stuck before {goal} mails")
            await act()
            self._outcome.troubles[what] = self._outcome.troubles.get(what, 0) + 1

    async def _kill(self, connection: Any) -> None:  # noqa: ANN401 - asyncpg publishes no types
        process = self._stage.services["notify"]
        process.send(signal.SIGKILL)
        await process.ended()
        in_flight = {row["id"] for row in await connection.fetch(_IN_FLIGHT)}
        self._in_flight |= in_flight
        self._outcome.kills += 1
        self._outcome.in_flight_at_kills += len(in_flight)
        received = len(self._stage.sink.kept)
        self._tell(f"kill {self._outcome.kills} after {received} mails, {len(in_flight)} in flight")
        await process.until_ready()

    async def _trick(self, trick: Trick) -> None:
        self._stage.sink.play([trick] * self._random.randint(1, 3))

    async def _trouble_line(self, mode: Mode) -> None:
        link = self._stage.mail_link
        link.become(mode, seconds=self._random.uniform(0.01, 0.1), bytes_per_second=self._random.uniform(50e3, 500e3))
        await asyncio.sleep(self._random.uniform(0.3, 2.0))
        link.heal()

    async def _has_received(self, goal: int) -> bool:
        return len(self._stage.sink.kept) >= goal

    async def _until(self, holds: Callable[[], Awaitable[bool]], complaint: str) -> None:
        """Wait for it, as long as mails come; raises TimeoutError when nothing has come for long."""
        received, since = -1, time.monotonic()
        while not await holds():
            if (now := len(self._stage.sink.kept)) != received:
                received, since = now, time.monotonic()
            if time.monotonic() - since > _STUCK_S:
                raise TimeoutError(f"{complaint}: {received} mails were received")
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _watch_memory(self) -> None:
        while True:
            try:
                present = memory_mb(self._stage.services["notify"].pid, peak=True)
            except (OSError, ProcessFailed, StopIteration):
                present = 0  # it was killed this moment, or does not run yet
            self._outcome.peak_mb = max(self._outcome.peak_mb, present)
            await asyncio.sleep(0.2)

    async def _compare(self, client: httpx.AsyncClient, campaign_id: str) -> None:
        outcome, findings = self._outcome, Findings()
        allowed = {
            _message(campaign_id, number): number for number in range(1, self._mails + 1) if number % _NO_CONSENT
        }
        arrived = Counter(mail.message_id for mail in self._stage.sink.kept)
        addresses = {mail.message_id: mail.recipient for mail in self._stage.sink.kept}
        outcome.received, outcome.distinct = arrived.total(), len(arrived)
        findings.same(3, "customers who may be told, and mails received", allowed, arrived)
        findings.none(
            3,
            "mails at another address",
            (each for each, at in addresses.items() if at != f"c-{allowed.get(each)}@customers.example"),
        )
        listed = await _recipients(client, campaign_id)
        everybody = {f"customer:c-{number}" for number in range(1, self._mails + 1)}
        findings.same(3, "the audience and the recipients over HTTP", everybody, (each["recipient"] for each in listed))
        findings.none(
            3,
            "recipients whose fate is not what the mail server says",
            (
                each
                for each in listed
                if each["status"] != ("sent" if UUID(each["message_id"]).hex in arrived else "suppressed")
            ),
        )
        await self._streams.read_on()
        ends: Counter[str] = Counter()
        doubtful: set[str] = set()
        completed: Counter[str] = Counter()
        for event_id, record in {each.event_id: each for each in self._streams.records}.items():
            if record.topic != "notify.messages":
                continue
            payload = payload_of(record)
            if record.type == "campaign.completed.v1":
                completed[event_id] += 1
            elif payload.get("doubtful"):
                doubtful.add(UUID(payload["message_id"]).hex)
            elif record.type in ("message.sent.v1", "message.suppressed.v1", "message.failed.v1"):
                ends[UUID(payload["message_id"]).hex] += 1
        outcome.doubtful_listed = len(doubtful)
        due = (_message(campaign_id, number) for number in range(1, self._mails + 1))
        findings.same(3, "recipients, and the events of their ends", due, ends)
        findings.none(3, "recipients whose end was told twice", (each for each, count in ends.items() if count > 1))
        findings.none(3, "completions that were told", () if completed.total() == 1 else [completed.total()])
        twice = {each for each, count in arrived.items() if count > 1}
        findings.none(3, "mails received twice that were not in flight at a kill", twice - self._in_flight)
        findings.none(3, "mails received twice that were never listed as doubtful", twice - doubtful)
        outcome.broken = findings.broken


async def _begin(client: httpx.AsyncClient) -> str:
    plan = {
        "name": "Drill",
        "initiative_ids": ["i-1"],
        "audience": {"customers": {"which": "respondents", "programs": ["drill"]}},
        "content": {"ru": _TEXT, "en": _TEXT},
        "per_minute": 1_000_000,
    }
    draft = (await client.post("/v1/campaigns", json=plan, headers=_AUTHOR)).raise_for_status().json()
    path = f"/v1/campaigns/{draft['id']}"
    (await client.post(f"{path}/approve", json={}, headers=_APPROVER)).raise_for_status()
    (await client.post(f"{path}/start", json={}, headers=_AUTHOR)).raise_for_status()
    return str(draft["id"])


async def _is_over(connection: Any) -> bool:  # noqa: ANN401 - asyncpg publishes no types
    return bool(await connection.fetchval(_OPEN) == 0)


async def _recipients(client: httpx.AsyncClient, campaign_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        params = {"limit": "200", **({} if cursor is None else {"cursor": cursor})}
        answer = await client.get(f"/v1/campaigns/{campaign_id}/recipients", params=params, headers=_AUTHOR)
        page = answer.raise_for_status().json()
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def _message(campaign_id: str, number: int) -> str:
    return uuid5(UUID(campaign_id), f"message/customer:c-{number}").hex


async def _main(given: argparse.Namespace) -> Outcome:
    folder = Path(tempfile.mkdtemp(prefix="otklik-"))
    servers = Servers(folder / "servers")
    try:
        await servers.start()
        stage = Stage(folder / "stage", servers, services=("notify",), tree=copy_tree(folder / "tree"), sink=QuickSink)
        began = time.monotonic()

        def tell(what: str) -> None:
            sys.stdout.write(f"{time.monotonic() - began:7.1f} s  {what}\n")
            sys.stdout.flush()

        return await Drill(stage, mails=given.mails, kills=given.kills, seed=given.seed, tell=tell).run()
    finally:
        await servers.stop()
        if not given.keep:
            shutil.rmtree(folder)


def main() -> None:
    """Read the command line, play, print; status 1 where somebody got no mail, or two."""
    parser = argparse.ArgumentParser(prog="python -m faults.drill", description=__doc__)
    parser.add_argument("--mails", type=int, default=MAILS, help="how many people the audience has")
    parser.add_argument("--kills", type=int, default=KILLS, help="how often the sender is killed")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--keep", action="store_true", help="keep the logs and data")
    given = parser.parse_args()
    # A polite end from outside is taken like Ctrl-C: everything that was started is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        outcome = runner.run(_main(given))
    sys.stdout.write(json.dumps(outcome.as_json(), indent=2) + "\n")
    sys.exit(1 if outcome.broken else 0)


if __name__ == "__main__":
    main()
