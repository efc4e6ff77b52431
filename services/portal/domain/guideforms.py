"""What people enter about a conversation guide, and the body that casework takes: lines here, questions there."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PARTS: Final = ("title", "opening", "questions", "closing")
FIELDS: Final = tuple(f"{part}_{language}" for part in PARTS for language in ("ru", "en"))
LONGEST_TITLE: Final = 200
LONGEST: Final = 2_000
"""Characters of an opening, a closing, and each question."""
MOST_QUESTIONS: Final = 20
MOST_THEMES: Final = 50
_LONGEST_ID: Final = 80
_ID: Final = re.compile(r"[A-Za-z0-9._:@-]{1,128}")


def is_id(written: str) -> bool:
    """Whether a guide or a theme can be called so."""
    return _ID.fullmatch(written) is not None


def id_for(title: str, command_id: str) -> str:
    """The id of a new guide: readable where the title is in Latin letters, and nobody else's."""
    named = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:_LONGEST_ID]
    return "-".join(part for part in (named, command_id[:8]) if part)


def lines_of(written: str) -> list[str]:
    """The questions, one a line."""
    return [line.strip() for line in written.splitlines() if line.strip()]


def mistakes(entered: Mapping[str, str]) -> dict[str, str]:
    """The fields that cannot be so, with what is wrong: `missing`, `long`, `many` or `uneven`."""
    wrong: dict[str, str] = {}
    for name in FIELDS:
        part = name.partition("_")[0]
        lines = lines_of(entered[name]) if part == "questions" else [entered[name]]
        if not any(lines):
            wrong[name] = "missing"
        elif len(lines) > MOST_QUESTIONS:
            wrong[name] = "many"
        elif any(len(line) > (LONGEST_TITLE if part == "title" else LONGEST) for line in lines):
            wrong[name] = "long"
    questions = ("questions_ru", "questions_en")
    if not wrong.keys() & {*questions} and len({len(lines_of(entered[name])) for name in questions}) > 1:
        wrong["questions_en"] = "uneven"
    return wrong


def guide_of(entered: Mapping[str, str], themes: Sequence[str], *, retired: bool) -> dict[str, object]:
    """The guide as casework takes it, of what has no mistakes."""
    said = {name: entered[name] for name in FIELDS if not name.startswith("questions")}
    asked = zip(lines_of(entered["questions_ru"]), lines_of(entered["questions_en"]), strict=True)
    questions = [{"ru": ru, "en": en} for ru, en in asked]
    return {**said, "themes": list(themes)[:MOST_THEMES], "questions": questions, "retired": retired}


def changes(versions: Sequence[Mapping[str, object]]) -> list[tuple[str, ...]]:
    """For each version, the latest first, which parts it says otherwise than the one before; of the first nothing."""
    names = (*(name for name in FIELDS if not name.startswith("questions")), "questions", "themes", "retired")
    return [*(tuple(name for name in names if new[name] != old[name]) for new, old in pairwise(versions)), ()][
        : len(versions)
    ]
