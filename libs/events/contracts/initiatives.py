"""Topic `casework.initiatives`: structural changes, from the proposal to the word to everybody. Key: initiative."""

from __future__ import annotations

from typing import ClassVar

from libs.events.contracts.cases import Employee
from libs.events.event import Contract, Instant


class _Initiative(Contract, frozen=True, kw_only=True):
    initiative_id: str
    version: int
    """The initiative's version after this event; it never goes down."""
    title: str
    root_causes: tuple[str, ...]
    themes: tuple[str, ...]
    department_id: str
    owner: Employee
    communicate_by: Instant | None
    """The end of the quarter clock, which runs from the earliest feedback behind it; None without any feedback."""


class InitiativeProposed(_Initiative, frozen=True, kw_only=True):
    """Somebody proposes to change something, with what customers said as evidence."""

    TYPE: ClassVar[str] = "initiative.proposed.v1"

    cases: int
    customers: int
    value_at_stake: float | None
    """The current value of these customers, in the company's currency; None where nobody's is known."""


class InitiativeApproved(_Initiative, frozen=True, kw_only=True):
    """It is decided to do it, with this budget and until then."""

    TYPE: ClassVar[str] = "initiative.approved.v1"

    budget: float | None
    currency: str | None
    due_on: str
    """ISO 8601 date."""


class InitiativeDeclined(_Initiative, frozen=True, kw_only=True):
    """It is decided not to do it, and why."""

    TYPE: ClassVar[str] = "initiative.declined.v1"

    reason: str


class InitiativeStarted(_Initiative, frozen=True, kw_only=True):
    """Work on it has begun."""

    TYPE: ClassVar[str] = "initiative.started.v1"


class InitiativeShipped(_Initiative, frozen=True, kw_only=True):
    """The change is in force; what can be told about it."""

    TYPE: ClassVar[str] = "initiative.shipped.v1"

    learned: str
    changed: str
    next_steps: str | None


class InitiativeCommunicated(_Initiative, frozen=True, kw_only=True):
    """Customers and employees were told what changed; the quarter clock stops."""

    TYPE: ClassVar[str] = "initiative.communicated.v1"

    campaign_id: str
    communicated_at: Instant
    in_time: bool | None
    """Whether that was within a quarter of the earliest feedback; None without any feedback."""


class InitiativeClockWarned(_Initiative, frozen=True, kw_only=True):
    """The quarter in which customers have to hear of it comes to its end."""

    TYPE: ClassVar[str] = "initiative.clock.warned.v1"


class InitiativeClockBreached(_Initiative, frozen=True, kw_only=True):
    """A quarter after the earliest feedback nobody has been told what changed."""

    TYPE: ClassVar[str] = "initiative.clock.breached.v1"
