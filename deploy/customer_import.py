"""A file of customers or accounts into scoring, batch by batch, going on wherever it stopped.

How far it is stands beside the file (`FILE.progress.json`), written after each batch was taken: after a kill the last
batch is sent again, and changes nothing. What is wrong with single rows stands in `FILE.errors.jsonl`.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx
import msgspec

from deploy.cli_keys import database_url
from deploy.customer_rows import NotUnderstood, What, guess, item
from deploy.import_sending import LATER, PATIENCE_S, fresh_key, refused, revoke
from deploy.local.running import of_running_stack
from deploy.troubles import CommandError
from libs.events.errors import Unavailable
from services.ingest.domain.detection import Detected, Given, Unreadable, detect
from services.ingest.domain.tables import Position, Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deploy.import_sending import SeenFile
    from deploy.local.settings import StackSettings

ROWS_AT_ONCE: Final = 2_000
_BYTES_AT_ONCE: Final = 8 << 20
_READ: Final = 1 << 20
_ANSWER_S: Final = 120.0
_WAIT_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
_SCOPES: Final = ("customers:write",)


class Progress(msgspec.Struct, kw_only=True):
    """How far a file is: the bytes and lines before, and what became of the rows in them."""

    digest: str
    what: str
    columns: dict[str, str]
    defaults: dict[str, str]
    offset: int
    line: int
    counts: dict[str, int]
    errors_size: int = 0
    finished: bool = False


@dataclass(slots=True)
class _Batch:
    """Rows on their way, by their lines; `faults` are those that are no rows, or have a value that cannot be."""

    rows: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    ids: set[Any] = field(default_factory=set)
    faults: list[tuple[int, str]] = field(default_factory=list)
    size: int = 0

    def full_for(self, id_: object) -> bool:
        """Whether the next row has to wait: an id counts once in a batch."""
        rows = len(self.rows) + len(self.faults)
        return rows >= ROWS_AT_ONCE or self.size >= _BYTES_AT_ONCE or id_ in self.ids


def look_at(seen: SeenFile, given: Given, what: What, said: dict[str, str]) -> tuple[Detected, dict[str, str]]:
    """How the file is written, and which column each field comes from. Raises CommandError."""
    try:
        found = detect(seen.head, given, whole=len(seen.head) == seen.size)
        return found, guess(found.columns, what, said)
    except (Unreadable, NotUnderstood) as error:
        raise CommandError(f"{seen.path}: {error}") from error


class CustomerImport:
    """One file on its way; `progress` is what is known to be done."""

    def __init__(
        self, seen: SeenFile, found: Detected, what: What, columns: dict[str, str], defaults: dict[str, str]
    ) -> None:
        self._seen, self._found = seen, found
        self._path = f"/v1/{what}/batch"
        self._kept = seen.path.with_name(seen.path.name + ".progress.json")
        self.errors: Final = seen.path.with_name(seen.path.name + ".errors.jsonl")
        self.progress = self._known(what, columns, defaults)

    def _known(self, what: What, columns: dict[str, str], defaults: dict[str, str]) -> Progress:
        start = self._found.position
        new = Progress(
            digest=self._seen.digest,
            what=what,
            columns=columns,
            defaults=defaults,
            offset=start.offset,
            line=start.line,
            counts={},
        )
        try:
            known = msgspec.json.decode(self._kept.read_bytes(), type=Progress)
        except FileNotFoundError:
            return new
        except msgspec.MsgspecError as error:
            raise CommandError(f"{self._kept} cannot be read: remove it to begin anew") from error
        same = (known.digest, known.what, known.columns, known.defaults) == (new.digest, what, columns, defaults)
        return known if same and not known.finished else new

    def send(self, server: Scoring) -> Iterator[Progress]:
        """Send what is not done; how far it is, after each batch."""
        with self._seen.path.open("rb") as file, self.errors.open("ab") as errors:
            errors.truncate(self.progress.errors_size)
            errors.seek(self.progress.errors_size)
            file.seek(self.progress.offset)
            rows = Rows(self._found.layout, Position(self.progress.offset, self.progress.line))
            batch, done = _Batch(), rows.position
            final = False
            while not final:
                self._seen.still_the_same(file.fileno())
                piece = file.read(_READ)
                final = not piece
                for row in rows.feed(piece, final=final):
                    content, fault = (None, row.fault) if row.fault else self._item(row.body)
                    if batch.full_for(None if content is None else content["id"]):
                        yield self._sent(server, batch, done, errors)
                        batch = _Batch()
                    if content is None:
                        batch.faults.append((row.line, fault or ""))
                    else:
                        batch.rows.append((row.line, content))
                        batch.ids.add(content["id"])
                        batch.size += row.size
                    done = rows.position
            self.progress.finished = True
            yield self._sent(server, batch, rows.position, errors)
        if not self.progress.errors_size:
            self.errors.unlink()

    def _item(self, body: bytes) -> tuple[dict[str, Any] | None, str | None]:
        try:
            return item(msgspec.json.decode(body), self.progress.columns, self.progress.defaults), None
        except NotUnderstood as error:
            return None, str(error)

    def _sent(self, server: Scoring, batch: _Batch, done: Position, errors: Any) -> Progress:  # noqa: ANN401 - a file
        results = server.load(self._path, [content for _, content in batch.rows]) if batch.rows else []
        told = [{"line": line, "id": None, "reason": reason} for line, reason in batch.faults]
        counts = Counter(self.progress.counts)
        counts["invalid"] += len(batch.faults)
        for (line, _), result in zip(batch.rows, results, strict=True):
            counts[result["status"]] += 1
            if result["status"] == "invalid":
                reason = "; ".join(f"{each['pointer'].split('/', 3)[-1]} {each['detail']}" for each in result["errors"])
                told.append({"line": line, "id": result["id"], "reason": reason})
        for each in sorted(told, key=lambda one: one["line"] or 0):
            errors.write(json.dumps(each, ensure_ascii=False).encode() + b"\n")
        errors.flush()
        os.fsync(errors.fileno())
        self.progress.errors_size = errors.tell()
        self.progress.offset, self.progress.line = done.offset, done.line
        self.progress.counts = dict(counts)
        self._keep()
        return self.progress

    def _keep(self) -> None:
        unfinished = self._kept.with_name(self._kept.name + ".new")
        with unfinished.open("wb") as file:
            file.write(msgspec.json.encode(self.progress))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._kept)


class Scoring:
    """The server, asked again while it is away."""

    def __init__(self, client: httpx.Client, tell: Callable[[str], None]) -> None:
        self._client = client
        self._tell = tell

    def load(self, path: str, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What became of these, in their order."""
        deadline = time.monotonic() + PATIENCE_S
        tries = 0
        while True:
            try:
                answer = self._client.post(path, json={"items": items})
            except httpx.TransportError as error:
                why = type(error).__name__
            else:
                if answer.is_success:
                    found: list[dict[str, Any]] = answer.json()["items"]
                    return found
                if answer.status_code not in LATER:
                    raise refused(answer)
                why = str(answer.status_code)
            if time.monotonic() > deadline:
                raise Unavailable(f"scoring at {self._client.base_url} ({why}); the same command goes on where it was")
            if tries == 1:
                self._tell(f"Waiting for scoring ({why})")
            time.sleep(_WAIT_S[min(tries, len(_WAIT_S) - 1)])
            tries += 1


@contextmanager
def scoring(settings: StackSettings, *, purpose: str, tell: Callable[[str], None]) -> Iterator[Scoring]:
    """The server that the settings name, or that of the stack that runs here; with their key, or one for this run."""
    running = of_running_stack(settings.data_dir)
    url = settings.scoring_url or (running.urls.get("scoring") if running else None)
    if url is None:
        raise CommandError(
            "Nothing runs here: start it with `otklik up`, or set OTKLIK_SCORING_URL and OTKLIK_SCORING_KEY"
        )
    given = settings.scoring_key
    database = None if given is not None else database_url(settings, "scoring")
    key = given.get_secret_value() if given is not None else asyncio.run(fresh_key(database or "", purpose, _SCOPES))
    try:
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=url, headers=headers, timeout=_ANSWER_S) as client:
            yield Scoring(client, tell)
    finally:
        if database is not None:
            asyncio.run(revoke(database, purpose))
