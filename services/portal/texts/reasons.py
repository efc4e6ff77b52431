"""Why ingest did not understand something, in the reader's language: by the reason's code, else its English text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.portal.domain.people import Language
    from services.portal.texts import Words


@dataclass(frozen=True, slots=True)
class Told:
    """A reason in words, and the language that they are in."""

    text: str
    language: Language


def tell_why(words: Words, reason: str, why: Mapping[str, Any] | None) -> Told:
    """The reason as a sentence. What is older than codes, or has one that nobody has put into words, stays English."""
    key = f"why.{why['code']}" if why is not None else ""
    if why is None or not words.has(key):
        return Told(reason, "en")
    shown = {name: _shown(words, name, value) for name, value in why["parameters"].items()}
    try:
        return Told(words(key, _="", **shown), words.language)
    except KeyError:  # a parameter that this version of the texts knows and that row has not
        return Told(reason, "en")


_KINDS_OF_WORDS: Final = {"kind": "why_kind", "field": "field", "fields": "field", "metric": "metric"}


def _shown(words: Words, name: str, value: Any) -> str:  # noqa: ANN401 - any JSON value
    match value:
        case list():
            return words("why_place.either").join(_shown(words, name, each) for each in value)
        case {"code": _}:
            told = tell_why(words, "", value).text
        case {"field": field, "place": place, "name": named}:
            told = f"{words.word('field', field)} ({words.word('place', place)} «{named}»)"
        case {"field": field}:
            told = words.word("field", field)
        case int():
            told = words.number(value)
        case _:
            told = words.word(_KINDS_OF_WORDS[name], value) if name in _KINDS_OF_WORDS else str(value)
    return told
