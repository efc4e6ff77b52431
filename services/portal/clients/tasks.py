"""Tasks: what departments do for a case, and what customers were promised, as casework keeps them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from services.portal.clients.service import Listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.portal.clients.service import Service
    from services.portal.domain.people import Person


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Something that somebody does for a case."""

    id: str
    case_id: str
    kind: str
    department_id: str | None
    department_name: str | None
    owner_id: str
    owner_name: str | None
    state: str
    opened_at: datetime
    due_at: datetime
    breached: bool
    ended_at: datetime | None
    declined_because: str | None
    version: int
    title: str | None
    case_status: str
    case_owner_name: str | None
    customer_name: str | None


class Tasks:
    """Tasks of departments and promises to customers."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def page(
        self, person: Person, filters: Mapping[str, str], *, limit: int, cursor: str | None = None
    ) -> Listed[Task]:
        """By when they are due."""
        params = {**filters, "limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        return await self._service.get("/v1/tasks", Listed[Task], person=person, params=params)

    async def one(self, person: Person, id_: str) -> Task:
        """One of them."""
        return await self._service.get(f"/v1/tasks/{id_}", Task, person=person)

    async def act(
        self, person: Person, id_: str, step: str, body: Mapping[str, object], *, command_id: str, version: int | None
    ) -> None:
        """Finish, decline or hand it over."""
        await self._service.post(f"/v1/tasks/{id_}/{step}", body, person=person, command_id=command_id, version=version)
