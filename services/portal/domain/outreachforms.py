"""Rules for light cases as rows of a form: what people choose and type on one side, casework's document on the other.

Fields are called by their place: `0.then`, `0.tiers` (several), `2.score_to`. Programs and touchpoints are names of the
company's own, typed with ";" between; everything else is chosen. A rule's id is kept, and made where there is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

THEN: Final = ("case", "thanks", "nothing")
OTHERWISE: Final = ("thanks", "nothing")
CLASSES: Final = ("passive", "promoter")
"""A detractor's answer opens an ordinary case, whatever the rules say."""
SCORES: Final = tuple(str(score) for score in range(11))
MOST_RULES: Final = 100
LONGEST_WAIT: Final = 7 * 24 * 60
_LONGEST_NAME: Final = 512
_MOST_NAMES: Final = 200
_WHOLE: Final = re.compile(r"[0-9]{1,5}")
_ID: Final = re.compile(r"[A-Za-z0-9._:@-]{1,128}")
_APART: Final = re.compile(r"[\n;]+")
_LISTS: Final = ("nps_classes", "tiers", "themes")
_TYPED: Final = ("programs", "touchpoints", "score_from", "score_to")

Action = Literal["add-rule", "remove", "up", "down"]


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One rule as it is chosen and typed."""

    id: str = ""
    then: str = "case"
    nps_classes: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()
    themes: tuple[str, ...] = ()
    programs: str = ""
    touchpoints: str = ""
    score_from: str = ""
    score_to: str = ""


@dataclass(frozen=True, slots=True)
class OutreachForm:
    """All of the form, the rules in their order."""

    rules: tuple[RuleRow, ...] = ()
    otherwise: str = OTHERWISE[0]
    thank_after_minutes: str = "60"


def form_of(document: Mapping[str, Any]) -> OutreachForm:
    """The form that shows this document."""

    def row(rule: Mapping[str, Any]) -> RuleRow:
        return RuleRow(
            rule["id"],
            rule["then"],
            tuple(rule["nps_classes"]),
            tuple(rule["tiers"]),
            tuple(rule["themes"]),
            "; ".join(rule["programs"]),
            "; ".join(rule["touchpoints"]),
            _text(rule["score_from"]),
            _text(rule["score_to"]),
        )

    rows = tuple(row(rule) for rule in document["rules"])
    return OutreachForm(rows, document["otherwise"], str(document["thank_after_minutes"]))


def typed(fields: Mapping[str, str], lists: Mapping[str, Sequence[str]]) -> OutreachForm:
    """The form that was sent; places are counted until one is missing."""
    rows: list[RuleRow] = []
    while len(rows) <= MOST_RULES and f"{len(rows)}.then" in fields:
        at = len(rows)
        classes, tiers, themes = (tuple(lists.get(f"{at}.{name}", ())) for name in _LISTS)
        texts = [fields.get(f"{at}.{name}", "").strip() for name in _TYPED]
        rows.append(RuleRow(fields.get(f"{at}.id", ""), fields[f"{at}.then"], classes, tiers, themes, *texts))
    return OutreachForm(
        tuple(rows), fields.get("otherwise", OTHERWISE[0]), fields.get("thank_after_minutes", "").strip()
    )


def edited(form: OutreachForm, action: Action, place: str) -> OutreachForm:
    """The form after one of its buttons; a place that is not there changes nothing."""
    rules = list(form.rules)
    at = int(place) if _WHOLE.fullmatch(place) else len(rules)
    if action == "add-rule":
        if len(rules) < MOST_RULES:
            rules.append(RuleRow())
    elif at < len(rules):
        other = {"up": at - 1, "down": at + 1}.get(action)
        if other is None:
            del rules[at]
        elif 0 <= other < len(rules):
            rules[at], rules[other] = rules[other], rules[at]
    return replace(form, rules=tuple(rules))


def mistakes(form: OutreachForm) -> dict[str, str]:
    """What cannot be so, by field, each as the name of a text."""
    wrong: dict[str, str] = {}
    for at, rule in enumerate(form.rules):
        if rule.score_from and rule.score_to and _scored(rule) and int(rule.score_from) > int(rule.score_to):
            wrong[f"{at}.score_to"] = "scores"
        for name in ("programs", "touchpoints"):
            found = _names(getattr(rule, name))
            if len(found) > _MOST_NAMES or any(len(each) > _LONGEST_NAME for each in found):
                wrong[f"{at}.{name}"] = "names"
        if rule.nps_classes == ("detractor",):
            wrong[f"{at}.nps_classes"] = "detractor"
    minutes = form.thank_after_minutes
    if not _WHOLE.fullmatch(minutes) or int(minutes) > LONGEST_WAIT:
        wrong["thank_after_minutes"] = "minutes"
    return wrong


def document_of(form: OutreachForm) -> dict[str, Any]:
    """The document, of a form without mistakes."""
    taken = {rule.id for rule in form.rules if _ID.fullmatch(rule.id)}
    seen: set[str] = set()
    rules = []
    for rule in form.rules:
        id_ = rule.id
        if id_ not in taken or id_ in seen:
            id_ = next(f"rule-{n}" for n in range(1, 2 * MOST_RULES + 2) if f"rule-{n}" not in taken)
            taken.add(id_)
        seen.add(id_)
        rules.append(
            {
                "id": id_,
                "then": rule.then,
                "nps_classes": list(rule.nps_classes),
                "tiers": list(rule.tiers),
                "themes": list(rule.themes),
                "programs": _names(rule.programs),
                "touchpoints": _names(rule.touchpoints),
                "score_from": int(rule.score_from) if rule.score_from in SCORES else None,
                "score_to": int(rule.score_to) if rule.score_to in SCORES else None,
            }
        )
    return {"rules": rules, "otherwise": form.otherwise, "thank_after_minutes": int(form.thank_after_minutes)}


def field_at(form: OutreachForm, pointer: str) -> str | None:
    """The form's field that a pointer into the document means; None where it has none of its own."""
    match pointer.split("/")[1:]:
        case ["rules", at, name, *_] if at.isdecimal() and int(at) < len(form.rules):
            return f"{at}.{name if name != 'id' else 'then'}"
        case ["rules", at] if at.isdecimal() and int(at) < len(form.rules):
            return f"{at}.then"
        case ["otherwise" | "thank_after_minutes" as name]:
            return name
        case _:
            return None


def _scored(rule: RuleRow) -> bool:
    return rule.score_from in SCORES and rule.score_to in SCORES


def _names(text: str) -> list[str]:
    found = (each.strip() for each in _APART.split(text))
    return list(dict.fromkeys(each for each in found if each))


def _text(score: int | None) -> str:
    return "" if score is None else str(score)
