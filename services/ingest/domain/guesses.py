"""Guesses for a field map, from what a delivery holds: offered to a person, never used by themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.ingest.domain.fields import FieldMap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.ingest.domain.fields import Reference


@dataclass(frozen=True, slots=True)
class Candidate:
    """One place of a payload that holds something: how a field map names it, what was asked, and what is there."""

    reference: Reference
    title: str
    value: object


_RECOMMEND: Final = re.compile(r"recommend|порекоменду|рекоменд|\bnps\b", re.IGNORECASE)
_RATING: Final = re.compile(r"\bscore\b|rating|оцен|балл|how likely|scale", re.IGNORECASE)
_WHY: Final = re.compile(
    r"why|comment|feedback|reason|improve|tell us|почему|причин|коммент|отзыв|улучшить|расскаж", re.IGNORECASE
)
_CUSTOMER: Final = re.compile(r"customer|client|crm|user_?id|contact_?id|external_?id|клиент", re.IGNORECASE)
_MAIL: Final = re.compile(r"e-?mail|почт", re.IGNORECASE)
_TOUCHPOINT: Final = re.compile(r"touch_?point|branch|store|office|shop|точк|отделен|магазин|филиал", re.IGNORECASE)
_LANGUAGE: Final = re.compile(r"^(?:lang|language|locale|язык)$", re.IGNORECASE)
_WHOLE: Final = re.compile(r"[0-9]{1,2}")
_HIGHEST: Final = 10


def guess(candidates: Sequence[Candidate]) -> FieldMap:
    """What each place probably is; None where nothing looks like it. Questions go before other places."""
    in_order = sorted(candidates, key=lambda candidate: candidate.reference.place != "question")
    score = _first(in_order, _asks(_RECOMMEND), _is_rating) or _first(in_order, _asks(_RATING), _is_rating)
    if score is None:
        ratings = [each for each in in_order if each.reference.place == "question" and _is_rating(each)]
        score = ratings[0] if len(ratings) == 1 else None
    rest = [each for each in in_order if each is not score]
    others = sorted(rest, key=lambda candidate: candidate.reference.place == "question")
    comment = _first(rest, _asks(_WHY), _is_text) or _longest_text(rest)
    return FieldMap(
        score=None if score is None else score.reference,
        comment=None if comment is None else comment.reference,
        customer=_reference(_first(others, _asks(_CUSTOMER), _is_id) or _first(others, _asks(_MAIL), _is_id)),
        touchpoint=_reference(_first(others, _asks(_TOUCHPOINT), _is_id)),
        language=_reference(_first(others, _asks(_LANGUAGE), _is_text)),
    )


def _reference(candidate: Candidate | None) -> Reference | None:
    return None if candidate is None else candidate.reference


def _first(candidates: Sequence[Candidate], *tests: Callable[[Candidate], bool]) -> Candidate | None:
    return next((candidate for candidate in candidates if all(test(candidate) for test in tests)), None)


def _asks(pattern: re.Pattern[str]) -> Callable[[Candidate], bool]:
    def test(candidate: Candidate) -> bool:
        name = candidate.reference.name.rpartition(".")[2]
        return pattern.search(candidate.title) is not None or pattern.search(name) is not None

    return test


def _is_rating(candidate: Candidate) -> bool:
    value = candidate.value
    if isinstance(value, str) and _WHOLE.fullmatch(value) is not None:
        value = int(value)
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _HIGHEST


def _is_text(candidate: Candidate) -> bool:
    return isinstance(candidate.value, str)


def _is_id(candidate: Candidate) -> bool:
    return isinstance(candidate.value, (str, int)) and not isinstance(candidate.value, bool)


def _longest_text(candidates: Sequence[Candidate]) -> Candidate | None:
    texts = [
        (len(each.value), each)
        for each in candidates
        if each.reference.place == "question" and isinstance(each.value, str) and " " in each.value
    ]
    return max(texts, key=lambda text: text[0])[1] if texts else None
