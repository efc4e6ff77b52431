"""How a file is written, found in its first bytes: JSON Lines or CSV, the encoding, the separator, the columns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from services.ingest.domain.reasons import because
from services.ingest.domain.tables import (
    LONGEST_COLUMN,
    MOST_COLUMNS,
    Layout,
    Position,
    Records,
    Rows,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.ingest.domain.reasons import Reason
    from services.ingest.domain.tables import Encoding, Format, Record, Separator

HEAD: Final = 65_536
"""Bytes that are looked at."""

_MARK: Final = b"\xef\xbb\xbf"
_WIDE_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
_SEPARATORS: Final[tuple[Separator, ...]] = ("\t", ";", "|", ",")  # the comma last: texts are full of them
_NAMED_SEPARATOR: Final = re.compile(rb'"?sep=([,;|\t])"?\r?\n', re.IGNORECASE)
"""What Excel writes, and understands, as a first line."""
_SAMPLE: Final = 200
_DEEPEST: Final = 6

_decode: Final = msgspec.json.Decoder(dict[str, object]).decode


class Unreadable(Exception):
    """The file cannot be read so; `parameter` is what might be said to mend it."""

    def __init__(self, reason: Reason, parameter: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.parameter = parameter


@dataclass(frozen=True, slots=True)
class Given:
    """What was said of a file, and need not be found."""

    format: Format | None = None
    encoding: Encoding | None = None
    separator: Separator | None = None


@dataclass(frozen=True, slots=True)
class Detected:
    """How the file is written, where its rows begin, and the first of them by their columns."""

    layout: Layout
    position: Position
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, object], ...]


def detect(head: bytes, given: Given, *, whole: bool) -> Detected:
    """How the file that begins with `head` is written; `whole`: there is no more of it. Raises `Unreadable`."""
    if head.startswith(_WIDE_MARKS) or head[:400].count(0) > len(head[:400]) // 4:
        raise Unreadable(because("file-wide"), "encoding")
    marked = head.startswith(_MARK)
    encoding = given.encoding or encoding_of(head)
    if marked and encoding == "utf-8":
        encoding = "utf-8-sig"
    start = len(_MARK) if marked and encoding == "utf-8-sig" else 0
    if not head[start:].strip():
        raise Unreadable(because("file-empty"))
    if b"\n" not in head and b"\r" in head.strip():
        raise Unreadable(because("file-line-ends"))
    if (given.format or _format_of(head[start:])) == "jsonl":
        return _json_lines(head, encoding, Position(start), whole=whole)
    return _csv(head, given, encoding, Position(start), whole=whole)


def encoding_of(head: bytes) -> Encoding:
    """UTF-8, unless more bytes speak against it than for it: broken lines do not make a file another one."""
    if head.startswith(_MARK):
        return "utf-8-sig"
    if head.isascii():
        return "utf-8"
    well, badly = utf8_counts(head)
    return "utf-8" if well >= badly else "windows-1251"


def utf8_counts(piece: bytes) -> tuple[int, int]:
    """How many characters beyond ASCII `piece` has, read as UTF-8, and how many places that are not UTF-8."""
    text = piece.decode("utf-8", "replace")
    badly = text.count("\ufffd") - piece.count("\ufffd".encode())
    return len(text) - len(text.encode("ascii", "ignore")) - badly, badly


def _format_of(head: bytes) -> Format:
    first = head.lstrip()[:1]
    if first == b"[":
        raise Unreadable(because("file-array"), "format")
    return "jsonl" if first == b"{" else "csv"


def _json_lines(head: bytes, encoding: Encoding, position: Position, *, whole: bool) -> Detected:
    layout = Layout("jsonl", encoding)
    rows = _sample(head, layout, position, whole=whole)
    if not rows and whole:
        raise Unreadable(because("file-no-object"), "format")
    names = dict.fromkeys(name for row in rows for name in row if "\0" not in name and len(name) <= LONGEST_COLUMN)
    return Detected(layout, position, tuple(names)[:MOST_COLUMNS], rows)


def _csv(head: bytes, given: Given, encoding: Encoding, position: Position, *, whole: bool) -> Detected:
    named = _NAMED_SEPARATOR.match(head, position.offset)
    if named is not None:
        position = Position(named.end(), 1)
    separator = given.separator or (
        named[1].decode() if named else _separator_of(head, encoding, position, whole=whole)
    )
    records = Records(encoding, separator, position)  # type: ignore[arg-type] # the pattern has only separators
    header: Record | None = None
    for record in records.feed(head[position.offset :], final=whole):
        if record.fault is not None or any(record.cells):
            header = record
            break
    if header is None:
        raise Unreadable(because("file-first-line"), "separator")
    if header.fault is not None:
        raise Unreadable(because("file-first-line-fault", problem=header.fault), "encoding")
    layout = Layout("csv", encoding, separator, _columns_of(header.cells))  # type: ignore[arg-type] # as above
    return Detected(layout, records.position, layout.columns, _sample(head, layout, records.position, whole=whole))


def _separator_of(head: bytes, encoding: Encoding, position: Position, *, whole: bool) -> Separator:
    """The one by which the first line has several columns, and most rows just as many."""
    best, most = None, 0.0
    for separator in _SEPARATORS:
        agreement = _agreement(head, encoding, separator, position, whole=whole)
        if agreement > most:
            best, most = separator, agreement
    if best is None:
        raise Unreadable(because("file-separator"), "separator")
    return best


def _agreement(head: bytes, encoding: Encoding, separator: Separator, position: Position, *, whole: bool) -> float:
    width, rows, agree = 0, 0, 0
    for record in Records(encoding, separator, position).feed(head[position.offset :], final=whole):
        if record.fault is None and not any(record.cells):
            continue
        if width == 0:
            width = len(record.cells)
            if record.fault is not None or width == 1:
                return 0.0
        rows += 1
        agree += record.fault is None and len(record.cells) == width
    return agree / rows if rows else 0.0


def _columns_of(cells: list[str]) -> tuple[str, ...]:
    """Names that differ: an empty one gets its number, and a repeated one is told apart by it."""
    if len(cells) > MOST_COLUMNS:
        raise Unreadable(because("file-columns", n=len(cells), most=MOST_COLUMNS), "separator")
    if any("\0" in cell for cell in cells):
        raise Unreadable(because("file-nul"))
    names: dict[str, None] = {}
    for number, cell in enumerate(cells, 1):
        name = " ".join(cell.split())[:LONGEST_COLUMN] or f"column {number}"
        while name in names:
            name = f"{name} ({number})"
        names[name] = None
    return tuple(names)


def _sample(head: bytes, layout: Layout, position: Position, *, whole: bool) -> tuple[Mapping[str, object], ...]:
    rows: list[Mapping[str, object]] = []
    for row in Rows(layout, position).feed(head[position.offset :], final=whole):
        if row.fault is None:
            rows.append(_flat(_decode(row.body)))
        if len(rows) == _SAMPLE:
            break
    return tuple(rows)


def _flat(row: Mapping[str, object], prefix: str = "", depth: int = 1) -> dict[str, object]:
    """Objects within become names with dots, as a column map names them."""
    found: dict[str, object] = {}
    for name, value in row.items():
        if isinstance(value, dict) and depth < _DEEPEST:
            found |= _flat(value, f"{prefix}{name}.", depth + 1)
        else:
            found[prefix + name] = value
    return found
