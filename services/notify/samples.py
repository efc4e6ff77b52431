"""Facts of each kind of message for trying templates: every thing that a kind can say is in one of them."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final, get_args

from libs.events.contracts.cases import Clock, EscalationReason
from libs.events.contracts.scores import Tier
from services.notify.digest_words import encoded
from services.notify.sample_digests import FULL, QUIET

if TYPE_CHECKING:
    from libs.events.contracts.messages import MessageKind
    from services.notify.domain.messages import Facts

_DUE: Final = "2026-03-04T09:00:00+00:00"
_ANSWERED: Final = "2026-02-21T09:00:00+00:00"
_AGENT: Final = "Анна Петрова"
_CHANGES: Final[Facts] = {
    "subject": "Вы ждали на линии – теперь мы перезваниваем",
    "about": "ожидании на линии",
    "learned": "Каждый третий звонок ждал дольше пяти минут.\n\nБольше всего – по понедельникам.",
    "changed": "Если мы не ответили за минуту, мы перезваниваем сами.",
    "next_steps": "Летом так же будет в чате.",
}
_CALLBACK: Final[Facts] = {
    "case_id": "5b0de3f4-2a34-4b6e-8a2b-7d3f5e9a1c22",
    "callback_id": "0f3a4f0e-6f0e-4b1c-9d3a-52c4d6f0b7a1",
    "sequence": 1,
}
_DIGEST: Final[Facts] = {
    "digest": encoded(FULL),
    "period": "weekly",
    "role": "agent",
    "parts": None,
    "cases": 4,
    "cases_overdue": 1,
    "tasks": 2,
    "tasks_overdue": 0,
}

SAMPLES: Final[dict[MessageKind, tuple[Facts, ...]]] = {
    "case_assigned": tuple(
        {"tier": tier, "score": 3, "due_at": _DUE, "taken_over": taken_over}
        for tier, taken_over in product(get_args(Tier), (False, True))
    ),
    "case_reopened": tuple({"reason": reason} for reason in ("customer_not_satisfied", "by_hand")),
    "case_escalated": (
        *({"reason": reason, "owner": _AGENT} for reason in get_args(EscalationReason) if reason != "clock_breached"),
        {"reason": "no_authority", "owner": None},
        {"reason": "returned", "owner": _AGENT},
    ),
    "clock_warned": tuple({"clock": clock, "due_at": _DUE} for clock in get_args(Clock)),
    "clock_breached": tuple(
        {"clock": clock, "due_at": _DUE, "owner": _AGENT, "as_owner": as_owner}
        for clock, as_owner in product(get_args(Clock), (True, False))
    ),
    "confirmation_request": ({"agent": _AGENT, "answered_at": _ANSWERED, "confirm_by": "2026-03-09T09:00:00+00:00"},),
    "new_contact": (
        {"agent": _AGENT, "answered_at": _ANSWERED},
        {"agent": _AGENT, "answered_at": None},
    ),
    "changes_for_customers": (
        _CHANGES | {"answered_at": _ANSWERED},
        _CHANGES | {"answered_at": _ANSWERED, "about": None},
        _CHANGES | {"about": None, "next_steps": None},
    ),
    "changes_for_employees": (_CHANGES, _CHANGES | {"about": None, "next_steps": None}),
    "changes_for_partners": (_CHANGES, _CHANGES | {"about": None, "next_steps": None}),
    "digest": (
        _DIGEST,
        _DIGEST | {"role": "manager", "parts": "team/north department/it"},
        _DIGEST | {"role": "employee", "cases": None},
        _DIGEST | {"digest": encoded(QUIET), "period": "monthly", "cases": 0, "tasks": 0},
    ),
    "thanks": (
        {"agent": _AGENT, "answered_at": _ANSWERED},
        {"agent": None, "answered_at": _ANSWERED},
    ),
    "task_assigned": tuple({"owner": owner, "due_at": _DUE} for owner in (_AGENT, None)),
    "task_due": tuple(
        {"owner": _AGENT, "due_at": _DUE, "overdue": overdue, "as_owner": as_owner}
        for overdue, as_owner in ((False, True), (True, True), (True, False))
    ),
    "task_ended": tuple(
        {"owner": _AGENT, "reason": reason}
        for reason in (None, "not_ours", "not_possible", "not_needed", "duplicate", "other", "customer_erased")
    ),
    "subscription_disabled": tuple(
        {"subscription": "Billing: all cases", "reason": reason} for reason in ("gone", "failing")
    ),
    "callback": tuple(
        {"reason": reason, "agent": _AGENT, "at": None if reason == "offer" else _DUE, **_CALLBACK}
        for reason in ("offer", "agreed", "moved", "handed", "cancelled", "reminder", "missed")
    ),
    "callback_duty": tuple(
        {"reason": reason, "agent": _AGENT, "at": _DUE, "taken_by": taken_by, **_CALLBACK}
        for reason, taken_by in (
            *((reason, None) for reason in ("agreed", "moved", "handed", "cancelled", "reminder", "missed")),
            ("cancelled", _AGENT),
        )
    ),
}
NEEDS_LINK: Final[frozenset[MessageKind]] = frozenset(SAMPLES) - {"new_contact", "thanks"}
"""Kinds that are of no use without their link: it has to stand in the text and in the HTML."""
