"""Reasons as they are stored beside their texts: `{"code": …, "parameters": {…}}`; rows of older versions have none."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from services.ingest.domain.reasons import why_of

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


def stored(reason: str | None) -> str | None:
    """A reason's code and parameters, as JSON."""
    why = why_of(reason)
    return None if why is None else msgspec.json.encode(why).decode()


def told(why: str | None) -> dict[str, Any] | None:
    """What was stored."""
    return None if why is None else _decode(why)
