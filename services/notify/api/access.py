"""What the routes of notify share: repeatable commands, and the database behind a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from fastapi import Request

    from libs.events.database import Database

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
    """The database of the app that is asked."""
    database: Database = request.app.state.database
    return database
