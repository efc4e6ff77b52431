"""What people do with lists of cases in casework: save filters, act on many at once, take a list away as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from services.portal.clients.service import Listed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from services.portal.clients.service import Service
    from services.portal.domain.people import Person


class SavedFilter(msgspec.Struct, frozen=True, kw_only=True):
    """A filter under a name; `team_name` where a team sees it, too."""

    id: str
    name: str
    filter: dict[str, Any]
    owner_id: str
    owner_name: str | None
    team_id: str | None
    team_name: str | None
    mine: bool
    version: int


class BulkItem(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one case, or would; `because` is the code of a refusal."""

    case_id: str
    customer_name: str | None
    result: str
    because: str | None
    owner_id_before: str | None
    owner_id: str | None
    level_before: str | None
    level: str | None
    priority_before: int | None
    priority: int | None
    customer_is_told: bool


class BulkReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of every case, or would; `more`: the filter has more than are done at once."""

    preview: bool
    changed: int
    unchanged: int
    refused: int
    items: list[BulkItem]
    more: bool


class CaseLists:
    """Saved filters, acts on many cases, files."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def filters(self, person: Person) -> list[SavedFilter]:
        """The person's own, then those that others share with their team."""
        return (await self._service.get("/v1/filters", Listed[SavedFilter], person=person)).items

    async def save_filter(self, person: Person, body: Mapping[str, object], *, command_id: str) -> None:
        """Save a new one; the command's id becomes its own."""
        await self._service.put(
            f"/v1/filters/{command_id}", body, person=person, command_id=command_id, version=None, only_new=True
        )

    async def delete_filter(self, person: Person, id_: str, *, command_id: str, version: int | None) -> None:
        """Take one's own away."""
        await self._service.delete(f"/v1/filters/{id_}", person=person, command_id=command_id, version=version)

    async def act(self, person: Person, body: Mapping[str, object], *, command_id: str) -> BulkReport:
        """One act on many cases."""
        path = "/v1/cases/bulk"
        body = {**body, "preview": False}
        return await self._service.order(path, body, BulkReport, person=person, command_id=command_id, long=True)

    async def try_act(self, person: Person, body: Mapping[str, object]) -> BulkReport:
        """What the act would do."""
        body = {**body, "preview": True}
        return await self._service.ask("/v1/cases/bulk", body, BulkReport, person=person, long=True)

    async def exported(self, person: Person, params: Mapping[str, str]) -> AsyncGenerator[bytes]:
        """The list as CSV, as it arrives."""
        return await self._service.stream("/v1/cases.csv", person=person, params=params)
