"""What moves the NPS of a program: which answers are compared, what a run of the comparison finds, and when it refuses.

Correlation is no cause. A run says how the NPS of answers goes together with touchpoint, channel, tier, region, effort
and themes, each with the others held equal, and how much of the differences between answers each of them accounts for.
It does not say what would happen if one of them were changed: who is angry mentions more, and who is worth more is
served otherwise. It shows where to look first.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, NamedTuple
from uuid import UUID, uuid5

import msgspec

if TYPE_CHECKING:
    from libs.events.contracts.responses import SurveyKind
    from libs.events.contracts.scores import NpsClass

Factor = Literal["touchpoint", "channel", "tier", "region", "effort", "theme", "other_themes"]

SAMPLE: Final = 50_000
"""Answers that a regression takes at most, drawn by the hash of their ids. Values at stake are of all."""
RESAMPLES: Final = 400
LEAST_OF_LEVEL: Final = 30
"""Answers below which a level of a factor is put together with other small ones, and a theme is left out."""
MOST_LEVELS: Final = 10
MOST_THEMES: Final = 6
EFFORT_DAYS: Final = 90
"""How long before an answer its customer may have told of the effort."""
NIGHTLY_DAYS: Final = 90
OTHERS: Final = "…"
"""The name of the small levels together, and of those whose level is not known."""
UNKNOWN: Final = "?"
_NIGHTLY: Final = UUID("0f6fdc1e-4f0f-4df7-9f8f-2a3f6a5e6f41")


class Pattern(NamedTuple):
    """Answers that are alike in everything that is compared."""

    nps_class: NpsClass
    touchpoint: str | None
    channel: str | None
    tier: str | None
    region: str | None
    themes: tuple[str, ...]
    effort: int | None
    """In percent of the most that the scale of the customer's latest CES answer can tell of."""
    n: int


class Interval(msgspec.Struct, frozen=True):
    """A value with its interval."""

    value: float
    ci_low: float
    ci_high: float


class Stake(msgspec.Struct, frozen=True):
    """What the customers are worth who answered as detractors or passives and said or met this."""

    customers: int
    valued: int
    """Those of them whose value is known."""
    current_value: float


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """One touchpoint, one channel, one theme."""

    name: str
    n: int
    nps: Interval | None
    """Of these answers alone, with nothing held equal; None where the level is no group of answers."""
    effect: Interval
    """In points of NPS, the others held equal: of a level against the average answer, of a theme against answers that
    do not mention it, of the greatest effort against none."""
    at_stake: Stake | None = None


class Driver(msgspec.Struct, frozen=True, kw_only=True):
    """A factor, or one theme, with its part in what the model explains."""

    factor: Factor
    name: str | None
    """The theme's id; None for a factor."""
    share: Interval
    """The part of R² that belongs to it (LMG). It is never below zero: what is certain, the effects' intervals tell."""
    levels: tuple[Level, ...]


class LeftOut(msgspec.Struct, frozen=True):
    """What could not be compared, and why: all answers are alike in it, or too few of them say it."""

    factor: Factor
    name: str | None
    reason: Literal["all_alike", "too_few"]


class Refusal(msgspec.Struct, frozen=True):
    """Why there is no result. Of too few answers, how many it takes."""

    reason: Literal["too_few_answers", "all_of_one_class", "nothing_to_compare", "failed"]
    needed: int | None = None


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What a run found."""

    n: int
    """Answers that were compared."""
    answers: int
    """Answers of the period; more than `n` where a sample was drawn."""
    refused: Refusal | None = None
    nps: Interval | None = None
    r_squared: Interval | None = None
    drivers: tuple[Driver, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    resamples: int = RESAMPLES


class Scope(NamedTuple):
    """Which answers are compared: `since` belongs to them, `until` does not."""

    program: str
    kind: SurveyKind
    since: datetime
    until: datetime


def needed_answers(predictors: int) -> int:
    """How many answers a regression with so many predictors takes: 50 + 8 for each.

    S. B. Green, "How Many Subjects Does It Take To Do A Regression Analysis?", Multivariate Behavioral Research 26 (3),
    1991, 499-510.
    """
    return 50 + 8 * predictors


def nightly(program: str, kind: SurveyKind, midnight: datetime) -> tuple[UUID, Scope]:
    """The run of this night, the same whoever asks for it."""
    id_ = uuid5(_NIGHTLY, f"{midnight.isoformat()} {kind} {program}")
    return id_, Scope(program, kind, midnight - timedelta(days=NIGHTLY_DAYS), midnight)
