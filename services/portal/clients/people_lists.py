"""Lists of employees and partners as notify keeps them: who else is told what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from services.portal.clients.campaigns import PeopleList
from services.portal.clients.service import Listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from services.portal.clients.service import Service
    from services.portal.domain.people import Person


class Member(msgspec.Struct, frozen=True):
    """Somebody on a list."""

    member_id: str
    name: str
    email: str
    language: str


class Changed(msgspec.Struct, frozen=True):
    """What became of members."""

    put: int
    removed: int


class PeopleLists:
    """Lists and their members."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def all(self, person: Person) -> list[PeopleList]:
        """With how many people each has."""
        return await self._service.get("/v1/lists", list[PeopleList], person=person)

    async def members(self, person: Person, id_: str, *, limit: int, cursor: str | None) -> Listed[Member]:
        """By their ids."""
        params = {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        return await self._service.get(f"/v1/lists/{id_}/members", Listed[Member], person=person, params=params)

    async def put(self, person: Person, id_: str, side: str, name: str, *, command_id: str) -> None:
        """Make or rename one."""
        body = {"side": side, "name": name}
        await self._service.put(f"/v1/lists/{id_}", body, person=person, command_id=command_id, version=None)

    async def delete(self, person: Person, id_: str, *, command_id: str) -> None:
        """With its members."""
        await self._service.delete(f"/v1/lists/{id_}", person=person, command_id=command_id)

    async def fill(
        self, person: Person, id_: str, members: Sequence[Mapping[str, str]], *, anew: bool, command_id: str
    ) -> Changed:
        """Add and change members; with `anew` there are no others afterwards."""
        body: dict[str, Any] = {"put": list(members), "replace": anew}
        return await self._service.order(
            f"/v1/lists/{id_}/members", body, Changed, person=person, command_id=command_id, long=True
        )

    async def remove(self, person: Person, id_: str, member_id: str, *, command_id: str) -> Changed:
        """Take somebody off."""
        body = {"remove": [member_id]}
        return await self._service.order(
            f"/v1/lists/{id_}/members", body, Changed, person=person, command_id=command_id
        )
