"""Attached files in their folder: named by the SHA-256 of what they hold, so that the same file is kept once.

    arriving/<random>      a file that is being received
    ab/abcdef...           a file that is kept: complete and on the disk before it has this name

Who gives a file its name, or takes one away, holds the lock of its digest in the database (`store.attachments.lock`):
so no file goes while somebody is about to point at it.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final
from uuid import uuid4

from services.casework.domain.attachments import (
    HEAD_BYTES,
    TAIL_BYTES,
    TextProbe,
    directory_of,
    is_archive,
    members_of,
    type_of_archive,
    type_of_beginning,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence
    from datetime import datetime
    from pathlib import Path

_ARRIVING: Final = "arriving"
_DIGEST_LENGTH: Final = 64
_DIGITS: Final = "0123456789abcdef"
ROWS: Final = tuple(_DIGITS)
"""The first digits of digests: a sixteenth of the kept files each, in sixteen folders."""


class WrongTypeError(Exception):
    """The file is of none of the types that are kept."""


class TooLongError(Exception):
    """The file is longer than the limit."""


@dataclass(frozen=True, slots=True)
class Received:
    """A complete file under its temporary name, on the disk."""

    path: Path
    sha256: str
    size: int
    """Bytes."""
    media_type: str


class Reception:
    """A file that is being received; it says as early as it can that it will not be kept."""

    def __init__(self, file: IO[bytes], path: Path, limit: int) -> None:
        self._file = file
        self._path = path
        self._limit = limit
        self._digest = hashlib.sha256()
        self._head = b""
        self._probe = TextProbe()
        self._size = 0

    async def write(self, piece: bytes) -> None:
        """The next piece; `TooLongError` or `WrongTypeError` where the file cannot be kept any more."""
        self._size += len(piece)
        if self._size > self._limit:
            raise TooLongError
        if len(self._head) < HEAD_BYTES:
            self._head += piece[: HEAD_BYTES - len(self._head)]
        self._probe.feed(piece)
        if len(self._head) == HEAD_BYTES and not self._may_be_kept:
            raise WrongTypeError
        await asyncio.to_thread(self._append, piece)

    @property
    def _may_be_kept(self) -> bool:
        return self._probe.is_text or is_archive(self._head) or type_of_beginning(self._head) is not None

    def _append(self, piece: bytes) -> None:
        self._digest.update(piece)
        self._file.write(piece)

    async def finish(self) -> Received:
        """Everything has come: what it is, and the file on the disk. `WrongTypeError` where it is none that is kept."""
        self._probe.feed(b"", last=True)
        return await asyncio.to_thread(self._finish)

    def _finish(self) -> Received:
        self._file.flush()
        media_type = type_of_beginning(self._head)
        if media_type is None and is_archive(self._head):
            media_type = self._type_of_archive()
        elif media_type is None and self._probe.is_text and self._size > 0:
            media_type = "text/plain"
        if media_type is None:
            raise WrongTypeError
        os.fsync(self._file.fileno())
        return Received(self._path, self._digest.hexdigest(), self._size, media_type)

    def _type_of_archive(self) -> str | None:
        self._file.seek(max(0, self._size - TAIL_BYTES))
        directory = directory_of(self._file.read(TAIL_BYTES), self._size)
        if directory is None:
            return None
        self._file.seek(directory.offset)
        members = members_of(self._file.read(directory.length), directory.members)
        return None if members is None else type_of_archive(self._head, members)


class AttachmentFiles:
    """The folder; it and those in it are made when first needed, for this user alone.

    `size_limit`: bytes of one file. `per_case`: how many a case has at most.
    """

    def __init__(self, folder: Path, *, size_limit: int, per_case: int) -> None:
        self._folder: Final = folder
        self.size_limit: Final = size_limit
        self.per_case: Final = per_case

    @asynccontextmanager
    async def receiving(self) -> AsyncIterator[Reception]:
        """A file to write to; what is not kept by the end of the block is gone."""
        path = self._folder / _ARRIVING / uuid4().hex
        file = await asyncio.to_thread(self._open, path)
        try:
            yield Reception(file, path, self.size_limit)
        finally:
            await asyncio.to_thread(_drop, file, path)

    def _open(self, path: Path) -> IO[bytes]:
        _make(path.parent)
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b")

    async def keep(self, received: Received) -> None:
        """Give the file the name of what it holds; it is there for good when this returns. The digest is locked."""
        await asyncio.to_thread(self._keep, received)

    def _keep(self, received: Received) -> None:
        target = self.path(received.sha256)
        _make(target.parent)
        received.path.replace(target)
        _sync(target.parent)

    def path(self, sha256: str) -> Path:
        """Where the file with this digest is, if it is kept."""
        return self._folder / sha256[:2] / sha256

    async def stat(self, sha256: str) -> os.stat_result | None:
        """What the system says of a kept file; None where it is not there."""
        return await asyncio.to_thread(_stat, self.path(sha256))

    async def remove(self, digests: Collection[str]) -> None:
        """Take files away that nothing points at. Their digests are locked; those that are not there are gone."""
        await asyncio.to_thread(self._remove, digests)

    def _remove(self, digests: Collection[str]) -> None:
        for sha256 in digests:
            self.path(sha256).unlink(missing_ok=True)

    async def older_than(self, row: str, before: datetime) -> Sequence[str]:
        """The digests, with this first digit, of the files that came before."""
        return await asyncio.to_thread(self._older_than, row, before.timestamp())

    def _older_than(self, row: str, before: float) -> list[str]:
        folders = [self._folder / f"{row}{digit}" for digit in _DIGITS]
        return sorted(path.name for folder in folders for path in _old(folder, before) if _is_digest(path.name))

    async def clear_arrivals(self, before: datetime) -> int:
        """Take away what was being received when a process died before; how many they were."""
        return await asyncio.to_thread(self._clear_arrivals, before.timestamp())

    def _clear_arrivals(self, before: float) -> int:
        left = _old(self._folder / _ARRIVING, before)
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)


def _is_digest(name: str) -> bool:
    return len(name) == _DIGEST_LENGTH and set(name) <= set(_DIGITS)


def _old(folder: Path, before: float) -> list[Path]:
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        stat = _stat(path)
        if stat is not None and stat.st_mtime < before:
            found.append(path)
    return found


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:  # another process was quicker
        return None


def _drop(file: IO[bytes], path: Path) -> None:
    file.close()
    path.unlink(missing_ok=True)


def _make(folder: Path) -> None:
    """The folder, on the disk with its name, as a file in it is worth no more than that."""
    if folder.is_dir():
        return
    _make(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
