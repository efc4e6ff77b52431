"""What came back, in the ledger and on the list of addresses that are not written to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from services.notify.domain.messages import Entry, MessageId, Status
from services.notify.store.ledger import entries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from libs.events.contracts.messages import Bounce
    from libs.events.database import Tx
    from services.notify.domain.returns import Report

# What came back had been accepted: that settles a doubt. Worse news replaces better, and the same is no news.
_NOTE: Final = text("""
    WITH told AS (
        SELECT DISTINCT ON (id) * FROM unnest(CAST(:ids AS uuid[]), CAST(:bounces AS text[]), CAST(:codes AS text[]))
               AS told (id, bounce, code)
         ORDER BY id, array_position(ARRAY['complaint', 'hard', 'soft'], bounce)),
         before AS (
        SELECT m.id, m.status, told.bounce, told.code FROM messages m JOIN told ON told.id = m.id
         WHERE m.status IN ('sent', 'doubtful')
           AND (m.bounce IS NULL OR array_position(ARRAY['soft', 'hard', 'complaint'], m.bounce)
                                  < array_position(ARRAY['soft', 'hard', 'complaint'], told.bounce))
         ORDER BY m.id
           FOR UPDATE OF m)
    UPDATE messages m
       SET bounce = b.bounce, status = 'sent', changed_at = CASE WHEN m.status = 'sent' THEN m.changed_at ELSE :now END
      FROM before b WHERE b.id = m.id
 RETURNING m.id, m.cause_id, m.kind, m.case_id, m.customer_id, m.employee_id, m.attempt, m.traceparent, m.bounce,
           m.address_mark, b.code, b.status AS was
""")
_SOFT: Final = text("""
    WITH noted AS (
        INSERT INTO soft_bounces (message_id, mark, at)
        SELECT id, mark, :now FROM unnest(CAST(:ids AS uuid[]), CAST(:marks AS text[])) AS soft (id, mark)
            ON CONFLICT DO NOTHING
     RETURNING mark),
         known AS (
        SELECT mark FROM noted
         UNION ALL
        SELECT mark FROM soft_bounces WHERE mark = ANY(CAST(:marks AS text[])) AND at > :since)
    SELECT mark FROM known GROUP BY mark HAVING count(*) >= :at_most
""")
_UNDER_WAY: Final = text("""
    SELECT EXISTS (SELECT FROM messages WHERE id = ANY(CAST(:ids AS uuid[])) AND status = 'transmitting') AS any
""")
_MARKS: Final = text("SELECT id, address_mark FROM messages WHERE id = ANY(CAST(:ids AS uuid[]))")


@dataclass(frozen=True, slots=True)
class Returned:
    """A message that came back, just noted."""

    entry: Entry
    bounce: Bounce
    code: str
    mark: str | None
    """Of the address that it was sent to."""
    was_doubtful: bool


async def note(tx: Tx, told: Sequence[Report]) -> list[Returned]:
    """Note in the ledger what came back; those of which it was news."""
    rows = await tx.fetch(
        _NOTE,
        {
            "ids": [report.message_id for report in told],
            "bounces": [report.bounce for report in told],
            "codes": [report.code for report in told],
            "now": tx.now,
        },
    )
    return [
        Returned(entry, row.bounce, row.code, row.address_mark, row.was == Status.DOUBTFUL)
        for entry, row in zip(entries(rows), rows, strict=True)
    ]


async def any_under_way(tx: Tx, ids: Sequence[MessageId]) -> bool:
    """Whether of one of these messages nobody has noted yet that it went out."""
    row = await tx.fetch_one(_UNDER_WAY, {"ids": list(ids)})
    return row is not None and bool(row.any)


async def too_soft(tx: Tx, soft: Sequence[Returned], *, within: timedelta, at_most: int) -> set[str]:
    """Count what came back softly; the marks of the addresses where it was too much."""
    counted = [(each.entry.id, each.mark) for each in soft if each.mark is not None]
    if not counted:
        return set()
    parameters = {"ids": [id_ for id_, _ in counted], "marks": [mark for _, mark in counted], "now": tx.now}
    rows = await tx.fetch(_SOFT, {**parameters, "since": tx.now - within, "at_most": at_most})
    return {row.mark for row in rows}


async def marks(tx: Tx, ids: Sequence[MessageId]) -> dict[MessageId, str]:
    """The marks of the addresses that these messages go to."""
    rows = await tx.fetch(_MARKS, {"ids": list(ids)})
    return {MessageId(row.id): row.address_mark for row in rows if row.address_mark is not None}
