"""People of a list, as somebody pastes them or as a spreadsheet saves them: one per line, read or refused by line."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from io import StringIO
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from services.portal.domain.people import Language

SIDES: Final = ("employees", "partners")
MOST_MEMBERS: Final = 10_000
MOST_BYTES: Final = 1_048_576
_MOST_MISTAKES: Final = 20
_LONGEST_NAME: Final = 200
_COLUMNS: Final = {
    "name": "name",
    "имя": "name",
    "фио": "name",
    "email": "email",
    "e-mail": "email",
    "почта": "email",
    "адрес": "email",
    "language": "language",
    "язык": "language",
    "id": "member_id",
    "номер": "member_id",
}
_USUAL: Final = ("name", "email", "language", "member_id")
_LANGUAGES: Final[dict[str, Language]] = {"ru": "ru", "рус": "ru", "русский": "ru", "en": "en", "английский": "en"}
_ADDRESS: Final = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>]+")
_ID: Final = re.compile(r"[A-Za-z0-9._:@-]{1,128}")
_NOT_IN_AN_ID: Final = re.compile(r"[^A-Za-z0-9._:@-]")


@dataclass(frozen=True, slots=True)
class Read:
    """Who was read, and on which lines nobody could be: line number and code."""

    members: list[dict[str, str]] = field(default_factory=list)
    mistakes: list[tuple[int, str]] = field(default_factory=list)


def decoded(content: bytes) -> str | None:
    """The text of a file in UTF-8, or as Russian spreadsheets save it; None where it is no text."""
    for encoding in ("utf-8-sig", "cp1251"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        return None if "\0" in text else text
    return None


def read_members(text: str, *, usual_language: Language) -> Read:
    """One person per line: name, address, and if wanted language and id; a first line may name the columns."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    first = lines.lstrip("\n").partition("\n")[0]
    delimiter = max(";\t,", key=first.count)
    columns: tuple[str, ...] = _USUAL
    members: dict[str, dict[str, str]] = {}
    mistakes: list[tuple[int, str]] = []
    is_first = True
    reader = csv.reader(StringIO(lines), delimiter=delimiter)
    for row in reader:
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        named = [_COLUMNS.get(cell.casefold(), "") for cell in cells]
        if is_first and "email" in named:
            columns = tuple(named)
        else:
            said = {name: cell for name, cell in zip(columns, cells, strict=False) if name}
            member = _member(said, usual_language)
            if isinstance(member, str):
                mistakes.append((reader.line_num, member))
            else:
                members[member["member_id"]] = member
        is_first = False
        if len(mistakes) >= _MOST_MISTAKES:
            break
    if len(members) > MOST_MEMBERS:
        mistakes.append((reader.line_num, "too_many"))
    return Read(list(members.values()), mistakes)


def member_id_of(email: str) -> str:
    """By which somebody without an id of their own is known: their address, as far as ids go."""
    return _NOT_IN_AN_ID.sub("-", email.casefold())[:128]


def _member(said: dict[str, str], usual: Language) -> dict[str, str] | str:
    """The person of a line; else what is wrong with it, as a code."""
    email = said.get("email", "")
    written = said.get("language", "").casefold()
    language = _LANGUAGES.get(written) if written else usual
    member_id = said.get("member_id", "") or member_id_of(email)
    name = said.get("name", "")
    if not _ADDRESS.fullmatch(email):
        return "no_address"
    if language is None:
        return "no_language"
    if not _ID.fullmatch(member_id):
        return "no_id"
    if len(name) > _LONGEST_NAME:
        return "long_name"
    return {"member_id": member_id, "name": name, "email": email, "language": language}
