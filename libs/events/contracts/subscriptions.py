"""Topic `notify.messages`: what becomes of subscriptions to web hooks. Key: the employee who answers for it."""

from __future__ import annotations

from typing import ClassVar, Literal

from libs.events.contracts.cases import Employee
from libs.events.event import Contract, Instant


class SubscriptionDisabled(Contract, frozen=True, kw_only=True):
    """Nothing is sent to this end point any more until somebody enables it."""

    TYPE: ClassVar[str] = "subscription.disabled.v1"

    subscription_id: str
    reason: Literal["gone", "failing"]
    """It answered 410, or nothing could be delivered for days."""
    owner: Employee
    """Who answers for it."""
    disabled_at: Instant
