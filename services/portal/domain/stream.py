"""The stream of events as people see it: where a reader is, and what of each event a role may see.

    agent, manager, executive, administrator    everything that is stored, comments too
    operator                                    types, ids, subjects, times, states; no names, no comments
    employee                                    what happened, never to whom: no customer ids, no names, no comments

What a role may see is a list of fields that are allowed: a field that a contract gains later is hidden until somebody
decides about it. Contact details are not even stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, assert_never

from services.portal.domain.people import Role

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_INT64: Final = 2**63


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the stream, after one event: the writing transaction, then the number within it.

    Readers take only events of transactions older than every one still under way, in this order. Numbers alone are
    given before the commit, so "greater than the last one seen" would skip what commits late.
    """

    txid: int
    number: int

    def __str__(self) -> str:
        return f"{self.txid}-{self.number}"


def parse_position(written: str | None) -> Position | None:
    """The position in a `Last-Event-ID`; None where it is none of ours."""
    if written is None:
        return None
    left, dash, right = written.partition("-")
    if not dash or not all(part.isascii() and part.isdecimal() and len(part) < 20 for part in (left, right)):  # noqa: PLR2004
        return None
    position = Position(int(left), int(right))
    return position if position.txid < _INT64 and position.number < _INT64 else None


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event as the portal keeps it; `facts` are the fields of its payload."""

    position: Position
    id: str
    type: str
    subject: str
    time: datetime
    facts: Mapping[str, Any]


_NEVER_STORED: Final = frozenset({"email", "phone"})

_IMPERSONAL: Final = frozenset(
    {
        "answered_at",
        "bounce",
        "at",
        "bounced_at",
        "changed",
        "channel",
        "clock",
        "code",
        "communicate_by",
        "communicated_at",
        "completed_at",
        "confirm_by",
        "customer_contacts",
        "department",
        "department_id",
        "disabled_at",
        "doubtful",
        "due_at",
        "due_on",
        "escalation_due_at",
        "first_contact_due_at",
        "first_reached",
        "from_level",
        "held_back",
        "in_time",
        "invited_at",
        "kind",
        "late",
        "learned",
        "level",
        "metric",
        "moved_from",
        "moves",
        "next_steps",
        "nps_class",
        "outcome",
        "passed_on",
        "previous_class",
        "previous_priority",
        "previous_score",
        "priority",
        "program",
        "purpose",
        "reason",
        "recipients",
        "region",
        "resolution_due_at",
        "revision",
        "root_cause",
        "root_causes",
        "round",
        "score",
        "solved",
        "themes",
        "tier",
        "title",
        "to_level",
        "told_by",
        "touchpoint",
        "subscribed_at",
        "unsubscribed_at",
        "until",
        "urgent",
        "version",
        "waited_since",
    }
)
_OPERATIONAL: Final = _IMPERSONAL | {
    "account_id",
    "account_role",
    "agent_id",
    "attempt_id",
    "by",
    "author_id",
    "callback_id",
    "campaign_id",
    "case_id",
    "cases",
    "cause_id",
    "customer_id",
    "customers",
    "employee_id",
    "initiative_id",
    "initiative_ids",
    "instrument_id",
    "instrument_version",
    "invitation_id",
    "language",
    "message_id",
    "previous_owner_id",
    "recomputation_id",
    "priority_parts",
    "response_id",
    "task_id",
    "subscription_id",
    "tier_reason",
}
_FREE_TEXT: Final = frozenset({"message.failed.v1"})
"""Types whose `reason` is a sentence of somebody else's server and may quote an address."""


PERSONAL: Final = ("customer_id", "account_id", "comment", "invitation_id")
"""What an erasure takes out of the facts of an event."""


def stored_facts(payload: Mapping[str, Any]) -> dict[str, Any]:
    """What the portal keeps of a payload: all but contact details, at any depth."""
    return {name: _stored(value) for name, value in payload.items() if name not in _NEVER_STORED}


def _stored(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    match value:
        case dict():
            return stored_facts(value)
        case list() | tuple():
            return [_stored(each) for each in value]
        case _:
            return value


def without_person(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts without whom they are about and what that person wrote."""
    return {name: value for name, value in facts.items() if name not in PERSONAL}


def seen_by(role: Role, event: StreamEvent) -> StreamEvent:
    """The event with what `role` may see of it."""
    match role:
        case Role.AGENT | Role.MANAGER | Role.EXECUTIVE | Role.ADMINISTRATOR:
            return event
        case Role.OPERATOR:
            return _only(event, _OPERATIONAL, subject=event.subject)
        case Role.EMPLOYEE:
            return _only(event, _IMPERSONAL, subject="")
        case _:
            assert_never(role)


def operators_see(field: str, type_: str) -> bool:
    """Whether operators may see this field of an event of this type."""
    return field in _OPERATIONAL and not (field == "reason" and type_ in _FREE_TEXT)


def _only(event: StreamEvent, fields: frozenset[str], *, subject: str) -> StreamEvent:
    if event.type in _FREE_TEXT:
        fields -= {"reason"}
    facts = {name: value for name, value in event.facts.items() if name in fields}
    return StreamEvent(event.position, event.id, event.type, subject, event.time, facts)
