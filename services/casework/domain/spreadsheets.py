"""Rows of a CSV file (RFC 4180) that a spreadsheet opens as it was meant: in UTF-8, and with no cell that is a formula.

A cell that begins like a formula, after blanks or not, is run by spreadsheets when the file is opened, whoever wrote
it; an apostrophe before it makes it the text that it is (OWASP, CSV Injection).
"""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MARK: Final = "\ufeff"
"""By which Excel knows that the file is in UTF-8."""
_BEGINS_FORMULA: Final = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def cell(value: object) -> str:
    """What stands in the file for this value; nothing for None, times as RFC 3339 in UTC."""
    match value:
        case None:
            return ""
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case _:
            text = str(value)
            begins = text.lstrip(" \u00a0\ufeff")[:1]
            return f"'{text}" if begins in _BEGINS_FORMULA else text


def lines(rows: Iterable[Sequence[object]]) -> bytes:
    """These rows as a part of a file."""
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\r\n").writerows([cell(value) for value in row] for row in rows)
    return written.getvalue().encode()
