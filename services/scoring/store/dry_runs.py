"""Dry runs of segment rules: asked for, gone through set by set by one worker at a time, kept with what they found."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, cast

import msgspec
from sqlalchemy import text

from libs.events.contracts.scores import Tier
from services.scoring.domain.conditions import Condition, Quantile
from services.scoring.domain.dry_runs import Mover
from services.scoring.domain.segment_documents import as_document
from services.scoring.domain.segments import Valuation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Row

    from libs.events.database import Tx
    from services.scoring.domain.segments import Cuts, Rules

Status = Literal["running", "done", "cancelled", "failed"]
Counts = Counter[tuple[Tier, Tier]]

MOST_RUNNING: Final = 20
"""They share one loop: with more of them, nobody's would come to an end while its rules still matter."""

# One after another, so that they are counted right.
_LOCK: Final = text("SELECT pg_advisory_xact_lock(hashtextextended('scoring.dry_runs', 0))")
_ASK: Final = text("""
    INSERT INTO segment_dry_runs (id, document, rules_version, valuation, asked_at, asked_by, stepped_at)
    SELECT :id, CAST(:document AS jsonb), :rules_version, :valuation, :now, :asked_by, :now
     WHERE (SELECT count(*) FROM segment_dry_runs WHERE status = 'running') < :most
""")
_ANY_RUNNING: Final = text("SELECT EXISTS (SELECT FROM segment_dry_runs WHERE status = 'running') AS running")
# The one whose last step is longest ago, so that a long one lets others pass.
_CLAIM: Final = text("""
    SELECT id, CAST(document AS text) AS document, CAST(cuts AS text) AS cuts, reached, CAST(counts AS text) AS counts
      FROM segment_dry_runs
     WHERE status = 'running'
     ORDER BY stepped_at, id
     LIMIT 1
       FOR UPDATE SKIP LOCKED
""")
_BEGIN: Final = text("""
    UPDATE segment_dry_runs
       SET cuts = CAST(:cuts AS jsonb), customers = (SELECT count(*) FROM customers), stepped_at = :now
     WHERE id = :id
""")
_ADVANCE: Final = text("""
    UPDATE segment_dry_runs
       SET reached = CASE WHEN :done THEN '' ELSE :reached END, seen = :seen, counts = CAST(:counts AS jsonb),
           status = CASE WHEN :done THEN 'done' ELSE 'running' END, stepped_at = :now,
           ended_at = CASE WHEN :done THEN CAST(:now AS timestamptz) END
     WHERE id = :id
""")
_NAME_MOVERS: Final = text("""
    INSERT INTO segment_dry_run_movers (run_id, customer_id, from_tier, to_tier, reason, facts)
    SELECT :id, customer_id, from_tier, to_tier, reason, CAST(facts AS jsonb)
      FROM unnest(CAST(:customer_ids AS text[]), CAST(:from_tiers AS text[]), CAST(:to_tiers AS text[]),
                  CAST(:reasons AS text[]), CAST(:facts AS text[]))
           AS found (customer_id, from_tier, to_tier, reason, facts)
        ON CONFLICT DO NOTHING
""")
_END: Final = text("""
    UPDATE segment_dry_runs SET status = :status, failure = :failure, reached = '', ended_at = :now
     WHERE id = :id AND status = 'running'
""")
_FORGET_MOVERS: Final = text("DELETE FROM segment_dry_run_movers WHERE run_id = :id")
_FIND: Final = text("""
    SELECT id, CAST(document AS text) AS document, rules_version, valuation, asked_at, asked_by, status,
           CAST(cuts AS text) AS cuts, customers, seen, CAST(counts AS text) AS counts, failure, ended_at
      FROM segment_dry_runs
     WHERE id = :id
""")
_LATEST: Final = text("""
    SELECT id, CAST(document AS text) AS document, rules_version, valuation, asked_at, asked_by, status,
           CAST(cuts AS text) AS cuts, customers, seen, CAST(counts AS text) AS counts, failure, ended_at
      FROM segment_dry_runs
     WHERE (asked_at, id) < (:before, :id)
     ORDER BY asked_at DESC, id DESC
     LIMIT :limit
""")
_MOVERS: Final = text("""
    SELECT customer_id, from_tier, to_tier, reason, CAST(facts AS text) AS facts
      FROM segment_dry_run_movers
     WHERE run_id = :id
     ORDER BY from_tier, to_tier, customer_id
""")
_FORGET: Final = text("DELETE FROM segment_dry_runs WHERE ended_at < :before")

_read_cuts: Final = msgspec.json.Decoder(list[tuple[Quantile, float | None]]).decode
_read_counts: Final = msgspec.json.Decoder(list[tuple[Tier, Tier, int]]).decode
_read_facts: Final = msgspec.json.Decoder(tuple[Condition, ...]).decode
_read_document: Final = msgspec.json.Decoder(dict[str, Any]).decode


class Claimed(NamedTuple):
    """A dry run that is this transaction's to go on with: behind the customer `reached`."""

    id: UUID
    document: str
    """The rules, as JSON."""
    cuts: str | None
    """Their cut points, as JSON; None before it has begun."""
    reached: str
    counts: Counts


class Run(NamedTuple):
    """How far a dry run has come. Before it has begun, `cuts` and `customers` are None."""

    id: UUID
    document: dict[str, Any]
    rules_version: int
    """Which rules were in force when it was asked for, and by which valuation of them customers had their tiers."""
    valuation: int
    asked_at: datetime
    asked_by: str
    status: Status
    cuts: Cuts | None
    customers: int | None
    """How many there were when it began."""
    seen: int
    counts: Counts
    failure: str | None
    ended_at: datetime | None


async def ask(tx: Tx, id_: UUID, proposed: Rules, *, rules_version: int, valuation: int, asked_by: str) -> bool:
    """Take it up; the loop does it. False where as many as may are going on already."""
    await tx.execute(_LOCK)
    document = msgspec.json.encode(as_document(proposed)).decode()
    asked = {"id": id_, "document": document, "rules_version": rules_version, "valuation": valuation}
    return bool(await tx.execute(_ASK, {**asked, "asked_by": asked_by, "now": tx.now, "most": MOST_RUNNING}))


async def any_running(tx: Tx) -> bool:
    """Whether there is one to go on with."""
    row = await tx.fetch_one(_ANY_RUNNING)
    return row is not None and bool(row.running)


async def claim(tx: Tx) -> Claimed | None:
    """The one that has waited longest and is in no other hands, until the end of `tx`."""
    row = await tx.fetch_one(_CLAIM)
    return None if row is None else Claimed(row.id, row.document, row.cuts, row.reached, _counts(row.counts))


async def begin(tx: Tx, id_: UUID, cuts: Cuts) -> None:
    """Keep where shares begin, and how many customers there are to look at."""
    await tx.execute(_BEGIN, {"id": id_, "cuts": msgspec.json.encode(list(cuts.items())).decode(), "now": tx.now})


async def advance(
    tx: Tx, id_: UUID, counts: Mapping[tuple[Tier, Tier], int], movers: Sequence[Mover], *, reached: str, done: bool
) -> None:
    """Say how far it has come: all that was counted so far, and the movers that were found in this step."""
    if movers:
        facts = [msgspec.json.encode(each.valuation.facts).decode() for each in movers]
        named = {
            "customer_ids": [each.id for each in movers],
            "from_tiers": [each.from_tier for each in movers],
            "to_tiers": [each.valuation.tier for each in movers],
            "reasons": [each.valuation.reason for each in movers],
            "facts": facts,
        }
        await tx.execute(_NAME_MOVERS, {"id": id_, **named})
    counted = msgspec.json.encode([(old, new, n) for (old, new), n in counts.items()]).decode()
    seen = sum(counts.values())
    asked = {"id": id_, "reached": reached, "seen": seen, "counts": counted, "done": done, "now": tx.now}
    await tx.execute(_ADVANCE, asked)


async def cancel(tx: Tx, id_: UUID) -> None:
    """It ends where it is, unless it has ended; what it found so far is forgotten."""
    if await tx.execute(_END, {"id": id_, "status": "cancelled", "failure": None, "now": tx.now}):
        await tx.execute(_FORGET_MOVERS, {"id": id_})


async def fail(tx: Tx, id_: UUID, failure: str) -> None:
    """It ends where it is, with the name of the error."""
    if await tx.execute(_END, {"id": id_, "status": "failed", "failure": failure, "now": tx.now}):
        await tx.execute(_FORGET_MOVERS, {"id": id_})


async def find(tx: Tx, id_: UUID) -> Run | None:
    """How far it has come."""
    row = await tx.fetch_one(_FIND, {"id": id_})
    return None if row is None else _run(row)


async def latest(tx: Tx, *, before: tuple[datetime, UUID], limit: int) -> list[Run]:
    """The latest first, asked for before this place."""
    rows = await tx.fetch(_LATEST, {"before": before[0], "id": before[1], "limit": limit})
    return [_run(row) for row in rows]


async def movers(tx: Tx, id_: UUID) -> list[Mover]:
    """The first movers of each move, but for those who were erased meanwhile."""
    return [
        Mover(row.customer_id, row.from_tier, Valuation(row.to_tier, row.reason, _read_facts(row.facts)))
        for row in await tx.fetch(_MOVERS, {"id": id_})
    ]


async def forget(tx: Tx, before: datetime) -> int:
    """Delete those that ended before; how many."""
    return await tx.execute(_FORGET, {"before": before})


def _counts(written: str) -> Counts:
    return Counter({(old, new): n for old, new, n in _read_counts(written)})


def _run(row: Row[Any]) -> Run:
    return Run(
        row.id,
        _read_document(row.document),
        row.rules_version,
        row.valuation,
        row.asked_at,
        row.asked_by,
        cast("Status", row.status),
        None if row.cuts is None else dict(_read_cuts(row.cuts)),
        row.customers,
        row.seen,
        _counts(row.counts),
        row.failure,
        row.ended_at,
    )
