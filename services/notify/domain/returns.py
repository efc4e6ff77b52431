"""What comes back: reports of mails that did not arrive (RFC 3464) or are not wanted (RFC 5965), read from such mails.

A report is believed as far as it names a message of ours by its Message-ID, which nobody knows but who got the mail.
Which address is meant is known from the ledger, never from the report.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from email import message_from_bytes, message_from_string, policy
from email.message import Message
from typing import TYPE_CHECKING, Final
from uuid import UUID

from services.notify.domain.messages import MessageId

if TYPE_CHECKING:
    from collections.abc import Iterator

    from libs.events.contracts.messages import Bounce

SOFT_AT_MOST: Final = 5
SOFT_WITHIN: Final = timedelta(days=30)
"""So many that came back softly within this time, and the address is left alone for as long."""

_OURS: Final = re.compile(r"<([0-9a-f]{32})@[^<>\s]+>")
_STATUS: Final = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")
_GONE: Final = frozenset({"1.0", "1.1", "1.2", "1.3", "1.6", "1.9", "1.10", "2.1"})
"""Codes (RFC 3463, 7505) that are about the address itself: no such mailbox or host, moved, disabled."""
_LONGEST_CODE: Final = 40


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one message after it had been accepted."""

    message_id: MessageId
    bounce: Bounce
    code: str


def of_status(status: str) -> Bounce | None:
    """What an enhanced status code means for the address; None where there is none, or it says that all is well."""
    found = _STATUS.search(status)
    if found is None or found[1] == "2":
        return None
    return "hard" if found[1] == "5" and f"{int(found[2])}.{int(found[3])}" in _GONE else "soft"


def refused_for_good(answer: str) -> str | None:
    """The code by which a mail server said, while we were sending, that the address is no good; None otherwise."""
    found = _STATUS.search(answer)
    return found[0] if found is not None and of_status(found[0]) == "hard" else None


def reports(raw: bytes) -> list[Report]:
    """What a mail reports about messages of ours; none where it is no report, or about other mails."""
    mail = message_from_bytes(raw, policy=policy.compat32)
    if mail.get_content_type() != "multipart/report":
        return []
    parts = [part for part in mail.walk() if part is not mail]
    message_id = _original(parts) or _ours(str(mail.get("In-Reply-To", "")) + str(mail.get("References", "")))
    if message_id is None:
        return []
    found: dict[Bounce, Report] = {}
    for part in parts:
        match part.get_content_type():
            case "message/delivery-status":
                for bounce, code in _statuses(part):
                    found.setdefault(bounce, Report(message_id, bounce, code))
            case "message/feedback-report":
                kind = _fields(part).get("Feedback-Type", "abuse").strip().lower()
                if kind in ("abuse", "fraud", "opt-out", "opt-out-list", "not-spam") and kind != "not-spam":
                    found["complaint"] = Report(message_id, "complaint", kind[:_LONGEST_CODE])
    # One mail of ours has one recipient: the worst that is said of it counts.
    for worst in ("complaint", "hard", "soft"):
        if worst in found:
            return [found[worst]]
    return []


def _statuses(part: Message) -> Iterator[tuple[Bounce, str]]:
    """The failures that a delivery status tells of; what is only late is still under way."""
    blocks = part.get_payload()
    for block in blocks if isinstance(blocks, list) else []:
        if not isinstance(block, Message) or str(block.get("Action", "")).strip().lower() != "failed":
            continue
        status = str(block.get("Status", ""))
        bounce = of_status(status)
        if bounce == "soft" and status.strip() in ("5.0.0", "5.0"):
            # Says nothing; the server's own words often do.
            said = str(block.get("Diagnostic-Code", ""))
            bounce, status = of_status(said) or "soft", (_STATUS.search(said) or [status])[0]
        if bounce is not None:
            yield bounce, status.strip()[:_LONGEST_CODE]


def _fields(part: Message) -> Message:
    """The fields of a report part, which parsers take for a mail inside it, or for text."""
    inside = part.get_payload()
    if isinstance(inside, list) and inside and isinstance(inside[0], Message):
        return inside[0]
    return message_from_string(inside if isinstance(inside, str) else "", policy=policy.compat32)


def _original(parts: list[Message]) -> MessageId | None:
    """The message that is reported about, by what of it came back."""
    for part in parts:
        if part.get_content_type() in ("message/rfc822", "text/rfc822-headers", "message/rfc822-headers"):
            found = _ours(str(_fields(part).get("Message-ID", "")))
            if found is not None:
                return found
    return None


def _ours(text: str) -> MessageId | None:
    found = _OURS.search(text)
    return None if found is None else MessageId(UUID(found[1]))


def named(text: str) -> MessageId | None:
    """The message that a provider's report names: by our Message-ID, or by the ledger's id."""
    stripped = text.strip()
    found = _ours(stripped if stripped.startswith("<") else f"<{stripped}>")
    if found is not None:
        return found
    try:
        return MessageId(UUID(stripped))
    except ValueError:
        return None
