"""The commonest batch, at the cost of one statement: deliveries, all of them new, of responses that are all new.

What is more than that (repetitions, conflicts, revisions, what was not understood) takes the statements of
`services.ingest.store.deliveries`, which do the same piece by piece.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from services.ingest.domain.deliveries import Status

if TYPE_CHECKING:
    from libs.events.database import Tx
    from services.ingest.domain.deliveries import Plan

# Responses before deliveries, each sorted by its key, as everywhere: the count makes the second wait for the first.
# Where it falls short somebody else was faster, and the rest is not even tried.
_ADD: Final = text("""
    WITH arrived AS MATERIALIZED (
        SELECT *
          FROM unnest(CAST(:ids AS uuid[]), CAST(:sources AS text[]), CAST(:keys AS text[]), CAST(:bodies AS bytea[]),
                      CAST(:hashes AS bytea[]), CAST(:kept_headers AS text[]), CAST(:received AS timestamptz[]),
                      CAST(:responses AS uuid[]), CAST(:events AS uuid[]), CAST(:vendor_ids AS text[]),
                      CAST(:customers AS text[]), CAST(:contents AS bytea[]), CAST(:revised AS timestamptz[]))
               AS arrived (id, source, delivery_key, body, body_hash, headers, received_at,
                           response_id, event_id, vendor_response_id, customer_id, content_hash, revised_at)
    ), told AS (
        INSERT INTO responses
               (id, source, vendor_response_id, customer_id, revision, content_hash, revised_at, event_id, received_at)
        SELECT response_id, source, vendor_response_id, customer_id, 1, content_hash, revised_at, event_id, received_at
          FROM arrived
         ORDER BY response_id
            ON CONFLICT (id) DO NOTHING
        RETURNING id
    ), counted AS MATERIALIZED (
        SELECT count(*) AS amount FROM told
    ), kept AS (
        INSERT INTO deliveries
               (id, source, via, delivery_key, conflict, body, body_hash, headers, content_type, received_at,
                status, response_id, event_ids, copies)
        SELECT id, source, :via, delivery_key, '', body, body_hash, headers, :content_type, received_at,
               'accepted', response_id, ARRAY[event_id], 1
          FROM arrived, counted
         WHERE counted.amount = :amount
         ORDER BY source, delivery_key
            ON CONFLICT (source, delivery_key, conflict) DO NOTHING
        RETURNING id
    ), emitted AS (
        INSERT INTO outbox (topic, key, value, headers, emitted_at)
        SELECT topic, key, value, headers, :emitted_at
          FROM unnest(CAST(:topics AS text[]), CAST(:partition_keys AS text[]),
                      CAST(:values AS bytea[]), CAST(:headers AS bytea[])) WITH ORDINALITY
               AS emitted (topic, key, value, headers, place)
         ORDER BY place
    )
    SELECT count(*) AS amount,
           CASE WHEN :notify THEN pg_notify('outbox_' || current_schema(), '') END
      FROM kept
""")


def all_first(decided: Plan, amount: int) -> bool:
    """Whether each of `amount` arrivals is new, and the first revision of a response that is new too."""
    rows = decided.rows
    if not len(rows) == len(decided.new) == len(decided.revisions) == amount or decided.copies or decided.changed:
        return False
    first = rows[0].arrival
    return all(
        row.outcome.status is Status.ACCEPTED
        and row.arrival.via == first.via
        and row.arrival.content_type == first.content_type
        and revised.latest.told is None
        and not row.conflicting
        for row, revised in zip(rows, decided.new.values(), strict=True)
    )


async def add_all(tx: Tx, decided: Plan) -> bool:
    """Store all of it, and what was emitted; False where another process had a part of it first."""
    arrivals = [row.arrival for row in decided.rows]
    latest = [revised.latest for revised in decided.new.values()]
    [row] = await tx.fetch_storing_emitted(
        _ADD,
        {
            "via": arrivals[0].via,
            "content_type": arrivals[0].content_type,
            "amount": len(arrivals),
            "ids": [arrival.id for arrival in arrivals],
            "sources": [arrival.source.name for arrival in arrivals],
            "keys": [arrival.key for arrival in arrivals],
            "bodies": [arrival.body for arrival in arrivals],
            "hashes": [arrival.body_hash for arrival in arrivals],
            "kept_headers": [arrival.headers for arrival in arrivals],
            "received": [arrival.received_at for arrival in arrivals],
            "responses": list(decided.new),
            "events": [now.event_id for now in latest],
            "vendor_ids": [revised.vendor_response_id for revised in decided.new.values()],
            "customers": [revised.customer_id for revised in decided.new.values()],
            "contents": [now.content_hash for now in latest],
            "revised": [now.revised_at for now in latest],
        },
    )
    return bool(row.amount == len(arrivals))
