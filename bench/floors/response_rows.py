"""What a response leaves behind in ingest's tables, by one raw statement for any number of them: for two floors."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import asyncpg

STATEMENT = """
WITH told AS (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::bytea[], $5::uuid[], $6::uuid[], $7::text[],
                         $8::text[], $9::timestamptz[], $10::bytea[])
           AS told (id, key, body, hash, response, event, vendor_id, customer, answered_at, value)
), answered AS (
    INSERT INTO responses (id, source, vendor_response_id, customer_id, revision, content_hash, revised_at, event_id,
                           received_at)
    SELECT response, 'shop', vendor_id, customer, 1, hash, answered_at, event, now() FROM told
        ON CONFLICT (id) DO NOTHING
), kept AS (
    INSERT INTO deliveries (id, source, via, delivery_key, conflict, body, body_hash, headers, content_type,
                            received_at, status, response_id, event_ids, copies)
    SELECT id, 'shop', 'file', key, '', body, hash, '{}', 'application/json', now(), 'accepted', response,
           ARRAY[event], 1
      FROM told
        ON CONFLICT (source, delivery_key, conflict) DO NOTHING
)
INSERT INTO outbox (topic, key, value, headers, emitted_at)
SELECT 'survey.responses', customer, value, '\\x00'::bytea, now() FROM told
"""


async def store(connection: asyncpg.Connection, told: Sequence[Mapping[str, Any]]) -> None:
    """Store responses as they were told, with an event for each, in a transaction of their own."""
    columns: list[list[Any]] = [[] for _ in range(10)]
    for each in told:
        body = json.dumps(each, ensure_ascii=False).encode()
        digest = hashlib.sha256(body)
        row = (
            uuid4(),
            digest.hexdigest(),
            body,
            digest.digest(),
            uuid4(),
            uuid4(),
            each["response_id"],
            each["customer_id"],
            datetime.fromisoformat(each["answered_at"]).astimezone(UTC),
            body,
        )
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    await connection.execute(STATEMENT, *columns)
