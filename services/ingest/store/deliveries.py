"""Deliveries and the responses that they bring: a whole batch in a constant number of statements.

Two processes with the same deliveries at the same moment are told apart by the unique keys: whoever comes second finds
that a row which it was about to add is there, raises `Raced`, rolls back and decides anew, now with the row in sight.
Rows are taken in one order (responses before deliveries, each sorted by its key), so that nobody waits in a circle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import text

from services.ingest.domain.deliveries import after_replay, plan
from services.ingest.domain.publication import event_of, key_of, unsubscribed_event
from services.ingest.store.fetching import ask
from services.ingest.store.firsts import add_all, all_first
from services.ingest.store.known import hold_responses, look, outcome_of, unsubscriptions_known
from services.ingest.store.reasons import stored

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from libs.events.database import Tx
    from services.ingest.domain.deliveries import Arrival, Outcome, Plan, Revised
    from services.ingest.domain.responses import ResponseId


_pack: Final = msgspec.msgpack.Encoder().encode


class Raced(Exception):
    """Another process added one of our rows first. Roll back and record the same arrivals again."""


_ADD_RESPONSES: Final = text("""
    INSERT INTO responses
           (id, source, vendor_response_id, customer_id, revision, content_hash, revised_at, event_id, received_at,
            told)
    SELECT *
      FROM unnest(CAST(:ids AS uuid[]), CAST(:sources AS text[]), CAST(:vendor_ids AS text[]),
                  CAST(:customers AS text[]), CAST(:revisions AS integer[]), CAST(:hashes AS bytea[]),
                  CAST(:revised AS timestamptz[]), CAST(:events AS uuid[]), CAST(:received AS timestamptz[]),
                  CAST(:told AS bytea[])) AS added (id)
     ORDER BY added.id
        ON CONFLICT (id) DO NOTHING
""")

_CHANGE_RESPONSES: Final = text("""
    UPDATE responses
       SET customer_id = changed.customer_id, revision = changed.revision, content_hash = changed.content_hash,
           revised_at = changed.revised_at, event_id = changed.event_id, received_at = changed.received_at,
           told = changed.told
      FROM unnest(CAST(:ids AS uuid[]), CAST(:customers AS text[]), CAST(:revisions AS integer[]),
                  CAST(:hashes AS bytea[]), CAST(:revised AS timestamptz[]), CAST(:events AS uuid[]),
                  CAST(:received AS timestamptz[]), CAST(:told AS bytea[]))
           AS changed (id, customer_id, revision, content_hash, revised_at, event_id, received_at, told)
     WHERE responses.id = changed.id
""")

_ADD_DELIVERIES: Final = text("""
    INSERT INTO deliveries
           (id, source, via, delivery_key, conflict, body, body_hash, headers, content_type, received_at,
            status, reason, why, response_id, event_ids, copies)
    SELECT id, source, via, delivery_key, CASE WHEN conflicting THEN body_hash ELSE '' END, body, body_hash,
           headers, content_type, received_at, status, reason, CAST(why AS jsonb), response_id,
           array_remove(ARRAY[event_id], NULL), copies
      FROM unnest(CAST(:ids AS uuid[]), CAST(:sources AS text[]), CAST(:vias AS text[]), CAST(:keys AS text[]),
                  CAST(:conflicting AS boolean[]), CAST(:bodies AS bytea[]), CAST(:hashes AS bytea[]),
                  CAST(:headers AS text[]), CAST(:content_types AS text[]), CAST(:received AS timestamptz[]),
                  CAST(:statuses AS text[]), CAST(:reasons AS text[]), CAST(:whys AS text[]),
                  CAST(:responses AS uuid[]), CAST(:events AS uuid[]), CAST(:copies AS integer[]))
           AS added (id, source, via, delivery_key, conflicting, body, body_hash, headers, content_type, received_at,
                     status, reason, why, response_id, event_id, copies)
     ORDER BY source, delivery_key, conflicting, body_hash
        ON CONFLICT (source, delivery_key, conflict) DO NOTHING
""")

_COUNT_COPIES: Final = text("""
    WITH repeated AS (
        SELECT id, more FROM unnest(CAST(:ids AS uuid[]), CAST(:more AS integer[])) AS repeated (id, more)
    ), held AS (
        SELECT id FROM deliveries WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE
    )
    UPDATE deliveries
       SET copies = deliveries.copies + repeated.more
      FROM held JOIN repeated USING (id)
     WHERE deliveries.id = held.id
""")

_HOLD: Final = text("""
    SELECT id, status, reason, response_id, event_ids
      FROM deliveries
     WHERE id = ANY(CAST(:ids AS uuid[]))
     ORDER BY id
       FOR UPDATE
""")

_REPLAYED: Final = text("""
    UPDATE deliveries
       SET status = replayed.status, reason = replayed.reason, why = CAST(replayed.why AS jsonb),
           response_id = replayed.response_id,
           event_ids = CASE WHEN replayed.event_id IS NULL OR replayed.event_id = ANY(deliveries.event_ids)
                            THEN deliveries.event_ids ELSE deliveries.event_ids || replayed.event_id END,
           replayed_at = :now
      FROM unnest(CAST(:ids AS uuid[]), CAST(:statuses AS text[]), CAST(:reasons AS text[]), CAST(:whys AS text[]),
                  CAST(:responses AS uuid[]), CAST(:events AS uuid[]))
           AS replayed (id, status, reason, why, response_id, event_id)
     WHERE deliveries.id = replayed.id
""")


_ADD_UNSUBSCRIPTIONS: Final = text("""
    INSERT INTO unsubscriptions (event_id, received_at)
    SELECT * FROM unnest(CAST(:events AS uuid[]), CAST(:received AS timestamptz[])) AS added (event_id, received_at)
     ORDER BY event_id
        ON CONFLICT (event_id) DO NOTHING
""")

# What is understood today as something whose contents are not kept was kept until now.
_EMPTY: Final = text("UPDATE deliveries SET body = '', headers = '{}' WHERE id = ANY(CAST(:ids AS uuid[]))")


async def record(tx: Tx, arrivals: Sequence[Arrival]) -> Sequence[Outcome]:
    """Keep `arrivals`, decide in their order what they change, emit what is new; the outcome of each."""
    known, latest = await look(tx, arrivals)
    decided = plan(arrivals, known, latest, unsubscribed=await unsubscriptions_known(tx, arrivals))
    if all_first(decided, len(arrivals)):
        if not await add_all(tx, decided):
            raise Raced
        return decided.outcomes
    _emit(tx, decided)
    await _change_responses(tx, decided)
    await _add_unsubscriptions(tx, decided)
    await _add_deliveries(tx, decided)
    await _ask(tx, decided)
    return decided.outcomes


async def record_again(tx: Tx, arrivals: Sequence[Arrival]) -> Sequence[Outcome]:
    """Decide again, by today's understanding, what stored deliveries change; a second time changes nothing more."""
    latest = await hold_responses(tx, arrivals)
    held = {row.id: outcome_of(row) for row in await tx.fetch(_HOLD, {"ids": [arrival.id for arrival in arrivals]})}
    decided = plan(arrivals, (), latest, unsubscribed=await unsubscriptions_known(tx, arrivals), replay=True)
    after = [after_replay(held[outcome.delivery_id], outcome) for outcome in decided.outcomes]
    changed = [
        (outcome, now)
        for outcome, now in zip(after, decided.outcomes, strict=True)
        if outcome != held[outcome.delivery_id]
    ]
    await _change_responses(tx, decided)
    await _add_unsubscriptions(tx, decided)
    emptied = [row.arrival.id for row in decided.rows if not row.arrival.body]
    if emptied:
        await tx.execute(_EMPTY, {"ids": emptied})
    if changed:
        await tx.execute(
            _REPLAYED,
            {
                "ids": [outcome.delivery_id for outcome, _ in changed],
                "statuses": [outcome.status.value for outcome, _ in changed],
                "reasons": [outcome.reason for outcome, _ in changed],
                "whys": [stored(outcome.reason) for outcome, _ in changed],
                "responses": [outcome.response_id for outcome, _ in changed],
                "events": [now.event_ids[0] if now.event_ids else None for _, now in changed],
                "now": tx.now,
            },
        )
    _emit(tx, decided)
    await _ask(tx, decided)
    return after


async def _ask(tx: Tx, decided: Plan) -> None:
    if decided.announced:
        await ask(
            tx,
            [
                (arrival.source.name, response, arrival.id, arrival.traceparent)
                for arrival, response in decided.announced
            ],
        )


async def _change_responses(tx: Tx, decided: Plan) -> None:
    if decided.new:
        added = {
            **_columns(decided.new),
            "sources": [revised.source for revised in decided.new.values()],
            "vendor_ids": [revised.vendor_response_id for revised in decided.new.values()],
        }
        if await tx.execute(_ADD_RESPONSES, added) != len(decided.new):
            raise Raced
    if decided.changed:
        await tx.execute(_CHANGE_RESPONSES, _columns(decided.changed))


async def _add_unsubscriptions(tx: Tx, decided: Plan) -> None:
    new = decided.unsubscriptions
    if new:
        added = {"events": [each.event_id for each in new], "received": [each.arrival.received_at for each in new]}
        if await tx.execute(_ADD_UNSUBSCRIPTIONS, added) != len(new):
            raise Raced


def _columns(revised: Mapping[ResponseId, Revised]) -> dict[str, list[Any]]:
    latest = [response.latest for response in revised.values()]
    return {
        "ids": list(revised),
        "customers": [each.customer_id for each in revised.values()],
        "revisions": [now.revision for now in latest],
        "hashes": [now.content_hash for now in latest],
        "revised": [now.revised_at for now in latest],
        "events": [now.event_id for now in latest],
        "received": [now.received_at for now in latest],
        "told": [None if now.told is None else _pack(now.told) for now in latest],
    }


async def _add_deliveries(tx: Tx, decided: Plan) -> None:
    copies = decided.copies
    if decided.rows and await tx.execute(_ADD_DELIVERIES, _delivery_columns(decided)) != len(decided.rows):
        raise Raced
    stored = sorted(copies.keys() - {row.arrival.id for row in decided.rows})
    if stored:
        await tx.execute(_COUNT_COPIES, {"ids": stored, "more": [copies[id_] for id_ in stored]})


def _delivery_columns(decided: Plan) -> dict[str, list[Any]]:
    rows = decided.rows
    arrivals = [row.arrival for row in rows]
    outcomes = [row.outcome for row in rows]
    return {
        "ids": [arrival.id for arrival in arrivals],
        "sources": [arrival.source.name for arrival in arrivals],
        "vias": [arrival.via for arrival in arrivals],
        "keys": [arrival.key for arrival in arrivals],
        "conflicting": [row.conflicting for row in rows],
        "bodies": [arrival.body for arrival in arrivals],
        "hashes": [arrival.body_hash for arrival in arrivals],
        "headers": [arrival.headers for arrival in arrivals],
        "content_types": [arrival.content_type for arrival in arrivals],
        "received": [arrival.received_at for arrival in arrivals],
        "statuses": [outcome.status.value for outcome in outcomes],
        "reasons": [outcome.reason for outcome in outcomes],
        "whys": [stored(outcome.reason) for outcome in outcomes],
        "responses": [outcome.response_id for outcome in outcomes],
        "events": [outcome.event_ids[-1] if outcome.event_ids else None for outcome in outcomes],
        "copies": [1 + decided.copies[arrival.id] for arrival in arrivals],
    }


def _emit(tx: Tx, decided: Plan) -> None:
    for revision in decided.revisions:
        tx.emit(event_of(revision, tx.now), key=key_of(revision))
    for unsubscription in decided.unsubscriptions:
        tx.emit(unsubscribed_event(unsubscription, tx.now), key=unsubscription.told.who)
