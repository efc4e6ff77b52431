"""What an attempt to send came to, and what that means for the message.

The rule of once. Nothing can tell a sender what became of a mail whose last dot is on the wire when the line goes dead,
so the row says beforehand how far it got: `transmitting` is committed after the whole body is out and before its last
dot, without which no mail server may accept a mail (RFC 5321, 4.1.1.4).

- A row that did not get to `transmitting` was not accepted anywhere: it is tried again.
- A row that did, and has no outcome, is *doubtful*: announced, listed, counted, and never sent again by itself, whoever
  the recipient is. At most one mail, and never none silently.
- A doubt is resolved by evidence alone: the sender that was given up reports late; the receiving side, where it can
  be asked, has the mail (sent), or still does not have it after the longest time that a transfer can take (sent
  again, with the same Message-ID); the customer answers by the link in it (sent); or an operator who has looked
  says which.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, assert_never

from libs.events.retry import Backoff
from services.notify.domain.messages import Status

RETRY: Final = Backoff(timedelta(seconds=10), timedelta(hours=1), attempts=20)
"""A server that says "later": within about an hour eight times, then hourly; given up after some twelve hours."""
REASON_LENGTH: Final = 300
_TELLING: Final = 4
"""A mailbox's name from this length on is taken out of answers by itself ("mailbox anna.petrova is full")."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The mail server took the message on."""

    answer: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The mail server will never take it (5xx about the recipient or the content), or it cannot be addressed."""

    answer: str


@dataclass(frozen=True, slots=True)
class Deferred:
    """Certainly not accepted, and worth another try: 4xx, or the line went dead before the last dot."""

    answer: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The last dot went out and nothing came back: nobody knows."""

    answer: str


@dataclass(frozen=True, slots=True)
class Released:
    """Nothing was tried, because the mail server is away: the message waits, and that is no failure of it."""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Just before the last dot the row was no longer ours (erased, outdated, taken over): nothing to record."""


Outcome = Accepted | Refused | Deferred | Unanswered | Released | Withdrawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What an outcome makes of a message. `wait`: until it is due again."""

    status: Status
    reason: str | None = None
    wait: timedelta | None = None
    failed_once_more: bool = False


def settle(outcome: Outcome, failures: int, address: str = "") -> Settlement | None:
    """What to record of `outcome` after `failures` earlier deferrals; None where nothing is to be recorded."""
    settled: Settlement | None
    match outcome:
        case Accepted():
            settled = Settlement(status=Status.SENT)
        case Refused(answer):
            settled = Settlement(status=Status.FAILED, reason=scrub(answer, address))
        case Deferred(answer):
            settled = deferred(scrub(answer, address), failures)
        case Unanswered(answer):
            settled = Settlement(status=Status.DOUBTFUL, reason=scrub(answer, address), wait=timedelta(0))
        case Released():
            settled = Settlement(status=Status.QUEUED, wait=timedelta(0))
        case Withdrawn():
            settled = None
        case _:
            assert_never(outcome)
    return settled


def deferred(reason: str, failures: int) -> Settlement:
    """Later again, or given up after too many failures."""
    wait = RETRY.next(failures + 1)
    if wait is None:
        reason = f"given up after {failures + 1} attempts: {reason}"
        return Settlement(status=Status.FAILED, reason=reason[:REASON_LENGTH], failed_once_more=True)
    return Settlement(status=Status.QUEUED, reason=reason, wait=wait, failed_once_more=True)


_ANY_ADDRESS: Final = re.compile(r"[^\s<>\"',;:()]+@[^\s<>\"',;:()]+")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x20\x7f-\x9f\ud800-\udfff]+")


def scrub(answer: str, address: str = "") -> str:
    """A server's answer without contact details (it likes to repeat them), on one line, of bounded length."""
    mailbox = address.partition("@")[0]
    for known in (address, mailbox if len(mailbox) >= _TELLING else ""):
        if known:
            answer = re.sub(re.escape(known), "<address>", answer, flags=re.IGNORECASE)
    answer = _ANY_ADDRESS.sub("<address>", answer)
    return _UNPRINTABLE.sub(" ", answer).strip()[:REASON_LENGTH]
