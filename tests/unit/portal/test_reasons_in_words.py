"""Why ingest did not understand something: every code in both languages, and the text where there is no code."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from services.ingest.domain.fields import Reference
from services.ingest.domain.reasons import KINDS, TEXTS, Named, because
from services.portal.domain.people import Language
from services.portal.texts import Words, load_texts
from services.portal.texts.reasons import Told, tell_why

LOADED = load_texts()
AT_A_COMMAND_LINE = {"map-missing"}
"""There one says `field=column`; on a page one chooses."""


def words(language: Language) -> Words:
    zone = ZoneInfo("Europe/Moscow")
    return Words(language, LOADED[language], zone=zone, now=datetime(2026, 11, 21, 12, tzinfo=UTC))


def test_every_code_has_its_words_and_the_english_ones_are_those_of_the_logs() -> None:
    english = {key.removeprefix("why."): text for key, text in LOADED["en"].items() if key.startswith("why.")}
    assert english.keys() == TEXTS.keys()
    assert {code: text for code, text in english.items() if code not in AT_A_COMMAND_LINE} == {
        code: text for code, text in TEXTS.items() if code not in AT_A_COMMAND_LINE
    }
    assert {key.removeprefix("why_kind.") for key in LOADED["en"] if key.startswith("why_kind.")} == KINDS.keys()


SCORE = Named("score", "the score", Reference("question", "nps"))


@pytest.mark.parametrize(
    ("reason", "russian"),
    [
        (
            because("off-scale", where=SCORE, value=11, lowest=0, highest=10),
            "Оценка (вопрос «nps»): 11 вне шкалы от 0 до 10",
        ),
        (because("no-number", where=SCORE, kind="truth"), "Оценка (вопрос «nps»): да или нет, а не число"),
        (because("no-answer-time", where=("a.at", "b.at")), "нет времени ответа: a.at или b.at"),
        (
            because("no-survey-type", where="type", kind="null", metric="ces"),
            "type: ничего (null), а прибор этого источника измеряет CES, усилия клиента",
        ),
        (
            because("file-first-line-fault", problem=because("row-encoding", encoding="utf-8")),
            "первую строку нельзя прочесть: байты не в кодировке utf-8",
        ),
        (
            because("nobody", where=(Named("customer", "the customer"), "email")),
            "не сказано, кто это: пусто в Клиент или email",
        ),
    ],
)
def test_a_reason_is_said_in_russian(reason: str, russian: str) -> None:
    why = getattr(reason, "as_json")()  # noqa: B009 - a text to all but its maker
    assert tell_why(words("ru"), str(reason), why) == Told(russian, "ru")


def test_what_has_no_code_or_an_unknown_one_stays_english() -> None:
    for why in (None, {"code": "of-the-future", "parameters": {}}, {"code": "too-long", "parameters": {}}):
        assert tell_why(words("ru"), "it is odd", why) == Told("it is odd", "en")


def test_no_code_reads_like_a_sentence_of_the_other_language() -> None:
    cyrillic = re.compile("[а-яё]", re.IGNORECASE)
    assert not [code for code in TEXTS if cyrillic.search(LOADED["en"][f"why.{code}"])]
