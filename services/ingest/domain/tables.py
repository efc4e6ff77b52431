"""Files of rows: bytes to rows, wherever the bytes are cut, with the place of each in its file.

Separators, quotes and line ends are single bytes in every encoding that is read here, and no part of another character:
rows are found in the bytes, and each is decoded by itself. What is no row (a quote that is never closed, another number
of columns, bytes that are not of the encoding) is a fault of its first line alone; reading goes on with the next line.
What a row or a fault is does not depend on how the bytes are cut, so that reading may go on at any `Position`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from services.ingest.domain.reasons import because

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.ingest.domain.reasons import Reason

Format = Literal["csv", "jsonl"]
Encoding = Literal["utf-8", "utf-8-sig", "windows-1251"]
"""`utf-8-sig`: with a byte order mark before the first character."""
Separator = Literal[",", ";", "\t", "|"]

LARGEST_ROW: Final = 262_144
MOST_COLUMNS: Final = 500
LONGEST_COLUMN: Final = 1_000
CODECS: Final[dict[Encoding, str]] = {"utf-8": "utf-8", "utf-8-sig": "utf-8", "windows-1251": "cp1251"}

_LF: Final = 0x0A
_CR: Final = 0x0D
_TOO_LONG: Final = because("row-long", most=LARGEST_ROW)
_NOT_CLOSED: Final = because("row-quote", most=LARGEST_ROW)
_AFTER_QUOTE: Final = because("row-after-quote")

_canonical: Final = msgspec.json.Encoder(order="sorted").encode
_decode_json: Final = msgspec.json.Decoder().decode
_fields_by_separator: Final = {
    separator: re.compile(rb'"(?:[^"]++|"")*+("?)|[^%s\n]*+' % re.escape(separator.encode()))
    for separator in (",", ";", "\t", "|")
}


@dataclass(frozen=True, slots=True)
class Position:
    """How far a file is read: bytes and lines before it. `skipping`: within a line that was given up."""

    offset: int = 0
    line: int = 0
    skipping: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is written. `columns` are those of its first line; JSON Lines have names in each row."""

    format: Format
    encoding: Encoding
    separator: Separator | None = None
    columns: tuple[str, ...] = ()


class Record(msgspec.Struct, frozen=True, gc=False):
    """The cells of one row as they stand in the file, or why they cannot be told (`fault`)."""

    line: int
    offset: int
    size: int
    cells: list[str]
    fault: str | None = None


class Row(msgspec.Struct, frozen=True, gc=False):
    """One row: `body` is its values by their columns, as JSON that is the same for the same row; or there is a fault.

    `line` counts from 1; `offset` and `size` are where its bytes are, without the end of the line.
    """

    line: int
    offset: int
    size: int
    body: bytes
    fault: str | None = None


class _Broken(Exception):
    """The line at hand begins no row."""

    def __init__(self, fault: Reason) -> None:
        super().__init__(fault)
        self.fault = fault


class Records:
    """Finds the records in a file's bytes as they come. `position` is after the last record that was given."""

    def __init__(self, encoding: Encoding, separator: Separator | None, position: Position) -> None:
        """Without a separator each line is one record of one cell."""
        self._encoding = encoding
        self._codec = CODECS[encoding]
        self._separator = separator
        self._separator_byte = (separator or "").encode()
        self._field = None if separator is None else _fields_by_separator[separator].match
        self._rest = b""
        self.position = position

    def feed(self, piece: bytes, *, final: bool = False) -> Iterator[Record]:
        """The records that end in `piece`. It has to be used up before more is fed; `final`: nothing follows."""
        buffer = self._rest + piece if self._rest else piece
        self._rest = b""
        base, at = self.position.offset, 0
        line, skipping = self.position.line, self.position.skipping
        length = len(buffer)
        while at < length:
            if skipping:
                newline = buffer.find(b"\n", at)
                skipping = newline < 0
                at = length if skipping else newline + 1
                line += not skipping
                self.position = Position(base + at, line, skipping)
                continue
            try:
                found = self._record(buffer, at, final=final)
                if found is None:
                    break
                end, after, cells = found
            except _Broken as broken:
                newline = buffer.find(b"\n", at)
                skipping = newline < 0
                if skipping and not final and length - at <= LARGEST_ROW:
                    break  # where its line ends is going to be told, too
                size = min((length if skipping else newline) - at, LARGEST_ROW)
                record = Record(line + 1, base + at, size, [], broken.fault)
                at = length if skipping else newline + 1
                line += not skipping
                self.position = Position(base + at, line, skipping)
                yield record
                continue
            first, start = line + 1, at
            line += buffer.count(b"\n", at, end) + 1
            at = after
            self.position = Position(base + at, line)
            if cells:
                yield self._decoded(first, base + start, end - start, cells)
        self._rest = buffer[at:]

    def _record(self, buffer: bytes, at: int, *, final: bool) -> tuple[int, int, list[bytes]] | None:
        """Where the record at `at` ends, where the next may begin, and its cells; None where more has to come."""
        newline = buffer.find(b"\n", at)
        if self._field is None or buffer.find(b'"', at, len(buffer) if newline < 0 else newline) < 0:
            if newline < 0:
                if len(buffer) - at > LARGEST_ROW + 1:  # the last may belong to the end of the line
                    raise _Broken(_TOO_LONG)
                if not final:
                    return None
            end = len(buffer) if newline < 0 else newline
            after = len(buffer) if newline < 0 else newline + 1
            if end > at and buffer[end - 1] == _CR:
                end -= 1
            if end - at > LARGEST_ROW:
                raise _Broken(_TOO_LONG)
            text = buffer[at:end]
            return end, after, text.split(self._separator_byte) if self._field is not None else [text]
        return self._quoted(buffer, at, final=final)

    def _quoted(self, buffer: bytes, at: int, *, final: bool) -> tuple[int, int, list[bytes]] | None:
        assert self._field is not None  # noqa: S101 - else nothing is quoted
        length, separator = len(buffer), self._separator_byte[0]
        cells: list[bytes] = []
        place = at
        while True:
            found = self._field(buffer, place)
            assert found is not None  # noqa: S101 - it matches nothing, too
            end = found.end()
            quoted = found[1] is not None
            if quoted:
                if end - at > LARGEST_ROW or (not found[1] and final):
                    raise _Broken(_NOT_CLOSED)
                if not found[1] or (end + 1 >= length and not final):
                    return None
                cells.append(buffer[place + 1 : end - 1].replace(b'""', b'"'))
            else:
                if end - at > LARGEST_ROW:
                    raise _Broken(_TOO_LONG)
                if end == length and not final:
                    return None
                cells.append(buffer[place:end])
            if end < length and buffer[end] == separator:
                place = end + 1
                continue
            if not quoted and cells[-1].endswith(b"\r"):
                cells[-1] = cells[-1][:-1]
                return end - 1, min(end + 1, length), cells
            return end, self._after_last(buffer, end), cells

    def _after_last(self, buffer: bytes, end: int) -> int:
        """Where the next record may begin after one whose last cell ends at `end`."""
        if end == len(buffer):
            return end
        if buffer[end] == _LF:
            return end + 1
        if buffer[end : end + 2] in {b"\r\n", b"\r"}:
            return min(end + 2, len(buffer))
        raise _Broken(_AFTER_QUOTE)

    def _decoded(self, line: int, offset: int, size: int, cells: list[bytes]) -> Record:
        try:
            return Record(line, offset, size, [cell.decode(self._codec) for cell in cells])
        except UnicodeDecodeError:
            return Record(line, offset, size, [], because("row-encoding", encoding=self._encoding))


class Rows:
    """Reads the rows of a file as its bytes come, beginning after the first line of a CSV file, or anywhere later."""

    def __init__(self, layout: Layout, position: Position) -> None:
        self._records = Records(layout.encoding, layout.separator if layout.format == "csv" else None, position)
        self._row = self._of_json if layout.format == "jsonl" else self._of_cells
        self._columns = layout.columns

    @property
    def position(self) -> Position:
        """After the last row that was given, and the empty lines before the next."""
        return self._records.position

    def feed(self, piece: bytes, *, final: bool = False) -> Iterator[Row]:
        """The rows that end in `piece`; empty ones are passed over."""
        row = self._row
        for record in self._records.feed(piece, final=final):
            if record.fault is not None:
                yield Row(record.line, record.offset, record.size, b"", record.fault)
            elif any(record.cells) and (len(record.cells) > 1 or record.cells[0].strip()):
                yield row(record)

    def _of_cells(self, record: Record) -> Row:
        cells, columns = record.cells, self._columns
        if len(cells) != len(columns):
            fault = because("row-columns", n=len(cells), most=len(columns))
            return Row(record.line, record.offset, record.size, b"", fault)
        return Row(record.line, record.offset, record.size, _canonical(dict(zip(columns, cells, strict=True))))

    def _of_json(self, record: Record) -> Row:
        try:
            body = _canonical_json(record.cells[0])
        except _Broken as broken:
            return Row(record.line, record.offset, record.size, b"", broken.fault)
        return Row(record.line, record.offset, record.size, body)


def _canonical_json(text: str) -> bytes:
    raw = text.encode()
    try:
        value = _decode_json(raw)
        body = _canonical(value)
    except (msgspec.MsgspecError, RecursionError, OverflowError) as error:
        raise _Broken(because("row-no-json")) from error
    if not isinstance(value, dict):
        raise _Broken(because("row-no-object"))
    if raw.count(b":") > body.count(b":"):  # the decoder drops a repeated key, and with it a colon
        raise _Broken(because("row-repeated-key"))
    return body
