"""Sending a file to ingest: looked through once, then piece by piece from wherever the server is, however often."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx

from deploy.cli_keys import database_url
from deploy.local.running import of_running_stack
from deploy.troubles import CommandError
from libs.events.database import Database
from libs.events.errors import Unavailable
from libs.webapi.keys import create_key, list_keys, revoke_key
from services.ingest.domain.detection import HEAD, utf8_counts
from services.ingest.domain.tables import LARGEST_ROW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from deploy.local.settings import StackSettings

PIECE: Final = 2 * LARGEST_ROW
"""Longer than any row, so that each piece ends at least one; short enough to see that something goes on."""
PATIENCE_S: Final = 300.0
_ANSWER_S: Final = 120.0
_WAIT_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
_LOOKED_THROUGH: Final = 1 << 20
_SCOPES: Final = ("responses:write", "deliveries:read")
_CONFLICT: Final = 409
LATER: Final = frozenset({408, 429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class SeenFile:
    """A file as it was when it was looked through. `encoding` None: its first bytes tell as much as all of it."""

    path: Path
    size: int
    changed_at: int
    digest: str
    head: bytes
    encoding: str | None

    def still_the_same(self, descriptor: int) -> None:
        """Raise where somebody wrote to it since."""
        now = os.fstat(descriptor)
        if (now.st_size, now.st_mtime_ns) != (self.size, self.changed_at):
            raise CommandError(f"{self.path} was changed while it was being imported: run the same command again")


def look_through(path: Path, advance: Callable[[int], None]) -> SeenFile:
    """Read all of it once, for what it is known by and for its encoding; `advance` is told of the bytes."""
    digest, head, well, badly = hashlib.sha256(), b"", 0, 0
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        while piece := file.read(_LOOKED_THROUGH):
            digest.update(piece)
            head = head or piece[:HEAD]
            if not piece.isascii():
                for_it, against_it = utf8_counts(piece)
                well, badly = well + for_it, badly + against_it
            advance(len(piece))
    encoding = None if head.isascii() and not badly + well else "utf-8" if well >= badly else "windows-1251"
    return SeenFile(path, status.st_size, status.st_mtime_ns, digest.hexdigest(), head, encoding)


class Ingest:
    """The server, asked again while it is away."""

    def __init__(self, client: httpx.Client, tell: Callable[[str], None]) -> None:
        self._client = client
        self._tell = tell

    def preview(self, seen: SeenFile, query: dict[str, Any]) -> dict[str, Any]:
        """What the file looks like."""
        whole = len(seen.head) == seen.size
        return self._asked("POST", "/v1/imports/preview", params={**query, "whole": whole}, content=seen.head)

    def begin(self, seen: SeenFile, query: dict[str, Any]) -> dict[str, Any]:
        """The import of this file: a new one, or the one that is known."""
        named = {"name": seen.path.name[:300], "digest": seen.digest, "size": seen.size}
        return self._asked("POST", "/v1/imports", params={**query, **named})

    def state(self, id_: str) -> dict[str, Any]:
        """How far it is."""
        return self._asked("GET", f"/v1/imports/{id_}")

    def send(self, seen: SeenFile, import_: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Send what the server does not have; its state after each piece."""
        path = f"/v1/imports/{import_['id']}/content"
        with seen.path.open("rb") as file:
            while not import_["finished"]:
                seen.still_the_same(file.fileno())
                before = import_["offset"]
                file.seek(before)
                piece = file.read(PIECE)
                import_ = self._asked("PUT", path, params={"offset": before}, content=piece, moved=import_["id"])
                if import_["offset"] <= before and not import_["finished"]:
                    raise CommandError(f"The server does not go on after byte {before}; its log may say why")
                yield import_

    def errors(self, id_: str) -> Iterator[dict[str, Any]]:
        """The rows that brought no response, in order."""
        cursor: str | None = None
        while True:
            query = {"limit": 200} | ({} if cursor is None else {"cursor": cursor})
            page = self._asked("GET", f"/v1/imports/{id_}/errors", params=query)
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def _asked(self, method: str, path: str, *, moved: str | None = None, **request: Any) -> dict[str, Any]:  # noqa: ANN401 - httpx's
        """The answer's body. `moved`: where the import is elsewhere by now, that is its state."""
        deadline = time.monotonic() + PATIENCE_S
        tries = 0
        while True:
            why = "is not there"
            try:
                answer = self._client.request(method, path, **request)
            except httpx.TransportError as error:
                why = type(error).__name__
            else:
                if answer.is_success:
                    found: dict[str, Any] = answer.json()
                    return found
                if moved is not None and answer.status_code == _CONFLICT:
                    return self.state(moved)
                if answer.status_code not in LATER:
                    raise refused(answer)
                why = f"{answer.status_code} {_problem(answer).get('title', '')}".strip()
            if time.monotonic() > deadline:
                raise Unavailable(f"ingest at {self._client.base_url} ({why}); the same command goes on where it was")
            if tries == 1:
                self._tell(f"Waiting for ingest ({why})")
            time.sleep(_WAIT_S[min(tries, len(_WAIT_S) - 1)])
            tries += 1


@contextmanager
def ingest(settings: StackSettings, *, purpose: str, tell: Callable[[str], None]) -> Iterator[Ingest]:
    """The server that the settings name, or that of the stack that runs here; with their key, or one for this run."""
    running = of_running_stack(settings.data_dir)
    url = settings.ingest_url or (running.urls.get("ingest") if running else None)
    if url is None:
        raise CommandError(
            "Nothing runs here: start it with `otklik up`, or set OTKLIK_INGEST_URL and OTKLIK_INGEST_KEY"
        )
    given = settings.ingest_key
    database = None if given is not None else database_url(settings, "ingest")
    key = given.get_secret_value() if given is not None else asyncio.run(fresh_key(database or "", purpose, _SCOPES))
    headers = {"Authorization": f"Bearer {key}"}
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=_ANSWER_S) as client:
            yield Ingest(client, tell)
    finally:
        if database is not None:
            asyncio.run(revoke(database, purpose))


async def fresh_key(url: str, purpose: str, scopes: Sequence[str]) -> str:
    """A key for one run, instead of one that a killed run of the same purpose left."""
    await revoke(url, purpose)  # of a run that was killed
    database = Database.connect(url, pool_size=1)
    try:
        async with database.transaction() as tx:
            return await create_key(tx, name=purpose, scopes=scopes)
    finally:
        await database.close()


async def revoke(url: str, purpose: str) -> None:
    """Take back the key of this purpose."""
    database = Database.connect(url, pool_size=1)
    try:
        async with database.transaction() as tx:
            for key in await list_keys(tx):
                if key.name == purpose and key.revoked_at is None:
                    await revoke_key(tx, key_id=key.id)
    finally:
        await database.close()


def _problem(answer: httpx.Response) -> dict[str, Any]:
    is_problem = answer.headers.get("content-type", "").startswith("application/problem+json")
    found: dict[str, Any] = answer.json() if is_problem else {}
    return found


def refused(answer: httpx.Response) -> CommandError:
    """What the server says that it will not do."""
    problem = _problem(answer)
    told = problem.get("detail") or "; ".join(
        f"{error['pointer'].lstrip('/')} {error['detail']}" for error in problem.get("errors", [])
    )
    return CommandError(f"{problem.get('title', answer.status_code)}: {told or answer.text[:500]}")
