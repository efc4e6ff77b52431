"""Initiatives as they are shown over HTTP."""

import json
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Row

from services.casework.api.views import Who
from services.casework.domain.clocks import Stage
from services.casework.domain.initiatives import Evidence, HistoryKind, Status
from services.casework.domain.names import Level, Tier


class CauseInCommon(BaseModel):
    """What one root cause did to customers."""

    root_cause_id: str
    name_ru: str
    name_en: str
    cases: int
    customers: int
    value_at_stake: float | None
    """The current value of these customers; null where nobody's is known."""
    escalated: int
    reopened: int
    contacted_late: int
    earliest_feedback_at: datetime
    initiatives: list[UUID]


class InitiativeState(BaseModel):
    """An initiative."""

    id: UUID
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
    """When the earliest answer behind it was given."""
    communicate_by: datetime | None
    """A quarter after that."""
    communicate_by_breached: bool
    communicated_at: datetime | None
    campaign_id: str | None


class Behind(BaseModel):
    """What stands behind an initiative by now."""

    cases: int
    customers: int
    value_at_stake: float | None


class Comment(BaseModel):
    """What a customer wrote in a case behind it; not who."""

    response_id: str
    score: int | None
    comment: str
    tier: Tier
    touchpoint: str | None
    answered_at: datetime


class HistoryLine(BaseModel):
    """One line of its history."""

    version: int
    kind: HistoryKind
    at: datetime
    actor: Who
    details: dict[str, str | int | bool | float | None]
    text: str | None


class InitiativeDetail(InitiativeState):
    """An initiative with everything that belongs to it."""

    evidence: Behind
    comments: list[Comment]
    history: list[HistoryLine]


class InitiativeCase(BaseModel):
    """A case behind an initiative."""

    id: UUID
    customer_id: str | None
    customer_name: str | None
    status: str
    tier: Tier
    level: Level
    score: int
    touchpoint: str | None
    root_cause_id: str | None
    answered_at: datetime


def state_of(row: Row[Any]) -> InitiativeState:
    """The initiative in a row."""
    return InitiativeState(**_members(row))


def detail_of(
    row: Row[Any], *, evidence: Evidence, comments: Sequence[Row[Any]], history: Sequence[Row[Any]]
) -> InitiativeDetail:
    """The initiative in a row, with what belongs to it."""
    return InitiativeDetail(
        **_members(row),
        evidence=Behind(cases=evidence.cases, customers=evidence.customers, value_at_stake=evidence.value_at_stake),
        comments=[Comment.model_validate(comment, from_attributes=True) for comment in comments],
        history=[
            HistoryLine(
                version=line.version,
                kind=line.kind,
                at=line.at,
                actor=Who(kind=line.actor_kind, id=line.actor_id, name=line.actor_name),
                details=json.loads(line.details),
                text=line.text,
            )
            for line in history
        ],
    )


def _members(row: Row[Any]) -> dict[str, Any]:
    members = dict(row._mapping)  # noqa: SLF001 - the public way to its names
    members["communicate_by_breached"] = members.pop("clock_stage") == Stage.BREACHED
    return members
