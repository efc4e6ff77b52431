"""An answer of a customer, at its latest revision: what opens a case, joins one, or is only remembered.

Every answer is kept, whatever its class: a case shows the customer's whole history, and a late or repeated revision
is known as such.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from msgspec.structs import replace

from libs.events.contracts.scores import PriorityPart
from services.casework.domain.names import (
    CaseId,
    CustomerId,
    Metric,
    NpsClass,
    ResponseId,
    SurveyKind,
    Tier,
)


class Answer(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One response with its latest revision, and the case to which it belongs, if any."""

    response_id: ResponseId
    revision: int
    customer_id: CustomerId | None
    program: str
    touchpoint: str | None
    kind: SurveyKind
    metric: Metric
    score: int | None
    nps_class: NpsClass | None
    comment: str | None
    tier: Tier
    language: str | None
    answered_at: datetime
    cause_id: UUID
    """The event that brought this revision; what it causes gets its ids from it."""
    themes: tuple[str, ...] = ()
    """What the comment is about."""
    traceparent: str | None = None
    case_id: CaseId | None = None
    waits_for_owner: bool = False
    """It must open a case, and the company has nobody yet who could own one."""
    priority: int | None = None
    """Of a detractor's: whom to call first. Kept with the case and not with the answer."""
    priority_parts: tuple[PriorityPart, ...] = ()
    urgent: tuple[str, ...] = ()
    """What its comment says that cannot wait; said when it comes, and then a sign of its case."""
    withdrawn: bool = False
    """This revision takes the answer back; of stored answers that is not remembered, as they have no score then."""

    @property
    def is_detractor(self) -> bool:
        """Whether it must open a case: only an NPS answer with a class says so."""
        return self.metric == "nps" and self.nps_class == "detractor" and self.score is not None

    def of_case(self, case_id: CaseId) -> Answer:
        """The same answer as a part of this case."""
        return replace(self, case_id=case_id, waits_for_owner=False)

    def waiting(self) -> Answer:
        """The same answer, to be taken up when somebody can own its case."""
        return replace(self, waits_for_owner=True)

    def without_comment(self) -> Answer:
        """The same answer without the customer's own words."""
        return replace(self, comment=None)
