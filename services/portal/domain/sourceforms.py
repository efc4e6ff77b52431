"""What people enter about a source, and the body that ingest takes: a form's texts on one side, values on the other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

METRICS: Final = ("nps", "ces", "csat")
KINDS: Final = ("transactional", "relationship")
CHANNELS: Final = ("email", "phone", "sms", "in_app", "web", "other")
FIELDS: Final = ("score", "comment", "customer", "touchpoint", "language", "claimed_class")
"""Of ours, that a field map finds in a delivery."""

ENTERED: Final = (
    "program",
    "question",
    "metric",
    "scale_min",
    "scale_max",
    "kind",
    "channel",
    "sampling",
    "branded",
    "higher_is_worse",
    "touchpoint",
    "language",
    "time_zone",
    "keep_days",
    "networks",
    "enabled",
)
USUAL: Final[Mapping[str, str]] = {
    "metric": "nps",
    "scale_min": "0",
    "scale_max": "10",
    "kind": "transactional",
    "channel": "email",
    "branded": "yes",
    "enabled": "yes",
}
GENERATED: Final = frozenset({"generic", "google-forms", "tally", "typeform"})
"""Vendors at which the company enters a secret of its own choice; senders with a token always take ours."""

_WHOLE: Final = re.compile(r"-?[0-9]{1,4}")
_SEPARATED: Final = re.compile(r"[\s,;]+")
_NEEDED: Final = ("program", "question")
_PLACES: Final = ("question", "hidden", "path")
_YES: Final = "yes"
_UNKNOWN: Final = "unknown"


def wrong_with(entered: Mapping[str, str]) -> set[str]:
    """The fields that cannot be so."""
    wrong = {name for name in _NEEDED if not entered[name]}
    wrong |= {name for name in ("scale_min", "scale_max") if _WHOLE.fullmatch(entered[name]) is None}
    if entered["keep_days"] and _WHOLE.fullmatch(entered["keep_days"]) is None:
        wrong.add("keep_days")
    for name, known in (("metric", METRICS), ("kind", KINDS), ("channel", CHANNELS)):
        if entered[name] not in known:
            wrong.add(name)
    return wrong


def body_of(entered: Mapping[str, str]) -> dict[str, object]:
    """What was entered, as ingest takes it; nothing may be wrong with it."""
    return {
        "program": entered["program"],
        "instrument": {
            "metric": entered["metric"],
            "question": entered["question"],
            "scale_min": int(entered["scale_min"]),
            "scale_max": int(entered["scale_max"]),
            "kind": entered["kind"],
            "channel": entered["channel"],
            "sampling": entered["sampling"] or _UNKNOWN,
            "branded": entered["branded"] == _YES,
            "higher_is_worse": entered["higher_is_worse"] == _YES,
        },
        "touchpoint": entered["touchpoint"] or None,
        "language": entered["language"] or None,
        "time_zone": entered["time_zone"] or "UTC",
        "keep_days": int(entered["keep_days"]) if entered["keep_days"] else None,
        "networks": _SEPARATED.split(entered["networks"]) if entered["networks"] else [],
        "enabled": entered["enabled"] == _YES,
    }


def entered_of(body: Mapping[str, object]) -> dict[str, str]:
    """The other way round: what a form about this source shows."""
    instrument = body["instrument"]
    told = {**body, **(instrument if isinstance(instrument, dict) else {})}
    entered = {name: _text(told.get(name)) for name in ENTERED}
    return entered | ({"sampling": ""} if entered["sampling"] == _UNKNOWN else {})


def chosen_places(chosen: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """A field map from what was chosen for each field: `question:nps`, nothing where it is nowhere."""
    found: dict[str, dict[str, str]] = {}
    for field in FIELDS:
        place, colon, name = chosen.get(field, "").partition(":")
        if colon and name and place in _PLACES:
            found[field] = {place: name}
    return found


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return _YES if value else ""
    if isinstance(value, list):
        return "\n".join(map(str, value))
    return str(value)
