"""The tables that are read by expressions, because their filters vary or their columns are many."""

from __future__ import annotations

from typing import Final

from sqlalchemy import ARRAY, JSON, DateTime, Integer, Text, Uuid, column, table

_INSTANT: Final = DateTime(timezone=True)

CASES: Final = table(
    "cases",
    column("id", Uuid),
    column("event_key", Text),
    column("customer_id", Text),
    column("opening_response_id", Text),
    column("program", Text),
    column("touchpoint", Text),
    column("language", Text),
    column("score", Integer),
    column("tier", Text),
    column("status", Text),
    column("outcome", Text),
    column("level", Text),
    column("owner_id", Text),
    column("owner_reason", Text),
    column("owner_reason_details", JSON),
    column("responsible_id", Text),
    column("round", Integer),
    column("reopenings", Integer),
    column("version", Integer),
    column("answered_at", _INSTANT),
    column("opened_at", _INSTANT),
    column("first_contact_due_at", _INSTANT),
    column("first_contact_warn_at", _INSTANT),
    column("first_contact_stage", Text),
    column("first_contacted_at", _INSTANT),
    column("resolution_due_at", _INSTANT),
    column("resolution_warn_at", _INSTANT),
    column("resolution_stage", Text),
    column("resolved_at", _INSTANT),
    column("root_cause_id", Text),
    column("confirm_by", _INSTANT),
    column("closed_at", _INSTANT),
    column("clocks_since", _INSTANT),
    column("escalated_at", _INSTANT),
    column("escalation_due_at", _INSTANT),
    column("escalation_warn_at", _INSTANT),
    column("escalation_stage", Text),
    column("waiting_since", _INSTANT),
    column("waiting_until", _INSTANT),
    column("waiting_reason", Text),
    column("pauses", ARRAY(_INSTANT)),
    column("first_contact_later", ARRAY(_INSTANT)),
    column("resolution_later", ARRAY(_INSTANT)),
    column("escalation_later", ARRAY(_INSTANT)),
    column("priority", Integer),
    column("priority_parts", JSON),
    column("signals", ARRAY(Text)),
    column("kind", Text),
    column("fires_at", _INSTANT),
    column("listed_at", _INSTANT),
)

CUSTOMERS: Final = table(
    "customers",
    column("customer_id", Text),
    column("name", Text),
    column("language", Text),
    column("tier", Text),
    column("account_name", Text),
    column("erased_at", _INSTANT),
)
