"""What of a dead letter's payload a role may see, and how it is written for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from services.portal.domain.people import Role
from services.portal.domain.stream import operators_see

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST: Final = 20_000
"""Characters of a payload on a page; the command line shows all of it."""
_HIDDEN: Final = "…"


def payload_seen_by(role: Role, type_: str, value: bytes) -> str | None:
    """The payload, indented; None where the role must not see it.

    Administrators see all of it, also what is no JSON. Others see names, and the values of fields that say nothing
    about the person: what cannot be told apart is not shown to them.
    """
    try:
        payload = json.loads(value)
    except (ValueError, RecursionError):
        return value.decode("utf-8", "replace")[:LONGEST] if role is Role.ADMINISTRATOR else None
    if role is not Role.ADMINISTRATOR:
        if not isinstance(payload, dict):
            return None
        payload = _masked(payload, type_)
    return json.dumps(payload, indent=2, ensure_ascii=False)[:LONGEST]


def _masked(payload: Mapping[str, Any], type_: str) -> dict[str, Any]:
    return {name: _value(name, value, type_) for name, value in payload.items()}


def _value(name: str, value: object, type_: str) -> object:
    if isinstance(value, dict):
        return _masked(value, type_)
    seen = value is None or (operators_see(name, type_) and not isinstance(value, list))
    return value if seen else _HIDDEN
