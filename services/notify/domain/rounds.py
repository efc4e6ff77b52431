"""Rounds of confirmation: each resolution of a case asks its customer once, "is it really solved?".

The first answer counts. One change of mind is taken, because casework can act on it: a yes may be taken back, which
reopens the case. A no cannot: the work goes on already, and the customer is asked again after it. Silence closes the
case, and the answer is still welcome for a while; a question about an older resolution is not asked any more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Literal

from libs.events.contracts.cases import CaseClosed, CaseReopened, CaseResolved
from services.notify.domain.messages import MessageId, confirmation_request

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from libs.events.event import Event

ANSWER_GRACE: Final = timedelta(days=30)
"""How long after its `confirm_by` a round still takes an answer."""

Ending = Literal["confirmed", "unconfirmed", "reopened", "asked_again"]
"""What became of a round: its case closed (either way), was reopened, or was resolved anew."""
_RANK: Final[dict[Ending, int]] = {"unconfirmed": 0, "confirmed": 0, "reopened": 1, "asked_again": 2}
"""Of two endings, the later one counts, unless it is weaker: a closing after a reopening is not about this round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One resolution of a case that the customer is asked about."""

    case_id: str
    round: int
    case_version: int
    message_id: MessageId
    customer_id: str | None
    agent_name: str
    answered_at: datetime
    confirm_by: datetime
    ended: Ending | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of the rounds of a case that were asked before its version `before`."""

    case_id: str
    before: int
    how: Ending

    def then(self, how: Ending) -> Ended:
        """The same, after something more happened."""
        return replace(self, how=stronger(self.how, how))


def stronger(before: Ending | None, now: Ending) -> Ending:
    """What a round with the ending `before` has come to when `now` happens."""
    return before if before is not None and _RANK[before] > _RANK[now] else now


def rounds_of(events: Iterable[Event[Any]]) -> tuple[list[Round], list[Ended]]:
    """The rounds that a batch begins, with what the batch made of each, and what it made of older ones.

    Set-wise: at most one `Ended` per case.
    """
    begun: list[Round] = []
    older: dict[str, Ended] = {}
    last: dict[str, int] = {}
    for event in events:
        match event.payload:
            case CaseResolved() as case:
                how: Ending = "asked_again"
            case CaseReopened() as case:
                how = "reopened"
            case CaseClosed(outcome=outcome) as case:
                how = outcome
            case _:
                continue
        place = last.get(case.case_id)
        if place is None:
            known = older.get(case.case_id)
            older[case.case_id] = Ended(case.case_id, case.version, how) if known is None else known.then(how)
        else:
            begun[place] = replace(begun[place], ended=stronger(begun[place].ended, how))
        if isinstance(case, CaseResolved):
            last[case.case_id] = len(begun)
            begun.append(
                Round(
                    case_id=case.case_id,
                    round=case.round,
                    case_version=case.version,
                    message_id=confirmation_request(event, case).id,
                    customer_id=case.customer_id,
                    agent_name=case.agent_name,
                    answered_at=case.answered_at,
                    confirm_by=case.confirm_by,
                )
            )
    return begun, list(older.values())


class View(StrEnum):
    """What the page of a round shows."""

    ASK = "ask"
    ASK_LATE = "ask_late"
    """The case was closed by silence; an answer still counts."""
    SAID_YES = "said_yes"
    SAID_YES_LONG_AGO = "said_yes_long_ago"
    SAID_NOT_YET = "said_not_yet"
    REOPENED = "reopened"
    ASKED_AGAIN = "asked_again"
    OVER = "over"


def view(*, ended: Ending | None, solved: bool | None, confirm_by: datetime, now: datetime) -> View:
    """What the page of a round in this state shows at `now`."""
    if ended == "asked_again":
        return View.ASKED_AGAIN
    if solved is False:
        return View.SAID_NOT_YET
    if ended == "reopened":
        return View.REOPENED
    if now >= confirm_by + ANSWER_GRACE:
        return View.SAID_YES_LONG_AGO if solved else View.OVER
    if solved:
        return View.SAID_YES
    return View.ASK if ended is None else View.ASK_LATE


def takes(view: View, *, solved: bool) -> bool:
    """Whether a round that shows `view` takes this answer."""
    return view in (View.ASK, View.ASK_LATE) or (view is View.SAID_YES and not solved)
