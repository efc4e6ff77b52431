"""Errors as RFC 9457 problems: one shape for every refusal, with a stable `type` and never a stack trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NotRequired, TypedDict

import msgspec
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fastapi import FastAPI
    from starlette.requests import Request

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:otklik:problem:"

SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "Stable; tells the problems apart."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON pointer to the field."},
                    "in": {"enum": ["query", "path", "header"], "description": "Absent: the body."},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
"""JSON Schema of a problem, for OpenAPI."""

_NAME_OF_STATUS: Final[dict[int, tuple[str, str]]] = {
    400: ("bad-request", "The request cannot be understood"),
    401: ("unauthenticated", "Authentication is needed"),
    403: ("forbidden", "Not allowed"),
    404: ("not-found", "Not found"),
    405: ("method-not-allowed", "This method is not supported here"),
    406: ("not-acceptable", "No acceptable representation"),
    409: ("conflict", "Conflicts with the present state"),
    412: ("precondition-failed", "The resource has changed"),
    413: ("too-large", "The body is too large"),
    415: ("unsupported-media-type", "The content type is not supported"),
    422: ("invalid", "The request is not valid"),
    428: ("precondition-required", "If-Match is needed"),
    429: ("too-many-requests", "Too many requests"),
    500: ("internal", "Something went wrong on our side"),
    503: ("unavailable", "Temporarily unavailable"),
}


FieldError = TypedDict("FieldError", {"pointer": str, "detail": str, "in": NotRequired[str]})
"""What is wrong with one field: `pointer` is a JSON pointer into the part that `in` names (absent: the body)."""


class Problem(HTTPException):
    """A refusal. `slug` is the stable end of the problem's `type`; `extra` are further members of the body.

    It is an `HTTPException` because FastAPI lets only these pass unchanged out of its body parsing.
    """

    def __init__(
        self,
        status: int,
        slug: str,
        title: str,
        *,
        detail: str | None = None,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(status, detail or title, dict(headers) if headers else None)
        self.slug = slug
        self.title = title
        self.errors = list(errors)
        self.extra = dict(extra or {})
        self._detail = detail

    def body(self) -> dict[str, object]:
        """The members of the problem document."""
        members: dict[str, object] = {
            "type": TYPE_PREFIX + self.slug,
            "title": self.title,
            "status": self.status_code,
        }
        if self._detail is not None:
            members["detail"] = self._detail
        if self.errors:
            members["errors"] = self.errors
        return members | self.extra

    def response(self) -> Response:
        """The answer that carries this problem."""
        return Response(
            msgspec.json.encode(self.body()),
            status_code=self.status_code,
            headers=dict(self.headers or {}),
            media_type=MEDIA_TYPE,
        )


def of_status(status: int, *, detail: str | None = None, headers: Mapping[str, str] | None = None) -> Problem:
    """The generic problem of a status code."""
    slug, title = _NAME_OF_STATUS.get(status, (f"status-{status}", "The request failed"))
    return Problem(status, slug, title, detail=detail, headers=headers)


def unavailable() -> Problem:
    """The database is away: nothing was done, the caller may try again."""
    return of_status(503, detail="The service cannot reach its database. Try again.", headers={"Retry-After": "2"})


def invalid(errors: Iterable[Mapping[str, Any]]) -> Problem:
    """The 422 of pydantic's errors: where and what, never the value (it may be a contact detail)."""
    return Problem(422, "invalid", "The request is not valid", errors=[_field_error(e) for e in errors])


def _field_error(error: Mapping[str, Any]) -> FieldError:
    where, *path = error.get("loc") or ("body",)
    pointer = "".join(f"/{_escape(str(part))}" for part in path)
    found: FieldError = {"pointer": pointer, "detail": str(error.get("msg", "is not valid"))}
    if where != "body":
        found["in"] = str(where)
    return found


def _escape(token: str) -> str:
    # A key of the sender's may hold anything, lone surrogates included; the answer must stay encodable.
    printable = token.encode("utf-8", "replace").decode()[:200]
    return printable.replace("~", "~0").replace("/", "~1")


async def _on_http_exception(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - how the handler is registered; narrows the type
    if isinstance(error, Problem):
        return error.response()
    known = _NAME_OF_STATUS.get(error.status_code)
    detail = error.detail if known is None or error.status_code == 400 else None  # noqa: PLR2004
    return of_status(error.status_code, detail=detail, headers=error.headers).response()


async def _on_invalid_request(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
    return invalid(error.errors()).response()


def install(app: FastAPI) -> None:
    """Make every error that the framework knows a problem; `libs.webapi.app` catches the rest."""
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
