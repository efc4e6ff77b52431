"""What requests about files say, and what is told of imports."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, Field

from libs.webapi.problem import Problem
from services.ingest.api.access import SOURCE_NAME
from services.ingest.api.dry_runs import ResponseOut
from services.ingest.api.models import WhyOut
from services.ingest.domain.columns import ColumnMap, UnusableMap
from services.ingest.domain.reasons import why_of
from services.ingest.domain.tables import Encoding, Format, Separator
from services.ingest.domain.written_times import Times
from services.ingest.store.imports import Import, Written

LARGEST_FILE: Final = 1 << 50

Source = Annotated[str, Query(pattern=SOURCE_NAME, description="Whose program, instrument and time zone apply.")]
AnyFormat = Annotated[Format | None, Query(alias="format", description="Found by itself where it is left out.")]
AnyEncoding = Annotated[
    Encoding | None, Query(description="Found likewise; `utf-8-sig` has a byte order mark before the first character.")
]
AnySeparator = Annotated[Literal["comma", "semicolon", "tab", "pipe"] | None, Query(description="Found likewise.")]
AnyTimes = Annotated[
    Times | None,
    Query(description="Found likewise, unless each day could be a month; times without a zone are in the source's."),
]
AnyMap = Annotated[
    list[str] | None,
    Query(
        alias="map",
        max_length=20,
        description="`field=column` for each field: response_id, answered_at, revised_at, score, comment, customer, "
        "touchpoint, language, claimed_class. What is left out is guessed; `field=` is nowhere. Without a column of "
        "the response's id the whole row stands for it, and rows that are alike count once.",
    ),
]
Size = Annotated[int | None, Query(ge=0, le=LARGEST_FILE, description="Of the whole file, in bytes.")]
Last = Annotated[bool, Query(description="The file ends with the body; not needed where its size is known.")]
Digest = Annotated[
    str | None, Query(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the whole file; with `size` it is the file.")
]

_SEPARATORS: Final[dict[str, Separator]] = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
_NAMES: Final = {separator: name for name, separator in _SEPARATORS.items()}
FILE: Final[dict[str, Any]] = {
    "requestBody": {
        "description": "The file's bytes, whatever the content type says.",
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "application/x-ndjson": {"schema": {"type": "string"}},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


class LayoutOut(BaseModel):
    """How a file is written and where its fields are."""

    format: Format
    encoding: Encoding
    separator: Literal["comma", "semicolon", "tab", "pipe"] | None
    times: Times
    columns: Annotated[list[str], Field(description="Of the first line; JSON Lines have names in each row.")]
    map: Annotated[dict[str, str], Field(description="The column of each field that is somewhere.")]


class ImportOut(BaseModel):
    """One file of one source, and how far it is. Each row that was read is counted in exactly one of the four."""

    id: UUID
    source: str
    name: str
    digest: str | None
    size: int | None
    layout: Annotated[LayoutOut | None, Field(description="Null until the first bytes were seen.")]
    offset: Annotated[int, Field(description="Bytes that are read: where to go on.")]
    lines: int
    accepted: int
    duplicates: int
    ignored: int
    errors: Annotated[int, Field(description="Rows that are none, or were not understood.")]
    finished: bool
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None


class ImportErrorOut(BaseModel):
    """A row that brought no response: its first line, where its bytes are, why, and the delivery that keeps it."""

    line: int
    offset: int
    size: int
    reason: str
    why: WhyOut | None
    delivery_id: Annotated[UUID | None, Field(description="Null: it is no row, and nothing of it is kept.")]


class RowOut(BaseModel):
    """One of the first rows, as it would be understood."""

    line: int
    understood: bool
    reason: str | None
    why: WhyOut | None
    response: ResponseOut | None


class PreviewOut(BaseModel):
    """What a file looks like. Columns of JSON Lines are those of its first rows."""

    layout: LayoutOut
    columns: list[str]
    rows: list[RowOut]


def said_of(
    format_: Format | None,
    encoding: Encoding | None,
    separator: str | None,
    times: Times | None,
    columns: Sequence[str] | None,
) -> dict[str, Any]:
    """What a request says of a file, as it is kept; a problem where it says nonsense."""
    try:
        said = ColumnMap.parse(columns or ()).said()
    except UnusableMap as error:
        raise invalid_parameter("map", error.reason) from error
    given: dict[str, Any] = {
        "format": format_,
        "encoding": encoding,
        "separator": None if separator is None else _SEPARATORS[separator],
        "times": times,
        "map": said or None,
    }
    return {name: value for name, value in given.items() if value is not None}


def agrees(written: Written, said: Mapping[str, Any]) -> bool:
    """Whether the file was read as it is now said to be."""
    layout = written.layout
    known = {
        "format": layout.format,
        "encoding": layout.encoding,
        "separator": layout.separator,
        "times": written.times,
    }
    columns = written.columns
    return all(known[name] == value for name, value in said.items() if name != "map") and all(
        (getattr(columns, field) or "") == column for field, column in said.get("map", {}).items()
    )


def layout_out(written: Written) -> LayoutOut:
    """How a file is written, as it is told."""
    layout = written.layout
    return LayoutOut.model_validate(
        {
            "format": layout.format,
            "encoding": layout.encoding,
            "separator": None if layout.separator is None else _NAMES[layout.separator],
            "times": written.times,
            "columns": list(layout.columns),
            "map": written.columns.as_json(),
        }
    )


def import_out(import_: Import) -> ImportOut:
    """An import as it is told."""
    counts = import_.counts
    return ImportOut(
        id=import_.id,
        source=import_.source,
        name=import_.name,
        digest=None if import_.digest is None else import_.digest.hex(),
        size=import_.size,
        layout=None if import_.written is None else layout_out(import_.written),
        offset=import_.position.offset,
        lines=import_.position.line,
        accepted=counts.accepted,
        duplicates=counts.duplicates,
        ignored=counts.ignored,
        errors=counts.errors,
        finished=import_.finished_at is not None,
        created_at=import_.created_at,
        updated_at=import_.updated_at,
        finished_at=import_.finished_at,
    )


def invalid_parameter(parameter: str, detail: str) -> Problem:
    """The problem of one query parameter."""
    errors: Any = [{"pointer": f"/{parameter}", "in": "query", "detail": str(detail)}]
    why = why_of(detail)
    return Problem(422, "invalid", "The request is not valid", errors=errors, extra={} if why is None else {"why": why})
