"""JSON bodies read strictly: one meaning for every body, and nothing that a database or a peer cannot hold.

Refused with 400: bytes that are not UTF-8 (a byte order mark too), NaN and infinities (1e400 is one), repeated
keys, NUL characters and lone surrogates, integers beyond 64 bits, and nesting deeper than any body of ours. Another
content type is refused with 415.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Request, params
from fastapi.routing import APIRoute

from libs.webapi.problem import of_status

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.responses import Response

MAX_DEPTH: Final = 32
_INT64: Final = 2**63


class NotStrictError(ValueError):
    """The body is no JSON, or JSON that means different things to different readers. Its message is for the sender.

    `code` says what is wrong in a word that stays, `parameters` where and what.
    """

    def __init__(self, message: str, code: str, **parameters: str | int) -> None:
        super().__init__(message)
        self.code = code
        self.parameters = parameters


def loads(body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """The value in `body`; `NotStrictError` otherwise."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotStrictError(f"The body is not UTF-8 (byte {error.start}).", "encoding", at=error.start) from error
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except NotStrictError:
        raise
    except json.JSONDecodeError as error:
        message = f"The body is not JSON: {error.msg} (character {error.pos})."
        raise NotStrictError(message, "syntax", problem=error.msg, at=error.pos) from error
    except RecursionError as error:
        raise NotStrictError("The body is nested too deeply.", "depth") from error
    except ValueError as error:  # the interpreter's own limit on digits
        raise NotStrictError("The body holds a number with too many digits.", "digits") from error
    _check(value)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotStrictError("The body holds an object with a repeated key.", "repeated-key")
    return found


def _refuse_constant(name: str) -> Any:  # noqa: ANN401 - never returns
    raise NotStrictError(f"The body holds {name}, which is not JSON.", "constant", name=name)


def _check(value: object) -> None:
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        below: list[object] = []
        for item in level:
            if isinstance(item, list):
                below.extend(item)
            elif isinstance(item, dict):
                below.extend(item)
                below.extend(item.values())
            else:
                _check_scalar(item)
        if not below:
            return
        level = below
    raise NotStrictError("The body is nested too deeply.", "depth")


def _check_scalar(value: object) -> None:
    match value:
        case str():
            _check_text(value)
        case int():
            if not -_INT64 <= value < _INT64:
                raise NotStrictError("The body holds an integer beyond 64 bits.", "integer")
        case float():
            if not math.isfinite(value):
                raise NotStrictError("The body holds a number beyond double precision.", "number")


def _check_text(text: str) -> None:
    if "\0" in text:
        raise NotStrictError("The body holds a NUL character.", "nul")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise NotStrictError("The body holds a lone surrogate.", "surrogate") from error


class StrictRequest(Request):
    """A request whose `json()` is strict."""

    async def json(self) -> Any:  # noqa: ANN401 - any JSON value
        """The body's value, or a 400 problem."""
        if not hasattr(self, "_strict"):
            try:
                self._strict = loads(await self.body())
            except NotStrictError as error:
                raise of_status(400, detail=str(error)) from error
        return self._strict


class StrictRoute(APIRoute):
    """A route that reads JSON bodies strictly and takes no other content type for them."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, given a strict request."""
        handle = super().get_route_handler()
        takes_json = self.body_field is not None and not isinstance(self.body_field.field_info, params.Form)

        async def strictly(request: Request) -> Response:
            if takes_json and not _is_json(request.headers.get("content-type", "")) and await request.body():
                raise of_status(415, detail="Send application/json.")
            strict = StrictRequest(request.scope, request.receive)
            if takes_json:
                strict._body = await request.body()  # noqa: SLF001 - Starlette's own cache, as `body()` fills it
            return await handle(strict)

        return strictly


class Router(APIRouter):
    """An `APIRouter` of strict routes; what a service's further modules use."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - passed on as they are
        super().__init__(route_class=StrictRoute, **options)


def _is_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))
