"""Column maps: which column of a file is the response's id, the time of the answer, the score and so on."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final, Literal, get_args

from services.ingest.domain.fields import Reference
from services.ingest.domain.guesses import Candidate, guess
from services.ingest.domain.reasons import because

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from services.ingest.domain.reasons import Reason

ColumnField = Literal[
    "response_id",
    "answered_at",
    "revised_at",
    "score",
    "comment",
    "customer",
    "touchpoint",
    "language",
    "claimed_class",
]
COLUMN_FIELDS: Final[tuple[ColumnField, ...]] = get_args(ColumnField)
NEEDED: Final[tuple[ColumnField, ...]] = ("answered_at", "score")

_ID: Final = re.compile(
    r"respon(?:se|dent)[ _-]?(?:id|no|number)|submission|(?:id|№|номер)[ _-]*(?:ответа|анкеты)"
    r"|(?:ответ|анкет).*(?:id|№|номер)",
    re.IGNORECASE,
)
_PLAIN_ID: Final = re.compile(r"^(?:#|id|№|token|uuid|номер)$", re.IGNORECASE)
_ANSWERED: Final = re.compile(
    r"answered|submitted|completed|finished|responded|отвеч|ответа|заверш|заполн", re.IGNORECASE
)
_TIME: Final = re.compile(r"date|time|created|(?:_| )at$|дата|время|когда", re.IGNORECASE)
_REVISED: Final = re.compile(r"updated|modified|revised|changed|измен|обновл", re.IGNORECASE)
_CLASS: Final = re.compile(r"class|segment|category|group|type|класс|категори|групп|сегмент", re.IGNORECASE)
_CLASSES: Final = frozenset({"promoter", "passive", "detractor", "промоутер", "нейтрал", "критик"})
_LOOKS_LIKE_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}.*|[0-9]{1,2}([./-])[0-9]{1,2}\1[0-9]{4}.*|[0-9]{10}", re.DOTALL
)
_RATING: Final = re.compile(r"[0-9]|10")


class UnusableMap(Exception):
    """A column map that cannot be used; the message says why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """The column of each field; None: not said, and "": nowhere."""

    response_id: str | None = None
    answered_at: str | None = None
    revised_at: str | None = None
    score: str | None = None
    comment: str | None = None
    customer: str | None = None
    touchpoint: str | None = None
    language: str | None = None
    claimed_class: str | None = None

    def over(self, guessed: ColumnMap) -> ColumnMap:
        """This map, and where it says nothing, what was guessed."""
        return ColumnMap(**{**guessed.said(), **self.said()})

    def said(self) -> dict[str, str]:
        """The fields about which something is said."""
        return {field: value for field in COLUMN_FIELDS if (value := getattr(self, field)) is not None}

    def as_json(self) -> dict[str, str]:
        """The fields that are somewhere."""
        return {field: column for field, column in self.said().items() if column}

    @classmethod
    def from_json(cls, stored: Mapping[str, str]) -> ColumnMap:
        """The map in its stored form."""
        return cls(**stored)

    @classmethod
    def parse(cls, written: Iterable[str]) -> ColumnMap:
        """From `field=column`, one for each field."""
        said: dict[str, str] = {}
        for each in written:
            field, equals, column = each.partition("=")
            if not equals or field not in COLUMN_FIELDS:
                raise UnusableMap(because("map-words", fields=", ".join(COLUMN_FIELDS)))
            if field in said:
                raise UnusableMap(because("map-twice", field=field))
            said[field] = column
        return cls(**said)

    def check(self, columns: Sequence[str]) -> None:
        """Raise where something that is needed is nowhere, or in a column that is none of `columns` (if any)."""
        missing = [field for field in NEEDED if not getattr(self, field)]
        if missing:
            raise UnusableMap(
                because("map-missing", field=missing[0], missing=" and which ".join(missing), fields=tuple(missing))
            )
        for field, column in self.as_json().items():
            if columns and column not in columns:
                raise UnusableMap(because("map-no-column", name=repr(column), field=field))


assert tuple(field.name for field in fields(ColumnMap)) == COLUMN_FIELDS  # noqa: S101 - said twice, once for the checker


def guess_columns(columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> ColumnMap:
    """What each column probably is, by its name and the first rows: offered to a person."""
    values = {column: [text for row in rows if (text := _text(row.get(column)))] for column in columns}
    left = dict(values)

    def take(*tests: tuple[re.Pattern[str], bool]) -> str | None:
        """The first column that is like the first of `tests` (name, whether it has to hold times) that any is like."""
        for pattern, times in tests:
            for column, found in left.items():
                if pattern.search(column) and (_all_times(found) if times else not _all_times(found)):
                    del left[column]
                    return column
        return None

    revised_at = take((_REVISED, True))
    answered_at = take((_ANSWERED, True), (_TIME, True), (re.compile(""), True))
    response_id = take((_ID, False), (_PLAIN_ID, False))
    claimed = next((c for c, found in left.items() if _CLASS.search(c) and found and _all_classes(found)), None)
    left.pop(claimed or "", None)
    guessed = guess(
        [Candidate(Reference("question", column), column, _typical(found)) for column, found in left.items() if found]
    )
    return ColumnMap(
        response_id=response_id,
        answered_at=answered_at,
        revised_at=revised_at,
        score=None if guessed.score is None else guessed.score.name,
        comment=None if guessed.comment is None else guessed.comment.name,
        customer=None if guessed.customer is None else guessed.customer.name,
        touchpoint=None if guessed.touchpoint is None else guessed.touchpoint.name,
        language=None if guessed.language is None else guessed.language.name,
        claimed_class=claimed,
    )


def _text(value: object) -> str:
    return "" if value is None or isinstance(value, (dict, list)) else str(value).strip()


def _all_times(values: Sequence[str]) -> bool:
    return bool(values) and all(_LOOKS_LIKE_TIME.fullmatch(value) for value in values)


def _all_classes(values: Sequence[str]) -> bool:
    return all(value.lower() in _CLASSES for value in values)


def _typical(values: Sequence[str]) -> str:
    """One value for all: a rating where most are, else the longest of the others."""
    others = [value for value in values if not _RATING.fullmatch(value)]
    ratings = [value for value in values if _RATING.fullmatch(value)]
    return ratings[0] if len(ratings) >= len(others) else max(others, key=len)
