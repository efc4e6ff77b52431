"""Looks on from outside while it runs: what must hold at any moment, when it has recovered, when it is at rest."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final
from uuid import UUID

from confluent_kafka import KafkaException

from faults.evidence import fate_due, place_id
from faults.tables import WAITING
from faults.verdicts import Broken, Findings
from libs.events.topics import TOPICS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from faults.files import Files
    from faults.load import Sender
    from faults.people import People
    from faults.stage import Stage
    from faults.streams import Streams, Told
    from faults.tables import Tables

_LOOK_EVERY_S: Final = 0.4
_OLDER: Final = "SELECT count(*) FROM outbox WHERE emitted_at < $1"
_UNSETTLED: Final = """
    SELECT count(*) FROM messages
     WHERE status IN ('queued', 'sending', 'transmitting', 'doubtful') AND created_at < $1
"""
_AT_WORK: Final = (
    ("ingest", "fetches", "announced responses that were not fetched"),
    ("scoring", "comments", "taxonomies by which comments are being read anew"),
    ("scoring", "tiers", "customers whose tier is by older rules"),
    ("notify", "messages", "messages without an end"),
    ("notify", "campaigns", "campaigns that are not over"),
    ("notify", "hooks", "web hooks that nobody has received"),
    ("casework", "clocks", "clocks that fire now or soon"),
    ("casework", "callbacks", "callbacks that are missed, or climb, soon"),
)
"""What may be waiting, by service and by its name among `WAITING`."""
_KEPT: Final = "SELECT id, encode(body_hash, 'hex') AS hash FROM deliveries WHERE id = ANY($1::uuid[])"
_TWO_CASES: Final = "SELECT opening_response_id FROM cases GROUP BY 1 HAVING count(*) > 1"
_TWO_OPEN: Final = (
    "SELECT customer_id FROM cases WHERE status <> 'closed' AND customer_id IS NOT NULL GROUP BY 1 HAVING count(*) > 1"
)
_TWICE_TOLD: Final = "SELECT event_id FROM events GROUP BY 1 HAVING count(*) > 1"
_DONE: Final = "SELECT event_id, consumer FROM inbox WHERE event_id = ANY($1::uuid[])"


class NotRecovered(Exception):
    """Something is still waiting when the bound is over; the message says what."""


class Watch:
    """The look from outside. What was checked once is not checked again by the quick look."""

    def __init__(
        self, stage: Stage, tables: Tables, streams: Streams, sender: Sender, people: People, files: Files
    ) -> None:
        self._stage = stage
        self._tables = tables
        self._streams = streams
        self._sender = sender
        self._people = people
        self._files = files
        self._receipts = 0
        self._odd: set[str] = set()
        self._unchecked: list[tuple[str, Told]] = []
        self._noted = 0

    async def quick(self) -> list[Broken]:
        """What must hold at any moment, under load too."""
        findings = Findings()
        await self._accepted_are_kept(findings)
        await self._offsets_are_behind(findings)
        names = self._stage.names
        if "casework" in names:
            rows = await self._tables.rows("casework", _TWO_CASES)
            findings.none(3, "responses with more than one case", (row["opening_response_id"] for row in rows))
            rows = await self._tables.rows("casework", _TWO_OPEN)
            findings.none(3, "customers with more than one open case", (row["customer_id"] for row in rows))
        if "portal" in names:
            rows = await self._tables.rows("portal", _TWICE_TOLD)
            findings.none(3, "events that are twice in the portal's stream", (row["event_id"] for row in rows))
        findings.all_once(3, "mails that were received twice", (mail.message_id for mail in self._stage.sink.kept))
        odd = [*self._sender.log.odd, *self._people.odd, *self._files.odd]
        findings.none(8, "answers that nobody should get", set(odd) - self._odd)
        self._odd |= set(odd)
        return findings.broken

    async def recovered(self, bound_s: float, *, mails: bool) -> str:
        """Return when nothing older than this call waits anywhere, stage by stage; what took longest."""
        waits: dict[str, float] = {}
        deadline = time.monotonic() + bound_s
        began = datetime.now(UTC)
        try:
            async with asyncio.timeout(bound_s):
                await self._stage.ready()
        except TimeoutError:
            raise NotRecovered(f"not ready: {'; '.join(await self._stage.unready())}") from None
        waits["a service is not ready"] = time.monotonic() - deadline + bound_s
        for service in (name for name in ("ingest", "scoring", "casework", "notify") if name in self._stage.names):
            moment = datetime.now(UTC)
            await _until(partial(self._older, service, moment), deadline, f"{service}'s outbox is not published", waits)
            topics = [topic.name for topic in TOPICS if topic.producer == service]
            ends = await self._streams.ends(topics)
            await _until(partial(self._lag, ends), deadline, f"what {service} published is not read", waits)
        if mails and "notify" in self._stage.names:
            await _until(
                lambda: self._tables.value("notify", _UNSETTLED, began), deadline, "messages have no end", waits
            )
        longest = max(waits, key=lambda wait: waits[wait])
        return f"{longest} for {waits[longest]:.1f} s"

    async def rest(self, bound_s: float) -> list[str]:
        """Wait until nothing waits anywhere, twice in a row; what is still waiting when the bound is over."""
        deadline = time.monotonic() + bound_s
        quiet = 0
        while True:
            waiting = await self._waiting()
            quiet = 0 if waiting else quiet + 1
            if quiet > 1 or time.monotonic() > deadline:
                return waiting
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _waiting(self) -> list[str]:
        unpublished = {name: await self._tables.value(name, WAITING["outbox"]) for name in self._stage.names}
        found = [f"{count} rows in the outbox of {name}" for name, count in unpublished.items() if count]
        for service, name, what in _AT_WORK:
            if service in self._stage.names and (count := await self._tables.value(service, WAITING[name])):
                found.append(f"{count} {what}")
        ends = await self._streams.ends(topic.name for topic in TOPICS)
        if lag := await self._lag(ends):
            found.append(f"{lag} records not committed by their consumers")
        return found

    async def _older(self, service: str, moment: datetime) -> int:
        return int(await self._tables.value(service, _OLDER, moment))

    async def _lag(self, ends: dict[tuple[str, int], int]) -> int:
        try:
            committed = await self._streams.committed()
        except KafkaException:
            return -1
        lag = 0
        for consumer, topic in self._streams.consumers:
            for (name, partition), end in ends.items():
                if name == topic.name:
                    begin = self._streams.begin[name, partition]
                    lag += max(0, end - max(begin, committed.get((consumer, name, partition), begin)))
        return lag

    async def _accepted_are_kept(self, findings: Findings) -> None:
        new = self._sender.log.receipts[self._receipts :]
        self._receipts += len(new)
        if not new:
            return
        findings.none(
            1,
            "not understood, though there is nothing wrong with it",
            (r.delivery.id for r in new if r.delivery.kind != "nonsense" and r.status == "quarantined"),
        )
        rows = await self._tables.rows("ingest", _KEPT, [UUID(receipt.delivery_id) for receipt in new])
        kept = {(str(row["id"]), row["hash"]) for row in rows}
        findings.none(
            1,
            "answered 202 and not kept",
            (f"{r.delivery.id} ({r.delivery_id})" for r in new if (r.delivery_id, r.delivery.hash) not in kept),
        )

    async def _offsets_are_behind(self, findings: Findings) -> None:
        """Offsets first, then the records below them, then what was done: in this order nothing can look too far."""
        try:
            committed = await self._streams.committed()
            await self._streams.read_on()
        except (KafkaException, TimeoutError):
            return  # the broker is away at this moment: the next look sees the same records
        new = self._streams.records[self._noted :]
        self._noted += len(new)
        self._unchecked += [
            (consumer, record)
            for record in new
            for consumer, topic in self._streams.consumers
            if topic.name == record.topic
        ]
        passed = [
            (consumer, record)
            for consumer, record in self._unchecked
            if committed.get((consumer, record.topic, record.partition), 0) > record.offset
        ]
        if not passed:
            return
        done = await self._done(passed)
        findings.none(
            4,
            "committed offsets that passed what was not done",
            (
                f"{consumer} at {record.place} {record.type} {record.event_id}"
                for consumer, record in passed
                if fate_due(record, consumer) != "skipped" and not _is_done(consumer, record, done)
            ),
        )
        gone = {(consumer, record.place) for consumer, record in passed}
        self._unchecked = [each for each in self._unchecked if (each[0], each[1].place) not in gone]

    async def _done(self, passed: list[tuple[str, Told]]) -> set[tuple[UUID, str]]:
        wanted: dict[str, set[UUID]] = {}
        for consumer, record in passed:
            ids = wanted.setdefault(consumer.partition(".")[0], set())
            ids.add(place_id(record))
            if (id_ := _uuid(record.event_id)) is not None:
                ids.add(id_)
        done: set[tuple[UUID, str]] = set()
        for service, ids in wanted.items():
            rows = await self._tables.rows(service, _DONE, list(ids))
            done |= {(row["event_id"], row["consumer"]) for row in rows}
        return done


def _is_done(consumer: str, record: Told, done: set[tuple[UUID, str]]) -> bool:
    id_ = _uuid(record.event_id)
    return (id_ is not None and (id_, consumer) in done) or (place_id(record), f"{consumer}.dlq") in done


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


async def _until(look: Callable[[], Awaitable[int]], deadline: float, complaint: str, waits: dict[str, float]) -> None:
    """Look until there is nothing left, and note how long that took; or raise NotRecovered."""
    began = time.monotonic()
    while left := await look():
        if time.monotonic() > deadline:
            raise NotRecovered(f"{complaint}: {left}")
        await asyncio.sleep(_LOOK_EVERY_S)
    waits[complaint] = time.monotonic() - began
