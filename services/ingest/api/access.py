"""Who may do what with ingest: one name per rule, and what a request finds in its app."""

from typing import Annotated, Any, Final

from fastapi import Path, Request

from libs.events.database import Database
from libs.webapi.auth import Principal, requires
from services.ingest.sources import SourceBook

_OPERATORS: Final = frozenset({"operator", "administrator"})

SourcesReader = Annotated[Principal, requires("sources:read", roles=_OPERATORS)]
SourcesWriter = Annotated[Principal, requires("sources:write", roles=_OPERATORS)]
ResponsesWriter = Annotated[Principal, requires("responses:write", roles=_OPERATORS)]
DeliveriesReader = Annotated[Principal, requires("deliveries:read", roles=_OPERATORS)]
DeliveriesWriter = Annotated[Principal, requires("deliveries:write", roles=_OPERATORS)]

SOURCE_NAME: Final = r"^[a-z0-9][a-z0-9._-]{0,62}$"
SourceName = Annotated[str, Path(pattern=SOURCE_NAME, description="Part of the address that the vendor posts to.")]

# `libs.webapi.idempotency` reads the header from the request, so OpenAPI has to be told.
REPEATABLE: Final[dict[str, Any]] = {
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "The same request under the same key is done once and answered as it was.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[\x21-\x7e]+$"},
        }
    ]
}


def database_of(request: Request) -> Database:
    """The database that the app was made over."""
    database: Database = request.app.state.database
    return database


def book_of(request: Request) -> SourceBook:
    """The sources in use."""
    book: SourceBook = request.app.state.book
    return book
