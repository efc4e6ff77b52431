"""Files of responses in ingest, as the portal asks for them: what one looks like, sending it, and what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from services.portal.clients.ingest import Understood, Why

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from services.portal.clients.service import Parameters, Service
    from services.portal.domain.people import Person

PAGE: Final = 50
ERRORS: Final = 200


class Layout(msgspec.Struct, frozen=True):
    """How a file is written, and the column of each field that is somewhere."""

    format: str
    encoding: str
    separator: str | None
    times: str
    columns: list[str]
    map: dict[str, str]


class Import(msgspec.Struct, frozen=True, kw_only=True):
    """One file of one source, and how far it is read."""

    id: str
    source: str
    name: str
    size: int | None
    layout: Layout | None
    offset: int
    lines: int
    accepted: int
    duplicates: int
    ignored: int
    errors: int
    finished: bool
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None

    @property
    def rows(self) -> int:
        """How many rows were read."""
        return self.accepted + self.duplicates + self.ignored + self.errors

    @property
    def percent(self) -> int | None:
        """How much of it is read, in whole percent; None where nobody knows how much there is."""
        if self.finished or self.size == 0:
            return 100
        return None if self.size is None else min(99, self.offset * 100 // self.size)


class ErrorRow(msgspec.Struct, frozen=True):
    """A row that brought no response."""

    line: int
    reason: str
    why: Why | None
    delivery_id: str | None


class FirstRow(msgspec.Struct, frozen=True):
    """One of the first rows, as it would be understood."""

    line: int
    understood: bool
    reason: str | None
    why: Why | None
    response: Understood | None


class Preview(msgspec.Struct, frozen=True):
    """What a file looks like."""

    layout: Layout
    columns: list[str]
    rows: list[FirstRow]


class ImportPage(msgspec.Struct, frozen=True):
    """Some imports, the newest first."""

    items: list[Import]
    next_cursor: str | None = None


class ErrorPage(msgspec.Struct, frozen=True):
    """Some rows, in the file's order."""

    items: list[ErrorRow]
    next_cursor: str | None = None


class Imports:
    """Imports of the ingest service; the connections are whose `service` it is."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def listed(self, person: Person, *, source: str = "", cursor: str | None = None) -> ImportPage:
        """A page of them."""
        params = {"limit": str(PAGE)} | _said({"source": source, "cursor": cursor or ""})
        return await self._service.get("/v1/imports", ImportPage, person=person, params=params)

    async def one(self, person: Person, id_: str) -> Import:
        """One of them."""
        return await self._service.get(f"/v1/imports/{id_}", Import, person=person)

    async def errors(self, person: Person, id_: str, *, cursor: str | None = None, limit: int = ERRORS) -> ErrorPage:
        """A page of its rows that brought no response."""
        params = {"limit": str(limit)} | _said({"cursor": cursor or ""})
        return await self._service.get(f"/v1/imports/{id_}/errors", ErrorPage, person=person, params=params)

    async def all_errors(self, person: Person, id_: str, first: ErrorPage) -> AsyncIterator[ErrorRow]:
        """All of these rows from `first` on, one page after the other."""
        page = first
        while True:
            for row in page.items:
                yield row
            if page.next_cursor is None:
                return
            page = await self.errors(person, id_, cursor=page.next_cursor)

    async def preview(self, person: Person, said: Parameters, head: bytes, *, whole: bool) -> Preview:
        """What the file that begins with `head` looks like."""
        params = {**said, "whole": "true" if whole else "false"}
        return await self._service.send("POST", "/v1/imports/preview", head, Preview, person=person, params=params)

    async def begin(self, person: Person, said: Parameters, *, name: str, size: int) -> Import:
        """The import, of which nothing is sent yet."""
        params = {**said, "name": name, "size": str(size)}
        return await self._service.send("POST", "/v1/imports", b"", Import, person=person, params=params)

    async def go_on(self, person: Person, id_: str, piece: bytes, *, offset: int) -> Import:
        """Send the piece that begins at `offset`; how far it is now."""
        path, params = f"/v1/imports/{id_}/content", {"offset": str(offset)}
        return await self._service.send("PUT", path, piece, Import, person=person, params=params)


def _said(params: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name, value in params.items() if value}
