"""What a trial of a provider shows: what its answer means, and the answer itself without what is nobody's to read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, assert_never

from services.notify.domain.outcomes import Accepted, Deferred, Outcome, Refused, Released, Unanswered, Withdrawn, scrub

if TYPE_CHECKING:
    from services.notify.domain.providers import Provider

Shown = Literal["accepted", "later", "refused", "doubtful"]

LONGEST_ANSWER: Final = 1_000
_TELLING: Final = 4
"""A part of a header's value from this length on is taken for a secret, wherever it stands in an answer."""
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of asking once."""

    outcome: Shown
    said: str
    """As it would stand in the ledger."""
    status: int | None
    """Of HTTP; None where there was no answer."""
    answer: str
    """The body of the answer, cut short."""


def trial_of(provider: Provider, outcome: Outcome, status: int | None, body: bytes, *, to: str) -> Trial:
    """What to show of an answer to a message that was sent to `to`."""
    shown, said = _shown(outcome)
    return Trial(outcome=shown, said=scrub(said, to), status=status, answer=_cleaned(provider, body, to))


def _shown(outcome: Outcome) -> tuple[Shown, str]:
    match outcome:
        case Accepted(answer):
            return "accepted", answer
        case Deferred(answer):
            return "later", answer
        case Refused(answer):
            return "refused", answer
        case Unanswered(answer):
            return "doubtful", answer
        case Released() | Withdrawn():
            return "later", ""
        case _:
            assert_never(outcome)


def _cleaned(provider: Provider, body: bytes, to: str) -> str:
    text = body.decode("utf-8", "replace")
    for value in provider.headers.values():
        # "Bearer …" may come back without its first word.
        for secret in {value, *value.split()}:
            if len(secret) >= _TELLING:
                text = text.replace(secret, "<secret>")
    text = text.replace(to, "<address>") if to else text
    return _UNPRINTABLE.sub(" ", text).strip()[:LONGEST_ANSWER]
