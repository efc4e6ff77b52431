"""Where a consumer goes on reading when its offset is gone or out of range: aloud, and never past a record.

    no offset, partition never begun     from the beginning, quietly: a new group, or a new partition
    no offset, partition begun before    from the earliest record, aloud: expired, deleted, or the topic was made anew
    offset before the earliest record    from there, aloud: what was between was deleted unread
    offset behind the last record        from the earliest record, aloud: the topic was made anew or cut short

Read from too early, records are found in the inbox; read from too late, they would be lost. So it is never the latest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import structlog
from sqlalchemy import text

from libs.events.telemetry import OFFSETS_LOST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from libs.events.database import Database

log: Final = structlog.get_logger()

Place = tuple[str, int]
"""A topic and one of its partitions."""
Reason = Literal["missing", "truncated", "beyond_end"]

_BEFORE: Final = text("SELECT topic, partition FROM begun WHERE consumer = :consumer")
_NOTE: Final = text("""
    INSERT INTO begun (consumer, topic, partition, begun_at)
    SELECT :consumer, topic, partition, :now
      FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS integer[])) AS taken (topic, partition)
     ORDER BY topic, partition
        ON CONFLICT DO NOTHING
""")


class Begun:
    """The partitions that a consumer has begun to read, as its service's own database remembers."""

    def __init__(self, consumer: str, database: Database) -> None:
        self._consumer = consumer
        self._database = database

    async def before(self) -> frozenset[Place]:
        """All partitions that were ever begun."""
        async with self._database.reading() as tx:
            rows = await tx.fetch(_BEFORE, {"consumer": self._consumer})
        return frozenset((row.topic, row.partition) for row in rows)

    async def note(self, places: Iterable[Place]) -> None:
        """Remember `places`. Each has a committed offset by now, so that a missing one is a lost one from here on."""
        taken = sorted(places)
        async with self._database.transaction() as tx:
            await tx.execute(
                _NOTE,
                {
                    "consumer": self._consumer,
                    "topics": [topic for topic, _ in taken],
                    "partitions": [partition for _, partition in taken],
                    "now": tx.now,
                },
            )


def lost(group: str, place: Place, *, offset: int | None, earliest: int) -> None:
    """Tell operators that the offset of `group` was of no use, and that it goes on at `earliest`."""
    reason: Reason = "missing" if offset is None else "truncated" if offset < earliest else "beyond_end"
    topic, partition = place
    OFFSETS_LOST.labels(group, reason).inc()
    log.error(
        "offsets.lost",
        consumer=group,
        topic=topic,
        partition=partition,
        reason=reason,
        from_offset=offset,
        to_offset=earliest,
        skipped=earliest - offset if offset is not None and reason == "truncated" else 0,
    )
