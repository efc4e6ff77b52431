"""What an attempt to deliver an event came to, and when it is tried again.

Standard Webhooks: any 2xx is a yes, 410 means "never again", everything else is tried again for some three days
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md). A receiver may say when by
`Retry-After` (RFC 9110, 10.2.3). A kill between its yes and our note delivers once more, under the same `webhook-id`:
at least once, and the receiver tells the second one by its id.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from random import Random

SCHEDULE: Final = tuple(
    timedelta(seconds=seconds) for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
"""After each failed attempt: 5 s, 5 min, 30 min, 2, 5, 10, 14, 20 and 24 hours; then it is given up."""
JITTER: Final = 0.1
"""Of each wait, up or down, so that what failed together does not come again together."""
LONGEST_REST: Final = timedelta(days=1)
"""A receiver that asks for more is asked again after a day."""
GONE: Final = 410
_BUSY: Final = frozenset({429, 503})
"""Answers about the receiver and not about the event: it is left alone as a whole for the time that it names."""
_SECONDS: Final = re.compile(r"[0-9]{1,9}")


class DeliveryStatus(StrEnum):
    """Where a delivery is."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    ERASED = "erased"
    """Its customer was erased before it went out."""


class Trouble(StrEnum):
    """Why there was no answer, or none that counts."""

    TIMEOUT = "timeout"
    CONNECTION = "connection"
    TLS = "tls"
    FORBIDDEN_ADDRESS = "forbidden_address"
    """The name leads into a network that is not allowed, at this moment at least."""
    REDIRECT = "redirect"
    """Not followed: whoever controls the answer would choose where the event goes."""
    STATUS = "status"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came back. `status_code` None: nothing."""

    status_code: int | None
    trouble: Trouble | None
    took_ms: int
    retry_after: str | None = None

    @property
    def is_success(self) -> bool:
        """Whether the receiver has it."""
        return self.trouble is None

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants nothing any more."""
        return self.status_code == GONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an attempt makes of its delivery, and of its subscription."""

    status: DeliveryStatus
    due_at: datetime | None = None
    paused_until: datetime | None = None
    """Of the subscription as a whole."""


def attempt_of(status_code: int, took_ms: int, retry_after: str | None) -> Attempt:
    """An attempt that was answered."""
    if 200 <= status_code < 300:  # noqa: PLR2004 - a range of HTTP
        return Attempt(status_code, None, took_ms)
    trouble = Trouble.REDIRECT if 300 <= status_code < 400 else Trouble.STATUS  # noqa: PLR2004
    return Attempt(status_code, trouble, took_ms, retry_after)


def judge(attempt: Attempt, failures: int, now: datetime, random: Random) -> Verdict:
    """What follows from an attempt after `failures` earlier ones that failed."""
    if attempt.is_success:
        return Verdict(status=DeliveryStatus.DELIVERED)
    if attempt.is_gone:
        return Verdict(status=DeliveryStatus.FAILED)
    rest = wished(attempt.retry_after, now)
    paused_until = now + rest if rest is not None and attempt.status_code in _BUSY else None
    if failures >= len(SCHEDULE):
        return Verdict(status=DeliveryStatus.FAILED, paused_until=paused_until)
    wait = SCHEDULE[failures] * random.uniform(1 - JITTER, 1 + JITTER)
    return Verdict(
        status=DeliveryStatus.PENDING, due_at=now + max(wait, rest or timedelta(0)), paused_until=paused_until
    )


def wished(retry_after: str | None, now: datetime) -> timedelta | None:
    """How long a receiver asks us to wait, in seconds or as a date; None where it says nothing that can be read."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if _SECONDS.fullmatch(text):
        return min(timedelta(seconds=int(text)), LONGEST_REST)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return min(max(moment - now, timedelta(0)), LONGEST_REST)
