"""Who may do what with ingest: one name per rule, and what a request finds in its app."""

from typing import Annotated, Final

from fastapi import Path, Request

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


def book_of(request: Request) -> SourceBook:
    """The sources in use."""
    book: SourceBook = request.app.state.book
    return book
