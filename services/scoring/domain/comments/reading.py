"""Reads comments by a taxonomy: one walk over the words, however many themes and patterns there are.

Each distinct word is looked up once (stemmed, compared with all patterns, remembered): for most it turns out that no
pattern has it, and they cost one look into a dict. Of the others it is known which phrases begin with it, as a tree;
that is walked as far as the next words go on, and whether they do is one `&` of two numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from services.scoring.domain.comments.language import detected
from services.scoring.domain.comments.phrases import NEAR, phrases
from services.scoring.domain.comments.words import CLAUSE_ENDS, LONGEST_WORD, SENTENCE_ENDS, Stems, spelled, tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from libs.events.contracts.scores import UrgentSignal
    from services.scoring.domain.comments.phrases import Choice, Phrase, Slot
    from services.scoring.domain.comments.taxonomy import Language, Taxonomy, Told

MOST_REMEMBERED: Final = 32_768
"""How many words are remembered, at most. Beyond that all are forgotten: words that matter are soon known again."""


class Understood(NamedTuple):
    """What a comment says."""

    themes: tuple[str, ...]
    urgent: tuple[UrgentSignal, ...]
    language: Language | None
    """None where it cannot be told, or is neither Russian nor English."""


NOTHING: Final = Understood((), (), None)


@dataclass(slots=True, eq=False)
class _Node:
    """A beginning of phrases: what it tells where one of them ends, and how they go on."""

    tells: int = 0
    """A bit for each theme or signal that is told here."""
    steps: dict[int, list[tuple[int, _Node]]] = field(default_factory=dict)
    """By slot: after how many other words at most, and where to."""
    reach: int = 0
    """How many words ahead the next one can be."""
    ways: dict[_Word, Sequence[tuple[int, _Node]]] = field(default_factory=dict)
    """The steps that a word can take, of words that came by."""

    def join(self, slot: int, gap: int, following: _Node) -> None:
        """A phrase goes on in this slot, after at most `gap` other words."""
        self.steps.setdefault(slot, []).append((gap, following))
        self.reach = max(self.reach, gap + 1)


@dataclass(frozen=True, slots=True, eq=False)
class _Word:
    """A word that patterns have, or a mark between words."""

    slots: tuple[int, ...] = ()
    """Where in phrases it can stand, by number."""
    begins: _Node | None = None
    """The phrases that begin with it, as one tree."""
    excepts: _Node | None = None
    """Likewise the phrases after which something is not told."""


class _Match(NamedTuple):
    begin: int
    end: int
    bits: int


_SENTENCE_END: Final = _Word()
_CLAUSE_END: Final = _Word()


class Reader:
    """A taxonomy made ready for reading. Not to be shared by threads."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._stems = Stems()
        self._forms: dict[str, frozenset[str]] = {}
        self._known: dict[str, _Word | None] = {}
        self._words: dict[tuple[int, ...], _Word] = {}
        self._slots: dict[frozenset[tuple[str, str]], int] = {}
        self._slots_of: dict[str, dict[str, list[int]]] = {"stem": {}, "exact": {}, "prefix": {}}
        self._phrases = _Node()
        self._exceptions = _Node()
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
        self._named: dict[int, tuple[tuple[str, ...], tuple[UrgentSignal, ...]]] = {}
        self._ways: list[dict[_Word, Sequence[tuple[int, _Node]]]] = []

    def read(self, comment: str, language: str | None = None) -> Understood:
        """What it says. Where its `language` is known already, nobody looks for it."""
        words = tokens(comment)
        bits = self._walk(words)
        themes, urgent = self._named.get(bits) or self._names_of(bits)
        found = detected(words) if language is None else None
        return Understood(themes, urgent, None if found == "other" else found)

    def _walk(self, words: Sequence[str]) -> int:
        known = self._known
        try:
            text = [known[word] for word in words]
        except KeyError:
            text = [known[word] if word in known else self._look_up(word) for word in words]
        found = 0
        guarded: list[_Match] = []
        for begin, word in enumerate(text):
            if word is None or word.begins is None:
                continue
            first = word.begins
            if self._goes_on(first, text[begin + 1 : begin + first.reach + 1]):
                told = self._phrases_from(text, begin, first)
            elif first.tells:
                told = [(begin, first)]
            else:
                continue
            for end, node in told:
                found |= node.tells
                if node.tells & self._guarded:
                    guarded.append(_Match(begin, end, node.tells & self._guarded))
        return self._less_exceptions(found, guarded, text) if guarded else found

    def _goes_on(self, first: _Node, following: Sequence[_Word | None]) -> bool:
        """Whether a phrase may go on with one of these words: mostly not, and that is found out in one pass."""
        known = first.ways.get
        for word in following:
            if word is None:
                continue
            if word is _SENTENCE_END:
                return False
            if known(word) or (word not in first.ways and self._ways_of(first, word)):
                return True
        return False

    def _phrases_from(self, text: Sequence[_Word | None], begin: int, first: _Node) -> list[tuple[int, _Node]]:
        """Each beginning of a phrase that is found from the word `begin` on: where it ends, and what it is."""
        found = [(begin, first)]
        for end, node in found:  # which grows meanwhile
            known = node.ways.get
            ahead = end
            for word in text[end + 1 : end + node.reach + 1]:
                ahead += 1
                if word is None:
                    continue
                if word is _SENTENCE_END:
                    break
                ways = known(word)
                if ways is None:
                    ways = self._ways_of(node, word)
                for gap, following in ways:
                    if ahead - end <= gap + 1 and (ahead, following) not in found:
                        found.append((ahead, following))
        return found

    def _ways_of(self, node: _Node, word: _Word) -> Sequence[tuple[int, _Node]]:
        """How phrases go on from `node` with this word; remembered, because most pairs of words come again."""
        if len(self._ways) >= MOST_REMEMBERED:
            for ways in self._ways:
                ways.clear()
            self._ways.clear()
        found = tuple(way for slot in word.slots for way in node.steps.get(slot, ()))
        node.ways[word] = found
        self._ways.append(node.ways)
        return found

    def _less_exceptions(self, found: int, guarded: Sequence[_Match], text: Sequence[_Word | None]) -> int:
        """`found`, without what is told only where one of its exceptions comes before."""
        exceptions = [
            _Match(begin, end, node.tells)
            for begin, word in enumerate(text)
            if word is not None and word.excepts is not None
            for end, node in self._phrases_from(text, begin, word.excepts)
        ]
        found &= ~self._guarded
        for match in guarded:
            found |= match.bits & ~_excepted(match, exceptions, text)
        return found

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

    def _look_up(self, word: str) -> _Word | None:
        found = self._found(word)
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[word] = found
        return found

    def _found(self, word: str) -> _Word | None:
        if word in SENTENCE_ENDS:
            return _SENTENCE_END
        if word in CLAUSE_ENDS:
            return _CLAUSE_END
        if len(word) > LONGEST_WORD:
            return None
        one = spelled(word)
        slots = {
            *self._slots_of["stem"].get(self._stems.of(one), ()),
            *self._slots_of["exact"].get(one, ()),
            *(slot for length in self._lengths for slot in self._slots_of["prefix"].get(one[:length], ())),
        }
        return self._word(tuple(sorted(slots))) if slots else None

    def _word(self, slots: tuple[int, ...]) -> _Word:
        """The word that stands in these slots: one and the same for all forms of a word."""
        word = self._words.get(slots)
        if word is None:
            word = self._words[slots] = _Word(slots, _first(self._phrases, slots), _first(self._exceptions, slots))
        return word

    def _learn(self, told: Told, bit: int, otherwise: int) -> None:
        for phrase in _all(told.patterns.values()):
            self._end_of(phrase, self._phrases).tells |= bit
        for phrase in _all(told.otherwise.values()):
            self._end_of(phrase, self._phrases).tells |= otherwise
        for phrase in _all(told.unless.values()):
            self._end_of(phrase, self._exceptions).tells |= bit | otherwise
            self._guarded |= bit | otherwise

    def _end_of(self, phrase: Phrase, root: _Node) -> _Node:
        node = root
        for slot in phrase:
            number = self._number(slot)
            following = next((each for gap, each in node.steps.get(number, ()) if gap == slot.gap), None)
            if following is None:
                following = _Node()
                node.join(number, slot.gap, following)
            node = following
        return node

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


def _first(root: _Node, slots: Sequence[int]) -> _Node | None:
    """What begins at `root` with a word that stands in `slots`, as one node."""
    nodes = [following for slot in slots for _, following in root.steps.get(slot, ())]
    if len(nodes) < 2:  # noqa: PLR2004 - there is nothing to join
        return nodes[0] if nodes else None
    joined = _Node()
    for node in nodes:
        joined.tells |= node.tells
        for slot, ways in node.steps.items():
            for gap, following in ways:
                joined.join(slot, gap, following)
    return joined


def _excepted(match: _Match, exceptions: Sequence[_Match], text: Sequence[_Word | None]) -> int:
    """What `match` does not tell after all, because of the words right before it."""
    bits = 0
    for each in exceptions:
        between = text[each.end + 1 : match.begin]
        if each.end < match.begin and len(between) <= NEAR and not {_SENTENCE_END, _CLAUSE_END}.intersection(between):
            bits |= each.bits
    return bits


def _all(lists: Iterable[tuple[str, ...]]) -> Iterable[Phrase]:
    return (phrase for patterns in lists for pattern in patterns for phrase in phrases(pattern))
