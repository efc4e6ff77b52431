"""Segment rules, as the portal asks scoring for them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec

from services.portal.clients.service import Listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.portal.clients.service import Service
    from services.portal.domain.people import Person

_PATH: Final = "/v1/segment-rules"
_DRY_RUNS: Final = f"{_PATH}/dry-runs"


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


class _Tried(msgspec.Struct, frozen=True):
    """What scoring answers when rules are tried: the result, or which dry run will have it."""

    customers: int | None
    id: UUID | None = None
    matrix: list[Move] = []
    moves: list[Move] = []
    movers: list[Mover] = []


class Progress(msgspec.Struct, frozen=True):
    """How far a dry run has come."""

    id: UUID
    status: str
    asked_at: datetime
    asked_by: str
    customers_seen: int
    customers: int | None
    rules_version: int
    outdated: bool

    @property
    def percent(self) -> int | None:
        """How far it is, in whole percent; None before it has begun."""
        return None if self.customers is None else min(99, self.customers_seen * 100 // max(self.customers, 1))


class Run(Progress, frozen=True):
    """A dry run, of which rules, and what it found once it is done."""

    rules: dict[str, Any]
    result: DryRun | None


class Segments:
    """`/v1/segment-rules` of scoring."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def in_force(self, person: Person) -> InForce:
        """The rules in force."""
        return await self._service.get(_PATH, InForce, person=person)

    async def try_out(self, person: Person, document: Mapping[str, object], *, command_id: str) -> DryRun | UUID:
        """Who would move by these rules; where that takes its time, the id of the dry run that finds out."""
        tried = await self._service.try_out(_PATH, document, _Tried, person=person, command_id=command_id)
        return tried.id or DryRun(tried.customers or 0, tried.matrix, tried.moves, tried.movers)

    async def dry_run(self, person: Person, id_: str) -> Run | None:
        """A dry run; None where it is not kept, or never was."""
        return await self._service.find(f"{_DRY_RUNS}/{id_}", Run, person=person)

    async def dry_runs(self, person: Person, *, limit: int) -> list[Progress]:
        """The latest dry runs."""
        page = await self._service.get(_DRY_RUNS, Listed[Progress], person=person, params={"limit": str(limit)})
        return page.items

    async def cancel(self, person: Person, id_: str, *, command_id: str) -> None:
        """End a dry run."""
        await self._service.post(f"{_DRY_RUNS}/{id_}/cancel", {}, person=person, command_id=command_id, version=None)

    async def put(self, person: Person, document: Mapping[str, object], *, command_id: str, version: int) -> None:
        """Put rules into force, unless others are since `version` was seen."""
        await self._service.put(_PATH, document, person=person, command_id=command_id, version=version)
