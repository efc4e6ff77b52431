"""Which instrument a response belongs to, when it became another version, and where a series breaks for it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid5

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from libs.events.contracts.responses import Instrument

_NAMESPACE: Final = UUID("5a3c1b86-5f0c-4b5e-8f0e-6f6f7c1d4a52")
_ASPECTS: Final = ("metric", "question", "scale_min", "scale_max", "kind", "channel", "sampling", "branded")
"""What makes an instrument. One that is added later joins a fingerprint only where it differs from its default, or
every instrument there is would break at once."""


def instrument_id(program: str, touchpoint: str | None) -> UUID:
    """The instrument of a touchpoint of a program: the same one through all its versions."""
    return uuid5(_NAMESPACE, json.dumps([program, touchpoint], ensure_ascii=False))


def fingerprint(instrument: Instrument) -> bytes:
    """Equal for two instruments if and only if nothing in the way of asking differs."""
    asked = [getattr(instrument, aspect) for aspect in _ASPECTS]
    return hashlib.sha256(json.dumps(asked, ensure_ascii=False).encode()).digest()


@dataclass(frozen=True, slots=True)
class InstrumentVersion:
    """One way of asking, and when it was first answered."""

    instrument_id: UUID
    version: int
    program: str
    touchpoint: str | None
    asked: Instrument
    first_answered_at: datetime


@dataclass(frozen=True, slots=True)
class Break:
    """From `began` on, numbers cannot simply be compared with those before: these aspects changed."""

    began: InstrumentVersion
    changed: tuple[str, ...]


def breaks(versions: Iterable[InstrumentVersion]) -> list[Break]:
    """Where series break, in time: at the first answer to each version but the first.

    A series has one metric and one survey kind, so versions are compared within these; where a program changed its
    metric or kind, another series begins. Ways of asking that are in use side by side (two channels) break their
    series once, when the second one began.
    """
    series: dict[tuple[UUID, str, str], list[InstrumentVersion]] = {}
    for version in versions:
        series.setdefault((version.instrument_id, version.asked.metric, version.asked.kind), []).append(version)
    found = [found for line in series.values() for found in _breaks_of(line)]
    return sorted(found, key=lambda each: (each.began.first_answered_at, each.began.instrument_id, each.began.version))


def _breaks_of(line: Sequence[InstrumentVersion]) -> list[Break]:
    ordered = sorted(line, key=lambda version: (version.first_answered_at, version.version))
    return [
        Break(
            later,
            tuple(aspect for aspect in _ASPECTS if getattr(earlier.asked, aspect) != getattr(later.asked, aspect)),
        )
        for earlier, later in pairwise(ordered)
    ]
