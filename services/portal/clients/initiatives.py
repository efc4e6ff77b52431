"""Initiatives and what stands behind them, as casework keeps them."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

import msgspec

from services.portal.clients.loop import Portion
from services.portal.clients.service import Listed
from services.portal.domain.initiatives import Status, steps_done

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.portal.clients.service import Service
    from services.portal.domain.people import Person


class CauseInCommon(msgspec.Struct, frozen=True):
    """What one root cause did to customers."""

    root_cause_id: str
    name_ru: str
    name_en: str
    cases: int
    customers: int
    value_at_stake: float | None
    escalated: int
    reopened: int
    contacted_late: int
    earliest_feedback_at: datetime
    initiatives: list[str]


class Initiative(msgspec.Struct, frozen=True, kw_only=True):
    """A structural change."""

    id: str
    version: int
    status: Status
    title: str
    problem: str
    root_causes: list[str]
    themes: list[str]
    department_id: str
    department_name: str
    owner_id: str
    owner_name: str
    proposed_at: datetime
    decided_at: datetime | None
    decision_reason: str | None
    budget: float | None
    currency: str | None
    due_on: date | None
    started_at: datetime | None
    shipped_at: datetime | None
    learned: str | None
    changed: str | None
    next_steps: str | None
    feedback_since: datetime | None
    communicate_by: datetime | None
    communicate_by_breached: bool
    communicated_at: datetime | None

    @property
    def steps_done(self) -> int:
        """How many of the four arcs are done: decided, begun, in force, told."""
        return steps_done(self.status, told=self.communicated_at is not None)

    @property
    def to_tell_by(self) -> datetime | None:
        """When its quarter ends, as long as that still counts."""
        waits = self.status != "declined" and self.communicated_at is None
        return self.communicate_by if waits else None


class Behind(msgspec.Struct, frozen=True):
    """What stands behind an initiative by now."""

    cases: int
    customers: int
    value_at_stake: float | None


class Comment(msgspec.Struct, frozen=True):
    """What a customer wrote in a case behind it; not who."""

    score: int | None
    comment: str
    tier: str
    touchpoint: str | None
    answered_at: datetime


class Actor(msgspec.Struct, frozen=True):
    """Who did something to it."""

    kind: str
    id: str
    name: str | None


class HistoryLine(msgspec.Struct, frozen=True):
    """One line of its history."""

    kind: str
    at: datetime
    actor: Actor
    details: dict[str, str | int | bool | float | None]
    text: str | None


class InitiativeFile(Initiative, frozen=True, kw_only=True):
    """An initiative with everything that belongs to it."""

    evidence: Behind
    comments: list[Comment]
    history: list[HistoryLine]


class CaseBehind(msgspec.Struct, frozen=True):
    """A case behind an initiative."""

    id: str
    customer_name: str | None
    status: str
    tier: str
    level: str
    score: int
    touchpoint: str | None
    root_cause_id: str | None
    answered_at: datetime


class Change(msgspec.Struct, frozen=True):
    """After less before, with its interval."""

    value: float
    low: float = msgspec.field(name="ci_low")
    high: float = msgspec.field(name="ci_high")
    p_value: float

    @property
    def unsure(self) -> bool:
        """Whether the interval holds zero: there may be nothing at all."""
        return self.low <= 0 <= self.high


class ShareEffect(msgspec.Struct, frozen=True):
    """A share before and after."""

    before: Portion
    after: Portion
    change: Change | None


class Score(msgspec.Struct, frozen=True):
    """An NPS with its n and interval."""

    n: int
    nps: float | None
    low: float | None = msgspec.field(name="ci_low")
    high: float | None = msgspec.field(name="ci_high")


class ScoreEffect(msgspec.Struct, frozen=True):
    """The NPS of one survey kind before and after."""

    kind: str
    before: Score
    after: Score
    change: Change | None


class Window(msgspec.Struct, frozen=True):
    """From `since` on, before `until`."""

    since: datetime
    until: datetime


class Effect(msgspec.Struct, frozen=True):
    """What was different after a change."""

    before: Window
    after: Window
    root_causes: ShareEffect
    themes: ShareEffect | None
    scores: list[ScoreEffect]


class Initiatives:
    """Initiatives, from the evidence to their effect."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def evidence(self, person: Person, since: datetime, until: datetime) -> list[CauseInCommon]:
        """What many cases of a time have in common, the most value at stake first."""
        params = {"since": since.isoformat(), "until": until.isoformat()}
        return await self._service.get("/v1/evidence", list[CauseInCommon], person=person, params=params)

    async def page(
        self, person: Person, filters: Mapping[str, str], *, limit: int, cursor: str | None = None
    ) -> Listed[Initiative]:
        """The latest proposed first."""
        params = {**filters, "limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        return await self._service.get("/v1/initiatives", Listed[Initiative], person=person, params=params)

    async def one(self, person: Person, id_: str) -> InitiativeFile:
        """One with everything that belongs to it."""
        return await self._service.get(f"/v1/initiatives/{id_}", InitiativeFile, person=person)

    async def cases(self, person: Person, id_: str, *, limit: int, cursor: str | None = None) -> Listed[CaseBehind]:
        """The cases behind it."""
        params = {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        return await self._service.get(f"/v1/initiatives/{id_}/cases", Listed[CaseBehind], person=person, params=params)

    async def effect(self, person: Person, id_: str) -> Effect:
        """The time after the change beside the time before it."""
        return await self._service.get(f"/v1/initiatives/{id_}/effect", Effect, person=person)

    async def propose(self, person: Person, body: Mapping[str, object], *, command_id: str) -> Initiative:
        """Put one forward."""
        return await self._service.order("/v1/initiatives", body, Initiative, person=person, command_id=command_id)

    async def edit(
        self, person: Person, id_: str, body: Mapping[str, object], *, command_id: str, version: int | None
    ) -> None:
        """Say it better."""
        await self._service.put(f"/v1/initiatives/{id_}", body, person=person, command_id=command_id, version=version)

    async def act(
        self, person: Person, id_: str, step: str, body: Mapping[str, object], *, command_id: str, version: int | None
    ) -> None:
        """Decide about it, do it, or put more cases behind it."""
        await self._service.post(
            f"/v1/initiatives/{id_}/{step}", body, person=person, command_id=command_id, version=version
        )
