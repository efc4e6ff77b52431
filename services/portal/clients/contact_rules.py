"""When customers may be called, and how strictly agreed callbacks are kept, as the portal asks casework for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.portal.clients.service import Service
    from services.portal.domain.people import Person

_PATH: Final = "/v1/contact-rules"


class InForce(msgspec.Struct, frozen=True):
    """The rules of contact; a weekday that is not named is one on which nobody is called."""

    zone: str
    week: dict[str, list[dict[str, str]]]
    early_minutes: int
    grace_minutes: int
    climbs_after_minutes: int
    pause_minutes: int
    version: int


class ContactRules:
    """`/v1/contact-rules` of casework."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def in_force(self, person: Person) -> InForce:
        """The rules in force."""
        return await self._service.get(_PATH, InForce, person=person)

    async def put(self, person: Person, body: Mapping[str, object], *, command_id: str, version: int | None) -> None:
        """Put rules into force, unless others are since `version` was seen."""
        await self._service.put(_PATH, body, person=person, command_id=command_id, version=version)
