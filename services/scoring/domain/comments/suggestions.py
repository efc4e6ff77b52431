"""What could be a new theme: phrases that comments without a theme use far more often than the others.

Single words and phrases of two and three, by their stems, are counted once per person, and judged by the
log-likelihood ratio of T. Dunning, "Accurate Methods for the Statistics of Surprise and Coincidence", Computational
Linguistics 19 (1), 1993, 61-74: with the counts k of a phrase and n of all comments, on either side, and p = k / n each
and together,

    G² = 2 · (log L(p₁, k₁, n₁) + log L(p₂, k₂, n₂) - log L(p, k₁, n₁) - log L(p, k₂, n₂))
    log L(p, k, n) = k log p + (n - k) log(1 - p)

which is distributed as χ² with one degree of freedom where there is no difference, and holds for rare phrases too.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from math import log
from typing import TYPE_CHECKING, Final, NamedTuple

from services.scoring.domain.comments.language import SMALL_WORDS, detected
from services.scoring.domain.comments.words import CLAUSE_ENDS, LONGEST_WORD, SENTENCE_ENDS, Stems, tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from services.scoring.domain.comments.taxonomy import Language

FEWEST_PERSONS: Final = 5
"""So many different people have to use a phrase; what fewer use may be a name."""
SURPRISING: Final = 10.83
"""The value that G² exceeds once in a thousand times where there is no difference."""
MOST_SUGGESTED: Final = 30
EXAMPLES: Final = 5
LONGEST_PHRASE: Final = 3
MOST_TOKENS: Final = 150
"""Of a comment: an essay would otherwise outweigh all others in memory."""
_SHORTEST_WORD: Final = 3
_SAME: Final = 0.7
"""Phrases that share so much of the comments of the rarer one say the same."""

Stemmed = tuple[str, ...]


class Written(NamedTuple):
    """A comment, and by whom: the customer, else the response itself."""

    id: str
    person: str
    comment: str


class Suggestion(NamedTuple):
    """A phrase that could be a theme, or tell one."""

    language: Language
    stems: str
    """In their order, with spaces between: what makes it the same suggestion the next time."""
    phrase: str
    """In the forms that were used most; a pattern of a taxonomy."""
    comments: int
    likelihood: float
    examples: tuple[str, ...]
    """Ids of responses."""


def suggestions(unmatched: Sequence[Written], matched: Sequence[str]) -> list[Suggestion]:
    """What the comments without a theme are about, the most surprising first.

    In the time and memory of the comments: phrases are counted only of words that enough people use.
    """
    found: list[Suggestion] = []
    for language in ("ru", "en"):
        found += _of_language(language, unmatched, matched)
    return sorted(found, key=lambda each: -each.likelihood)[:MOST_SUGGESTED]


def _of_language(language: Language, unmatched: Sequence[Written], matched: Sequence[str]) -> list[Suggestion]:
    ours = [(written, words) for written in unmatched if (words := _words(written.comment, language)) is not None]
    theirs = [words for comment in matched if (words := _words(comment, language)) is not None]
    forms = _stems_of([*(words for _, words in ours), *theirs])
    frequent = _used_by_enough(ours, forms)
    used: dict[Stemmed, dict[str, str]] = defaultdict(dict)  # by person, the response
    surfaces: dict[Stemmed, Counter[str]] = defaultdict(Counter)
    for written, words in ours:
        for phrase, surface in _phrases(words, forms, frequent):
            used[phrase].setdefault(written.person, written.id)
            surfaces[phrase][surface] += 1
    candidates = {phrase: users for phrase, users in used.items() if len(users) >= FEWEST_PERSONS}
    elsewhere: Counter[Stemmed] = Counter()
    for words in theirs:
        elsewhere.update({phrase for phrase, _ in _phrases(words, forms, frequent)} & candidates.keys())
    people = len({written.person for written, _ in ours})
    likelihoods = {
        phrase: surprise(len(users), people, elsewhere[phrase], len(theirs)) for phrase, users in candidates.items()
    }
    return [
        Suggestion(
            language=language,
            stems=" ".join(phrase),
            phrase=surfaces[phrase].most_common(1)[0][0],
            comments=len(candidates[phrase]),
            likelihood=likelihoods[phrase],
            examples=tuple(list(candidates[phrase].values())[:EXAMPLES]),
        )
        for phrase in _chosen(candidates, likelihoods)
    ]


def _stems_of(comments: Sequence[Sequence[str]]) -> dict[str, str]:
    """The stem of each word; "" for what is no word of letters."""
    stems = Stems()
    known = {word for words in comments for word in words}
    return {word: stems.of(word) if word.isalpha() and len(word) <= LONGEST_WORD else "" for word in known}


def _used_by_enough(comments: Sequence[tuple[Written, Sequence[str]]], forms: Mapping[str, str]) -> set[str]:
    persons: dict[str, set[str]] = defaultdict(set)
    for written, words in comments:
        for word in words:
            persons[forms[word]].add(written.person)
    return {stem for stem, users in persons.items() if stem and len(users) >= FEWEST_PERSONS}


def _chosen(candidates: Mapping[Stemmed, Mapping[str, str]], likelihoods: Mapping[Stemmed, float]) -> list[Stemmed]:
    """The most surprising, of those that say the same the longest."""
    chosen: list[Stemmed] = []
    for phrase in sorted(candidates, key=lambda each: (-likelihoods[each], -len(each), each)):
        if likelihoods[phrase] < SURPRISING or len(chosen) == MOST_SUGGESTED:
            break
        if not any(_say_the_same(candidates[phrase], candidates[other]) for other in chosen):
            chosen.append(phrase)
    return chosen


def surprise(here: int, all_here: int, there: int, all_there: int) -> float:
    """G² of a phrase that `here` of `all_here` comments have and `there` of `all_there`; 0 where it is rarer here."""
    if all_there == 0:
        # Nothing to compare with: as if the others were as many, and none of them had it.
        there, all_there = 0, all_here
    if here * all_there <= there * all_here:
        return 0.0
    together = (here + there) / (all_here + all_there)
    return 2 * (
        _log_likelihood(here / all_here, here, all_here)
        + _log_likelihood(there / all_there, there, all_there)
        - _log_likelihood(together, here, all_here)
        - _log_likelihood(together, there, all_there)
    )


def _log_likelihood(p: float, k: int, n: int) -> float:
    return (k * log(p) if k else 0.0) + ((n - k) * log(1 - p) if n > k else 0.0)


def _words(comment: str, language: Language) -> list[str] | None:
    words = tokens(comment)[:MOST_TOKENS]
    return words if detected(words) == language else None


def _phrases(words: Sequence[str], forms: Mapping[str, str], frequent: set[str]) -> Iterator[tuple[Stemmed, str]]:
    """The phrases of a comment whose first and last words say something, and as they are written."""
    for begin, first in enumerate(words):
        if not _says_something(first) or forms[first] not in frequent:
            continue
        for end in range(begin, min(begin + LONGEST_PHRASE, len(words))):
            last = words[end]
            if last in SENTENCE_ENDS or last in CLAUSE_ENDS or forms[last] not in frequent:
                break
            if _says_something(last):
                said = words[begin : end + 1]
                yield tuple(forms[word] for word in said), " ".join(said)


def _says_something(word: str) -> bool:
    return len(word) >= _SHORTEST_WORD and word.isalpha() and word not in SMALL_WORDS


def _say_the_same(users: Mapping[str, str], others: Mapping[str, str]) -> bool:
    return len(users.keys() & others.keys()) >= _SAME * min(len(users), len(others))
