"""The events that tell others what became of messages. Their ids follow from the message: a replay repeats them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypedDict

from libs.events.contracts.messages import MessageFailed, MessageQueued, MessageSent, MessageSuppressed
from libs.events.event import Event

if TYPE_CHECKING:
    from libs.events.contracts.messages import MessageKind, SuppressionReason
    from libs.events.database import Tx
    from libs.events.event import Contract
    from services.notify.domain.messages import Entry

SOURCE: Final = "/notify"


class _Identity(TypedDict):
    message_id: str
    kind: MessageKind
    cause_id: str
    case_id: str | None
    customer_id: str | None
    employee_id: str | None


def queued(tx: Tx, entry: Entry) -> None:
    """It will be sent (again)."""
    _announce(tx, entry, MessageQueued(**_identity(entry)))


def sent(tx: Tx, entry: Entry) -> None:
    """The mail server has it."""
    _announce(tx, entry, MessageSent(**_identity(entry)))


def failed(tx: Tx, entry: Entry, reason: str) -> None:
    """It was given up."""
    _announce(tx, entry, MessageFailed(**_identity(entry), reason=reason, doubtful=False))


def doubtful(tx: Tx, entry: Entry, reason: str) -> None:
    """Nobody knows whether it arrived."""
    _announce(tx, entry, MessageFailed(**_identity(entry), reason=reason, doubtful=True), part="doubtful")


def suppressed(tx: Tx, entry: Entry, reason: SuppressionReason) -> None:
    """A rule held it back."""
    _announce(tx, entry, MessageSuppressed(**_identity(entry), reason=reason))


def _identity(entry: Entry) -> _Identity:
    return {
        "message_id": str(entry.id),
        "kind": entry.kind,
        "cause_id": str(entry.cause_id),
        "case_id": entry.case_id,
        "customer_id": entry.customer_id,
        "employee_id": entry.employee_id,
    }


def _announce(tx: Tx, entry: Entry, payload: Contract, part: str = "") -> None:
    event = Event.caused_by_command(
        entry.id,
        payload,
        subject=str(entry.id),
        time=tx.now,
        source=SOURCE,
        part=f"{entry.attempt}{part}",
        traceparent=entry.traceparent,
    )
    tx.emit(event, key=entry.key)
