"""Topic `survey.scores`: responses with their NPS class and the customer's value. Key: customer, else response."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from libs.events.contracts.responses import Channel, Metric, SurveyKind
from libs.events.event import Contract, Instant

NpsClass = Literal["promoter", "passive", "detractor"]
Tier = Literal["key", "high", "standard", "low"]
UrgentSignal = Literal["leaving", "legal", "safety"]
"""What a comment says that cannot wait: a threat to leave, to sue or complain to an authority, a danger to people."""
PriorityFactor = Literal["tier", "score", "urgency", "effort", "history", "age"]


class PriorityPart(msgspec.Struct, frozen=True, kw_only=True):
    """What one factor adds to a priority, and the fact that it adds it for."""

    factor: PriorityFactor
    points: int
    fact: str
    """A value, to be put into words where it is shown: the tier, the score, the signal, the effort in percent of the
    most that its scale can tell of, the number of earlier answers as a detractor, the hours since the answer."""


class _Score(Contract, frozen=True, kw_only=True):
    response_id: str
    revision: int
    program: str
    touchpoint: str | None
    kind: SurveyKind
    metric: Metric
    score: int | None
    nps_class: NpsClass | None
    """None where the metric is not NPS or the score is missing: a missing score has no class."""
    comment: str | None
    customer_id: str | None
    account_id: str | None
    tier: Tier
    tier_reason: str
    language: str | None
    instrument_id: str
    instrument_version: int
    answered_at: Instant
    channel: Channel | None = None
    department: str | None = None
    """The department that answers for the touchpoint."""
    region: str | None = None
    themes: tuple[str, ...] = ()
    """What the comment is about: ids of themes in the company's taxonomy."""
    urgent: tuple[UrgentSignal, ...] = ()
    priority: int | None = None
    """0 to 100: whom to call first. Of detractors only."""
    priority_parts: tuple[PriorityPart, ...] = ()
    """What the priority is the sum of."""


class InvitationUnanswered(Contract, frozen=True, kw_only=True):
    """Somebody important was invited and says nothing: a signal of its own. Told once per invitation."""

    TYPE: ClassVar[str] = "survey.invitation.unanswered.v1"

    invitation_id: str
    reason: Literal["unanswered", "bounced"]
    program: str
    touchpoint: str | None
    channel: Channel
    customer_id: str
    account_id: str | None
    account_role: Literal["decision_maker", "end_user"] | None
    """A key customer, or who decides for an account that has one."""
    tier: Tier
    tier_reason: str
    invited_at: Instant
    bounced_at: Instant | None


class ResponseScored(_Score, frozen=True, kw_only=True):
    """A response was scored for the first time."""

    TYPE: ClassVar[str] = "survey.response.scored.v1"


class ResponseRescored(_Score, frozen=True, kw_only=True):
    """A later revision replaced the score or the comment; counted once, with these values."""

    TYPE: ClassVar[str] = "survey.response.rescored.v1"
    previous_score: int | None
    previous_class: NpsClass | None


class ResponseRetracted(_Score, frozen=True, kw_only=True):
    """The response was withdrawn: it counts no longer, and has neither score nor class nor comment any more."""

    TYPE: ClassVar[str] = "survey.response.retracted.v1"
    previous_score: int | None
    previous_class: NpsClass | None
