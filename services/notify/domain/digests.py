"""The employees' digest: which week or month it is about, when it is due, and what it says.

    due ──everything could be had──▶ frozen ──one message per employee──▶ told
     └──something could not──▶ due still, and tried again: there is no empty digest and no half one

A week begins on Monday, and both end by the company's clock. A digest belongs to the last period that ended: what
could not be had for a whole further period is not told any more. Its content is the company's numbers as they were
when it was frozen, in no language yet; what customers wrote is kept beside it, so that an erasure finds it.
"""

from __future__ import annotations

# Contents are kept as JSON, and read back by their annotations.
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final, Literal
from uuid import UUID, uuid5

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import tzinfo

Kind = Literal["weekly", "monthly"]
Role = Literal["agent", "manager", "executive", "employee"]
Stage = Literal["approved", "declined", "shipped", "communicated"]

LEADS: Final = frozenset({"manager", "executive", "administrator"})
"""Who is told what is late."""
QUOTES: Final = 4
THEMES: Final = 5
SHORTEST_QUOTE: Final = 15
"""Characters: "ok" says nothing to anybody."""
_HOUR: Final = 8
"""Of the company's clock, on the day after: with the first coffee, and not at midnight."""
_NAMESPACE: Final = UUID("c1b0a9a4-1d6b-5f0e-9a63-0b8b4f9a7e21")


@dataclass(frozen=True, slots=True)
class Period:
    """A week or a month by the company's clock."""

    kind: Kind
    starts: date
    ends: date
    """The first day after it."""

    @property
    def id(self) -> UUID:
        """Of its digest: one per kind and period, ever."""
        return uuid5(_NAMESPACE, f"{self.kind}/{self.starts.isoformat()}")

    @property
    def before(self) -> Period:
        """The one before."""
        starts = self.starts - timedelta(days=7)
        return Period(self.kind, starts if self.kind == "weekly" else _month_before(self.starts), self.starts)

    def bounds(self, where: tzinfo) -> tuple[datetime, datetime]:
        """When it begins and ends."""
        return datetime.combine(self.starts, time(), tzinfo=where), datetime.combine(self.ends, time(), tzinfo=where)

    def due_at(self, where: tzinfo) -> datetime:
        """When its digest is made."""
        return datetime.combine(self.ends, time(_HOUR), tzinfo=where)


def last_period(kind: Kind, now: datetime, where: tzinfo) -> Period:
    """The last one that has ended."""
    today = now.astimezone(where).date()
    if kind == "weekly":
        ends = today - timedelta(days=today.weekday())
        return Period(kind, ends - timedelta(days=7), ends)
    ends = today.replace(day=1)
    return Period(kind, _month_before(ends), ends)


def present_period(kind: Kind, now: datetime, where: tzinfo) -> Period:
    """The one that is not over yet."""
    starts = last_period(kind, now, where).ends
    if kind == "weekly":
        return Period(kind, starts, starts + timedelta(days=7))
    return Period(kind, starts, (starts + timedelta(days=31)).replace(day=1))


def _month_before(first: date) -> date:
    return (first - timedelta(days=1)).replace(day=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class NpsMoved:
    """The NPS of one kind of survey, and how it moved; None where too few answered for it to be shown."""

    survey: str
    n: int | None
    value: float | None
    low: float | None
    high: float | None
    before_n: int | None
    change: float | None
    change_low: float | None
    change_high: float | None
    asked_otherwise: bool
    """The question changed within the two periods: they cannot simply be compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreOnScale:
    """Effort or satisfaction on one scale, as if high were better."""

    metric: Literal["ces", "csat"]
    survey: str
    scale_min: int
    scale_max: int
    n: int
    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ThemeTold:
    """What comments were about."""

    name_ru: str
    name_en: str
    survey: str
    mentions: int
    n: int | None
    nps: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """`count` of `n`, with the interval of the share."""

    n: int
    count: int
    ci_low: float | None
    ci_high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Middle:
    """The median of `n` times."""

    n: int
    hours: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How the loop was closed in cases that were opened in the period."""

    cases: int
    contacted_within_48_hours: Portion
    time_to_contact: Middle
    time_to_resolve: Middle
    confirmed: Portion
    unconfirmed: Portion
    reopened: Portion
    escalated: Portion


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A department or team, with the health of its own loop; None where none of its cases was opened."""

    id: str
    name: str
    health: Health | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Department:
    """What a department did."""

    id: str
    name: str
    tasks_done: int
    cases_closed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What became of an initiative."""

    title: str
    department: str
    stage: Stage
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """An initiative that is late or whose quarter ends soon."""

    title: str
    department: str
    owner: str
    due_on: date | None
    communicate_by: datetime | None
    is_overdue: bool
    is_quarter_over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Thanked:
    """Somebody who closed loops exceptionally well, approved and willing."""

    agent_id: str
    name: str
    place: str | None
    cases: int
    well: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a customer wrote, masked. `customer_id` is for erasures, and shown to nobody."""

    customer_id: str | None
    score: int | None
    touchpoint: str | None
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a digest says, in no language yet."""

    nps: tuple[NpsMoved, ...]
    scores: tuple[ScoreOnScale, ...]
    themes: tuple[ThemeTold, ...]
    departments: tuple[Department, ...]
    deeds: tuple[Deed, ...]
    owed: tuple[Owed, ...]
    health: Health | None
    shipped: int
    told_within_a_quarter: Portion
    parts: tuple[Part, ...]
    """Teams and departments, for those who lead them."""
    thanked: tuple[Thanked, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """A digest as it was frozen."""

    id: UUID
    period: Period
    zone: str
    content: Content
    quotes: tuple[Quote, ...]
    frozen_at: datetime
    told_at: datetime | None
    """When the last message was put into the ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Colleague:
    """Somebody who gets the digest, and what lies before them; counts are None for those who own no cases here."""

    id: str
    name: str
    email: str
    language: str
    role: Role
    parts: tuple[str, ...] = ()
    """Ids of the teams and departments that they lead, as `part_id` writes them."""
    cases: int | None = None
    cases_overdue: int = 0
    tasks: int = 0
    tasks_overdue: int = 0


def part_id(what: Literal["team", "department"], id_: str) -> str:
    """A team and a department may have one id."""
    return f"{what}/{id_}"


def chosen(quotes: Iterable[Quote]) -> tuple[Quote, ...]:
    """A few of the latest, the unhappy and the happy by turns: neither a complaint box nor a wall of praise."""
    worth = [each for each in quotes if len(each.said) >= SHORTEST_QUOTE]
    happy = [each for each in worth if each.score is not None and each.score >= 9]  # noqa: PLR2004 - promoters
    others = [each for each in worth if each not in happy]
    return tuple(_by_turns(others, happy))[:QUOTES]


def _by_turns(first: Sequence[Quote], second: Sequence[Quote]) -> list[Quote]:
    found = []
    for place in range(max(len(first), len(second))):
        found += [each[place] for each in (first, second) if place < len(each)]
    return found
