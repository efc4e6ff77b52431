"""Who did what to a case, when and why: the timeline, and the steps of which every decision consists."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from libs.events.event import Contract
from services.casework.domain.names import CaseId

ActorKind = Literal["person", "key", "customer", "clock"]

EntryKind = Literal[
    "opened",
    "joined",
    "revised",
    "withdrawn",
    "assigned",
    "contacted",
    "escalated",
    "clock_warned",
    "clock_breached",
    "clock_reminded",
    "clock_changed",
    "callback_agreed",
    "callback_moved",
    "callback_cancelled",
    "callback_kept",
    "callback_missed",
    "waiting",
    "resumed",
    "resolved",
    "reopened",
    "closed",
    "noted",
    "attached",
    "detached",
    "commented",
    "confirmation_answered",
    "customer_erased",
    "contact_changed",
    "prioritized",
    "signalled",
    "deescalated",
    "task_opened",
    "task_assigned",
    "task_done",
    "task_declined",
    "task_warned",
    "task_breached",
]

Details = dict[str, str | int | bool | None]
"""Codes and parameters, never prose: the portal words them in the reader's language. No personal data."""


class Actor(msgspec.Struct, frozen=True, gc=False):
    """Who caused it: a person by id, an API key by name, the customer, or a clock."""

    kind: ActorKind
    id: str


CLOCK = Actor("clock", "clock")


class Cause(msgspec.Struct, frozen=True, gc=False):
    """Why something is decided now: the id of the event, command or firing behind it, by whom and when."""

    id: UUID
    at: datetime
    actor: Actor
    traceparent: str | None = None


class Entry(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One line of a case's timeline. `version` numbers the lines of a case from 1 without a gap."""

    case_id: CaseId
    version: int
    kind: EntryKind
    at: datetime
    actor: Actor
    details: Mapping[str, str | int | bool | None]
    text: str | None
    """What somebody wrote in their own words. The only place for it, so that an erasure finds it."""


class Step(msgspec.Struct, frozen=True, gc=False):
    """One line of the timeline, with the event that tells others about it, if it is their business."""

    entry: Entry
    cause: Cause
    payload: Contract | None
