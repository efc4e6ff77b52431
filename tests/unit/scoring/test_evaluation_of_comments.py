"""How well the taxonomy that is shipped tells the themes of comments that a person labelled.

Prints precision, recall and F1 for each theme and urgent signal (run with `-rP` to see them), for the part that the
taxonomy was made with and for the part that it was not. The floors are what it reaches on the latter, a little less.
"""

import json
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from services.scoring.domain.comments.language import detected
from services.scoring.domain.comments.reading import Reader
from services.scoring.domain.comments.taxonomy import Taxonomy, parse
from services.scoring.domain.comments.words import tokens

ROOT: Final = Path(__file__).parents[3]
TAXONOMY: Final = ROOT / "services/scoring/migrations/first_themes.toml"
SAMPLE: Final = Path(__file__).parent / "comments"

Comments = list[dict[str, Any]]


class Figures(NamedTuple):
    """Of the themes of many comments, added up."""

    right: int
    wrong: int
    missed: int

    @property
    def precision(self) -> float:
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0

    @property
    def recall(self) -> float:
        return self.right / (self.right + self.missed) if self.right + self.missed else 1.0

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


@pytest.fixture(scope="module")
def taxonomy() -> Taxonomy:
    return parse(tomllib.loads(TAXONOMY.read_text("utf-8")))


def sample(language: str, split: str) -> Comments:
    lines = (SAMPLE / f"{language}.jsonl").read_text("utf-8").splitlines()
    return [comment for comment in map(json.loads, lines) if comment["split"] == split]


def evaluated(taxonomy: Taxonomy, comments: Comments, what: str) -> dict[str, Figures]:
    """By theme or signal, and all together as ""."""
    reader = Reader(taxonomy)
    right: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for comment in comments:
        understood = reader.read(comment["text"])
        told = set(understood.themes if what == "themes" else understood.urgent)
        meant = set(comment[what])
        for counter, names in ((right, told & meant), (wrong, told - meant), (missed, meant - told)):
            counter.update(names)
            counter[""] += len(names)
    return {name: Figures(right[name], wrong[name], missed[name]) for name in sorted({*right, *wrong, *missed, ""})}


def show(title: str, figures: dict[str, Figures]) -> None:
    print(f"\n{title:24} precision recall    F1   right wrong missed")  # noqa: T201 - to be read by people
    for name, each in sorted(figures.items()):
        numbers = (
            f"{each.precision:9.2f} {each.recall:6.2f} {each.f1:5.2f}  {each.right:6} {each.wrong:5} {each.missed:6}"
        )
        print(f"{name or 'all':24} {numbers}")  # noqa: T201 - to be read by people


@pytest.mark.parametrize(
    ("language", "precision", "recall"), [("ru", 0.73, 0.65), ("en", 0.73, 0.75)], ids=["ru", "en"]
)
def test_themes_are_told_of_comments_that_nobody_looked_at(
    taxonomy: Taxonomy, language: str, precision: float, recall: float
) -> None:
    for split in ("tune", "held_out"):
        figures = evaluated(taxonomy, sample(language, split), "themes")
        show(f"{language}, {split}", figures)
    assert figures[""].precision >= precision
    assert figures[""].recall >= recall


@pytest.mark.parametrize(("language", "precision", "recall"), [("ru", 0.8, 0.7), ("en", 0.85, 0.75)], ids=["ru", "en"])
def test_urgent_signals_are_told_of_comments_that_nobody_looked_at(
    taxonomy: Taxonomy, language: str, precision: float, recall: float
) -> None:
    for split in ("tune", "held_out"):
        figures = evaluated(taxonomy, sample(language, split), "urgent")
        show(f"{language}, {split}, urgent", figures)
    assert figures[""].precision >= precision
    assert figures[""].recall >= recall


@pytest.mark.parametrize("language", ["ru", "en"])
def test_the_language_of_labelled_comments_is_told(language: str) -> None:
    comments = [*sample(language, "tune"), *sample(language, "held_out")]
    told = Counter(detected(tokens(comment["text"])) for comment in comments)
    other = {"ru": "en", "en": "ru"}[language]
    print(f"\n{language}: {dict(told)}")  # noqa: T201 - to be read by people
    assert told[other] == told["other"] == 0  # type: ignore[index]  # one of the two
    assert told[language] / len(comments) >= {"ru": 0.95, "en": 0.88}[language]  # type: ignore[index]  # likewise


def test_the_sample_is_large_enough_and_names_what_there_is(taxonomy: Taxonomy) -> None:
    known = {theme.id for theme in taxonomy.themes}
    for language in ("ru", "en"):
        comments = [*sample(language, "tune"), *sample(language, "held_out")]
        assert len(comments) >= 400
        assert {theme for comment in comments for theme in comment["themes"]} == known
        assert {signal for comment in comments for signal in comment["urgent"]} == {"leaving", "legal", "safety"}
