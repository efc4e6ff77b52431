"""Where an answer is counted: a cell is one combination of all that numbers are asked by."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime
    from uuid import UUID

    from libs.events.contracts.responses import Channel, Metric, SurveyKind
    from libs.events.contracts.scores import NpsClass, Tier

Detail = Literal["both", "tier", "region", "neither"]
"""Which of tier and region a cell tells apart. Each answer is counted once in a cell of each detail."""

DETAILS: Final[tuple[Detail, ...]] = get_args(Detail)
"""In the order of `Cell.counted_in`."""
SCORES: Final = range(11)
"""What is counted: every scale in use fits in. A score beyond is stored and counted nowhere."""
_REMEMBERED: Final = 16_384
_CLASSES: Final = ("promoter", "passive", "detractor", None)
"""As mentions of themes are counted: an answer without a class mentions them too."""


class Cell(NamedTuple):
    """All the answers that are alike in these. The instrument's version says all but the last four."""

    program: str
    touchpoint: str | None
    kind: SurveyKind
    metric: Metric
    scale_min: int
    scale_max: int
    higher_is_worse: bool
    instrument_id: UUID
    instrument_version: int
    channel: Channel
    department: str | None
    tier: Tier | None
    region: str | None
    detail: Detail = "both"

    @property
    def id(self) -> int:
        """Its number."""
        return cell_id(
            self.instrument_id, self.instrument_version, self.department, self.tier, self.region, self.detail
        )

    @property
    def counted_in(self) -> tuple[Cell, Cell, Cell, Cell]:
        """The cell itself and those of less detail that its answers are counted in as well."""
        return (
            self,
            self._replace(region=None, detail="tier"),
            self._replace(tier=None, detail="region"),
            self._replace(tier=None, region=None, detail="neither"),
        )


@lru_cache(_REMEMBERED)
def cell_id(
    instrument_id: UUID,
    instrument_version: int,
    department: str | None,
    tier: Tier | None,
    region: str | None,
    detail: Detail = "both",
) -> int:
    """A number of 64 bits that is always the same for a cell, so that nobody has to look it up."""
    written = json.dumps([str(instrument_id), instrument_version, department, tier, region, detail], ensure_ascii=False)
    return int.from_bytes(hashlib.sha256(written.encode()).digest()[:8], "big", signed=True)


def day_of(answered_at: datetime) -> date:
    """The day of UTC."""
    return (answered_at if answered_at.tzinfo is UTC else answered_at.astimezone(UTC)).date()


class Tally:
    """What a transaction changes in the counts: how many more or fewer answers of a score in a cell on a day."""

    __slots__ = ("_changes", "_mentions", "cells")

    def __init__(self) -> None:
        self._mentions: dict[tuple[str, int, date, int], int] = {}
        self._changes: dict[tuple[int, date, int], int] = {}
        self.cells: Final[dict[int, Cell]] = {}
        """By their ids: those that answers are stored with."""

    def know(self, id_: int, cell: Cell) -> None:
        """An answer is stored with this cell, which may be a new one."""
        self.cells[id_] = cell

    def add(self, cell: int, answered_at: datetime, score: int | None) -> None:
        """An answer counts from now on; a missing score does not."""
        self._change(cell, answered_at, score, 1)

    def remove(self, cell: int, answered_at: datetime, score: int | None) -> None:
        """An answer counts no longer, as far as it did."""
        self._change(cell, answered_at, score, -1)

    def mention(
        self, themes: Iterable[str], cell: int, answered_at: datetime, class_: NpsClass | None, by: int = 1
    ) -> None:
        """So many more answers of a class mention these themes, or fewer."""
        for theme in themes:
            place = (theme, cell, day_of(answered_at), _CLASSES.index(class_))
            self._mentions[place] = self._mentions.get(place, 0) + by

    def mentions(self) -> list[tuple[str, int, date, int, int]]:
        """(theme, cell, day, place of the class, how many more), without what came to nothing."""
        return [(*place, change) for place, change in self._mentions.items() if change]

    def changes(self) -> list[tuple[int, date, int, int]]:
        """(cell, day, score, how many more), without what came to nothing."""
        return [(*place, change) for place, change in self._changes.items() if change]

    def _change(self, cell: int, answered_at: datetime, score: int | None, by: int) -> None:
        if score is None or score not in SCORES:
            return
        place = (cell, day_of(answered_at), score)
        self._changes[place] = self._changes.get(place, 0) + by
