"""Segment rules, as the portal asks scoring for them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.portal.clients.service import Service
    from services.portal.domain.people import Person

_PATH: Final = "/v1/segment-rules"


class Condition(msgspec.Struct, frozen=True):
    """One field of a customer against a value; of `top` and `bottom` the value is a share."""

    field: str
    op: str
    value: Any
    cut: float | None = None


class Rule(msgspec.Struct, frozen=True):
    """A tier for whoever meets all conditions."""

    tier: str
    when: list[Condition]


class RuleSet(msgspec.Struct, frozen=True):
    """Rules in their order, and the tier of those whom none matches."""

    default: str
    rules: list[Rule]


class InForce(RuleSet, frozen=True):
    """The rules in force."""

    programs: dict[str, RuleSet]
    accounts: dict[str, float]
    version: int
    created_at: datetime
    created_by: str
    customers_waiting: int

    def document(self) -> dict[str, Any]:
        """What would be sent to put these very rules into force."""

        def rules(of: RuleSet) -> dict[str, Any]:
            return {
                "default": of.default,
                "rules": [
                    {
                        "tier": rule.tier,
                        "when": [{"field": each.field, "op": each.op, "value": each.value} for each in rule.when],
                    }
                    for rule in of.rules
                ],
            }

        programs = {name: rules(each) for name, each in self.programs.items()}
        return rules(self) | {"programs": programs, "accounts": dict(self.accounts)}


class Move(msgspec.Struct, frozen=True):
    """How many customers would go from one tier to another, or stay."""

    from_tier: str
    to_tier: str
    customers: int


class Mover(msgspec.Struct, frozen=True):
    """One who would move, and why."""

    id: str
    from_tier: str
    to_tier: str
    facts: list[Condition]


class DryRun(msgspec.Struct, frozen=True):
    """What rules would do to the present customers."""

    customers: int
    matrix: list[Move]
    moves: list[Move]
    movers: list[Mover]

    def count(self, from_tier: str, to_tier: str) -> int:
        """How many would go from the one to the other."""
        return sum(move.customers for move in self.matrix if (move.from_tier, move.to_tier) == (from_tier, to_tier))


class Segments:
    """`/v1/segment-rules` of scoring."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def in_force(self, person: Person) -> InForce:
        """The rules in force."""
        return await self._service.get(_PATH, InForce, person=person)

    async def try_out(self, person: Person, document: Mapping[str, object]) -> DryRun:
        """Who would move by these rules."""
        return await self._service.try_out(_PATH, document, DryRun, person=person)

    async def put(self, person: Person, document: Mapping[str, object], *, command_id: str, version: int) -> None:
        """Put rules into force, unless others are since `version` was seen."""
        await self._service.put(_PATH, document, person=person, command_id=command_id, version=version)
