"""Everything that is known at one moment: the logs of the harness, the tables, the lists over HTTP, the topics."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import TYPE_CHECKING, Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

from faults.poison import POISON, UNKNOWN, mark_of
from faults.subscribers import TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from faults.deliveries import Content
    from faults.files import Files
    from faults.hooksink import EndPoint, HookSink
    from faults.load import SendersLog
    from faults.mailsink import MailSink
    from faults.people import People
    from faults.stage import Stage
    from faults.streams import Streams, Told
    from faults.tables import Tables
    from faults.thin import ThinVendor

Rows = list["Mapping[str, Any]"]

_TABLES: Final[Mapping[str, tuple[str, str]]] = {
    "deliveries": (
        "ingest",
        "SELECT id, source, via, delivery_key, encode(body_hash, 'hex') AS hash, status, reason FROM deliveries",
    ),
    "revised": ("ingest", "SELECT id, vendor_response_id, revision FROM responses"),
    "scored": (
        "scoring",
        """
        SELECT id, vendor_response_id, revision, score, comment, customer_id, nps_class, withdrawn, themes
          FROM responses
        """,
    ),
    "customers": ("scoring", "SELECT id, version, name, tier FROM customers"),
    "invitations": ("scoring", "SELECT id, customer_id, response_id, silence, judged_at FROM invitations"),
    "answers": (
        "casework",
        "SELECT response_id, revision, score, comment, customer_id, nps_class, case_id, waits_for_owner FROM answers",
    ),
    "cases": ("casework", "SELECT * FROM cases"),
    "timeline": (
        "casework",
        """
        SELECT case_id, version, kind, at, actor_kind, details ->> 'reason' AS reason,
               details ->> 'at_the_top' AS at_the_top
          FROM timeline ORDER BY case_id, version
        """,
    ),
    "callbacks": ("casework", "SELECT id, case_id, at, state, settled_at, fires_at FROM callbacks"),
    "known_customers": ("casework", "SELECT customer_id, version, name FROM customers WHERE name IS NOT NULL"),
    "initiatives": ("casework", "SELECT id, campaign_id, communicated_at FROM initiatives"),
    "messages": ("notify", "SELECT id, cause_id, recipient, kind, status, reason, bounce, address_mark FROM messages"),
    "suppressions": ("notify", "SELECT id, mark, reason, until, removed_at FROM suppressions"),
    "profiles": ("notify", "SELECT customer_id, version, name FROM profiles"),
    "stream": ("portal", "SELECT event_id, type FROM events"),
    "steps": ("portal", "SELECT step, sum(n) AS n FROM daily_counts GROUP BY step"),
}
_TAKES: Final = {
    # What is subscribed to, and whom to forget.
    "notify.hooks": ("customer.erased.", *TYPES),
    "scoring.messages": ("customer.subscribed.", "customer.unsubscribed."),
    "notify.callbacks": ("case.assigned.", "case.callback.", "case.contacted.", "customer.erased."),
}
"""Consumers that pass over, undecoded, what is not their business, and how the types begin that are."""
_AHEAD: Final = timedelta(days=9)
_SEARCHES: Final = """
    SELECT tablename, format('SELECT count(*) FROM %I AS searched WHERE searched::text LIKE $1', tablename) AS search
      FROM pg_tables
     WHERE schemaname = current_schema()
"""
"""By table, what counts its rows that hold a text anywhere."""
_INBOX: Final = "SELECT event_id, consumer FROM inbox"


@dataclass(frozen=True, slots=True)
class Said:
    """What everybody outside has said and was answered."""

    log: SendersLog
    people: People
    thin: ThinVendor
    files: Files

    def latest(self) -> dict[str, Content]:
        """The latest content of each response: of what was answered 202, stands at the API, or is in a file."""
        parts: dict[str, list[Content]] = defaultdict(list)
        latest: dict[str, Content] = {}
        for receipt in self.log.receipts:
            content = receipt.delivery.content
            if content is None:
                continue
            if receipt.delivery.kind == "part":
                parts[content.response].append(content)
            elif content.response not in latest or latest[content.response].updated_at < content.updated_at:
                latest[content.response] = content
        for response, told in parts.items():
            in_order = sorted(told, key=lambda content: content.updated_at)
            latest[response] = reduce(lambda earlier, later: later.under(earlier), in_order)
        return {**latest, **self.thin.contents, **self.files.contents}


@dataclass(slots=True)
class Evidence:
    """A whole picture of the system at rest. Tables and lists of services that do not run here are empty."""

    services: Sequence[str]
    said: Said
    sink: MailSink
    hooks: HookSink
    subscriptions: Mapping[EndPoint, Mapping[str, Any]]
    """As they stand, over HTTP."""
    records: Sequence[Told]
    committed: Mapping[tuple[str, str, int], int]
    tables: Mapping[str, Rows]
    inboxes: Mapping[str, set[tuple[UUID, str]]]
    listed: Mapping[str, set[str]]
    nps: Mapping[str, Any] | None
    campaigns: Mapping[str, tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]]
    """By its id: how a campaign stands, and what became of each of its messages, both over HTTP."""
    callbacks: Sequence[Mapping[str, Any]]
    """Of now and of the days for which customers choose, over HTTP."""
    themes: Sequence[Mapping[str, Any]]
    """Mentions over HTTP."""
    digests: Sequence[Mapping[str, Any]]
    """Over HTTP."""
    traces: Sequence[str]
    """Tables that hold something of somebody who was erased."""
    begun_at: datetime

    def __getitem__(self, table: str) -> Rows:
        return self.tables[table]

    def has(self, *services: str) -> bool:
        """Whether these services run here."""
        return all(service in self.services for service in services)

    def events(self, *topics: str) -> dict[str, Told]:
        """By id: the first record of each event on these topics that the services wrote themselves."""
        first: dict[str, Told] = {}
        for record in self.records:
            if record.topic in topics and not mark_of(record):
                first.setdefault(record.event_id, record)
        return first


async def gather(stage: Stage, tables: Tables, streams: Streams, said: Said) -> Evidence:
    """Take the whole picture."""
    services = stage.names
    begun_at = datetime.now(UTC)
    await streams.read_on()
    rows: dict[str, Rows] = {}
    for name, (service, query) in _TABLES.items():
        rows[name] = await tables.rows(service, query) if service in services else []
    inboxes = {
        service: {(row["event_id"], row["consumer"]) for row in await tables.rows(service, _INBOX)}
        for service in services
    }
    listed: dict[str, set[str]] = {}
    for name, service, path in (
        ("deliveries", "ingest", "/v1/deliveries"),
        ("cases", "casework", "/v1/cases"),
        ("messages", "notify", "/v1/messages"),
        ("suppressions", "notify", "/v1/suppressions"),
    ):
        if service in services:
            listed[name] = {item["id"] for item in await said.people.pages(service, path)}
    nps = await said.people.get("scoring", "/v1/metrics/nps?kind=transactional") if "scoring" in services else None
    themes = (
        await said.people.get("scoring", "/v1/metrics/themes?kind=transactional") if "scoring" in services else None
    )
    campaigns = {
        each.id: (
            await said.people.get("notify", f"/v1/campaigns/{each.id}"),
            await said.people.pages("notify", f"/v1/campaigns/{each.id}/recipients"),
        )
        for each in said.people.campaigns.told
    }
    callbacks = (
        await said.people.pages("casework", "/v1/callbacks", to=(begun_at + _AHEAD).isoformat())
        if "casework" in services
        else []
    )
    subscriptions = {
        name: await said.people.get("notify", f"/v1/subscriptions/{id_}")
        for name, id_ in said.people.subscribers.ids.items()
    }
    traces = [
        f"{service}.{row['tablename']}"
        for service in services
        for row in await tables.rows(service, _SEARCHES)
        if await tables.value(service, row["search"], f"%{said.people.staff.secret}%")
    ]
    return Evidence(
        services=services,
        said=said,
        sink=stage.sink,
        hooks=stage.hooks,
        subscriptions=subscriptions,
        records=list(streams.records),
        committed=await streams.committed(),
        tables=rows,
        inboxes=inboxes,
        listed=listed,
        nps=nps,
        campaigns=campaigns,
        callbacks=callbacks,
        digests=await said.people.get("notify", "/v1/digests") if "notify" in services else [],
        themes=[] if themes is None else themes["items"],
        traces=traces,
        begun_at=begun_at,
    )


def payload_of(record: Told) -> dict[str, Any]:
    """The payload of an event."""
    found: dict[str, Any] = json.loads(record.value or b"{}")
    return found


def place_id(record: Told) -> UUID:
    """The id under which a consumer notes that it set this record aside."""
    return uuid5(NAMESPACE_URL, f"kafka:{record.topic}/{record.partition}/{record.offset}")


def fates(record: Told, consumer: str, inbox: set[tuple[UUID, str]]) -> list[str]:
    """What became of a record with a consumer, by the tables: exactly one is right."""
    found = []
    try:
        if (UUID(record.event_id), consumer) in inbox:
            found.append("handled")
    except ValueError:
        pass  # an id that is none cannot be in the inbox
    if (place_id(record), f"{consumer}.dlq") in inbox:
        found.append("dead-lettered")
    if mark_of(record) == UNKNOWN or _is_left(record, consumer):
        found.append("skipped")
    return found


def fate_due(record: Told, consumer: str) -> str:
    """What must become of a record with a consumer."""
    if _is_left(record, consumer):
        return "skipped"
    return {POISON: "dead-lettered", UNKNOWN: "skipped"}.get(mark_of(record), "handled")


def _is_left(record: Told, consumer: str) -> bool:
    return not record.type.startswith(_TAKES.get(consumer, ""))
