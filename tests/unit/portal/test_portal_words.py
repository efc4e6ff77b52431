"""Both languages say everything, and say it in their own grammar."""

import re
import string
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from libs.events.topics import CASEWORK_CASES, NOTIFY_MESSAGES, SURVEY_SCORES
from services.portal.domain import casefile
from services.portal.domain.casefile import Action
from services.portal.domain.health import LoopStep
from services.portal.domain.people import Language, Role
from services.portal.domain.period import Period
from services.portal.domain.stream import Position, StreamEvent
from services.portal.texts import Words, load_texts
from services.portal.texts.stories import tell

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TEXTS = load_texts()
PLURALS = ("one", "few", "many", "other")
PORTAL = Path(__file__).parents[3] / "services" / "portal"


def words(language: Language) -> Words:
    return Words(language, TEXTS[language], zone=ZoneInfo("Europe/Moscow"), now=NOW)


def stem(key: str) -> str:
    head, _, tail = key.rpartition(".")
    return head if tail in PLURALS else key


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_have_the_same_texts() -> None:
    assert {stem(key) for key in TEXTS["ru"]} == {stem(key) for key in TEXTS["en"]}


def test_the_same_text_has_the_same_gaps_in_both_languages() -> None:
    for key in TEXTS["ru"].keys() & TEXTS["en"].keys():
        assert placeholders(TEXTS["ru"][key]) == placeholders(TEXTS["en"][key]), key


def test_russian_is_written_in_russian_and_english_in_english() -> None:
    cyrillic = re.compile("[а-яё]", re.IGNORECASE)
    assert not [key for key, text in TEXTS["en"].items() if cyrillic.search(text) and key != "lang.ru"]
    latin_only = [key for key, text in TEXTS["ru"].items() if not cyrillic.search(text)]
    assert latin_only == ["lang.en"]


def test_every_key_that_a_template_or_a_module_names_exists() -> None:
    named = set()
    for path in [*PORTAL.glob("templates/*.html"), *PORTAL.glob("**/*.py")]:
        named |= set(re.findall(r"""\b(?:t|words)\(\s*"([a-z0-9_.\-]+)"[,)]""", path.read_text()))
        counted = re.findall(r"""\bt\.count\(\s*"([a-z0-9_.]+)",""", path.read_text())
        named |= {f"{key}.other" for key in counted}
    assert len(named) > 100
    assert named - TEXTS["en"].keys() == set()


@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        ("role", list(Role)),
        ("status", casefile.STATUSES),
        ("level", casefile.LEVELS),
        ("tier", casefile.TIERS),
        ("contact", casefile.CONTACT_OUTCOMES),
        ("reason", casefile.ESCALATION_REASONS),
        ("loop_step", list(LoopStep)),
        ("nps.period", list(Period)),
        ("action", list(Action)),
        ("action_button", list(Action)),
        ("done", list(Action)),
    ],
)
def test_every_code_has_its_word(kind: str, codes: list[str]) -> None:
    assert [code for code in codes if f"{kind}.{code}" not in TEXTS["ru"]] == []


def test_a_code_that_nobody_has_named_yet_is_shown_as_it_is() -> None:
    assert words("ru").word("reason", "solar_storm") == "solar storm"
    assert words("ru").word("reason", None) == "неизвестно"


@pytest.mark.parametrize(
    ("n", "ru", "en"),
    [
        (1, "по 1 ответу", "from 1 answer"),
        (2, "по 2 ответам", "from 2 answers"),
        (5, "по 5 ответам", "from 5 answers"),
        (21, "по 21 ответу", "from 21 answers"),
        (1_234, "по 1\xa0234 ответам", "from 1,234 answers"),
    ],
)
def test_counts_take_the_form_of_their_language(n: int, ru: str, en: str) -> None:
    assert words("ru").count("nps.answers", n) == ru
    assert words("en").count("nps.answers", n) == en


def test_an_nps_is_written_with_its_sign_and_a_true_minus() -> None:
    assert [words("en").signed(value) for value in (31.6, 0.2, 0, -0.3, -14.3)] == ["+32", "0", "0", "0", "−14"]


@pytest.mark.parametrize(
    ("left", "state", "ru"),
    [
        (timedelta(hours=45), "later", "осталось 45 ч"),
        (timedelta(hours=3), "soon", "осталось 3 ч"),
        (timedelta(seconds=20), "soon", "осталось 1 мин"),
        (timedelta(), "overdue", "просрочено на 1 мин"),
        (-timedelta(minutes=90), "overdue", "просрочено на 90 мин"),
        (-timedelta(days=3), "overdue", "просрочено на 3 дн."),
    ],
)
def test_a_deadline_says_how_long_and_how_loud(left: timedelta, state: str, ru: str) -> None:
    due = words("ru").due(NOW + left)
    assert (due.state, due.relative) == (state, ru)


def test_times_are_told_in_the_companys_zone() -> None:
    assert words("en").moment(NOW) == "21 Nov, 15:00"
    assert words("ru").moment(NOW - timedelta(days=300)) == "25 янв. 2026 г., 15:00".replace(" г.", "")
    assert words("en").iso(NOW) == "2026-11-21T12:00:00Z"


@pytest.mark.parametrize("language", ["ru", "en"])
def test_every_event_has_a_sentence_even_when_all_its_facts_are_hidden(language: Language) -> None:
    for topic in (SURVEY_SCORES, CASEWORK_CASES, NOTIFY_MESSAGES):
        for contract in topic.types:
            story = tell(StreamEvent(Position(1, 1), "e", contract.TYPE, "", NOW, {}), words(language))
            assert story.title
            assert story.title != contract.TYPE
            assert "{" not in story.title


def test_an_event_of_an_unknown_type_is_told_by_its_type() -> None:
    story = tell(StreamEvent(Position(1, 1), "e", "weather.changed.v1", "", NOW, {"x": 1}), words("en"))
    assert story.title == "weather.changed.v1"
    assert story.group == "other"
