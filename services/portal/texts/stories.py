"""What an event says: one sentence in the reader's language, made of the facts that the reader may see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.portal.domain.stream import StreamEvent
    from services.portal.texts import Words

Tone = Literal["plain", "good", "warn", "alarm", "detractor", "passive", "promoter"]


@dataclass(frozen=True, slots=True)
class Story:
    """An event in words. `group` names its family (the mark in front of it), `quote` what a customer wrote."""

    group: str
    tone: Tone
    title: str
    detail: str
    quote: str | None
    case_id: str | None


_GROUPS: Final = {
    "survey": "survey",
    "case": "case",
    "message": "message",
    "confirmation": "customer",
    "initiative": "initiative",
}

_TONES: Final[dict[str, Tone]] = {
    "case.clock.breached": "alarm",
    "case.clock.reminded": "alarm",
    "case.clock.warned": "warn",
    "case.callback.missed": "alarm",
    "case.escalated": "warn",
    "case.resolved": "good",
    "case.reopened": "alarm",
    "case.task.breached": "alarm",
    "case.task.declined": "warn",
    "case.task.done": "good",
    "case.task.warned": "warn",
    "initiative.clock.breached": "alarm",
    "initiative.clock.warned": "warn",
    "initiative.communicated": "good",
    "initiative.shipped": "good",
    "message.failed": "warn",
    "message.suppressed": "warn",
    "message.bounced": "warn",
    "survey.invitation.unanswered": "warn",
}
"""How loud a type is, where that does not hang on its facts."""


def tell(event: StreamEvent, words: Words) -> Story:
    """The event as a story."""
    facts = event.facts
    name = event.type.rpartition(".v")[0]
    if name.startswith("survey.response."):
        tone, title = _answer(name, facts, words)
    else:
        tone, title = _TONES.get(name, _tone(name, facts)), _title(name, facts, words) or event.type
    return Story(
        group=_GROUPS.get(event.type.partition(".")[0], "other"),
        tone=tone,
        title=title,
        detail=" · ".join(_details(name, facts, words)),
        quote=facts.get("comment") or None,
        case_id=facts.get("case_id"),
    )


def _tone(name: str, facts: Mapping[str, Any]) -> Tone:
    match name:
        case "case.contacted" if facts.get("outcome") == "reached":
            return "good"
        case "case.closed" if facts.get("outcome") == "confirmed":
            return "good"
        case "confirmation.answered":
            return "good" if facts.get("solved") is True else "alarm"
        case _:
            return "plain"


def _title(name: str, facts: Mapping[str, Any], words: Words) -> str | None:
    """The sentence, with the words for the codes in it; None where nobody has written one."""
    match name:
        case "case.assigned" if owner := _name(facts.get("owner")):
            return words("story.case.assigned_to", name=owner)
        case "case.closed":
            return words("story.case.confirmed" if facts.get("outcome") == "confirmed" else "story.case.unconfirmed")
        case "confirmation.answered":
            return words("story.solved" if facts.get("solved") is True else "story.not_solved")
    key = f"story.{name}"
    if not words.has(key):
        return None
    return words(
        key,
        clock=words.word("clock", facts.get("clock")),
        kind=words.word("message_kind", facts.get("kind")),
        level=words.word("to_level", facts.get("to_level")),
        outcome=words.word("contact", facts.get("outcome")),
        title=facts.get("title", ""),
    )


def _answer(name: str, facts: Mapping[str, Any], words: Words) -> tuple[Tone, str]:
    score, nps_class = facts.get("score"), facts.get("nps_class")
    tone: Tone = nps_class if nps_class in ("detractor", "passive", "promoter") else "plain"
    if name.endswith("retracted"):
        return tone, words("story.survey.withdrawn")
    if name.endswith("rescored") and facts.get("previous_score") != score:
        before = words.word("score", facts.get("previous_score"))
        return tone, words("story.survey.corrected", before=before, after=words.word("score", score))
    if name.endswith("rescored"):
        return tone, words("story.survey.completed")
    if score is None:
        return tone, words("story.survey.no_score")
    if nps_class is None:
        return tone, words("story.survey.scored", score=score)
    return tone, words("story.survey.classed", score=score, nps_class=words.word("nps_class", nps_class))


def _details(name: str, facts: Mapping[str, Any], words: Words) -> list[str]:
    found = [str(facts[part]) for part in ("program", "touchpoint") if facts.get(part)]
    if facts.get("tier"):
        found.append(words.word("tier", facts["tier"]))
    if facts.get("reason"):
        found.append(words.word("owner_reason" if name == "case.assigned" else "reason", facts["reason"]))
    return found


def _name(employee: object) -> str | None:
    name = employee.get("name") if isinstance(employee, dict) else None
    return name if isinstance(name, str) else None
