"""What a service answered when it did not do what it was asked, as pages tell it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from uuid import UUID

from libs.webapi.problem import Problem, of_status
from services.portal.clients import ClientError, Refusal, ServiceAwayError
from services.portal.domain.forms import Draft

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from services.portal.api.access import Form
    from services.portal.texts import Words

SEE_OTHER: Final = 303
NOT_FOUND: Final = 404
WRONG: Final = 422
"""The form comes again: what was entered cannot be so."""
_LONGEST_CURSOR: Final = 1_024
_SOURCE_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


def problem_of(error: ClientError) -> Problem:
    """What a page says where it could not go on without the service, and no form can be shown again."""
    match error:
        case Refusal():
            return Problem(error.status, error.slug or "refused", error.title or "Refused")
        case ServiceAwayError():
            return of_status(503, headers={"Retry-After": "5"})
        case _:
            raise TypeError(f"no problem is known for {type(error).__name__}")


def uuid_in(written: str) -> str:
    """A UUID in its usual form; 404 for anything else, as nothing has such an id."""
    try:
        return str(UUID(written))
    except ValueError as error:
        raise of_status(NOT_FOUND) from error


def source_name_in(written: str) -> str:
    """The name of a source; 404 for what none can be called."""
    if not is_source_name(written):
        raise of_status(NOT_FOUND)
    return written


def is_source_name(written: str) -> bool:
    """Whether a source can be called so: the name stands in the address that the vendor posts to."""
    return _SOURCE_NAME.fullmatch(written) is not None


def refused_draft(
    form: str, entered: Mapping[str, str], lists: Mapping[str, tuple[str, ...]], refusal: Refusal, words: Words
) -> Draft:
    """The form again with what was entered, and what the service has against it."""
    key = f"refused_setting.{refusal.slug}"
    other = f"refused.{refusal.slug}"
    message = words(key) if words.has(key) else words(other) if words.has(other) else words("refused.other")
    wrong = {error.field: words("case.invalid") for error in refusal.errors if error.field}
    return Draft(form, entered, lists, wrong, message)


def version_in(form: Form) -> int | None:
    """The version that the person has seen; None where nothing was."""
    return int(form.get("version")) if form.get("version").isdecimal() else None


def cursor_in(request: Request) -> str | None:
    """Which page of a list was asked for."""
    cursor = request.query_params.get("cursor", "")
    return cursor if 0 < len(cursor) <= _LONGEST_CURSOR else None
