"""The words of a comment, and their stems, so that inflected forms of one word meet."""

from __future__ import annotations

import re
from typing import Final

import Stemmer

LONGEST_COMMENT: Final = 10_000
"""In characters. What follows is not read: no customer writes that much, and whoever does must not hold up others."""
LONGEST_WORD: Final = 40
"""In letters. What is longer is no word that a theme is told by."""

# Words, and the marks that end a sentence or a clause. Hyphens part words: "call-centre" is two.
_TOKENS: Final = re.compile(r"[^\W_]+(?:['’ʼ][^\W_]+)*|[.!?;…\n]|[,:()—–]")
SENTENCE_ENDS: Final = frozenset(".!?;…\n")
CLAUSE_ENDS: Final = frozenset(",:()—–")

_ENDINGS: Final = ("а", "у", "е", "ы", "и", "ой", "ом", "ам", "ами", "ах", "ов")
"""Of Russian nouns."""
_FIRST_CYRILLIC: Final = "Ѐ"
_LAST_CYRILLIC: Final = "ԯ"


def tokens(comment: str) -> list[str]:
    """Its words in small letters, and the marks between sentences and clauses, in their order."""
    return _TOKENS.findall(comment[:LONGEST_COMMENT].lower())


def is_cyrillic(word: str) -> bool:
    """Whether it begins with a Cyrillic letter."""
    return _FIRST_CYRILLIC <= word[0] <= _LAST_CYRILLIC


def spelled(word: str) -> str:
    """The word, in small letters, in one spelling: е for ё, and one kind of apostrophe."""
    return word.replace("ё", "е").replace("’", "'").replace("ʼ", "'")


class Stems:
    """Snowball stems of Russian and English words. Not to be shared by threads: the stemmers are not."""

    __slots__ = ("_english", "_russian")

    def __init__(self) -> None:
        # Their own caches grow by what customers write; whoever asks keeps what is asked often.
        self._russian = Stemmer.Stemmer("russian", 0)
        self._english = Stemmer.Stemmer("english", 0)

    def of(self, word: str) -> str:
        """The stem of a word in small letters. The script decides: a Russian comment may name an app in English."""
        one = spelled(word)
        stemmer = self._russian if is_cyrillic(one) else self._english
        stem: str = stemmer.stemWord(one)
        return stem

    def of_forms(self, word: str) -> frozenset[str]:
        """All stems that forms of this word have: mostly one, but Snowball takes "проблему" for an adjective."""
        stem = self.of(word)
        # "отделений" is no form of "отдел".
        if not is_cyrillic(stem) or stem.endswith(("ен", "ан", "ени", "ани")):
            return frozenset({stem})
        return frozenset({stem, *(self.of(stem + ending) for ending in _ENDINGS)})
