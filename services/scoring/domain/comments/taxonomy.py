"""The taxonomy of comments as the company writes it: what themes there are, and by which words they are told.

    {"themes": [{"id": "waiting", "names": {"ru": "Ожидание", "en": "Waiting"},
                 "patterns": {"ru": ["очередь", "долго ждать"], "en": ["queue", "on hold"]}}],
     "urgent": [{"id": "leaving", "patterns": {"ru": ["ухожу ~ конкурентам"]}, "unless": {"ru": ["не"]}}]}

`patterns` are read by phrases.py. A match counts for nothing right after one of `unless`: "я не уйду". What is told by
`otherwise` counts only where no pattern of any theme is met: "отлично" is praise where it praises nothing by name. A
theme that is `retired` is given no longer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args

from libs.events.contracts.scores import UrgentSignal
from services.scoring.domain.comments.phrases import InvalidPattern, phrases
from services.scoring.domain.mistakes import Mistake, mistake

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Language = Literal["ru", "en"]

LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
SIGNALS: Final[tuple[UrgentSignal, ...]] = get_args(UrgentSignal)
MOST_THEMES: Final = 200
"""Retired ones too."""
MOST_PATTERNS: Final = 500
"""Of one theme in one language."""
LONGEST_NAME: Final = 100

_ID: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")

Patterns = Mapping[Language, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Told:
    """By which words something is told, in each language, and after which words it is not."""

    patterns: Patterns = field(default_factory=dict)
    otherwise: Patterns = field(default_factory=dict)
    unless: Patterns = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Theme:
    """What comments can be about."""

    id: str
    names: Mapping[Language, str]
    told: Told
    retired: bool = False


@dataclass(frozen=True, slots=True)
class Signal:
    """What cannot wait."""

    id: UrgentSignal
    told: Told


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """All of it."""

    themes: tuple[Theme, ...]
    urgent: tuple[Signal, ...]

    def theme(self, id_: str) -> Theme | None:
        """The theme, retired or not."""
        return next((theme for theme in self.themes if theme.id == id_), None)

    @property
    def retired(self) -> frozenset[str]:
        """The ids of themes that are given no longer."""
        return frozenset(theme.id for theme in self.themes if theme.retired)


class InvalidTaxonomy(Exception):
    """The document is no taxonomy; `errors` holds all that is wrong with it."""

    def __init__(self, errors: Sequence[Mistake]) -> None:
        super().__init__(f"{len(errors)} errors, the first at {errors[0].pointer or '/'}: {errors[0].detail}")
        self.errors: Final = tuple(errors)


def succeeding(proposed: Taxonomy, before: Taxonomy) -> Taxonomy:
    """`proposed`, with those themes of `before` that it leaves out, retired: answers go on naming them."""
    kept = {theme.id for theme in proposed.themes}
    left_out = tuple(replace(theme, retired=True) for theme in before.themes if theme.id not in kept)
    return replace(proposed, themes=proposed.themes + left_out)


class Differences(NamedTuple):
    """What a version changed: ids of themes, and urgent signals as `urgent:<id>`."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    retired: tuple[str, ...]
    restored: tuple[str, ...]


def differences(before: Taxonomy, after: Taxonomy) -> Differences:
    """What `after` says otherwise than `before`, in its own order."""
    known = {theme.id: theme for theme in before.themes}
    signals = {signal.id: signal for signal in before.urgent}
    both = [(known[theme.id], theme) for theme in after.themes if theme.id in known]
    changed = [new.id for old, new in both if (old.names, old.told) != (new.names, new.told)]
    urgent = [each.id for each in after.urgent if signals.get(each.id) != each]
    urgent += [id_ for id_ in signals if id_ not in {each.id for each in after.urgent}]
    return Differences(
        added=tuple(theme.id for theme in after.themes if theme.id not in known),
        changed=(*changed, *(f"urgent:{id_}" for id_ in urgent)),
        retired=tuple(new.id for old, new in both if new.retired and not old.retired),
        restored=tuple(new.id for old, new in both if old.retired and not new.retired),
    )


def with_pattern(taxonomy: Taxonomy, theme_id: str, language: Language, pattern: str) -> Taxonomy:
    """The taxonomy with one more pattern of a theme that it has."""

    def extended(theme: Theme) -> Theme:
        patterns = dict(theme.told.patterns)
        patterns[language] = tuple(dict.fromkeys((*patterns.get(language, ()), pattern)))
        return replace(theme, told=replace(theme.told, patterns=patterns))

    themes = tuple(extended(theme) if theme.id == theme_id else theme for theme in taxonomy.themes)
    return replace(taxonomy, themes=themes)


def as_document(taxonomy: Taxonomy) -> dict[str, Any]:
    """The document that `parse` reads back."""
    return {
        "themes": [
            {
                "id": theme.id,
                "names": dict(theme.names),
                **_as_written(theme.told),
                "otherwise": _listed(theme.told.otherwise),
                "retired": theme.retired,
            }
            for theme in taxonomy.themes
        ],
        "urgent": [{"id": signal.id, **_as_written(signal.told)} for signal in taxonomy.urgent],
    }


def _as_written(told: Told) -> dict[str, Any]:
    return {
        "patterns": _listed(told.patterns),
        "unless": _listed(told.unless),
    }


def _listed(patterns: Patterns) -> dict[str, list[str]]:
    return {language: list(some) for language, some in patterns.items()}


def parse(document: object) -> Taxonomy:
    """Read a taxonomy; raises InvalidTaxonomy with everything that is wrong."""
    reader = _Reader()
    taxonomy = reader.taxonomy(document)
    if reader.errors:
        raise InvalidTaxonomy(reader.errors)
    return taxonomy


class _Reader:
    """Collects what is wrong instead of stopping at the first error."""

    def __init__(self) -> None:
        self.errors: list[Mistake] = []

    def taxonomy(self, document: object) -> Taxonomy:
        members = self._members(document, "", {"themes", "urgent"})
        themes = tuple(self._themes(self._array(members.get("themes"), "/themes", MOST_THEMES)))
        urgent = tuple(self._signals(self._array(members.get("urgent", []), "/urgent", len(SIGNALS))))
        return Taxonomy(themes, urgent)

    def _themes(self, items: Sequence[object]) -> Iterator[Theme]:
        seen: set[str] = set()
        for place, item in enumerate(items):
            at = f"/themes/{place}"
            members = self._members(item, at, {"id", "names", "patterns", "otherwise", "unless", "retired"})
            id_ = members.get("id")
            if not isinstance(id_, str) or not _ID.fullmatch(id_):
                self._wrong(f"{at}/id", "no-id", most=64)
                id_ = ""
            elif id_ in seen:
                self._wrong(f"{at}/id", "repeated-theme")
            seen.add(id_)
            yield Theme(
                id=id_,
                names=self._names(members.get("names"), f"{at}/names"),
                told=self._told(members, at),
                retired=self._flag(members, "retired", at),
            )

    def _signals(self, items: Sequence[object]) -> Iterator[Signal]:
        seen: set[str] = set()
        for place, item in enumerate(items):
            at = f"/urgent/{place}"
            members = self._members(item, at, {"id", "patterns", "unless"})
            known = [signal for signal in SIGNALS if signal == members.get("id")]
            if not known:
                self._wrong(f"{at}/id", "none-of", known=", ".join(SIGNALS))
                continue
            if known[0] in seen:
                self._wrong(f"{at}/id", "repeated-signal")
            seen.add(known[0])
            yield Signal(known[0], self._told(members, at))

    def _told(self, members: Mapping[str, object], at: str) -> Told:
        return Told(
            patterns=self._patterns(members.get("patterns", {}), f"{at}/patterns"),
            otherwise=self._patterns(members.get("otherwise", {}), f"{at}/otherwise"),
            unless=self._patterns(members.get("unless", {}), f"{at}/unless"),
        )

    def _names(self, value: object, at: str) -> dict[Language, str]:
        names: dict[Language, str] = {}
        members = self._members(value, at, set(LANGUAGES))
        for language in LANGUAGES:
            name = members.get(language)
            if isinstance(name, str) and 0 < len(name.strip()) <= LONGEST_NAME:
                names[language] = name.strip()
            else:
                self._wrong(f"{at}/{language}", "no-name", most=LONGEST_NAME)
        return names

    def _patterns(self, value: object, at: str) -> dict[Language, tuple[str, ...]]:
        members = self._members(value, at, set(LANGUAGES))
        read = {
            language: tuple(self._readable(members[language], f"{at}/{language}"))
            for language in LANGUAGES
            if language in members
        }
        return {language: patterns for language, patterns in read.items() if patterns}

    def _readable(self, value: object, at: str) -> Iterator[str]:
        for place, item in enumerate(self._array(value, at, MOST_PATTERNS)):
            pointer = f"{at}/{place}"
            if not isinstance(item, str):
                self._wrong(pointer, "no-pattern-text")
                continue
            try:
                phrases(item)
            except InvalidPattern as error:
                self.errors.append(Mistake(pointer, error.reason))
            else:
                yield " ".join(item.split())

    def _flag(self, members: Mapping[str, object], name: str, at: str) -> bool:
        value = members.get(name, False)
        if not isinstance(value, bool):
            self._wrong(f"{at}/{name}", "no-truth")
            return False
        return value

    def _members(self, value: object, at: str, known: set[str]) -> Mapping[str, object]:
        if not isinstance(value, Mapping):
            self._wrong(at, "not-an-object")
            return {}
        for name in value.keys() - known:
            self._wrong(f"{at}/{str(name).replace('~', '~0').replace('/', '~1')}", "not-known-here")
        return value

    def _array(self, value: object, at: str, most: int) -> Sequence[object]:
        if not isinstance(value, list):
            self._wrong(at, "not-a-list", most=most)
            return []
        if len(value) > most:
            self._wrong(at, "not-a-list", most=most)
            return []
        return value

    def _wrong(self, pointer: str, code: str, **parameters: object) -> None:
        self.errors.append(mistake(pointer, code, **parameters))
