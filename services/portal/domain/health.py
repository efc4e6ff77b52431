"""How the loop itself is doing: which events count as which step of it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class LoopStep(StrEnum):
    """What is counted by the day. The first five are the way of an unhappy answer round the loop, in their order."""

    ANSWERED = "answered"
    OPENED = "opened"
    REACHED = "reached"
    RESOLVED = "resolved"
    CONFIRMED = "confirmed"
    DETRACTOR = "detractor"
    UNCONFIRMED = "unconfirmed"
    REOPENED = "reopened"
    BREACHED = "breached"
    MAIL_FAILED = "mail_failed"
    MAIL_HELD = "mail_held"


AROUND: Final = (LoopStep.OPENED, LoopStep.REACHED, LoopStep.RESOLVED, LoopStep.CONFIRMED)
TROUBLE: Final = (LoopStep.BREACHED, LoopStep.REOPENED, LoopStep.UNCONFIRMED, LoopStep.MAIL_FAILED, LoopStep.MAIL_HELD)

_ALWAYS: Final[dict[str, LoopStep]] = {
    "survey.response.scored.v1": LoopStep.ANSWERED,
    "case.opened.v1": LoopStep.OPENED,
    "case.resolved.v1": LoopStep.RESOLVED,
    "case.reopened.v1": LoopStep.REOPENED,
    "case.clock.breached.v1": LoopStep.BREACHED,
    "message.failed.v1": LoopStep.MAIL_FAILED,
    "message.suppressed.v1": LoopStep.MAIL_HELD,
}


def steps_of(type_: str, facts: Mapping[str, Any]) -> list[LoopStep]:
    """The steps that an event counts as."""
    found = [_ALWAYS[type_]] if type_ in _ALWAYS else []
    match type_:
        case "survey.response.scored.v1" if facts.get("nps_class") == "detractor":
            found.append(LoopStep.DETRACTOR)
        case "case.contacted.v1" if facts.get("first_reached") is True:
            found.append(LoopStep.REACHED)
        case "case.closed.v1":
            confirmed = facts.get("outcome") == "confirmed"
            found.append(LoopStep.CONFIRMED if confirmed else LoopStep.UNCONFIRMED)
    return found
