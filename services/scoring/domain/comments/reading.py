"""Reads comments by a taxonomy: one walk over the words, however many themes and patterns there are.

Each distinct word is looked up once (stemmed, compared with all patterns, remembered). What patterns have of it are two
numbers with a bit for each step of each phrase, from one of its words to the next: one number for the steps that can
begin with it, one for those that can end with it. So one `&` of a word with those before it, put together, takes all
phrases of thousands a step further (Baeza-Yates and Gonnet, "A new approach to text searching", 1992).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Final, NamedTuple

from services.scoring.domain.comments.language import detected
from services.scoring.domain.comments.phrases import NEAR, phrases
from services.scoring.domain.comments.words import CLAUSE_ENDS, LONGEST_WORD, SENTENCE_ENDS, Stems, spelled, tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from libs.events.contracts.scores import UrgentSignal
    from services.scoring.domain.comments.phrases import Choice, Phrase, Slot
    from services.scoring.domain.comments.taxonomy import Language, Taxonomy, Told

    _Way = tuple[tuple[int, ...], tuple[int, ...]]
    """A phrase: its slots by number, and how many other words may stand before each."""

MOST_REMEMBERED: Final = 32_768
"""How many words are remembered, at most. Beyond that all are forgotten: words that matter are soon known again."""
MOST_REMEMBERED_BYTES: Final = 8_000_000
"""What the numbers of remembered words may take, at most, where patterns are very many."""


class Understood(NamedTuple):
    """What a comment says."""

    themes: tuple[str, ...]
    urgent: tuple[UrgentSignal, ...]
    language: Language | None
    """None where it cannot be told, or is neither Russian nor English."""


NOTHING: Final = Understood((), (), None)


class _Phrase(NamedTuple):
    slots: tuple[int, ...]
    gaps: tuple[int, ...]
    bits: int
    """A bit for each theme or signal that it tells, or excepts."""


@dataclass(frozen=True, slots=True, eq=False)
class _Word:
    """A word, or a mark between words."""

    slots: frozenset[int] = frozenset()
    """Where in phrases it can stand, by number."""
    tells: int = 0
    """What it tells by itself."""
    first: int = 0
    """The steps that begin phrases, and can begin with it."""
    second: int = 0
    """The steps that can end with it."""


class _Match(NamedTuple):
    begin: int
    end: int
    bits: int


_OTHER: Final = _Word()
"""Any word that no pattern has."""
_SENTENCE_END: Final = _Word()
_CLAUSE_END: Final = _Word()
_ENDS: Final = frozenset({_SENTENCE_END, _CLAUSE_END})


class Reader:
    """A taxonomy made ready for reading. Not to be shared by threads."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._stems = Stems()
        self._forms: dict[str, frozenset[str]] = {}
        self._known: dict[str, _Word] = {}
        self._words: dict[tuple[int, ...], _Word] = {}
        self._slots: dict[frozenset[tuple[str, str]], int] = {}
        self._slots_of: dict[str, dict[str, list[int]]] = {"stem": {}, "exact": {}, "prefix": {}}
        self._phrases: dict[_Way, int] = {}
        self._exceptions: dict[_Way, int] = {}
        self._themes = [theme for theme in taxonomy.themes if not theme.retired]
        self._signals = taxonomy.urgent
        self._guarded = 0
        # One bit for each theme, one for each theme told by `otherwise`, one for each signal.
        self._otherwise = len(self._themes)
        self._urgent = 2 * len(self._themes)
        for place, theme in enumerate(self._themes):
            self._learn(theme.told, 1 << place, 1 << place + self._otherwise)
        for place, signal in enumerate(self._signals, self._urgent):
            self._learn(signal.told, 1 << place, 0)
        self._forms.clear()  # of use for learning alone
        self._lengths = sorted({len(prefix) for prefix in self._slots_of["prefix"]})
        self._alone: dict[int, int] = {}
        """By slot: what a word that can stand there tells by itself; the first steps that it can begin; the steps that
        it can end."""
        self._first: dict[int, int] = {}
        self._second: dict[int, int] = {}
        self._far = self._goes_on = self._last = 0
        """Of the steps: those over more than one word; those that another one follows, at the next bit; the last."""
        self._ended: dict[int, _Phrase] = {}
        """By the bit of its last step."""
        self._number_steps()
        self._remembered_bytes = 0
        self._excepts: dict[int, list[_Phrase]] = {}
        """By slot: the exceptions that begin there."""
        for (slots, gaps), bits in self._exceptions.items():
            self._excepts.setdefault(slots[0], []).append(_Phrase(slots, gaps, bits))
        self._named: dict[int, tuple[tuple[str, ...], tuple[UrgentSignal, ...]]] = {}

    def read(self, comment: str, language: str | None = None) -> Understood:
        """What it says. Where its `language` is known already, nobody looks for it."""
        words = tokens(comment)
        bits = self._told_by(words)
        themes, urgent = self._named.get(bits) or self._names_of(bits)
        found = detected(words) if language is None else None
        return Understood(themes, urgent, None if found == "other" else found)

    def _told_by(self, words: Sequence[str]) -> int:
        known = self._known
        try:
            text = [known[word] for word in words]
        except KeyError:
            text = [known[word] if word in known else self._look_up(word) for word in words]
        found = ended = 0
        one = two = three = four = five = 0  # the steps that began so many words before
        far, goes_on = self._far, self._goes_on
        for word in text:
            begun = 0
            if word.slots:
                found |= word.tells
                begun = word.first
                steps = word.second and word.second & (one | two | three | four | five)
                if steps:
                    ended |= steps
                    begun |= (steps & goes_on) << 1
            elif word is _SENTENCE_END:
                one = two = three = four = five = 0
                continue
            one, two, three, four, five = begun, one, two & far, three, four
        ended &= self._last
        guarded: list[_Match] = []
        while ended:
            lowest = ended & -ended
            ended ^= lowest
            phrase = self._ended[lowest.bit_length()]
            found |= phrase.bits
            if phrase.bits & self._guarded:
                guarded += _matches(phrase, text)
        return self._less_exceptions(found, guarded, text) if found & self._guarded else found

    def _less_exceptions(self, found: int, guarded: list[_Match], text: Sequence[_Word]) -> int:
        """`found`, without what is told only where one of its exceptions comes before."""
        exceptions = [
            match
            for begin, word in enumerate(text)
            for slot in word.slots & self._excepts.keys()
            for phrase in self._excepts[slot]
            for match in _matches_from(begin, phrase, text)
        ]
        alone = [_Match(place, place, word.tells) for place, word in enumerate(text) if word.tells]
        told = found & ~self._guarded
        for match in (*guarded, *alone):
            told |= match.bits & self._guarded & ~_excepted(match, exceptions, text)
        return told

    def _names_of(self, bits: int) -> tuple[tuple[str, ...], tuple[UrgentSignal, ...]]:
        every = (1 << self._otherwise) - 1
        themes = bits & every or bits >> self._otherwise & every
        named = (
            tuple(theme.id for place, theme in enumerate(self._themes) if themes >> place & 1),
            tuple(signal.id for place, signal in enumerate(self._signals, self._urgent) if bits >> place & 1),
        )
        if len(self._named) >= MOST_REMEMBERED:
            self._named.clear()
        self._named[bits] = named
        return named

    def _look_up(self, word: str) -> _Word:
        if len(word) > LONGEST_WORD:
            return _OTHER
        found = self._found(word)
        if len(self._known) >= MOST_REMEMBERED or self._remembered_bytes > MOST_REMEMBERED_BYTES:
            self._known.clear()
            self._words.clear()
            self._remembered_bytes = 0
        self._known[word] = found
        return found

    def _found(self, word: str) -> _Word:
        if word in SENTENCE_ENDS:
            return _SENTENCE_END
        if word in CLAUSE_ENDS:
            return _CLAUSE_END
        one = spelled(word)
        slots = {
            *self._slots_of["stem"].get(self._stems.of(one), ()),
            *self._slots_of["exact"].get(one, ()),
            *(slot for length in self._lengths for slot in self._slots_of["prefix"].get(one[:length], ())),
        }
        return self._word(tuple(sorted(slots))) if slots else _OTHER

    def _word(self, slots: tuple[int, ...]) -> _Word:
        """The word that stands in these slots: one and the same for all forms of a word."""
        word = self._words.get(slots)
        if word is None:
            told = (
                reduce(or_, (of_slot[slot] for slot in slots if slot in of_slot), 0)
                for of_slot in (self._alone, self._first, self._second)
            )
            word = self._words[slots] = _Word(frozenset(slots), *told)
            self._remembered_bytes += (word.first.bit_length() + word.second.bit_length()) // 8
        return word

    def _number_steps(self) -> None:
        step = 1
        for (slots, gaps), bits in self._phrases.items():
            if len(slots) == 1:
                self._alone[slots[0]] = self._alone.get(slots[0], 0) | bits
                continue
            self._first[slots[0]] = self._first.get(slots[0], 0) | step
            for slot, gap in zip(slots[1:], gaps[1:], strict=True):
                self._second[slot] = self._second.get(slot, 0) | step
                self._far |= step if gap > NEAR else 0
                self._goes_on |= step
                step <<= 1
            last = step >> 1
            self._goes_on ^= last
            self._last |= last
            self._ended[last.bit_length()] = _Phrase(slots, gaps, bits)

    def _learn(self, told: Told, bit: int, otherwise: int) -> None:
        for phrase in _all(told.patterns.values()):
            self._know(phrase, bit, self._phrases)
        for phrase in _all(told.otherwise.values()):
            self._know(phrase, otherwise, self._phrases)
        for phrase in _all(told.unless.values()):
            self._know(phrase, bit | otherwise, self._exceptions)
            self._guarded |= bit | otherwise

    def _know(self, phrase: Phrase, bits: int, among: dict[_Way, int]) -> None:
        way = tuple(self._number(slot) for slot in phrase), tuple(slot.gap for slot in phrase)
        among[way] = among.get(way, 0) | bits

    def _number(self, slot: Slot) -> int:
        """The number of a slot: the same for the same choices, in whatever order they are written."""
        choices = frozenset((each.kind, word) for each in slot.choices for word in self._words_of(each))
        number = self._slots.get(choices)
        if number is None:
            number = self._slots[choices] = len(self._slots)
            for kind, word in choices:
                self._slots_of[kind].setdefault(word, []).append(number)
        return number

    def _words_of(self, choice: Choice) -> frozenset[str]:
        if choice.kind != "stem":
            return frozenset({choice.word})
        stems = self._forms.get(choice.word)
        if stems is None:
            stems = self._forms[choice.word] = self._stems.of_forms(choice.word)
        return stems


def _matches(phrase: _Phrase, text: Sequence[_Word]) -> Iterator[_Match]:
    """Wherever `phrase` stands in `text`."""
    first = phrase.slots[0]
    for begin, word in enumerate(text):
        if first in word.slots:
            yield from _matches_from(begin, phrase, text)


def _matches_from(begin: int, phrase: _Phrase, text: Sequence[_Word]) -> Iterator[_Match]:
    """Wherever `phrase` ends, if it begins at this place with a word that fits."""
    ends = {begin}
    for slot, gap in zip(phrase.slots[1:], phrase.gaps[1:], strict=True):
        following = set()
        for end in ends:
            for place, word in enumerate(text[end + 1 : end + gap + 2], end + 1):
                if word is _SENTENCE_END:
                    break
                if slot in word.slots:
                    following.add(place)
        ends = following
    for end in ends:
        yield _Match(begin, end, phrase.bits)


def _excepted(match: _Match, exceptions: Sequence[_Match], text: Sequence[_Word]) -> int:
    """What `match` does not tell after all, because of the words right before it."""
    bits = 0
    for each in exceptions:
        between = text[each.end + 1 : match.begin]
        if each.end < match.begin and len(between) <= NEAR and _ENDS.isdisjoint(between):
            bits |= each.bits
    return bits


def _all(lists: Iterable[tuple[str, ...]]) -> Iterable[Phrase]:
    return (phrase for patterns in lists for pattern in patterns for phrase in phrases(pattern))
