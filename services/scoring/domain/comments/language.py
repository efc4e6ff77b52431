"""In which language a comment is written: told by its script and by the small words that every sentence has."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

from services.scoring.domain.comments.words import LONGEST_WORD, is_cyrillic, spelled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Language = Literal["ru", "en", "other"]

ENOUGH_WORDS: Final = 40
"""So many tell it; the rest of a longer comment is not looked at."""

_REMEMBERED: Final = 16_384
_PLACES: Final = (0, 8, 16, 24, 32)
_CYRILLIC, _LATIN, _RUSSIAN, _ENGLISH, _OTHER = (1 << place for place in _PLACES)
_MOST: Final = 0xFF
_OF_HINT: Final[Mapping[Language, int]] = {"ru": _RUSSIAN, "en": _ENGLISH, "other": _OTHER}
# Letters that other languages in Cyrillic letters have and Russian does not.
_NOT_RUSSIAN: Final = frozenset("іїєґўјљњћђџѓќѕәғқңөұүһӣӯҷҳ")
# The small words of each language, and what short comments are made of.
_WORDS: Final[Mapping[Language, str]] = {
    "ru": """
        что это как было был была были очень нет все всё уже мне меня вы вас если только когда чтобы потому или ещё еще
        где есть нас они он она мы вам тоже почему теперь более больше после через раз просто ничего кто можно нужно
        сейчас себя который которые этот эта из от для при без об не на
    """,
    "en": """
        the and is it was to of for with that this you your my i i'm i've it's they them their we us our not but have
        has had be been are were very would could should will can't don't didn't doesn't isn't wasn't won't couldn't
        what when which who how why there here from about after before again because if than then just only all some any
        more out up get got did does do at by as he she her his him nobody nothing never always still too no good great
        bad poor terrible awful excellent nice service staff helpful friendly slow fast quick thanks thank easy waiting
        help money customer everything happy love like best worst rude app works work a in on me so
    """,
    "other": """
        що та це цей як який яка які дуже вже щоб тому але або чи немає було якщо коли після треба зараз
        гэта вельмі калі ёсць няма быў толькі таму
        че съм беше са със към след много няма което който също трябва още защото бих сте сам није што али само јер
        веома због имам имате бях бяха вашето вашата нещо
        жоқ және бар емес үшін өте мен ол бул жок абдан булып белән юк бик
        der das und ist nicht ich sie wir ein eine mit auf für zu den dem von sehr auch aber war haben hat wurde nur
        noch nach bei oder wenn mir mich keine kein gut schlecht alles
        le la les un une des et est pas je vous nous dans pour qui sur avec très plus mais sont bien mon votre c'est
        j'ai n'est trop rien tout merci
        el los las una que en por con para muy pero más está es son mi su se lo todo nada gracias bueno malo não
        uma com muito mas foi você meu minha os ao il di che è non sono molto per ho della questo grazie ma anche tutto
        del nel più
        nie jest się na do że ale bardzo jak co tak był było przez ve bir bu çok için değil ama ile het een niet van
        dat op zijn voor maar er ook ik jullie heel geen ir nav ļoti bet ar ja ei että mutta tai
    """,
}
_HINTS: Final[Mapping[str, Language]] = {
    word: language for language in ("other", "ru", "en") for word in _WORDS[language].split()
}
SMALL_WORDS: Final = frozenset(_WORDS["ru"].split()) | frozenset(_WORDS["en"].split())
"""Words that say nothing by themselves about what a comment is about."""


def detected(words: Sequence[str]) -> Language | None:
    """The language of a comment with these tokens; None where there is nothing to tell it by."""
    said = sum(_says(word[:LONGEST_WORD]) for word in words[:ENOUGH_WORDS])
    cyrillic, latin, russian, english, other = (said >> place & _MOST for place in _PLACES)
    if cyrillic and cyrillic >= latin:
        return "other" if other > russian else "ru"
    if english == other:
        return "other" if other else None
    return "en" if english > other else "other"


@lru_cache(_REMEMBERED)
def _says(word: str) -> int:
    """What a word adds to the five counts, which are kept in one number."""
    script = _CYRILLIC if is_cyrillic(word) else _LATIN if word[0].isalpha() else 0
    hint = _HINTS.get(word)
    if hint is None and not word.isascii() and _is_foreign(word):
        hint = "other"
    return script + (0 if hint is None else _OF_HINT[hint])


def _is_foreign(word: str) -> bool:
    """Whether it has a letter that neither Russian nor English has."""
    if is_cyrillic(word):
        return not _NOT_RUSSIAN.isdisjoint(word)
    return word[0].isalpha() and not spelled(word).isascii()
