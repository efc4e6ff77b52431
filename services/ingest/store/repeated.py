"""Deliveries that are known already, bytes and all: each is counted with the first, and nothing else happens.

One statement that is a transaction by itself. It says which of a batch these were; the others are for the rest of
`services.ingest.store`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from services.ingest.domain.deliveries import DeliveryKey, repetition_of
from services.ingest.store.known import outcome_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from libs.events.database import Database
    from services.ingest.domain.deliveries import Arrival, Outcome

# Looked up one by one by their key, and then held in the order of their ids, as by whoever else counts copies. Not by
# equality: over an empty table every index that begins with the source looks equally good, and the plan is kept. In
# this order only the unique one brings them.
_COUNT: Final = text("""
    WITH asked AS MATERIALIZED (
        SELECT *
          FROM unnest(CAST(:sources AS text[]), CAST(:keys AS text[]), CAST(:hashes AS bytea[]),
                      CAST(:more AS integer[])) AS asked (source, delivery_key, body_hash, more)
    ), found AS MATERIALIZED (
        SELECT first.id, more
          FROM asked,
               LATERAL (SELECT id, source, delivery_key, conflict, body_hash
                          FROM deliveries
                         WHERE (deliveries.source, deliveries.delivery_key, deliveries.conflict)
                               >= (asked.source, asked.delivery_key, CAST('' AS bytea))
                         ORDER BY source, delivery_key, conflict
                         LIMIT 1) AS first
         WHERE first.source = asked.source
           AND first.delivery_key = asked.delivery_key
           AND first.conflict = ''
           AND first.body_hash = asked.body_hash
    ), held AS MATERIALIZED (
        SELECT found.id, found.more
          FROM (SELECT id, more FROM found ORDER BY id) AS found,
               LATERAL (SELECT FROM deliveries WHERE deliveries.id = found.id OFFSET 0 FOR UPDATE) AS first
    )
    UPDATE deliveries
       SET copies = deliveries.copies + held.more
      FROM held
     WHERE deliveries.id = held.id
    RETURNING deliveries.id, source, delivery_key, body_hash, status, reason, response_id, event_ids
""")


async def record_repeated(database: Database, arrivals: Sequence[Arrival]) -> list[Outcome | None]:
    """The outcomes, in order, of those `arrivals` that are known; None for each that is not."""
    asked = Counter([(arrival.source.name, arrival.key, arrival.body_hash) for arrival in arrivals])
    sources, keys, hashes = zip(*asked, strict=True)
    parameters = {"sources": sources, "keys": keys, "hashes": hashes, "more": list(asked.values())}
    rows = await database.at_once(_COUNT, parameters, publishes=False)
    found = {(row.source, DeliveryKey(row.delivery_key), row.body_hash): repetition_of(outcome_of(row)) for row in rows}
    return [found.get((arrival.source.name, arrival.key, arrival.body_hash)) for arrival in arrivals]
