"""Rules of messages as a form: channels in their order, consents that are asked for, quiet hours and caps as rows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, get_args

from libs.events.contracts.messages import MessageChannel, Purpose

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PURPOSES: Final[tuple[str, ...]] = get_args(Purpose)
CHANNELS: Final[tuple[str, ...]] = get_args(MessageChannel)
PLACES: Final = tuple(range(len(CHANNELS)))
ROWS: Final = 20
SPARE: Final = 1
"""How many empty rows a form offers beside those that are filled in."""
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_MOST_MESSAGES: Final = 1000
_MOST_DAYS: Final = 90
_MOST_HOURS: Final = 24 * 30


def as_entered(rules: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Fields and boxes of a form that says these rules."""
    fields = {"patience_hours": str(rules["patience_hours"])}
    lists = {"ask_first": tuple(f"{each['channel']}/{each['purpose']}" for each in rules["ask_first"])}
    for purpose, channels in rules["channels"].items():
        fields |= {f"channel_{purpose}_{place}": channel for place, channel in enumerate(channels)}
    for row, each in enumerate(rules["quiet_hours"]):
        fields |= {f"quiet_{row}_start": each["start"], f"quiet_{row}_end": each["end"]}
        lists |= {f"quiet_{row}_channels": tuple(each["channels"]), f"quiet_{row}_purposes": tuple(each["purposes"])}
    for row, each in enumerate(rules["caps"]):
        fields |= {f"cap_{row}_messages": str(each["messages"]), f"cap_{row}_days": str(each["days"])}
        lists[f"cap_{row}_purposes"] = tuple(each["purposes"])
    return fields, lists


def field_names() -> tuple[list[str], list[str]]:
    """The names of all fields and all boxes that the form may have."""
    fields = ["patience_hours", *(f"channel_{purpose}_{place}" for purpose in PURPOSES for place in PLACES)]
    lists = ["ask_first"]
    for row in range(ROWS):
        fields += [f"quiet_{row}_start", f"quiet_{row}_end", f"cap_{row}_messages", f"cap_{row}_days"]
        lists += [f"quiet_{row}_channels", f"quiet_{row}_purposes", f"cap_{row}_purposes"]
    return fields, lists


def rows_of(prefix: str, fields: Mapping[str, str], lists: Mapping[str, tuple[str, ...]]) -> int:
    """How many rows a form shows: those that say something, and one more."""
    used = [
        int(name.split("_")[1])
        for name, said in (*fields.items(), *lists.items())
        if name.startswith(f"{prefix}_") and said
    ]
    return min(max(used, default=-1) + 1 + SPARE, ROWS)


def rules_of(
    fields: Mapping[str, str], lists: Mapping[str, tuple[str, ...]]
) -> tuple[dict[str, object], dict[str, str]]:
    """The rules that a form says, and what is wrong with it: codes by field. An empty row says nothing."""
    wrong: dict[str, str] = {}

    def whole(name: str, most: int) -> int:
        said = fields.get(name, "")
        if not (said.isascii() and said.isdecimal()) or not 1 <= int(said[:9]) <= most:
            wrong[name] = "no_number"
            return 1
        return int(said)

    def boxes(name: str, known: tuple[str, ...]) -> list[str]:
        ticked = [each for each in lists.get(name, ()) if each in known]
        if not ticked:
            wrong[name] = "none_ticked"
        return ticked

    channels = {}
    for purpose in PURPOSES:
        said = [fields.get(f"channel_{purpose}_{place}", "") for place in PLACES]
        chosen = [each for each in dict.fromkeys(said) if each in CHANNELS]
        if not chosen:
            wrong[f"channel_{purpose}_0"] = "no_channel"
        channels[purpose] = chosen
    known = {f"{channel}/{purpose}": (channel, purpose) for channel in CHANNELS for purpose in PURPOSES}
    ask_first = [known[each] for each in dict.fromkeys(lists.get("ask_first", ())) if each in known]
    return {
        "channels": channels,
        "ask_first": [{"channel": channel, "purpose": purpose} for channel, purpose in ask_first],
        "quiet_hours": _quiet(fields, lists, boxes, wrong),
        "caps": _caps(fields, lists, boxes, whole),
        "patience_hours": whole("patience_hours", _MOST_HOURS),
    }, wrong


def _quiet(
    fields: Mapping[str, str],
    lists: Mapping[str, tuple[str, ...]],
    boxes: Callable[[str, tuple[str, ...]], list[str]],
    wrong: dict[str, str],
) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for row in range(ROWS):
        start, end = (fields.get(f"quiet_{row}_{name}", "") for name in ("start", "end"))
        if not (start or end or lists.get(f"quiet_{row}_channels") or lists.get(f"quiet_{row}_purposes")):
            continue
        for name, said in (("start", start), ("end", end)):
            if not _CLOCK.fullmatch(said):
                wrong[f"quiet_{row}_{name}"] = "no_clock"
        told = {
            "channels": boxes(f"quiet_{row}_channels", CHANNELS),
            "purposes": boxes(f"quiet_{row}_purposes", PURPOSES),
        }
        found.append({"start": start, "end": end, **told})
    return found


def _caps(
    fields: Mapping[str, str],
    lists: Mapping[str, tuple[str, ...]],
    boxes: Callable[[str, tuple[str, ...]], list[str]],
    whole: Callable[[str, int], int],
) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for row in range(ROWS):
        names = f"cap_{row}_messages", f"cap_{row}_days"
        if not (any(fields.get(name) for name in names) or lists.get(f"cap_{row}_purposes")):
            continue
        purposes = boxes(f"cap_{row}_purposes", PURPOSES)
        found.append(
            {"messages": whole(names[0], _MOST_MESSAGES), "days": whole(names[1], _MOST_DAYS), "purposes": purposes}
        )
    return found
