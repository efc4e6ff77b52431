"""Errors as RFC 9457 problems: one shape for every refusal, with a stable `type` and never a stack trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NotRequired

import msgspec
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from typing_extensions import TypedDict  # pydantic reads no other one before Python 3.12

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from fastapi import FastAPI
    from starlette.requests import Request

    Render = Callable[[Request, "Problem"], Response]

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
                    "why": {
                        "type": "object",
                        "description": "The detail as a code with its parameters, for those who speak other languages.",
                        "required": ["code", "parameters"],
                        "properties": {"code": {"type": "string"}, "parameters": {"type": "object"}},
                    },
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


class Why(TypedDict):
    """A reason as a code that stays, and what it is about."""

    code: str
    parameters: dict[str, Any]


FieldError = TypedDict("FieldError", {"pointer": str, "detail": str, "in": NotRequired[str], "why": NotRequired[Why]})
"""What is wrong with one field: `pointer` is a JSON pointer into the part that `in` names (absent: the body).

`why` is the detail as a code, where readers of other languages are to be told it in theirs.
"""


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


def as_json(_request: Request, problem: Problem) -> Response:
    """The answer to a program."""
    return problem.response()


def of_exception(error: Exception) -> Problem:
    """The problem that an error of the framework stands for."""
    match error:
        case Problem():
            return error
        case RequestValidationError():
            return invalid(error.errors())
        case HTTPException(status_code=400):
            return of_status(400, detail=error.detail, headers=error.headers)
        case HTTPException():
            return of_status(error.status_code, headers=error.headers)
        case _:
            raise TypeError(f"no problem is known for {type(error).__name__}")


def install(app: FastAPI, render: Render = as_json) -> None:
    """Make every error that the framework knows a problem; `libs.webapi.limits.LastResort` catches the rest."""

    async def answer(request: Request, error: Exception) -> Response:
        return render(request, of_exception(error))

    app.add_exception_handler(HTTPException, answer)
    app.add_exception_handler(RequestValidationError, answer)
