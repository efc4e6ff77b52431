"""How new what a company's own system says is, by that system's own count or clock: older never overwrites newer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Told:
    """The version that the company's own system counts, or the time of its change; either, both, or neither.

    The rule: like is compared with like, versions before times. What has the lower version, or where one side has no
    version the earlier time, is older and changes nothing. What is equal, or cannot be compared (a person who edits
    by hand says neither), is taken.
    """

    version: int | None = None
    at: datetime | None = None

    def older_than(self, known: Told) -> bool:
        """Whether what came with this must not overwrite what came with `known`."""
        if self.version is not None and known.version is not None:
            return self.version < known.version
        return self.at is not None and known.at is not None and self.at < known.at

    def after(self, known: Told) -> Told:
        """What is remembered when this is taken: the newest of either that was ever seen."""
        versions = [each for each in (self.version, known.version) if each is not None]
        times = [each for each in (self.at, known.at) if each is not None]
        return Told(max(versions, default=None), max(times, default=None))

    def before(self, erased_at: datetime) -> bool:
        """Whether it was surely said before a person was erased, and so must not bring them back."""
        return self.at is not None and self.at <= erased_at


UNTOLD = Told()
"""Nobody says how new it is."""
