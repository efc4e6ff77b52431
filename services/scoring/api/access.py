"""Who may do what with scoring: one name per rule, and the database behind a request."""

from typing import Annotated, Any, Final

from fastapi import Request

from libs.events.database import Database
from libs.webapi.auth import Principal, requires

_CUSTOMER_FACING = frozenset({"agent", "manager", "executive", "administrator"})

Reader = Annotated[Principal, requires("customers:read", roles=_CUSTOMER_FACING)]
Writer = Annotated[Principal, requires("customers:write", roles={"manager", "administrator"})]
Eraser = Annotated[Principal, requires("customers:write", roles={"administrator"})]
RulesReader = Annotated[Principal, requires("rules:read", roles={"manager", "executive", "administrator"})]
RulesWriter = Annotated[Principal, requires("rules:write", roles={"executive", "administrator"})]
# Their names stand beside every number by theme.
ThemesReader = Annotated[Principal, requires("rules:read")]
ThemesWriter = Annotated[Principal, requires("rules:write", roles={"manager", "executive", "administrator"})]
# They show words of customers.
SuggestionsReader = Annotated[Principal, requires("rules:read", roles={"manager", "executive", "administrator"})]
# Every employee, whatever the role, sees how the company is doing.
MetricsReader = Annotated[Principal, requires("metrics:read")]

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
