"""Which instrument a response belongs to, when it became another version, and where a series breaks for it.

Two wordings are the same where a customer reads the same words: markup, entities, runs of blanks, kinds of blanks and
quotes, and upper and lower case make no other question. Everything else does, a full stop included: what seems harmless
has moved scores before. Where a person knows better (a typing error was corrected), two versions are joined by hand.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid5

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from libs.events.contracts.responses import Instrument

_NAMESPACE: Final = UUID("5a3c1b86-5f0c-4b5e-8f0e-6f6f7c1d4a52")
_ASPECTS: Final = ("metric", "question", "scale_min", "scale_max", "kind", "channel", "sampling", "branded")
_LATER_ASPECTS: Final = (("higher_is_worse", False),)
"""With their defaults. They join a fingerprint only where they differ from these, or every instrument there is would
break at once."""
_NEVER_JOINED: Final = ("metric", "scale_min", "scale_max", "kind", "higher_is_worse")
_TAG: Final = re.compile(r"</?[A-Za-z][^<>]{0,500}>")
_QUOTES: Final = str.maketrans(dict.fromkeys("«»„“”‟", '"') | dict.fromkeys("‘’‚‛", "'"))
_INVISIBLE: Final = str.maketrans(dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff"))


def instrument_id(program: str, touchpoint: str | None) -> UUID:
    """The instrument of a touchpoint of a program: the same one through all its versions."""
    return uuid5(_NAMESPACE, json.dumps([program, touchpoint], ensure_ascii=False))


def wording(question: str) -> str:
    """The question as it is compared: without markup, case, and kinds of blanks and quotes.

    The markup of a question that consists of nothing else stays.
    """
    plain = html.unescape(_TAG.sub(" ", question))
    read = unicodedata.normalize("NFKC", plain).translate(_INVISIBLE).translate(_QUOTES)
    return " ".join(read.casefold().split()) or question


@lru_cache(maxsize=4096)
def fingerprint(instrument: Instrument) -> bytes:
    """Equal for two instruments if and only if nothing in the way of asking differs."""
    asked = [*_asked(instrument).values()]
    return hashlib.sha256(json.dumps(asked, ensure_ascii=False).encode()).digest()


def _asked(instrument: Instrument) -> dict[str, str | int | bool]:
    """All that is compared, by its aspect."""
    asked = {aspect: getattr(instrument, aspect) for aspect in _ASPECTS}
    asked["question"] = wording(instrument.question)
    later = {aspect: getattr(instrument, aspect) for aspect, default in _LATER_ASPECTS}
    return asked | {aspect: later[aspect] for aspect, default in _LATER_ASPECTS if later[aspect] != default}


@dataclass(frozen=True, slots=True)
class InstrumentVersion:
    """One way of asking, and when it was first answered."""

    instrument_id: UUID
    version: int
    program: str
    touchpoint: str | None
    asked: Instrument
    first_answered_at: datetime
    same_as: int | None = None
    """The version of the same instrument that a person says this one is the same question as."""
    revision: int = 1
    """Counts what people say about it."""


@dataclass(frozen=True, slots=True)
class Break:
    """From `began` on, numbers cannot simply be compared with those before: these aspects changed."""

    began: InstrumentVersion
    changed: tuple[str, ...]


def breaks(versions: Iterable[InstrumentVersion]) -> list[Break]:
    """Where series break, in time: at the first answer to each version but the first.

    A series has one metric and one survey kind, so versions are compared within these; where a program changed its
    metric or kind, another series begins. Ways of asking that are in use side by side (two channels) break their
    series once, when the second one began. Versions that are joined are one, which began with the first of them.
    """
    series: dict[tuple[UUID, str, str], list[InstrumentVersion]] = {}
    for version in versions:
        series.setdefault((version.instrument_id, version.asked.metric, version.asked.kind), []).append(version)
    found = [found for line in series.values() for found in _breaks_of(line)]
    return sorted(found, key=lambda each: (each.began.first_answered_at, each.began.instrument_id, each.began.version))


def _breaks_of(line: Sequence[InstrumentVersion]) -> list[Break]:
    firsts: dict[int, InstrumentVersion] = {}
    for version in sorted(line, key=lambda version: (version.first_answered_at, version.version)):
        firsts.setdefault(version.same_as or version.version, version)
    return [Break(later, _changed(earlier, later)) for earlier, later in pairwise(firsts.values())]


def _changed(earlier: InstrumentVersion, later: InstrumentVersion) -> tuple[str, ...]:
    before, after = _asked(earlier.asked), _asked(later.asked)
    return tuple(aspect for aspect in {**before, **after} if before.get(aspect) != after.get(aspect))


class CannotJoin(Exception):
    """Two versions cannot be the same question; the message says why."""


def joined(versions: Mapping[int, InstrumentVersion], version: int, other: int) -> int:
    """The version that `version` is to be noted under, to be the same question as `other`; raises CannotJoin.

    Wording, channel, sampling and branding may differ, because a person says that it made no difference. Scores of
    different metrics, kinds or scales are different numbers, whatever anybody says.
    """
    if other not in versions:
        raise CannotJoin(f"There is no version {other} of this instrument.")
    first = versions[other].same_as or other
    if first == version:
        raise CannotJoin(
            f"Version {other} is joined to version {version}." if other != version else "It is the same one."
        )
    mine, theirs = versions[version].asked, versions[first].asked
    for aspect in _NEVER_JOINED:
        if getattr(mine, aspect) != getattr(theirs, aspect):
            raise CannotJoin(f"The two differ in {aspect}, so that their scores are not the same numbers.")
    return first
