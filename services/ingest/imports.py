"""Reading a file of responses as its bytes come: each batch of rows, and how far that is, in one transaction.

    bytes ─> rows ─> 500 of them ─┬─ recorded like any delivery, the import moved on ─> the next 500
                                  ├─ somebody else moved it on ─> Moved: nothing of it happened
                                  └─ an error that is no outage ─> one by one, each its own

Nothing is read ahead of the database: a slow one slows the sender down. Whoever goes on after a death on either side
begins at the byte where the last committed batch ended; bytes before that are passed over.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec
import structlog
from msgspec.structs import replace

from libs.events.errors import is_unavailable
from services.ingest.arrivals import file_arrival
from services.ingest.domain.columns import ColumnMap, UnusableMap, guess_columns
from services.ingest.domain.deliveries import NOT_STORED, NotUnderstood, Status
from services.ingest.domain.detection import HEAD, Detected, Given, Unreadable, detect
from services.ingest.domain.reasons import because
from services.ingest.domain.tables import Position, Rows
from services.ingest.domain.written_times import order_of
from services.ingest.intake import record_in
from services.ingest.store import imports
from services.ingest.store.imports import Counts, ErrorRow, Import, Written
from services.ingest.vendors.files import file_vendor, row_reader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from libs.events.database import Database, Tx
    from services.ingest.arrivals import DeliveryIds
    from services.ingest.domain.deliveries import Arrival, Outcome
    from services.ingest.domain.tables import Row
    from services.ingest.sources import ReadySource
    from services.ingest.store.kept import Contents
    from services.ingest.vendors.description import Vendor
    from services.ingest.vendors.understanding import Reader

log: Final = structlog.get_logger()

BATCH_ROWS: Final = 500
BATCH_BYTES: Final = 1_048_576
AT_ONCE: Final = 4
"""Of the pool's ten connections; webhooks need theirs."""
IMPORT_HEADER: Final = "otklik-import"
LINE_HEADER: Final = "otklik-line"

_ROWS_BEFORE_OTHERS: Final = 50
_COMMIT_SECONDS: Final = 30.0

_headers: Final = msgspec.json.Decoder(dict[str, str]).decode


class Moved(Exception):
    """The import is not where it was seen: somebody else sends the same file."""


class Busy(Exception):
    """As many files are being read as this process reads at once."""


class Beyond(Exception):
    """What is sent begins after the place up to which the file is read, or is more than the file has."""


def written_of(detected: Detected, said: Mapping[str, Any]) -> Written:
    """How a file is written and where its fields are, by what was said of it and what its beginning looks like."""
    guessed = guess_columns(detected.columns, detected.rows)
    try:
        columns = ColumnMap.from_json(said.get("map", {})).over(guessed)
        columns.check(detected.layout.columns)
    except UnusableMap as error:
        raise Unreadable(error.reason, "map") from error
    times = said.get("times") or order_of(_texts(detected.rows, columns))
    if times is None:
        raise Unreadable(because("file-times"), "times")
    return Written(detected.layout, times, columns)


def given_of(said: Mapping[str, Any]) -> Given:
    """What was said of how the file is written."""
    return Given(said.get("format"), said.get("encoding"), said.get("separator"))


def _texts(rows: Sequence[Mapping[str, object]], columns: ColumnMap) -> Iterable[str]:
    names = [name for name in (columns.answered_at, columns.revised_at) if name]
    return (value for row in rows for name in names if isinstance(value := row.get(name), str))


async def file_readers(tx: Tx, ready: Mapping[str, ReadySource], kept: Sequence[Contents]) -> dict[UUID, Reader]:
    """By the deliveries' ids, what understands those that are rows of files: today's column map of their import."""
    origins = {contents.delivery.id: origin for contents in kept if (origin := _import_of(contents))}
    found = await imports.some(tx, list(set(origins.values()))) if origins else {}
    readers: dict[UUID, Reader] = {}
    for import_ in found.values():
        written, source = import_.written, ready.get(import_.source)
        if written is not None and source is not None:
            readers[import_.id] = row_reader(source.source, written.layout.format, written.times, written.columns)
    return {delivery: readers[origin] for delivery, origin in origins.items() if origin in readers}


async def vendor_of_row(tx: Tx, kept: Contents) -> Vendor | None:
    """The shape of a row of a file, by today's column map of its import; None where that is not known."""
    origin = _import_of(kept)
    import_ = None if origin is None else await imports.find(tx, origin)
    written = None if import_ is None else import_.written
    return None if written is None else file_vendor(written.layout.format, written.times, written.columns)


def _import_of(kept: Contents) -> UUID | None:
    origin = _headers(kept.headers).get(IMPORT_HEADER) if kept.delivery.via == "file" else None
    return None if origin is None else UUID(origin)


class Importer:
    """Takes the bytes of files, of a few at once: each has a batch of rows in memory."""

    def __init__(self, database: Database, ids: DeliveryIds) -> None:
        self._database = database
        self._ids = ids
        self._at_once = 0

    async def take(
        self,
        import_: Import,
        ready: ReadySource,
        pieces: AsyncIterator[bytes],
        *,
        offset: int,
        ends: bool,
        traceparent: str,
    ) -> None:
        """Read `pieces`, which begin at `offset`; `ends`: where they end and the size is not known, the file does.

        Raises `Unreadable`, `Moved`, `Beyond`, `Busy`, or that the database is away; what was committed before stays.
        """
        if self._at_once >= AT_ONCE:
            raise Busy
        self._at_once += 1
        try:
            await self._take(import_, ready, pieces, offset=offset, ends=ends, traceparent=traceparent)
        finally:
            self._at_once -= 1

    async def _take(
        self,
        import_: Import,
        ready: ReadySource,
        pieces: AsyncIterator[bytes],
        *,
        offset: int,
        ends: bool,
        traceparent: str,
    ) -> None:
        reading = _Reading(self._database, self._ids, import_, ready, traceparent)
        skip = import_.position.offset - offset
        if skip < 0:
            raise Beyond
        async for piece in pieces:
            offset += len(piece)
            if import_.size is not None and offset > import_.size:
                raise Beyond
            if skip < len(piece):
                await reading.feed(piece[skip:] if skip else piece)
            skip = max(0, skip - len(piece))
        await reading.end(final=ends if import_.size is None else offset == import_.size)


class _Reading:
    """One request's reading of one file."""

    def __init__(
        self, database: Database, ids: DeliveryIds, import_: Import, ready: ReadySource, traceparent: str
    ) -> None:
        self._database = database
        self._ids = ids
        self._import = import_
        self._ready = ready
        self._traceparent = traceparent
        self._committed = import_.position
        self._head = bytearray()
        self._rows: Rows | None = None
        self._reader: Reader | None = None
        self._batch: list[Row] = []
        self._batch_bytes = 0
        if import_.written is not None:
            self._know(import_.written, import_.position)

    def _know(self, written: Written, position: Position) -> Rows:
        self._rows = Rows(written.layout, position)
        self._reader = row_reader(self._ready.source, written.layout.format, written.times, written.columns)
        self._committed = position
        return self._rows

    async def feed(self, piece: bytes) -> None:
        if self._rows is None:
            self._head += piece
            if len(self._head) >= HEAD:
                await self._begin(whole=False)
            return
        await self._read(self._rows, piece)

    async def end(self, *, final: bool) -> None:
        """Record what is left; a row that is not complete is left out, unless nothing follows."""
        if self._import.finished_at is not None:
            return
        if self._rows is None:
            if not self._head and not final:
                return
            await self._begin(whole=final)
        assert self._rows is not None  # noqa: S101 - it is begun now
        await self._read(self._rows, b"", final=final)
        if final or self._batch or self._rows.position != self._committed:
            await self._commit(self._batch, self._rows.position, finished=final)

    async def _begin(self, *, whole: bool) -> None:
        head = bytes(self._head)
        self._head.clear()
        detected = detect(head, given_of(self._import.given), whole=whole)
        written = written_of(detected, self._import.given)
        async with self._database.transaction() as tx:
            if not await imports.begin(tx, self._import.id, written, detected.position):
                raise Moved
        log.info("import.begun", import_id=str(self._import.id), source=self._import.source)
        await self._read(self._know(written, detected.position), head[detected.position.offset :])

    async def _read(self, rows: Rows, piece: bytes, *, final: bool = False) -> None:
        for row in rows.feed(piece, final=final):
            self._batch.append(row)
            self._batch_bytes += row.size
            if len(self._batch) >= BATCH_ROWS or self._batch_bytes >= BATCH_BYTES:
                await self._commit(self._batch, rows.position)

    async def _commit(self, batch: Sequence[Row], to: Position, *, finished: bool = False) -> None:
        self._batch, self._batch_bytes = [], 0
        arrivals = await self._arrivals(batch)
        try:
            await self._record(batch, arrivals, to, finished=finished)
        except Moved:
            raise
        except Exception as error:
            if is_unavailable(error) or not batch:
                raise
            log.warning("import.isolating", import_id=str(self._import.id), rows=len(batch), error=type(error).__name__)
            await self._commit_each(batch, arrivals, to, finished=finished)

    async def _commit_each(
        self, batch: Sequence[Row], arrivals: Sequence[Arrival | None], to: Position, *, finished: bool
    ) -> None:
        """Record a failed batch row by row; of the one at fault nothing but its bytes."""
        for number, (row, arrival) in enumerate(zip(batch, arrivals, strict=True)):
            last = number + 1 == len(batch)
            after = to if last else Position(batch[number + 1].offset, batch[number + 1].line - 1)
            try:
                await self._record([row], [arrival], after, finished=finished and last)
            except Moved:
                raise
            except Exception as error:
                if is_unavailable(error) or arrival is None:
                    raise
                log.warning(
                    "import.row_failed", import_id=str(self._import.id), line=row.line, error=type(error).__name__
                )
                bare = replace(arrival, verdict=NotUnderstood(NOT_STORED))
                await self._record([row], [bare], after, finished=finished and last)

    async def _arrivals(self, batch: Sequence[Row]) -> list[Arrival | None]:
        assert self._reader is not None  # noqa: S101 - rows are read by a known layout
        now = self._database.clock()
        arrivals: list[Arrival | None] = []
        import_id = str(self._import.id)
        for number, row in enumerate(batch, 1):
            if number % _ROWS_BEFORE_OTHERS == 0:
                await asyncio.sleep(0)  # a file must not keep webhooks waiting
            if row.fault is not None:
                arrivals.append(None)
                continue
            headers = f'{{"{IMPORT_HEADER}":"{import_id}","{LINE_HEADER}":"{row.line}"}}'
            arrivals.append(
                file_arrival(self._ready, self._reader, row.body, headers, now, self._traceparent, self._ids.new(now))
            )
        return arrivals

    async def _record(
        self, batch: Sequence[Row], arrivals: Sequence[Arrival | None], to: Position, *, finished: bool
    ) -> None:
        understood = [arrival for arrival in arrivals if arrival is not None]

        async def move_on(tx: Tx, outcomes: Sequence[Outcome]) -> None:
            counts, errors = _told(batch, arrivals, outcomes)
            moved = await imports.advance(
                tx, self._import.id, seen=self._committed, to=to, counts=counts, errors=errors, finished=finished
            )
            if not moved:
                raise Moved

        async with asyncio.timeout(_COMMIT_SECONDS):
            if understood:
                await record_in(self._database, understood, move_on)
            else:
                async with self._database.transaction() as tx:
                    await move_on(tx, [])
        self._committed = to


def _told(
    batch: Sequence[Row], arrivals: Sequence[Arrival | None], outcomes: Sequence[Outcome]
) -> tuple[Counts, list[ErrorRow]]:
    """What became of the rows. One that is not understood is an error also where it came before."""
    errors: list[ErrorRow] = []
    statuses: Counter[Status] = Counter()
    each = iter(outcomes)
    for row, arrival in zip(batch, arrivals, strict=True):
        if arrival is None:
            errors.append(ErrorRow(row.line, row.offset, row.size, row.fault or "", None))
            continue
        outcome = next(each)
        if isinstance(arrival.verdict, NotUnderstood):
            errors.append(ErrorRow(row.line, row.offset, row.size, arrival.verdict.reason, outcome.delivery_id))
        else:
            statuses[outcome.status] += 1
    counts = Counts(
        accepted=statuses[Status.ACCEPTED],
        duplicates=statuses[Status.DUPLICATE],
        ignored=statuses[Status.IGNORED],
        errors=len(errors),
    )
    return counts, errors
