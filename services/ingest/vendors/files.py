"""Rows of files as deliveries: a vendor whose payload is one row, with a column map for its shape."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from services.ingest.domain.deliveries import hash_of
from services.ingest.domain.fields import FieldMap, Reference
from services.ingest.domain.signature import STANDARD_WEBHOOKS
from services.ingest.domain.written_times import as_iso
from services.ingest.vendors.description import Path, Payload, Vendor, an_object, json_body
from services.ingest.vendors.understanding import Reader

if TYPE_CHECKING:
    from services.ingest.domain.columns import ColumnMap
    from services.ingest.domain.sources import Source
    from services.ingest.domain.tables import Format
    from services.ingest.domain.written_times import Times

ROW_HASH: Final = "\0row"
"""Stands for the response's id where no column has it; no key that is read can be the same."""
_SHORT: Final = 32


def row_reader(source: Source, format_: Format, times: Times, columns: ColumnMap) -> Reader:
    """Understands rows by their columns; where else `source` has its fields is of no matter."""
    return Reader(file_vendor(format_, times, columns), replace(source, fields=FieldMap()))


def file_vendor(format_: Format, times: Times, columns: ColumnMap) -> Vendor:
    """The shape of the rows. A name with dots is a path in JSON, and the name of a column in CSV."""

    def path(name: str) -> Path:
        return (name,) if format_ == "csv" else tuple(name.split("."))

    def place(name: str | None) -> Reference | None:
        return Reference("question" if format_ == "csv" else "path", name) if name else None

    written = [path(name) for name in (columns.answered_at, columns.revised_at) if name]

    def payload(value: object) -> Payload:
        row = an_object(value)
        for steps in written:
            _rewrite(row, steps, times)
        return row

    return Vendor(
        name="file",
        title="A row of a file",
        authentication=STANDARD_WEBHOOKS,  # of no use: whoever imports holds a key of ours
        response_id=path(columns.response_id) if columns.response_id else (ROW_HASH,),
        answered_at=(path(columns.answered_at),) if columns.answered_at else (),
        revised_at=(path(columns.revised_at),) if columns.revised_at else (),
        decode=json_body if columns.response_id else _with_hash,
        payload=payload,
        question=_cell,
        numbers_as_text=True,
        fields=FieldMap(
            score=place(columns.score),
            comment=place(columns.comment),
            customer=place(columns.customer),
            touchpoint=place(columns.touchpoint),
            language=place(columns.language),
            claimed_class=place(columns.claimed_class),
        ),
    )


def _cell(row: Payload, name: str) -> object:
    return row.get(name)


def _with_hash(body: bytes, content_type: str) -> object:
    row = an_object(json_body(body, content_type))
    row[ROW_HASH] = hash_of(body).hex()[:_SHORT]
    return row


def _rewrite(row: Payload, steps: Path, times: Times) -> None:
    holder: object = row
    for step in steps[:-1]:
        if not isinstance(holder, dict):
            return
        holder = holder.get(step)
    if isinstance(holder, dict) and steps[-1] in holder:
        holder[steps[-1]] = as_iso(holder[steps[-1]], times)
