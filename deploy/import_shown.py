"""What `otklik import` shows: how a file was understood, what became of it, and its errors in a file of their own."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from services.ingest.domain.columns import COLUMN_FIELDS, NEEDED
from services.ingest.domain.tables import CODECS, Layout, Position, Rows

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rich.console import RenderableType

SEPARATORS: Final = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
_SHORT: Final = 40
_SHOWN: Final = ("line", "response_id", "answered_at", "score", "comment", "customer")


def as_page(preview: dict[str, Any], *, size: int, source: str) -> RenderableType:
    """How the file was understood."""
    layout = preview["layout"]
    facts = Table(box=None, show_header=False)
    facts.add_column(style="cyan")
    facts.add_column()
    facts.add_row("source", source)
    facts.add_row("format", f"{layout['format']}, {size:,} bytes")
    facts.add_row("encoding", layout["encoding"])
    if layout["separator"] is not None:
        facts.add_row("separator", f"{layout['separator']} {SEPARATORS[layout['separator']]!r}")
    facts.add_row("times", layout["times"])
    for field in COLUMN_FIELDS:
        column = layout["map"].get(field)
        nowhere = "the whole row stands for it: rows that are alike count once" if field == "response_id" else "–"
        facts.add_row(field + (" *" if field in NEEDED else ""), Text(column) if column else Text(nowhere, style="dim"))
    left = [column for column in preview["columns"] if column not in layout["map"].values()]
    facts.add_row("not used", Text(", ".join(left) or "–", style="dim"))
    rows = Table(title="The first rows, as they would be understood", title_justify="left", box=None)
    for heading in _SHOWN:
        rows.add_column(heading)
    for row in preview["rows"]:
        rows.add_row(str(row["line"]), *(map(Text, _cells(row))), style=None if row["understood"] else "red")
    return Group(facts, rows)


def as_summary(import_: dict[str, Any]) -> str:
    """What became of its rows."""
    return (
        f"{rows_of(import_):,} rows: {import_['accepted']:,} accepted, {import_['duplicates']:,} known already, "
        f"{import_['ignored']:,} without effect, {import_['errors']:,} errors"
    )


def rows_of(import_: dict[str, Any]) -> int:
    """How many rows were read."""
    return int(import_["accepted"] + import_["duplicates"] + import_["ignored"] + import_["errors"])


def write_errors(path: Path, import_: dict[str, Any], errors: Iterable[dict[str, Any]]) -> Path:
    """Write the rows that are errors beside the file, as they stand in it, with their line and the reason."""
    layout = import_["layout"]
    target = path.with_name(f"{path.name}.errors.{layout['format']}")
    unfinished = target.with_name(target.name + ".new")
    codec = "utf-8-sig" if layout["encoding"] == "utf-8-sig" else CODECS[layout["encoding"]]
    with path.open("rb") as file, unfinished.open("w", encoding=codec, errors="replace", newline="") as out:

        def raw(error: dict[str, Any]) -> bytes:
            file.seek(error["offset"])
            return file.read(error["size"])

        if layout["format"] == "jsonl":
            for error in errors:
                out.write(json.dumps(_json_error(error, raw(error)), ensure_ascii=False) + "\n")
        else:
            read_as = Layout("csv", layout["encoding"], SEPARATORS[layout["separator"]], tuple(layout["columns"]))  # type: ignore[arg-type] # one of them
            writer = csv.writer(out, delimiter=SEPARATORS[layout["separator"]])
            writer.writerow([*layout["columns"], "line", "reason"])
            for error in errors:
                writer.writerow([*_csv_cells(read_as, raw(error)), error["line"], error["reason"]])
    unfinished.replace(target)
    return target


def _csv_cells(layout: Layout, raw: bytes) -> list[str]:
    """The row's cells; of what is no row, all of it in the first."""
    for row in Rows(layout, Position()).feed(raw, final=True):
        if row.fault is None and row.size == len(raw):
            found: dict[str, str] = json.loads(row.body)
            return [found[column] for column in layout.columns]
        break
    text = raw.decode(CODECS[layout.encoding], "replace").rstrip("\r\n")
    return [text, *[""] * (len(layout.columns) - 1)]


def _json_error(error: dict[str, Any], raw: bytes) -> dict[str, Any]:
    try:
        row = json.loads(raw)
    except ValueError:
        row = raw.decode("utf-8", "replace").rstrip("\r\n")
    return {"line": error["line"], "reason": error["reason"], "row": row}


def _cells(row: dict[str, Any]) -> list[str]:
    response = row["response"]
    if response is None:
        return ["", "", "", row["reason"], ""]
    values = (
        response["vendor_response_id"],
        response["answered_at"],
        response["score"],
        response["comment"],
        response["customer_id"],
    )
    return ["" if value is None else str(value).replace("\n", " ")[:_SHORT] for value in values]
