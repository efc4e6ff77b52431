"""What people say of a file before it is imported, as ingest takes it, and where each choice comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMATS: Final = ("csv", "jsonl")
ENCODINGS: Final = ("utf-8", "utf-8-sig", "windows-1251")
SEPARATORS: Final = ("comma", "semicolon", "tab", "pipe")
TIMES: Final = ("iso", "day-first", "month-first")
FIELDS: Final = (
    "response_id",
    "answered_at",
    "score",
    "comment",
    "customer",
    "touchpoint",
    "language",
    "revised_at",
    "claimed_class",
)
"""Of ours, that a column can hold."""
NOWHERE: Final = "-"
"""What is chosen for a field that no column has; nothing chosen is left to be guessed."""

_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "format": FORMATS,
    "encoding": ENCODINGS,
    "separator": SEPARATORS,
    "times": TIMES,
}
_COLUMN: Final = "column:"


def said_of(chosen: Mapping[str, str], source: str) -> dict[str, str | list[str]]:
    """The parameters that say so; what was not chosen is found by itself."""
    said: dict[str, str | list[str]] = {"source": source}
    for name, options in _CHOICES.items():
        if chosen.get(name) in options:
            said[name] = chosen[name]
    columns = [
        f"{field}={column.removeprefix(_COLUMN)}" if column != NOWHERE else f"{field}="
        for field in FIELDS
        if (column := chosen.get(f"map-{field}", "")) == NOWHERE or column.startswith(_COLUMN)
    ]
    if columns:
        said["map"] = columns
    return said
