"""The patterns that tell a theme: words and phrases, in the way that people write them down.

    очередь            the word in any of its inflected forms (Snowball stems)
    хам*               any word that begins so
    =суд               this form only
    долго|вечно        one of these
    бот|голосовой_помощник  likewise, where a choice has several words
    долго ждать        both in this order, with at most one other word between them
    ждать ~ ответа     likewise, with at most four
    проблема & решить  both parts in either order, with at most four words between

No phrase goes beyond its sentence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.scoring.domain.comments.words import LONGEST_WORD, spelled, tokens
from services.scoring.domain.mistakes import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_PATTERN: Final = 1000
"""In characters."""
MOST_SLOTS: Final = 6
MOST_CHOICES: Final = 60
MOST_PHRASES: Final = 100
"""Of one pattern, where choices of several words multiply."""
SHORTEST_PREFIX: Final = 2
NEAR: Final = 1
FAR: Final = 4
"""How many other words may stand between two words of a phrase."""

_CHOICE: Final = re.compile(r"(?P<exact>=?)(?P<word>[^\W_]+(?:['’ʼ][^\W_]+)*)(?P<prefix>\*?)")


@dataclass(frozen=True, slots=True)
class Choice:
    """A word, as a form of it (`stem`), as itself (`exact`), or as a beginning (`prefix`)."""

    kind: str
    word: str


@dataclass(frozen=True, slots=True)
class Slot:
    """One place of a phrase: any of these, after at most `gap` other words."""

    choices: frozenset[Choice]
    gap: int


Phrase = tuple[Slot, ...]


class InvalidPattern(ValueError):
    """The pattern cannot be read; its reason is for the person who wrote it."""

    def __init__(self, code: str, **parameters: object) -> None:
        self.reason = Reason(code, parameters)
        super().__init__(self.reason.text)


def phrases(pattern: str) -> list[Phrase]:
    """What `pattern` looks for: one phrase, or two where its parts may stand in either order."""
    if len(pattern) > LONGEST_PATTERN:
        raise InvalidPattern("pattern-length", most=LONGEST_PATTERN)
    match pattern.lower().split("&"):
        case [only]:
            return _phrases(only.split())
        case [first, second]:
            one, other = first.split(), second.split()
            return [*_phrases([*one, "~", *other]), *_phrases([*other, "~", *one])]
        case _:
            raise InvalidPattern("pattern-two-orders")


def _phrases(parts: Sequence[str]) -> list[Phrase]:
    found: list[Phrase] = [()]
    gap = 0
    for part in parts:
        if part == "~":
            if gap != NEAR:
                raise InvalidPattern("pattern-distance")
            gap = FAR
        else:
            found = [(*phrase, *way) for phrase in found for way in _ways(part, gap)]
            gap = NEAR
        if len(found) > MOST_PHRASES:
            raise InvalidPattern("pattern-ways", most=MOST_PHRASES)
    if gap != NEAR:
        raise InvalidPattern("pattern-end")
    if max(map(len, found)) > MOST_SLOTS:
        raise InvalidPattern("pattern-words", most=MOST_SLOTS)
    return found


def _ways(part: str, gap: int) -> list[Phrase]:
    """The words that can stand in one place: all single ones together, and each choice of several words."""
    written = part.split("|")
    if len(written) > MOST_CHOICES:
        raise InvalidPattern("pattern-choices", most=MOST_CHOICES)
    single = frozenset(_choice(each) for each in written if "_" not in each)
    several = [each.split("_") for each in written if "_" in each]
    ways: list[Phrase] = [(Slot(single, gap),)] if single else []
    for words in several:
        slots = (Slot(frozenset({_choice(word)}), NEAR if place else gap) for place, word in enumerate(words))
        ways.append(tuple(slots))
    return ways


def _choice(written: str) -> Choice:
    found = _CHOICE.fullmatch(written)
    if found is None or tokens(found["word"]) != [found["word"]] or len(found["word"]) > LONGEST_WORD:
        raise InvalidPattern("pattern-word", written=written, most=LONGEST_WORD)
    word = spelled(found["word"])
    if found["prefix"]:
        if found["exact"] or len(word) < SHORTEST_PREFIX:
            raise InvalidPattern("pattern-beginning", written=written, least=SHORTEST_PREFIX)
        return Choice("prefix", word)
    return Choice("exact" if found["exact"] else "stem", word)
