"""What of an event a subscriber sees: lists of fields that are allowed, for each kind of thing that they tell.

    facts       ids, times, states, amounts: always
    comments    what customers wrote
    people      names and contact details of customers and employees

A field that a contract gains later is hidden until somebody decides about it here; a test asks for the decision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["facts", "comments", "people"]
Sees = frozenset[Kind]

COMMENTS: Final = frozenset({"comment"})
PEOPLE: Final = frozenset({"account_name", "address_mark", "agent_name", "email", "name", "phone"})
FACTS: Final = frozenset(
    [
        "account_id",
        "account_role",
        "agent_id",
        "answered_at",
        "at",
        "attempt_id",
        "author_id",
        "bounce",
        "bounced_at",
        "branded",
        "budget",
        "callback_id",
        "by",
        "campaign_id",
        "case_id",
        "case_owner",
        "cases",
        "cause_id",
        "changed",
        "channel",
        "claimed_class",
        "clock",
        "code",
        "communicate_by",
        "communicated_at",
        "completed_at",
        "confirm_by",
        "currency",
        "current_value",
        "customer_contacts",
        "customer_id",
        "customers",
        "cut",
        "department",
        "department_id",
        "disabled_at",
        "doubtful",
        "due_at",
        "due_on",
        "email_consent",
        "email_consented_at",
        "email_refused",
        "employee_id",
        "escalation_due_at",
        "fact",
        "factor",
        "field",
        "first_contact_due_at",
        "first_reached",
        "from_level",
        "held_back",
        "higher_is_worse",
        "in_time",
        "initiative_id",
        "initiative_ids",
        "instrument",
        "instrument_id",
        "instrument_version",
        "invitation_id",
        "invited_at",
        "kind",
        "language",
        "late",
        "learned",
        "level",
        "manager",
        "mentioned",
        "message_id",
        "metric",
        "moved_from",
        "moves",
        "next_steps",
        "nps_class",
        "op",
        "outcome",
        "owner",
        "passed_on",
        "points",
        "previous_class",
        "previous_owner_id",
        "previous_priority",
        "previous_score",
        "priority",
        "priority_parts",
        "program",
        "purpose",
        "question",
        "reason",
        "received_at",
        "recipients",
        "recomputation_id",
        "region",
        "resolution_due_at",
        "response_id",
        "responsible",
        "revision",
        "root_cause",
        "root_causes",
        "round",
        "sampling",
        "scale_max",
        "scale_min",
        "score",
        "solved",
        "source",
        "subscribed_at",
        "subscription_id",
        "task_id",
        "themes",
        "tier",
        "tier_facts",
        "tier_reason",
        "time_zone",
        "title",
        "to_level",
        "told_by",
        "touchpoint",
        "unsubscribed_at",
        "until",
        "urgent",
        "value",
        "value_at_stake",
        "vendor",
        "vendor_response_id",
        "version",
        "waited_since",
        "withdrawn_at",
    ]
)
QUOTED: Final[dict[str, Mapping[str, Kind]]] = {"message.failed.v1": {"reason": "people"}}
"""Fields of a type that are sentences of somebody else's server and may quote an address."""

_KIND_OF: Final[dict[str, Kind]] = {
    **dict.fromkeys(FACTS, "facts"),
    **dict.fromkeys(COMMENTS, "comments"),
    **dict.fromkeys(PEOPLE, "people"),
}


def kind_of(type_: str, field: str) -> Kind | None:
    """What kind of thing a field of this type tells; None where nobody has decided: nobody sees it."""
    return QUOTED.get(type_, {}).get(field) or _KIND_OF.get(field)


def visible(type_: str, payload: Mapping[str, Any], sees: Sees) -> dict[str, Any]:
    """Of a payload, at any depth, what may be seen."""
    return {
        name: _within(type_, value, sees)
        for name, value in payload.items()
        if (kind := kind_of(type_, name)) is not None and kind in sees
    }


def _within(type_: str, value: Any, sees: Sees) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return visible(type_, value, sees)
    if isinstance(value, (list, tuple)):
        return [_within(type_, each, sees) for each in value]
    return value


def written(sees: Sees) -> str:
    """As it is stored, always in one order."""
    return " ".join(sorted(sees))


def read(stored: str) -> Sees:
    """What `written` wrote."""
    return frozenset(stored.split())  # type: ignore[arg-type]  # only kinds are written
