"""The words that the other modules share: ids that cannot be swapped, tiers, levels and clocks."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Literal, NewType
from uuid import UUID

from libs.events.contracts.cases import (
    Clock,
    ContactChannel,
    ContactOutcome,
    DeescalationReason,
    EscalationReason,
    Level,
    TaskKind,
)
from libs.events.contracts.responses import Metric, SurveyKind
from libs.events.contracts.scores import NpsClass, Tier
from libs.events.event import named

__all__ = [
    "AgentId",
    "CaseId",
    "Clock",
    "ContactChannel",
    "ContactOutcome",
    "CustomerId",
    "DeescalationReason",
    "EscalationReason",
    "Level",
    "Metric",
    "NpsClass",
    "ResponseId",
    "RootCauseId",
    "Signal",
    "SurveyKind",
    "TaskKind",
    "Tier",
    "case_id_of",
]

AgentId = NewType("AgentId", str)
CaseId = NewType("CaseId", UUID)
CustomerId = NewType("CustomerId", str)
ResponseId = NewType("ResponseId", str)
RootCauseId = NewType("RootCauseId", str)

Signal = Literal["key_customer", "urgent", "several_touchpoints", "no_answer", "reopened_again"]
"""What lifts a case by itself besides a clock: reasons of an escalation that count once in the life of a case."""

_CASES: Final = "5e0c8f6a-3f1b-5d55-9b0c-6f4d3a1f7c21"
_PLAIN: Final = UUID(_CASES)


def case_id_of(response_id: ResponseId, like: UUID = _PLAIN) -> CaseId:
    """The id of the case that this response opens: one response can never open two.

    It is of the class of `like`: where that is the database driver's, all that is done with the id costs a fraction.
    """
    return _case_id_of(response_id, like)


@lru_cache(2_048)  # asked several times for each answer of a batch
def _case_id_of(response_id: ResponseId, like: UUID) -> CaseId:
    return CaseId(named(type(like)(_CASES), response_id))
