"""What ingest answered when it did not do what it was asked, as pages tell it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from uuid import UUID

from libs.webapi.problem import Problem, of_status

if TYPE_CHECKING:
    from services.portal.clients import Refusal

SEE_OTHER: Final = 303
NOT_FOUND: Final = 404
_SOURCE_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


def as_problem(refusal: Refusal) -> Problem:
    """The refusal as a page of its own."""
    return Problem(refusal.status, refusal.slug or "refused", refusal.title or "Refused")


def away() -> Problem:
    """A service that cannot be reached just now."""
    return of_status(503, headers={"Retry-After": "5"})


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
