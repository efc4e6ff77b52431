"""Mistakes in documents that people edit, as the `errors` of a problem."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from libs.webapi.problem import FieldError
    from services.scoring.domain.mistakes import Mistake


def field_errors(mistakes: Iterable[Mistake]) -> list[FieldError]:
    """Each with its place, in English, and as the code that pages put into other languages."""
    return [
        {
            "pointer": each.pointer,
            "detail": each.detail,
            "why": {"code": each.reason.code, "parameters": dict(each.reason.parameters)},
        }
        for each in mistakes
    ]
