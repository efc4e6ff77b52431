"""Which answers of passives and promoters open light cases, as the portal asks casework for it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.portal.clients.service import Service
    from services.portal.domain.people import Person

_PATH: Final = "/v1/outreach-rules"


class Editor(msgspec.Struct, frozen=True):
    """Who put rules into force: a person, or a key."""

    kind: str
    id: str
    name: str | None


class Rule(msgspec.Struct, frozen=True):
    """What to do with answers that meet all that it names; an empty list leaves nothing out."""

    id: str
    then: str
    nps_classes: list[str] = []
    tiers: list[str] = []
    programs: list[str] = []
    touchpoints: list[str] = []
    themes: list[str] = []
    score_from: int | None = None
    score_to: int | None = None


class InForce(msgspec.Struct, frozen=True):
    """The rules in force."""

    rules: list[Rule]
    otherwise: str
    thank_after_minutes: int
    version: int
    at: datetime
    by: Editor

    def document(self) -> dict[str, Any]:
        """What would be sent to put these very rules into force."""
        return {
            "rules": msgspec.to_builtins(self.rules),
            "otherwise": self.otherwise,
            "thank_after_minutes": self.thank_after_minutes,
        }


class RuleTried(msgspec.Struct, frozen=True):
    """How many answers a rule would have decided about."""

    id: str
    then: str
    answers: int


class WouldOpen(msgspec.Struct, frozen=True):
    """An answer that a rule would have opened a case for."""

    rule: str
    customer_id: str | None
    customer_name: str | None
    tier: str
    score: int | None
    program: str
    touchpoint: str | None
    answered_at: datetime
    has_case: bool


class Tried(msgspec.Struct, frozen=True):
    """What the rules would have done with the latest answers."""

    since: datetime
    answers: int
    rules: list[RuleTried]
    cases: int
    thanks: int
    nothing: int
    opening: list[WouldOpen]


class Outreach:
    """`/v1/outreach-rules` of casework."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def in_force(self, person: Person) -> InForce:
        """The rules in force."""
        return await self._service.get(_PATH, InForce, person=person)

    async def try_out(self, person: Person, document: Mapping[str, object]) -> Tried:
        """What these rules would have done."""
        return await self._service.ask(f"{_PATH}/dry-run", document, Tried, person=person, long=True)

    async def put(
        self, person: Person, document: Mapping[str, object], *, command_id: str, version: int | None
    ) -> None:
        """Put rules into force, unless others are since `version` was seen."""
        await self._service.put(_PATH, document, person=person, command_id=command_id, version=version)
