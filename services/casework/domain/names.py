"""The words that the other modules share: ids that cannot be swapped, tiers, levels and clocks."""

from __future__ import annotations

from typing import NewType
from uuid import UUID, uuid5

from libs.events.contracts.cases import Clock, ContactOutcome, EscalationReason, Level
from libs.events.contracts.responses import Metric, SurveyKind
from libs.events.contracts.scores import NpsClass, Tier

__all__ = [
    "AgentId",
    "CaseId",
    "Clock",
    "ContactOutcome",
    "CustomerId",
    "EscalationReason",
    "Level",
    "Metric",
    "NpsClass",
    "ResponseId",
    "RootCauseId",
    "SurveyKind",
    "Tier",
    "case_id_of",
]

AgentId = NewType("AgentId", str)
CaseId = NewType("CaseId", UUID)
CustomerId = NewType("CustomerId", str)
ResponseId = NewType("ResponseId", str)
RootCauseId = NewType("RootCauseId", str)

_CASES = UUID("5e0c8f6a-3f1b-5d55-9b0c-6f4d3a1f7c21")


def case_id_of(response_id: ResponseId) -> CaseId:
    """The id of the case that this response opens: one response can never open two."""
    return CaseId(uuid5(_CASES, response_id))
