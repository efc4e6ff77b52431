"""Looking at what was kept: deliveries page by page, one with its bytes, and those that a replay is to take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

from services.ingest.domain.deliveries import Status
from services.ingest.store.reasons import told

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Row

    from libs.events.database import Tx
    from services.ingest.domain.deliveries import Via


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """A delivery as it is kept, without its bytes and headers."""

    id: UUID
    source: str
    via: Via
    key: str
    conflicting: bool
    size: int
    content_type: str
    received_at: datetime
    status: Status
    reason: str | None
    why: Mapping[str, Any] | None
    response_id: UUID | None
    event_ids: tuple[UUID, ...]
    copies: int
    replayed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Contents:
    """A delivery with what it consisted of. `headers` is JSON."""

    delivery: StoredDelivery
    body: bytes
    headers: str


_PAGE: Final = text("""
    SELECT id, source, via, delivery_key, conflict <> '' AS conflicting, octet_length(body) AS size, content_type,
           received_at, status, reason, CAST(why AS text) AS why, response_id, event_ids, copies, replayed_at
      FROM deliveries
     WHERE (CAST(:before AS uuid) IS NULL OR id < :before)
     ORDER BY id DESC
     LIMIT :limit
""")

_PAGE_OF_SOURCE: Final = text("""
    SELECT id, source, via, delivery_key, conflict <> '' AS conflicting, octet_length(body) AS size, content_type,
           received_at, status, reason, CAST(why AS text) AS why, response_id, event_ids, copies, replayed_at
      FROM deliveries
     WHERE source = :source
       AND (CAST(:before AS uuid) IS NULL OR id < :before)
       AND (CAST(:status AS text) IS NULL OR status = :status)
     ORDER BY id DESC
     LIMIT :limit
""")

# The condition on what was accepted is there for the planner: it is the condition of the index.
_PAGE_TO_LOOK_AT: Final = text("""
    SELECT id, source, via, delivery_key, conflict <> '' AS conflicting, octet_length(body) AS size, content_type,
           received_at, status, reason, CAST(why AS text) AS why, response_id, event_ids, copies, replayed_at
      FROM deliveries
     WHERE status <> 'accepted' AND status = :status
       AND (CAST(:source AS text) IS NULL OR source = :source)
       AND (CAST(:before AS uuid) IS NULL OR id < :before)
     ORDER BY id DESC
     LIMIT :limit
""")

_PAGE_ACCEPTED: Final = text("""
    SELECT id, source, via, delivery_key, conflict <> '' AS conflicting, octet_length(body) AS size, content_type,
           received_at, status, reason, CAST(why AS text) AS why, response_id, event_ids, copies, replayed_at
      FROM deliveries
     WHERE status = 'accepted' AND (CAST(:before AS uuid) IS NULL OR id < :before)
     ORDER BY id DESC
     LIMIT :limit
""")

_CONTENTS: Final = text("""
    SELECT id, source, via, delivery_key, conflict <> '' AS conflicting, octet_length(body) AS size, content_type,
           received_at, status, reason, CAST(why AS text) AS why, response_id, event_ids, copies,
           replayed_at, body, headers
      FROM deliveries
     WHERE id = :id
""")

# Oldest first, as they came. A body that lost against the first with its id stays out: the first wins for good.
_TO_REPLAY: Final = text("""
    SELECT id, source, via, delivery_key, conflict <> '' AS conflicting, octet_length(body) AS size, content_type,
           received_at, status, reason, CAST(why AS text) AS why, response_id, event_ids, copies,
           replayed_at, body, headers
      FROM deliveries
     WHERE conflict = ''
       AND body <> ''
       AND status = :status
       AND (CAST(:source AS text) IS NULL OR source = :source)
       AND (CAST(:after AS uuid) IS NULL OR id > :after)
       AND (CAST(:from AS timestamptz) IS NULL OR received_at >= :from)
       AND (CAST(:to AS timestamptz) IS NULL OR received_at < :to)
     ORDER BY id
     LIMIT :limit
""")


async def page(
    tx: Tx, *, status: Status | None, source: str | None, before: UUID | None, limit: int
) -> Sequence[StoredDelivery]:
    """The newest deliveries that fit, older than `before`."""
    if status is not None and status is not Status.ACCEPTED:
        statement = _PAGE_TO_LOOK_AT
    elif source is not None:
        statement = _PAGE_OF_SOURCE
    else:
        statement = _PAGE if status is None else _PAGE_ACCEPTED
    wanted = {"status": status, "source": source, "before": before, "limit": limit}
    bound = {name: wanted[name] for name in statement.compile().params}
    return [_delivery(row) for row in await tx.fetch(statement, bound)]


async def contents(tx: Tx, id_: UUID) -> Contents | None:
    """One delivery with its bytes."""
    row = await tx.fetch_one(_CONTENTS, {"id": id_})
    return None if row is None else Contents(_delivery(row), row.body, row.headers)


async def to_replay(
    tx: Tx,
    *,
    status: Status,
    source: str | None,
    received_from: datetime | None,
    received_to: datetime | None,
    after: UUID | None,
    limit: int,
) -> Sequence[Contents]:
    """The oldest deliveries that fit, newer than `after`, with their bytes."""
    rows = await tx.fetch(
        _TO_REPLAY,
        {
            "status": status.value,
            "source": source,
            "from": received_from,
            "to": received_to,
            "after": after,
            "limit": limit,
        },
    )
    return [Contents(_delivery(row), row.body, row.headers) for row in rows]


def _delivery(row: Row[Any]) -> StoredDelivery:
    return StoredDelivery(
        id=row.id,
        source=row.source,
        via=row.via,
        key=row.delivery_key,
        conflicting=row.conflicting,
        size=row.size,
        content_type=row.content_type,
        received_at=row.received_at,
        status=Status(row.status),
        reason=row.reason,
        why=told(row.why),
        response_id=row.response_id,
        event_ids=tuple(row.event_ids),
        copies=row.copies,
        replayed_at=row.replayed_at,
    )
