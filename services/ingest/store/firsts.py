"""The commonest batch, at the cost of one statement: deliveries, all of them new, of responses that are all new.

That statement finds out by itself whether they are, and is a transaction by itself where nothing else belongs to it.
Among them may be deliveries that bring no response: not understood, or of no effect. What is more than that (conflicts,
revisions, announcements) takes the statements of `services.ingest.store.deliveries`, which do the same piece by piece;
repetitions have a statement of their own in `services.ingest.store.repeated`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from libs.events.database import outgoing
from libs.events.outbox import pack_headers
from services.ingest.domain.deliveries import Status, plan
from services.ingest.domain.publication import event_of, key_of
from services.ingest.store.reasons import stored

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from libs.events.database import Database, Tx
    from services.ingest.domain.deliveries import Arrival, Outcome, Plan

# Rows are one array of rows: as an array for each column they cost the driver twice the time. Responses before
# deliveries, each sorted by its key, as everywhere: the count makes the second wait for the first. OFFSET 0 keeps each
# look-up what it is, one row by its key: as a join it could be planned to go through a table that was empty then.
# Deliveries are not looked for. Who sends one again tells of the same response, which is; where that is new, or there
# is none, and the key is not new, the unique key says so.
_ADD: Final = text("""
    WITH arrived AS MATERIALIZED (
        SELECT *
          FROM unnest(CAST(:rows AS new_delivery[])) WITH ORDINALITY
               AS arrived (id, source, delivery_key, body, body_hash, headers, content_type, received_at, status,
                           reason, why, response_id, event_id, vendor_response_id, customer_id, content_hash,
                           revised_at, topic, partition_key, value, event_headers, place)
    ), known AS MATERIALIZED (
        SELECT EXISTS (
                   SELECT
                     FROM arrived,
                          LATERAL (SELECT FROM responses WHERE responses.id = arrived.response_id OFFSET 0) AS response
               ) AS some
    ), told AS (
        INSERT INTO responses
               (id, source, vendor_response_id, customer_id, revision, content_hash, revised_at, event_id, received_at)
        SELECT response_id, source, vendor_response_id, customer_id, 1, content_hash, revised_at, event_id, received_at
          FROM arrived, known
         WHERE response_id IS NOT NULL AND NOT known.some
         ORDER BY response_id
        RETURNING id
    ), counted AS MATERIALIZED (
        SELECT count(*) AS responses FROM told
    ), kept AS (
        INSERT INTO deliveries
               (id, source, via, delivery_key, conflict, body, body_hash, headers, content_type, received_at,
                status, reason, why, response_id, event_ids, copies)
        SELECT id, source, :via, delivery_key, '', body, body_hash, headers, content_type, received_at,
               status, reason, CAST(why AS jsonb), response_id,
               CASE WHEN event_id IS NULL THEN '{}' ELSE ARRAY[event_id] END, 1
          FROM arrived, known, counted
         WHERE NOT known.some AND counted.responses >= 0
         ORDER BY source, delivery_key
    ), emitted AS (
        INSERT INTO outbox (topic, key, value, headers, emitted_at)
        SELECT topic, partition_key, value, event_headers, :emitted_at
          FROM arrived, counted
         WHERE topic IS NOT NULL AND counted.responses > 0
         ORDER BY place
    )
    SELECT NOT known.some AS added FROM known
""")


async def record_firsts(database: Database, arrivals: Sequence[Arrival]) -> Sequence[Outcome] | None:
    """Record `arrivals` if each is the first of its key and of its response; None, and nothing done, if not."""
    decided = plan(arrivals, (), {})
    if not all_first(decided, len(arrivals)):
        return None
    try:
        [row] = await database.at_once(_ADD, _parameters(decided, database.clock()))
    except IntegrityError:
        # A known key with a new response or none; or another process adds one of the same rows at this moment.
        return None
    return decided.outcomes if row.added else None


def all_first(decided: Plan, amount: int) -> bool:
    """Whether each of `amount` arrivals is new, and either the first revision of a new response, or of no response."""
    rows = decided.rows
    if len(rows) != amount or decided.copies or decided.changed or decided.announced or decided.unsubscriptions:
        return False
    via = rows[0].arrival.via
    told = 0
    for row in rows:
        if row.conflicting or row.arrival.via != via:
            return False
        if row.outcome.status is Status.ACCEPTED:
            told += 1
        elif row.outcome.response_id is not None:
            return False
    if not told == len(decided.new) == len(decided.revisions):
        return False
    return all(revised.latest.told is None for revised in decided.new.values())


async def add_all(tx: Tx, decided: Plan) -> bool:
    """Store all of it, and its events; False where another process had a part of it first."""
    try:
        [row] = await tx.fetch_publishing(_ADD, _parameters(decided, tx.now))
    except IntegrityError:
        return False
    return bool(row.added)


def _parameters(decided: Plan, now: datetime) -> dict[str, Any]:
    rows: list[tuple[object, ...]] = []
    told = zip(decided.new.values(), decided.revisions, strict=True)
    for row in decided.rows:
        arrival, outcome = row.arrival, row.outcome
        delivery = (
            arrival.id,
            arrival.source.name,
            arrival.key,
            arrival.body,
            arrival.body_hash,
            arrival.headers,
            arrival.content_type,
            arrival.received_at,
            outcome.status.value,
        )
        if outcome.status is not Status.ACCEPTED:
            rows.append((*delivery, outcome.reason, stored(outcome.reason), *_NO_RESPONSE))
            continue
        revised, revision = next(told)
        latest = revised.latest
        record = outgoing(event_of(revision, now), key_of(revision))
        rows.append(
            (
                *delivery,
                None,
                None,
                revision.response_id,
                latest.event_id,
                revised.vendor_response_id,
                revised.customer_id,
                latest.content_hash,
                latest.revised_at,
                record.topic,
                record.key,
                record.value,
                pack_headers(record.headers),
            )
        )
    return {"rows": rows, "via": decided.rows[0].arrival.via, "emitted_at": now}


_NO_RESPONSE: Final = (None,) * 10
