"""Messages as the tests write them."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import pytest

from services.notify.domain.messages import Facts, MessageId
from services.notify.letters import Addressed, Letters
from services.notify.links import ConfirmationLinks
from services.notify.mime import Mailbox
from services.notify.samples import SAMPLES
from services.notify.settings import Settings

MONDAY: Final = datetime(2026, 3, 2, 9, tzinfo=UTC)
MESSAGE: Final = MessageId(UUID("6f1d3f5e-9c1b-4c57-9f57-0a4c1c3f2b11"))


@pytest.fixture(scope="session")
def links() -> ConfirmationLinks:
    return ConfirmationLinks("https://otklik.example", ["the present secret, thirty-two characters"])


@pytest.fixture(scope="session")
def letters(links: ConfirmationLinks) -> Letters:
    return Letters(
        sender=Mailbox("Ромашка", "care@romashka.example"),
        links=links,
        portal_url="https://portal.example/",
        time_zone="Europe/Moscow",
    )


@pytest.fixture(scope="session")
def a_message() -> Callable[..., Addressed]:
    """A message of a kind, with facts that may be changed."""
    due_at = (MONDAY + timedelta(hours=48)).isoformat()
    changes: Facts = {"subject": "1 + 1", "about": "24/7", "learned": "1\n\n2", "changed": "3", "next_steps": "4"}
    callback: Facts = {
        "agent": "Анна Петрова",
        "at": due_at,
        "case_id": "5b0de3f4-2a34-4b6e-8a2b-7d3f5e9a1c22",
        "callback_id": "0f3a4f0e-6f0e-4b1c-9d3a-52c4d6f0b7a1",
        "sequence": 1,
    }
    usual: dict[str, Facts] = {
        "changes_for_customers": changes | {"answered_at": (MONDAY - timedelta(days=9)).isoformat()},
        "changes_for_employees": changes,
        "changes_for_partners": changes,
        "case_assigned": {"tier": "key", "score": 3, "due_at": due_at, "taken_over": False},
        "case_reopened": {"reason": "customer_not_satisfied"},
        "case_escalated": {"reason": "no_authority", "owner": "Анна Петрова"},
        "clock_warned": {"clock": "first_contact", "due_at": due_at},
        "clock_breached": {"clock": "first_contact", "due_at": due_at, "owner": "Анна Петрова", "as_owner": True},
        "confirmation_request": {
            "agent": "Анна Петрова",
            "answered_at": (MONDAY - timedelta(days=9)).isoformat(),
            "confirm_by": (MONDAY + timedelta(days=7)).isoformat(),
        },
        "new_contact": {"agent": "Анна Петрова", "answered_at": (MONDAY - timedelta(days=9)).isoformat()},
        "task_assigned": {"owner": "Анна Петрова", "due_at": due_at},
        "task_due": {"owner": "Анна Петрова", "due_at": due_at, "overdue": False, "as_owner": True},
        "task_ended": {"owner": "Анна Петрова", "reason": None},
        "thanks": {"agent": "Анна Петрова", "answered_at": (MONDAY - timedelta(days=9)).isoformat()},
        "callback": {**callback, "reason": "agreed"},
        "callback_duty": {**callback, "reason": "agreed"},
        "digest": SAMPLES["digest"][0],
        "subscription_disabled": {"subscription": "Счета: все обращения", "reason": "gone"},
    }

    def make(kind: Any = "confirmation_request", *, language: Any = "ru", **others: Any) -> Addressed:  # noqa: ANN401
        members: dict[str, Any] = {
            "id": MESSAGE,
            "case_id": "case/1",
            "recipient": Mailbox("Иван Иванов", "ivan@mail.example"),
            "facts": usual[kind] | others.pop("facts", {}),
        }
        return Addressed(kind=kind, language=language, **(members | others))

    return make


@pytest.fixture
def a_setting(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Settings]:
    """The settings as the environment has them, with what must be there."""

    def make() -> Settings:
        with monkeypatch.context() as environment:
            environment.setenv("NOTIFY_DATABASE_URL", "postgresql://notify@/otklik")
            if "NOTIFY_LINK_SECRET" not in os.environ:
                environment.setenv("NOTIFY_LINK_SECRET", "s" * 43)
            return Settings()  # type: ignore[call-arg]  # from the environment

    return make
