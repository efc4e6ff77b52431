"""Somebody who imports files, one after another, piece by piece and from wherever the server is, whatever strikes it.

Every file repeats some rows of the one before, changes some, and has some that are none; each row counts once.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import httpx

from faults.deliveries import Content, some_customer
from faults.sources import FILES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from faults.stage import Stage

_COLUMNS: Final = ("response_id", "answered_at", "updated_at", "score", "comment", "customer_id")
_NEW_ROWS: Final = 24
_AGAIN: Final = 8
_CHANGED: Final = 4
_PIECE: Final = 900
"""Bytes: some rows and a half."""
_BETWEEN_PIECES_S: Final = 0.25
_BETWEEN_FILES_S: Final = 1.5
_AGAIN_S: Final = 0.4
_ANSWER_S: Final = 15.0
_LATER: Final = frozenset({429, 500, 502, 503})
_CONFLICT: Final = 409


@dataclass(slots=True)
class File:
    """One file, and what has to become of its rows."""

    content: bytes
    accepted: int
    duplicates: int
    errors: int
    state: dict[str, Any] = field(default_factory=dict)
    """What the server said of it last."""


class Files:
    """The files that were imported so far, all of them to their ends once it rests."""

    def __init__(self, stage: Stage, random: Random, run: str) -> None:
        self.imported: Final[list[File]] = []
        self.contents: Final[dict[str, Content]] = {}
        """What their rows say, each response's latest."""
        self.odd: Final[list[str]] = []
        """Answers that nobody should get."""
        self._random = random
        self._run = run
        self._number = 0
        self._last: list[Content] = []
        self._wanted = False
        self._task: asyncio.Task[None] | None = None
        self._client = httpx.AsyncClient(
            base_url=stage.url("ingest"),
            headers={"Authorization": f"Bearer {stage.keys['ingest']}"},
            timeout=_ANSWER_S,
            trust_env=False,
        )

    def start(self) -> None:
        """Begin to import."""
        self._wanted = True
        self._task = asyncio.create_task(self._import_on(), name="files")

    async def rest(self, bound_s: float) -> bool:
        """Begin no further file; whether the one in hand came to its end within the bound."""
        self._wanted = False
        if self._task is None:
            return True
        done, _ = await asyncio.wait({self._task}, timeout=bound_s)
        for task in done:
            task.result()
        return bool(done)

    async def close(self) -> None:
        """Give up what is left."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._client.aclose()

    async def _import_on(self) -> None:
        while self._wanted:
            file = self._next()
            self.imported.append(file)
            for _ in range(self._random.choice((1, 1, 2))):  # now and then the same file again
                await self._send(file)
            await asyncio.sleep(_BETWEEN_FILES_S)

    async def _send(self, file: File) -> None:
        digest = hashlib.sha256(file.content).hexdigest()
        query = {"source": FILES.name, "name": "a file", "digest": digest, "size": str(len(file.content))}
        state = await self._asked("POST", "/v1/imports", params=query)
        while not state["finished"]:
            place: int = state["offset"]
            # A piece that ends no row would not bring it on.
            piece = file.content[place : place + self._random.randint(_PIECE // 2, _PIECE)]
            path = f"/v1/imports/{state['id']}/content"
            answered = await self._asked("PUT", path, params={"offset": str(place)}, content=piece)
            state = answered or await self._asked("GET", f"/v1/imports/{state['id']}")
            await asyncio.sleep(_BETWEEN_PIECES_S)
        file.state = state

    async def _asked(self, method: str, path: str, **request: Any) -> dict[str, Any]:  # noqa: ANN401 - httpx's
        """The answer, asked for until there is one; empty where the server is at another place."""
        while True:
            try:
                answer = await self._client.request(method, path, **request)
            except httpx.TransportError:
                await asyncio.sleep(_AGAIN_S)
                continue
            if answer.is_success:
                found: dict[str, Any] = answer.json()
                return found
            if answer.status_code == _CONFLICT and method == "PUT":
                return {}
            if answer.status_code not in _LATER:
                self.odd.append(f"{method} {path} was answered {answer.status_code} {answer.text[:200]}")
            await asyncio.sleep(_AGAIN_S)

    def _next(self) -> File:
        new = [self._content() for _ in range(_NEW_ROWS)]
        again = self._random.sample(self._last, min(_AGAIN, len(self._last)))
        changed = [
            replace(content, comment=f"{content.comment}, anew", updated_at=content.updated_at + timedelta(minutes=1))
            for content in again[:_CHANGED]
        ]
        twice = self._random.sample(new, 2)
        rows = [*new, *twice, *again[_CHANGED:], *changed]
        self._random.shuffle(rows)
        for content in (*new, *changed):
            self.contents[content.response] = content
        self._last = [*new, *changed]
        broken = self._random.randint(0, 2)
        written = _written(rows, [f"{self._run}-x-{self._id()}" for _ in range(broken)])
        return File(written, len(new) + len(changed), len(twice) + len(again[_CHANGED:]), broken)

    def _content(self) -> Content:
        at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=self._random.randint(60, 600))
        score = self._random.choice((3, 7, 8, 9, 9, 9, 10, 10, 10, 10, 10, 10))
        id_ = self._id()
        return Content(f"{self._run}-f-{id_}", score, f"written {id_}", some_customer(self._random), at, at)

    def _id(self) -> int:
        self._number += 1
        return self._number


def _written(rows: Sequence[Content], broken: Sequence[str]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for content in rows:
        times = (content.answered_at.isoformat(), content.updated_at.isoformat())
        writer.writerow((content.response, *times, content.score, content.comment, content.customer or ""))
    at = datetime.now(UTC).isoformat()
    for id_ in broken:
        writer.writerow((id_, at, at, "eleven", "", ""))
    return text.getvalue().encode()
