"""Comments read by taxonomies, in two languages and in any inflected form."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.scoring.domain.comments import reading
from services.scoring.domain.comments.language import detected
from services.scoring.domain.comments.phrases import InvalidPattern, phrases
from services.scoring.domain.comments.reading import Reader
from services.scoring.domain.comments.taxonomy import (
    InvalidTaxonomy,
    Taxonomy,
    as_document,
    parse,
    succeeding,
    with_pattern,
)
from services.scoring.domain.comments.words import LONGEST_COMMENT, tokens

NAMES = {"ru": "Тема", "en": "Theme"}


def a_theme(id_: str = "it", *patterns: str, **changes: object) -> dict[str, Any]:
    return {"id": id_, "names": NAMES, "patterns": {"ru": list(patterns)}, **changes}


def reader(*themes: dict[str, Any], urgent: tuple[dict[str, Any], ...] = ()) -> Reader:
    return Reader(parse({"themes": list(themes), "urgent": list(urgent)}))


def tells(pattern: str, comment: str, **changes: object) -> bool:
    return reader(a_theme("it", pattern, **changes)).read(comment).themes == ("it",)


@pytest.mark.parametrize(
    ("pattern", "forms"),
    [
        ("очередь", "очередь очереди очередью очередей очередям Очередях ОЧЕРЕДЬ"),
        ("грубый", "грубый грубая грубо грубые грубым грубую"),
        ("курьер", "курьер курьера курьеру курьером курьеры курьеров"),
        ("бухгалтерия", "бухгалтерия бухгалтерии бухгалтерию бухгалтерией"),
        ("проблема", "проблема проблему проблемы проблеме проблемой проблем проблемами проблемам"),
        ("система", "система систему системе системой систем"),
        ("учёт", "учёт учета учету"),
        ("refund", "refund refunds refunded Refunding"),
        ("delivery", "delivery deliveries"),
        ("invoice", "invoice invoices invoiced invoicing"),
        ("хам*", "хам хамство хамили хамят"),
        ("=суд", "суд Суд"),
        ("don't", "don't don’t DON’T"),
    ],
)
def test_a_word_is_found_in_its_forms(pattern: str, forms: str) -> None:
    for form in forms.split():
        assert tells(pattern, f"Скажу так: {form}, и всё")


@pytest.mark.parametrize(
    ("pattern", "comment"),
    [
        ("=суд", "в суде"),
        ("очередь", "очередной раз"),
        ("хам*", "махам"),
        ("долго ждать", "ждать долго"),
        ("долго ждать", "долго не могли ничего ждать"),
        ("долго ждать", "Долго. Ждать нечего"),
        ("долго ~ ждать", "долго один два три четыре пять ждать"),
        ("проблема & решить", "проблему видят. решили другое"),
    ],
)
def test_what_only_looks_like_it_is_not_found(pattern: str, comment: str) -> None:
    assert not tells(pattern, comment)


@pytest.mark.parametrize(
    ("pattern", "comment"),
    [
        ("долго ждать", "пришлось очень долго ждать"),
        ("долго ждать", "долго пришлось ждать"),
        ("долго ~ ждать", "долго и без всякой пользы ждать"),
        ("проблема & решить", "мою проблему так и не решили"),
        ("проблема & решить", "решили быстро и мою проблему"),
        ("долго|вечно ждать|сидеть", "вечно сидеть у телефона"),
        ("не ~ не ~ тот", "не не тот"),
        ("горячий линия", "на горячей-линии"),
    ],
)
def test_a_phrase_may_have_words_between_its_words(pattern: str, comment: str) -> None:
    assert tells(pattern, comment)


@given(st.lists(st.sampled_from(["долго", "ждать", "не", "кот", ".", ","]), max_size=12))
@settings(max_examples=200)
def test_a_phrase_is_found_where_its_words_stand_near_each_other_in_one_sentence(words: list[str]) -> None:
    expected = any(
        word == "долго" and "ждать" in words[place + 1 : place + 3] and words[place + 1 : place + 2] != ["."]
        for place, word in enumerate(words)
    )
    assert tells("долго ждать", " ".join(words)) == expected


@given(st.lists(st.sampled_from(["а", "б", "в", "г", ".", ","]), max_size=16))
@settings(max_examples=200)
def test_phrases_that_begin_alike_are_told_apart_at_each_word(words: list[str]) -> None:
    told = {
        "near": "а б",
        "far": "а ~ б",
        "longer": "а б ~ в",
        "longest": "а ~ б в ~ а",
        "again": "б б",
    }
    read = reader(*(a_theme(id_, pattern) for id_, pattern in told.items())).read(" ".join(words)).themes

    def ends(pattern: str) -> set[int]:
        found = set(range(-1, len(words)))
        reach: int | None = None  # the first word may stand anywhere
        for part in pattern.split():
            if part == "~":
                reach = 5
                continue
            steps = {
                (end, place)
                for end in found
                for place in range(end + 1, len(words))
                if reach is None or (place <= end + reach and "." not in words[end + 1 : place])
            }
            found = {place for _, place in steps if words[place] == part}
            reach = 2
        return found

    assert set(read) == {id_ for id_, pattern in told.items() if ends(pattern)}


def test_one_comment_may_have_several_themes_in_the_order_of_the_taxonomy() -> None:
    read = reader(a_theme("price", "дорого"), a_theme("staff", "хам*"), a_theme("app", "приложение")).read
    assert read("Хамят, и вообще дорого").themes == ("price", "staff")
    assert read("Всё хорошо").themes == ()


def test_what_is_told_otherwise_counts_only_where_nothing_else_is_told() -> None:
    praise = {"otherwise": {"ru": ["отлично"]}}
    read = reader(a_theme("app", "приложение"), a_theme("praise", "так держать", **praise)).read
    assert read("отлично").themes == ("praise",)
    assert read("отлично, приложение").themes == ("app",)
    assert read("так держать, отличное приложение").themes == ("app", "praise")


LEAVING = {
    "id": "leaving",
    "patterns": {"ru": ["ухожу|уйду ~ вас"], "en": ["leave|leaving you"]},
    "unless": {"ru": ["не", "не собираюсь"], "en": ["won't", "not"]},
}


@pytest.mark.parametrize(
    ("comment", "urgent"),
    [
        ("Ухожу от вас", ("leaving",)),
        ("Не уйду от вас", ()),
        ("Никуда не собираюсь, уйду от вас", ("leaving",)),
        ("Не решили. Ухожу от вас", ("leaving",)),
        ("Если не решите, уйду от вас", ("leaving",)),
        ("Не уйду от вас? Уйду от вас!", ("leaving",)),
        ("I am leaving you", ("leaving",)),
        ("I won't leave you", ()),
    ],
)
def test_a_threat_that_is_denied_is_none(comment: str, urgent: tuple[str, ...]) -> None:
    assert reader(urgent=(LEAVING,)).read(comment).urgent == urgent


def test_a_retired_theme_is_given_no_longer_and_what_is_left_out_is_retired() -> None:
    before = parse({"themes": [a_theme("old", "старый"), a_theme("kept", "новый")]})
    after = succeeding(parse({"themes": [a_theme("kept", "новый")]}), before)
    assert [(theme.id, theme.retired) for theme in after.themes] == [("kept", False), ("old", True)]
    assert Reader(after).read("старый и новый").themes == ("kept",)


def test_a_taxonomy_is_read_back_as_it_was_written() -> None:
    document = {"themes": [a_theme("a", "долго|вечно ~ ждать", otherwise={"en": ["slow"]}, retired=True)]}
    taxonomy = parse({**document, "urgent": [LEAVING]})
    assert parse(json.loads(json.dumps(as_document(taxonomy)))) == taxonomy
    extended = with_pattern(taxonomy, "a", "en", "hold time")
    assert [theme.told.patterns for theme in extended.themes] == [
        {"ru": ("долго|вечно ~ ждать",), "en": ("hold time",)}
    ]


def test_everything_that_is_wrong_with_a_taxonomy_is_told_with_its_place() -> None:
    wrong = {
        "themes": [
            a_theme("Bad id", "a|b c ~"),
            {"id": "x", "names": {"ru": " "}, "patterns": {"de": []}, "retired": "no"},
            a_theme("x", "c&d&e", 'кот"', " ", "=а*"),
            7,
        ],
        "urgent": [{"id": "bored"}],
        "more": 1,
    }
    with pytest.raises(InvalidTaxonomy) as raised:
        parse(wrong)
    assert [error.pointer for error in raised.value.errors] == [
        "/more",
        "/themes/0/id",
        "/themes/0/patterns/ru/0",
        "/themes/1/names/ru",
        "/themes/1/names/en",
        "/themes/1/patterns/de",
        "/themes/1/retired",
        "/themes/2/id",
        "/themes/2/patterns/ru/0",
        "/themes/2/patterns/ru/1",
        "/themes/2/patterns/ru/2",
        "/themes/2/patterns/ru/3",
        "/themes/3",
        "/themes/3/id",
        "/themes/3/names",
        "/themes/3/names/ru",
        "/themes/3/names/en",
        "/urgent/0/id",
    ]
    documents: list[object] = [[], {}, {"themes": {}}, {"themes": [{"id": "x", "names": NAMES, "patterns": []}]}]
    for document in documents:
        with pytest.raises(InvalidTaxonomy):
            parse(document)


@given(st.text(alphabet="аб |~&=*.'1", max_size=12))
@settings(max_examples=200)
def test_a_pattern_is_read_or_refused(pattern: str) -> None:
    try:
        found = phrases(pattern)
    except InvalidPattern:
        return
    assert all(found)
    parse({"themes": [a_theme("it", pattern)]})


@pytest.mark.parametrize(
    ("comment", "language"),
    [
        ("Очень долго ждала на линии, никто не ответил", "ru"),
        ("ужасно", "ru"),
        ("приложение app не работает на iOS", "ru"),
        ("The courier was late and nobody called", "en"),
        ("I don’t like the new app", "en"),
        ("Дуже довго чекав, ніхто не відповів", "other"),
        ("Много лошо обслужване, чаках със седмици", "other"),
        ("Die App ist sehr langsam und stürzt ab", "other"),
        ("Le service est très lent", "other"),
        ("No funciona la aplicación, muy mal", "other"),
        ("10/10", None),
        ("👍", None),
        ("", None),
    ],
)
def test_the_language_of_a_comment_is_told(comment: str, language: str | None) -> None:
    assert detected(tokens(comment)) == language


def test_a_language_that_is_neither_is_not_told_on() -> None:
    assert reader().read("Die App ist sehr langsam und stürzt ab").language is None
    assert reader().read("Rechnung").language is None
    assert reader().read("The app is slow").language == "en"
    assert reader().read("The app is slow", "de").language is None


def test_the_reader_remembers_no_more_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_REMEMBERED", 100)
    taxonomy = reader(a_theme("queue", "очередь"), a_theme("wait", "долго ждать"))
    for number in range(1000):
        comment = f"слово{number} очередь{'ю' * (number % 7)} долго x{number} ждать"
        assert taxonomy.read(comment).themes[-1] == "wait"
    assert len(taxonomy._known) <= 100
    monkeypatch.setattr(reading, "MOST_REMEMBERED_BYTES", 2)
    taxonomy = reader(a_theme("queue", "очередь"), *(a_theme(f"t{n}", f"долго слово{n}") for n in range(60)))
    for number in range(60):
        assert taxonomy.read(f"долго слово{number}").themes == (f"t{number}",)
    assert len(taxonomy._words) <= 2
    assert taxonomy.read("стояла в очереди").themes == ("queue",)


def test_a_huge_comment_is_read_as_far_as_anybody_writes() -> None:
    taxonomy = reader(a_theme("queue", "очередь"), a_theme("not", "не ~ не ~ не ~ не ~ не ~ да"))
    assert taxonomy.read("а " * (LONGEST_COMMENT // 2 - 10) + "очередь").themes == ("queue",)
    assert taxonomy.read("а " * (LONGEST_COMMENT // 2) + "очередь").themes == ()
    begun = time.process_time()
    assert taxonomy.read("не " * 50_000).themes == ()
    assert taxonomy.read("ж" * 100_000).themes == ()
    assert time.process_time() - begun < 10  # and not minutes: there are 5**5 ways through six such words


@given(st.text(max_size=60))
@settings(max_examples=200)
def test_any_text_can_be_read(comment: str) -> None:
    taxonomy = Taxonomy((), ())
    assert Reader(taxonomy).read(comment).themes == ()
    assert isinstance(tells("очередь", comment), bool)


@given(st.lists(st.sampled_from(["долго", "ждать", "дорого", "кот", "."]), max_size=8))
@settings(max_examples=100)
def test_what_is_remembered_changes_nothing(words: list[str]) -> None:
    comment = " ".join(words)
    themes = (a_theme("wait", "долго ждать"), a_theme("price", "дорого"))
    used = reader(*themes)
    first = used.read(comment)
    assert used.read(comment) == first == reader(*themes).read(comment)
