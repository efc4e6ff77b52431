"""Themes of comments as pages show and edit them: lines of a table on one side, texts of a form on the other."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from services.portal.domain.measures import Measure

LANGUAGES: Final = ("ru", "en")
PHRASES: Final = ("patterns", "otherwise", "unless")
_LONGEST_ID: Final = 64
_NO_LETTER: Final = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mentioned:
    """How many mention a theme (None: too few to tell), and the NPS of those among them who gave a score."""

    theme: str
    names: Mapping[str, str]
    retired: bool
    mentions: int | None
    measure: Measure


@dataclass(frozen=True, slots=True)
class KindOfThemes:
    """The themes of one survey kind; kinds are never added up."""

    kind: str
    shown: list[Mentioned]
    hidden: list[Mentioned]

    @property
    def most(self) -> int:
        """How often the most mentioned one is."""
        return max((each.mentions or 0 for each in self.shown), default=0) or 1


def by_kind(mentioned: Sequence[Mentioned]) -> list[KindOfThemes]:
    """The most mentioned first, those that are hidden by their ids: their order would tell what is hidden."""
    found = []
    for kind in sorted({each.measure.kind for each in mentioned}, reverse=True):
        of_kind = [each for each in mentioned if each.measure.kind == kind]
        shown = [each for each in of_kind if not each.measure.hidden]
        hidden = [each for each in of_kind if each.measure.hidden]
        shown.sort(key=lambda each: (-(each.mentions or 0), each.theme))
        found.append(KindOfThemes(kind, shown, sorted(hidden, key=lambda each: each.theme)))
    return found


def id_from(name: str) -> str:
    """An id for a theme of this English name; empty where it has no Latin letter to begin with."""
    found = _NO_LETTER.sub("_", name.lower()).strip("_")
    return found.lstrip("0123456789_")[:_LONGEST_ID].rstrip("_")


def lines(text: str) -> list[str]:
    """The phrases in a text, one on each line."""
    return [line.strip() for line in text.splitlines() if line.strip()]


@dataclass(frozen=True, slots=True)
class ThemeForm:
    """What stands in the form of a theme, or of an urgent signal (which has no names): texts by their fields."""

    texts: Mapping[str, str]
    retired: bool = False

    def get(self, field: str) -> str:
        """The text of a field."""
        return self.texts.get(field, "")

    def phrases(self, what: str) -> dict[str, list[str]]:
        """The phrases of one sort by their language."""
        found = {language: lines(self.get(f"{what}_{language}")) for language in LANGUAGES}
        return {language: some for language, some in found.items() if some}

    def told(self) -> dict[str, Any]:
        """All sorts of phrases, as a taxonomy has them."""
        return {what: self.phrases(what) for what in PHRASES}

    def as_theme(self, id_: str) -> dict[str, Any]:
        """The theme, as a taxonomy has it."""
        names = {language: self.get(f"name_{language}") for language in LANGUAGES}
        return {"id": id_, "names": names, **self.told(), "retired": self.retired}

    def as_signal(self, id_: str) -> dict[str, Any]:
        """The urgent signal, as a taxonomy has it."""
        told = self.told()
        return {"id": id_, "patterns": told["patterns"], "unless": told["unless"]}


def form_of(names: Mapping[str, str], told: Mapping[str, Mapping[str, Sequence[str]]], *, retired: bool) -> ThemeForm:
    """The form that shows this."""
    texts = {f"name_{language}": names.get(language, "") for language in LANGUAGES}
    for what, phrases in told.items():
        texts |= {f"{what}_{language}": "\n".join(phrases.get(language, ())) for language in LANGUAGES}
    return ThemeForm(texts, retired)


def with_member(document: Mapping[str, Any], part: str, member: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """The taxonomy with this theme (`themes`) or signal (`urgent`) instead of the one with its id, or after all others.

    And its place among them, by which errors are told.
    """
    members = list(document[part])
    place = next((at for at, each in enumerate(members) if each["id"] == member["id"]), len(members))
    members[place : place + 1] = [member]
    return {**document, part: members}, place


def field_at(pointer: str, part: str, place: int) -> tuple[str, int | None] | None:
    """The form's field that a pointer into the taxonomy means, and the line in it; None where it is another theme's."""
    found = re.fullmatch(rf"/{part}/{place}/(\w+)(?:/(\w+))?(?:/(\d+))?", pointer)
    if found is None:
        return None
    member, language, at = found.groups()
    if member == "names" and language:
        return f"name_{language}", None
    if member in PHRASES and language:
        return f"{member}_{language}", None if at is None else int(at) + 1
    return member, None
