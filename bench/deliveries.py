"""Signed deliveries of about 1 KB, made beforehand: our own shape under Standard Webhooks, as whole HTTP requests."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import httpx

from libs.events.database import Database
from libs.webapi import keys

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY: Final = hashlib.sha256(b"the secret of a source that nobody else reaches").digest()
SECRET: Final = "whsec_" + base64.b64encode(KEY).decode()
SOURCE: Final = "shop"
_COMMENT: Final = (
    "Заказ привезли на два дня позже, чем обещали, и никто не позвонил. The courier was friendly, but the box was torn "
    "open on one side and the manual was missing; I had to look for it on the web myself. "
)
_SCOPES: Final = ("sources:read", "sources:write", "responses:write")
INSTRUMENT: Final = {
    "metric": "nps",
    "question": "How likely are you to recommend us?",
    "scale_min": 0,
    "scale_max": 10,
    "kind": "transactional",
    "channel": "email",
}


class Deliveries:
    """Requests that are all different, in the order in which they were made."""

    def __init__(self, source: str = SOURCE) -> None:
        self._path = f"/v1/webhooks/{source}"
        self._numbers: Iterator[int] = count(1)

    def make(self, amount: int) -> list[bytes]:
        """Further requests, signed now."""
        answered_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        timestamp = str(int(time.time()))
        return [self._one(next(self._numbers), answered_at, timestamp) for _ in range(amount)]

    def _one(self, number: int, answered_at: str, timestamp: str) -> bytes:
        answers: dict[str, Any] = {
            "response_id": f"r-{number:09d}",
            "answered_at": answered_at,
            "updated_at": answered_at,
            "score": number % 11,
            "comment": f"{_COMMENT}({number})",
            "customer_id": f"c-{number % 50_000:06d}",
            "touchpoint": f"branch-{number % 40}",
            "language": "ru",
            "answers": {"why": "delivery", "again": "perhaps", "channel": "courier", "price": "fair"},
            "attributes": {"region": "north-west", "segment": "returning", "order": f"A-{number * 7:010d}"},
        }
        body = json.dumps(answers, ensure_ascii=False).encode()
        return request(self._path, body, id_=f"msg_{number:020d}", timestamp=timestamp)


def request(
    path: str, body: bytes, *, id_: str, timestamp: str, key: bytes = KEY, announced: int | None = None
) -> bytes:
    """One signed request. `announced` is a length that is not the body's."""
    signature = base64.b64encode(hmac.digest(key, f"{id_}.{timestamp}.".encode() + body, "sha256")).decode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: otklik.example\r\nuser-agent: Svix-Webhooks/1.65\r\naccept: */*\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body) if announced is None else announced}\r\n"
        f"webhook-id: {id_}\r\nwebhook-timestamp: {timestamp}\r\nwebhook-signature: v1,{signature}\r\n\r\n"
    )
    return head.encode() + body


async def make_source(url: str, port: int, name: str = SOURCE) -> None:
    """Add a source to the ingest at `port` over `url`, as an administrator does: with a key, over HTTP."""
    source = {"vendor": "generic", "program": "retail", "instrument": INSTRUMENT, "secret": SECRET}
    async with await operator(url, port) as client:
        (await client.put(f"/v1/sources/{name}", json=source)).raise_for_status()


async def operator(url: str, port: int) -> httpx.AsyncClient:
    """Somebody with a key to the ingest at `port` over `url`."""
    database = Database.connect(url, pool_size=1)
    try:
        async with database.transaction() as tx:
            key = await keys.create_key(tx, name="bench", scopes=_SCOPES)
    finally:
        await database.close()
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {key}"})
