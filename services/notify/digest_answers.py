"""What casework and scoring answer when they are asked for a digest: no more of it than the digest tells.

The tests hold each of these against the service's own OpenAPI document.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

import msgspec

from services.notify.domain.digests import Department, Health, Portion, Stage


class Answer(msgspec.Struct, frozen=True):
    """As others answer; what they add is none of our business."""


class Nps(Answer, frozen=True):
    """A survey's NPS; the numbers are null where too few answered."""

    kind: str
    n: int | None
    promoters: int | None
    passives: int | None
    detractors: int | None
    nps: float | None
    ci_low: float | None
    ci_high: float | None


class Break(Answer, frozen=True):
    """A survey that was asked otherwise from some day on."""

    kind: str


class NpsAnswer(Answer, frozen=True):
    """`GET /v1/metrics/nps` of scoring."""

    items: list[Nps]
    instrument_breaks: list[Break]


class Score(Answer, frozen=True):
    """A survey's mean, on its scale."""

    kind: str
    scale_min: int
    scale_max: int
    n: int | None
    mean: float | None
    ci_low: float | None
    ci_high: float | None


class Scores(Answer, frozen=True):
    """`GET /v1/metrics/ces` and `/csat` of scoring."""

    items: list[Score]


class Theme(Answer, frozen=True):
    """How often a theme was mentioned, and by whom."""

    kind: str
    name_ru: str
    name_en: str
    mentions: int | None
    n: int | None
    nps: float | None
    ci_low: float | None
    ci_high: float | None


class Themes(Answer, frozen=True):
    """`GET /v1/metrics/themes` of scoring."""

    items: list[Theme]


class Comment(Answer, frozen=True):
    """What a customer wrote, with their score."""

    comment: str | None
    score: int | None
    metric: str
    touchpoint: str | None
    customer_id: str | None
    erased: bool


class Comments(Answer, frozen=True):
    """`GET /v1/responses` of scoring."""

    items: list[Comment]
    next_cursor: str | None


class Told(Answer, frozen=True):
    """How many initiatives were shipped, and told."""

    shipped: int
    communicated_within_a_quarter: Portion


class Loop(Answer, frozen=True):
    """`GET /v1/measures/loop` of casework."""

    groups: list[Health]
    initiatives: Told


class Named(Answer, frozen=True):
    """Of which team or department a part of the answer is."""

    group: str | None


class Groups(Answer, frozen=True):
    """The same answer, asked by team or department: whose each part is."""

    groups: list[Named]


class Deed(Answer, frozen=True):
    """What became of an initiative."""

    title: str
    department_id: str
    stage: Stage
    reason: str | None


class Owed(Answer, frozen=True):
    """What is owed to customers."""

    title: str
    department_id: str
    owner_name: str
    due_on: date | None
    communicate_by: datetime | None
    is_overdue: bool
    is_quarter_over: bool


class Deeds(Answer, frozen=True):
    """`GET /v1/measures/deeds` of casework."""

    departments: list[Department]
    initiatives: list[Deed]
    owed: list[Owed]


class Team(Answer, frozen=True):
    """A team's name."""

    id: str
    name: str


class Teams(Answer, frozen=True):
    """`GET /v1/teams` of casework."""

    items: list[Team]
    next_cursor: str | None


class Person(Answer, frozen=True):
    """Who works here, and what waits for them."""

    id: str
    name: str
    email: str
    language: str
    role: Literal["agent", "manager", "executive"]
    leads: list[str]
    manages: list[str]
    cases: int
    cases_overdue: int
    tasks: int
    tasks_overdue: int


class People(Answer, frozen=True):
    """`GET /v1/measures/work` of casework."""

    items: list[Person]
    next_cursor: str | None
