"""A provider of messages as a form: what it is sent as a document, its secrets as lines that are never shown again."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

FIELDS: Final = (
    "name",
    "channel",
    "url",
    "sender",
    "enabled",
    "body",
    "headers",
    "idempotency_header",
    "repeat_hours",
    "pointer",
    "accepted",
    "later",
)
CHANNELS: Final = ("sms", "messenger")
PLACES: Final = ("to", "text", "subject", "id", "sender", "language")
BLANK: Final[Mapping[str, str]] = {
    "channel": "sms",
    "body": '{\n  "to": "{to}",\n  "text": "{text}"\n}',
    "repeat_hours": "24",
    "enabled": "yes",
}
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_HEADER: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}):[ \t]*([\x20-\x7e]{0,2000})")
_MOST_HOURS: Final = 24 * 30


def is_name(name: str) -> bool:
    """Whether one can be called so; none is called "new", which is the address of the empty form."""
    return _NAME.fullmatch(name) is not None and name != "new"


def as_entered(provider: Mapping[str, Any]) -> dict[str, str]:
    """Fields of a form that says this provider; headers are left out, as nobody is told them."""
    reading = provider["reading"] or {"pointer": "", "accepted": [], "later": []}
    return {
        "name": provider["name"],
        "channel": provider["channel"],
        "url": provider["url"],
        "sender": provider["sender"],
        "enabled": "yes" if provider["enabled"] else "",
        "body": json.dumps(provider["body"], ensure_ascii=False, indent=2),
        "headers": "",
        "idempotency_header": provider["idempotency_header"] or "",
        "repeat_hours": str(provider["repeat_hours"]),
        "pointer": reading["pointer"],
        "accepted": "\n".join(reading["accepted"]),
        "later": "\n".join(reading["later"]),
    }


def provider_of(fields: Mapping[str, str]) -> tuple[dict[str, object], dict[str, tuple[str, int]]]:
    """The provider that a form says, as notify takes it; and what is wrong with it: code and line, by field."""
    wrong: dict[str, tuple[str, int]] = {}
    if fields["channel"] not in CHANNELS:
        wrong["channel"] = ("invalid", 0)
    if not fields["url"].startswith(("http://", "https://")):
        wrong["url"] = ("url", 0)
    hours = fields["repeat_hours"]
    if not (hours.isascii() and hours.isdecimal()) or not 1 <= int(hours[:6]) <= _MOST_HOURS:
        wrong["repeat_hours"] = ("hours", 0)
    reading = {"pointer": fields["pointer"], "accepted": _lines(fields["accepted"]), "later": _lines(fields["later"])}
    if fields["pointer"]:
        if not fields["pointer"].startswith("/"):
            wrong["pointer"] = ("pointer", 0)
        if not reading["accepted"]:
            wrong["accepted"] = ("no_accepted", 0)
    body = _document(fields["body"])
    if body is None:
        wrong["body"] = ("no_json", 0)
    headers = _headers(fields["headers"], wrong)
    return {
        "channel": fields["channel"],
        "url": fields["url"],
        "headers": headers,
        "body": body or {},
        "idempotency_header": fields["idempotency_header"] or None,
        "repeat_hours": int(hours) if "repeat_hours" not in wrong else 1,
        "sender": fields["sender"],
        "reading": reading if fields["pointer"] else None,
        "enabled": fields["enabled"] == "yes",
    }, wrong


def _headers(written: str, wrong: dict[str, tuple[str, int]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for number, line in enumerate(written.splitlines(), start=1):
        found = _HEADER.fullmatch(line.strip())
        if found is not None:
            headers[found[1]] = found[2]
        elif line.strip():
            wrong["headers"] = ("no_header", number)
    return headers


def _lines(written: str) -> list[str]:
    return [line.strip() for line in written.splitlines() if line.strip()]


def _document(written: str) -> dict[str, Any] | None:
    try:
        found = json.loads(written)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
