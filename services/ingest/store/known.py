"""What is known of arrivals before anything is decided: the deliveries with their keys, and their responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import text

from services.ingest.domain.deliveries import DeliveryKey, Known, Outcome, Status, Understood
from services.ingest.domain.responses import DeliveryId, Latest, Response, ResponseId
from services.ingest.domain.unsubscriptions import Unsubscribed, unsubscription_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy import Row

    from libs.events.database import Tx
    from services.ingest.domain.deliveries import Arrival

_unpack: Final = msgspec.msgpack.Decoder(Response).decode

# Only the responses of deliveries that are new are held: a repetition changes none. What somebody else commits while
# this waits for a response is seen of that response and not of the deliveries: then a unique key says so.
_LOOK: Final = text("""
    WITH wanted AS MATERIALIZED (
        SELECT *
          FROM unnest(CAST(:sources AS text[]), CAST(:keys AS text[]), CAST(:responses AS uuid[]))
               AS wanted (source, delivery_key, told)
    ), found AS MATERIALIZED (
        SELECT deliveries.id, source, delivery_key, body_hash, conflict <> '' AS conflicting,
               status, reason, response_id, event_ids
          FROM wanted JOIN deliveries USING (source, delivery_key)
    ), held AS MATERIALIZED (
        SELECT id, revision, content_hash, revised_at, event_id, received_at, told, erased, customer_id
          FROM responses
         WHERE id = ANY(ARRAY(
                   SELECT told FROM wanted
                    WHERE told IS NOT NULL
                      AND (source, delivery_key) NOT IN (SELECT source, delivery_key FROM found)))
         ORDER BY id
           FOR UPDATE
    )
    SELECT TRUE AS is_delivery, id, source, delivery_key, body_hash AS hash, conflicting, status, reason, response_id,
           event_ids, NULL AS revision, NULL AS revised_at, NULL AS event_id, NULL AS received_at, NULL AS told,
           NULL AS erased, NULL AS customer_id
      FROM found
     UNION ALL
    SELECT FALSE, id, NULL, NULL, content_hash, NULL, NULL, NULL, NULL,
           NULL, revision, revised_at, event_id, received_at, told, erased, customer_id
      FROM held
""")

_HOLD_RESPONSES: Final = text("""
    SELECT id, revision, content_hash AS hash, revised_at, event_id, received_at, told, erased, customer_id
      FROM responses
     WHERE id = ANY(CAST(:ids AS uuid[]))
     ORDER BY id
       FOR UPDATE
""")


_UNSUBSCRIPTIONS: Final = text("SELECT event_id FROM unsubscriptions WHERE event_id = ANY(CAST(:ids AS uuid[]))")


async def look(tx: Tx, arrivals: Sequence[Arrival]) -> tuple[list[Known], dict[ResponseId, Latest]]:
    """The stored deliveries with the keys of `arrivals`, and, held, the responses of those that are new."""
    rows = await tx.fetch(
        _LOOK,
        {
            "sources": [arrival.source.name for arrival in arrivals],
            "keys": [arrival.key for arrival in arrivals],
            "responses": [_told(arrival) for arrival in arrivals],
        },
    )
    known = [
        Known(row.source, DeliveryKey(row.delivery_key), row.hash, row.conflicting, outcome_of(row))
        for row in rows
        if row.is_delivery
    ]
    return known, {ResponseId(row.id): _latest(row) for row in rows if not row.is_delivery}


async def hold_responses(tx: Tx, arrivals: Sequence[Arrival]) -> dict[ResponseId, Latest]:
    """The responses that `arrivals` tell, held."""
    ids = {id_ for id_ in map(_told, arrivals) if id_ is not None}
    if not ids:
        return {}
    return {ResponseId(row.id): _latest(row) for row in await tx.fetch(_HOLD_RESPONSES, {"ids": list(ids)})}


async def unsubscriptions_known(tx: Tx, arrivals: Sequence[Arrival]) -> set[UUID]:
    """The events of those unsubscriptions among `arrivals` that were published before."""
    told = [
        unsubscription_id(arrival.source.name, arrival.verdict)
        for arrival in arrivals
        if isinstance(arrival.verdict, Unsubscribed)
    ]
    if not told:
        return set()
    return {row.event_id for row in await tx.fetch(_UNSUBSCRIPTIONS, {"ids": told})}


def outcome_of(row: Row[Any]) -> Outcome:
    """What a stored delivery was told."""
    response = None if row.response_id is None else ResponseId(row.response_id)
    return Outcome(DeliveryId(row.id), Status(row.status), row.reason, response, tuple(row.event_ids))


def _told(arrival: Arrival) -> ResponseId | None:
    verdict = arrival.verdict
    return verdict.response_id if isinstance(verdict, Understood) else None


def _latest(row: Row[Any]) -> Latest:
    told = None if row.told is None else _unpack(row.told)
    return Latest(
        row.revision, row.hash, row.revised_at, row.event_id, row.received_at, told, row.erased, row.customer_id
    )
