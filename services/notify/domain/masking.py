"""Comments as every employee may read them: without the names, addresses and numbers by which a customer is known."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

MASK: Final = "•••"
LONGEST: Final = 280

_NUMBERS: Final = re.compile(
    r"""
    \S+@\S+                                     # an e-mail address
    | (?:https?://|www\.)\S+                    # a link
    | (?<!\w)@\w{3,}                            # a name in a messenger
    | \+?\d(?:[\s().\-–/№]{0,2}\d){3,}          # a phone, a card, a contract, a date of birth: four digits and more
    """,
    re.VERBOSE,
)
_WORD: Final = re.compile(r"\w+")
_SHORTEST: Final = 2
_ENDING: Final = re.compile(r"[аеиоуыэюяйьъaeiouy]$", re.IGNORECASE)
_STEM: Final = 3
"""A name is found in its other cases too (Анна, Анны, Анной), but where nothing would be left of it."""


def masked(comment: str, known: Iterable[str]) -> str:
    """The beginning of a comment without addresses and longer numbers, and without the words of what is `known`.

    `known` are the customer's name, address and phone, as the profile has them. Names are found in any case of their
    declension, and so are a few words that only begin like a name: rather too much is masked than too little.
    """
    found = _NUMBERS.sub(MASK, comment)
    words = {word for each in known for word in _WORD.findall(each) if len(word) >= _SHORTEST}
    if words:
        found = re.sub("|".join(_pattern(word) for word in sorted(words)), MASK, found, flags=re.IGNORECASE)
    found = " ".join(found.split())
    return found if len(found) <= LONGEST else found[:LONGEST].rstrip() + "…"


def _pattern(word: str) -> str:
    stem = _ENDING.sub("", word)
    if len(stem) < _STEM:
        return rf"(?<!\w){re.escape(word)}(?!\w)"
    return rf"(?<!\w){re.escape(stem)}\w{{0,4}}(?!\w)"
