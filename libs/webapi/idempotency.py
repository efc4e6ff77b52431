"""Commands that may be sent twice and happen once, by the caller's `Idempotency-Key`.

The key's row is written first, in the command's own transaction: what the command did and its answer commit
together. A second request with the same key waits on the unique row until the first has committed (then it gets
the stored answer) or rolled back (then it does the work). A command that raises leaves no row: nothing happened.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4

import msgspec
from pydantic_core import to_json
from sqlalchemy import text
from starlette.responses import Response

from libs.webapi.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import timedelta

    from sqlalchemy import Row
    from starlette.requests import Request

    from libs.events.database import Database, Tx
    from libs.webapi.auth import Principal

    Answer = tuple[int, Any, Mapping[str, str]]
    Command = Callable[[Tx, UUID], Awaitable[Answer]]

HEADER: Final = "Idempotency-Key"
REPLAYED_HEADER: Final = "Idempotency-Replayed"
_LONGEST: Final = 255
_VISIBLE: Final = r"[\x21-\x7e]"
_SHAPE: Final = re.compile(_VISIBLE + f"{{1,{_LONGEST}}}")
REPEATABLE: Final[dict[str, Any]] = {
    "parameters": [
        {
            "name": HEADER,
            "in": "header",
            "required": False,
            "description": "The same request under the same key is done once and answered as it was.",
            "schema": {"type": "string", "minLength": 1, "maxLength": _LONGEST, "pattern": f"^{_VISIBLE}+$"},
        }
    ]
}
"""What OpenAPI says of a route that uses `once`, which reads the header from the request itself."""

_CLAIM = text("""
    INSERT INTO idempotency_keys (principal, key, command_id, fingerprint, created_at)
    VALUES (:principal, :key, :command_id, :fingerprint, :now)
    ON CONFLICT (principal, key) DO NOTHING
    RETURNING command_id
""")

_STORED = text("""
    SELECT fingerprint, status, CAST(headers AS text) AS headers, body
      FROM idempotency_keys
     WHERE principal = :principal AND key = :key
""")

_COMPLETE = text("""
    UPDATE idempotency_keys
       SET status = :status, headers = CAST(:headers AS jsonb), body = :body
     WHERE principal = :principal AND key = :key
""")

_PRUNE = text("""
    DELETE FROM idempotency_keys
     WHERE (principal, key) IN (
        SELECT principal, key FROM idempotency_keys WHERE created_at < :before ORDER BY created_at LIMIT :limit
     )
""")


async def once(
    database: Database, request: Request, principal: Principal, command: Command, *, sent: bytes | None = None
) -> Response:
    """Run `command` in one transaction and answer with the (status, body, headers) it returns.

    `sent` stands for the request's body where that was read piece by piece, and is not there any more.
    The `command_id` it is given is new for new work; ids of events follow from it (`Event.caused_by_command`).
    """
    key = request.headers.get(HEADER)
    if key is None:
        async with database.transaction() as tx:
            status, body, headers = await command(tx, uuid4())
        return _answer(status, _encoded(body), headers)
    if _SHAPE.fullmatch(key) is None:
        raise Problem(
            400,
            "invalid-idempotency-key",
            "The Idempotency-Key is not valid",
            detail="It has 1 to 255 visible ASCII characters.",
        )
    name = {"principal": principal.subject, "key": key}
    fingerprint = await _fingerprint(request, sent)
    async with database.transaction() as tx:
        claimed = await tx.fetch_one(_CLAIM, {**name, "command_id": uuid4(), "fingerprint": fingerprint, "now": tx.now})
        if claimed is None:
            stored = await tx.fetch_one(_STORED, name)
            return _replay(stored, fingerprint)
        status, body, headers = await command(tx, claimed.command_id)
        content = _encoded(body)
        await tx.execute(
            _COMPLETE,
            {**name, "status": status, "headers": to_json(dict(headers)).decode(), "body": content},
        )
    return _answer(status, content, headers)


async def prune_keys(tx: Tx, *, older_than: timedelta, limit: int = 1_000) -> bool:
    """Forget up to `limit` keys of this age; whether more may be waiting."""
    return await tx.execute(_PRUNE, {"before": tx.now - older_than, "limit": limit}) == limit


async def _fingerprint(request: Request, sent: bytes | None) -> bytes:
    """What makes two requests the same one: method, address, the version seen, and the body's bytes."""
    digest = hashlib.sha256()
    for part in (
        request.method.encode(),
        request.url.path.encode("utf-8", "surrogatepass"),
        request.url.query.encode(),
        request.headers.get("If-Match", "").encode(),
        await request.body() if sent is None else sent,
    ):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def _replay(stored: Row[Any] | None, fingerprint: bytes) -> Response:
    if stored is None or stored.status is None:
        # Pruned between the two statements: the keys' age limit is days, so only a test or a wrong clock gets here.
        raise Problem(409, "idempotency-key-in-use", "A request with this Idempotency-Key is in hand")
    if stored.fingerprint != fingerprint:
        raise Problem(
            422,
            "idempotency-key-reused",
            "The Idempotency-Key was used for another request",
            detail="Use a new key for a new request.",
        )
    headers: dict[str, str] = msgspec.json.decode(stored.headers, type=dict[str, str])
    return _answer(stored.status, stored.body, {**headers, REPLAYED_HEADER: "true"})


def _encoded(body: object) -> bytes | None:
    return None if body is None else to_json(body)


def _answer(status: int, content: bytes | None, headers: Mapping[str, str]) -> Response:
    return Response(
        content,
        status_code=status,
        headers=dict(headers),
        media_type=None if content is None else "application/json",
    )
