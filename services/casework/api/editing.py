"""What the routes have in common by which the company edits its settings: pages, versions, create or replace."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

from fastapi import Request, Response
from pydantic import BaseModel
from sqlalchemy import Row

from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.auth import Principal
from libs.webapi.etag import etag, expect
from libs.webapi.idempotency import once
from libs.webapi.paging import Page, decode_cursor, encode_cursor
from libs.webapi.problem import of_status

ViewT = TypeVar("ViewT", bound=BaseModel)


def stored(model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """The answers of a create-or-replace route, for OpenAPI."""
    problem: dict[str, Any] = {"content": {"application/problem+json": {}}}
    return {
        200: {"model": model, "description": "Replaced; the version as `ETag`."},
        201: {"model": model, "description": "Created; the version as `ETag`."},
        412: {"description": "It is not at the version in `If-Match`.", **problem},
        422: {"description": "The request is not valid.", **problem},
    }


def deleted() -> dict[int | str, dict[str, Any]]:
    """The answers of a route that takes something away, for OpenAPI."""
    problem: dict[str, Any] = {"content": {"application/problem+json": {}}}
    return {
        204: {"description": "It is gone."},
        404: {"description": "There is none.", **problem},
        412: {"description": "It is not at the version in `If-Match`.", **problem},
    }


def after(cursor: str | None) -> str:
    """The id after which a page begins."""
    return "" if cursor is None else decode_cursor(cursor, str)


def page(model: type[ViewT], rows: Sequence[Row[Any]], limit: int) -> Page[ViewT]:
    """A page from up to `limit` + 1 rows: the one more only says that there is more."""
    shown = rows[:limit]
    items = [model.model_validate(row, from_attributes=True) for row in shown]
    return Page[ViewT](items=items, next_cursor=encode_cursor(shown[-1].id) if len(rows) > limit else None)


def one(model: type[ViewT], row: Row[Any] | None, response: Response) -> ViewT:
    """One resource with its `ETag`, or 404."""
    if row is None:
        raise of_status(404)
    response.headers["ETag"] = etag(row.version)
    return model.model_validate(row, from_attributes=True)


async def put(
    request: Request,
    principal: Principal,
    seen: int | None,
    model: type[BaseModel],
    lock: Callable[[Tx], Awaitable[int | None]],
    write: Callable[[Tx], Awaitable[Row[Any] | None]],
) -> Response:
    """Create or replace, once per Idempotency-Key, and only on the version that the caller has seen."""

    async def command(tx: Tx, _command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        version = await lock(tx)
        if version is not None:
            expect(version, seen)
        elif seen is not None:
            raise of_status(412, detail="There is nothing yet to be changed.")
        row = await write(tx)
        if row is None:
            raise of_status(404)
        body = model.model_validate(row, from_attributes=True)
        return 201 if version is None else 200, body, {"ETag": etag(row.version)}

    return await once(database_of(request), request, principal, command)
