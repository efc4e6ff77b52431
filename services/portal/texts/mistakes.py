"""What is wrong with a document that somebody edits, in the reader's language: by its code, else in English."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.portal.texts.reasons import Told

if TYPE_CHECKING:
    from services.portal.clients.service import FieldError
    from services.portal.texts import Words


def tell_mistake(words: Words, error: FieldError) -> Told:
    """The mistake as the end of a sentence that begins with its place."""
    why = error.why
    key = f"mistake.{why['code']}" if why is not None else ""
    if why is None or not words.has(key):
        return Told(error.detail, "en")
    shown = {
        name: words.number(value) if isinstance(value, int) else value for name, value in why["parameters"].items()
    }
    try:
        return Told(words(key, _="", **shown), words.language)
    except KeyError:  # a parameter that this version of the texts knows and that answer has not
        return Told(error.detail, "en")
