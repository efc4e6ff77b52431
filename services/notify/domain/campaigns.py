"""The campaign: "what we changed", told once to each of many.

    draft ──approve──▶ approved ──start──▶ starting ──audience is frozen──▶ running ──all were told──▶ completed
      ▲                   │                   │                             │   ▲
      └───────edit────────┘                   │                           pause resume
      │                   │                   │                             ▼   │
      └───────────────────┴──────cancel───────┴───────────▶ cancelled ◀──── paused

Nobody approves what they wrote themselves, and what is approved is sent as it was approved: an edit makes a draft of it
again. The audience is computed when the campaign starts and stays as it was then, whoever answers or joins a list
later; where the campaign stands in it is written down with the messages of each step, so that it goes on exactly
where it was, after a pause as after a crash.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal, NewType
from uuid import UUID

import msgspec
from msgspec.structs import replace

from libs.events.contracts.scores import Tier

if TYPE_CHECKING:
    from collections.abc import Callable

    from libs.events.contracts.customers import Language

CampaignId = NewType("CampaignId", UUID)
Side = Literal["customers", "employees", "partners"]
Which = Literal["raised", "respondents", "everybody"]
Act = Literal["created", "edited", "approved", "started", "frozen", "paused", "resumed", "cancelled", "completed"]


class Status(StrEnum):
    """Where the campaign stands; the drawing above."""

    DRAFT = "draft"
    APPROVED = "approved"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class Customers(msgspec.Struct, frozen=True, kw_only=True):
    """Which customers a campaign is for. Empty filters leave nobody out."""

    which: Which
    """`raised`: whose comments had one of the themes, or whose cases one of the root causes; `respondents`: who
    answered any survey; `everybody`: all customers that are known."""
    themes: tuple[str, ...] = ()
    root_causes: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    since: datetime | None = None
    """Of the answers that count."""
    until: datetime | None = None
    tiers: tuple[Tier, ...] = ()


class Audience(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a campaign is for: customers, and people of lists (employees, partners). Nobody is in it twice."""

    customers: Customers | None = None
    lists: tuple[str, ...] = ()


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """What a campaign says, in one language. Empty lines part paragraphs."""

    subject: str
    about: str | None = None
    """What customers told us about, to go on after "you told us on 3 March about …"."""
    learned: str
    changed: str
    next_steps: str | None = None


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What a campaign says, in both languages."""

    ru: Text
    en: Text

    def of(self, language: Language) -> Text:
        """In one of them."""
        return self.ru if language == "ru" else self.en


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What people write down about a campaign, and others approve."""

    name: str
    initiative_ids: tuple[str, ...]
    audience: Audience
    content: Content
    per_minute: int
    """At most so many messages a minute."""
    is_public: bool = True
    """Whether the page for everybody tells it too, from the start on."""


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """One campaign at one version."""

    id: CampaignId
    plan: Plan
    status: Status
    created_at: datetime
    edited_by: str
    """Who wrote it as it is now; somebody else approves it."""
    approved_by: str | None = None
    approved_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    recipients: int | None = None
    """How many are in the frozen audience."""
    told_up_to: int = 0
    """The position in the audience up to which messages are in the ledger."""
    pace_from: datetime | None = None
    """Since when the pace is counted: the start, or the last time it was resumed."""
    pace_base: int = 0
    """`told_up_to` at that moment."""
    version: int = 1


class CampaignRefusedError(Exception):
    """The campaign's status, or who acts, does not allow it. `code` is a word that stays."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


_BEFORE_START: Final = frozenset({Status.DRAFT, Status.APPROVED})
ENDED: Final = frozenset({Status.COMPLETED, Status.CANCELLED})


def edit(campaign: Campaign, plan: Plan, who: str, _now: datetime) -> Campaign:
    """Write it down anew; what was approved is a draft again."""
    _need(campaign, _BEFORE_START, "edited")
    return _next(campaign, plan=plan, status=Status.DRAFT, edited_by=who, approved_by=None, approved_at=None)


def approve(campaign: Campaign, who: str, now: datetime) -> Campaign:
    """A second person has read it, and agrees."""
    _need(campaign, {Status.DRAFT}, "approved")
    if who == campaign.edited_by:
        raise CampaignRefusedError("second-person", "Who wrote it does not approve it: ask somebody else.")
    return _next(campaign, status=Status.APPROVED, approved_by=who, approved_at=now)


def start(campaign: Campaign, _who: str, now: datetime) -> Campaign:
    """Begin: the audience is frozen next, then everybody in it is told."""
    _need(campaign, {Status.APPROVED}, "started")
    return _next(campaign, status=Status.STARTING, started_at=now)


def frozen(campaign: Campaign, recipients: int, now: datetime) -> Campaign:
    """The audience is written down."""
    return _next(campaign, status=Status.RUNNING, recipients=recipients, pace_from=now)


def pause(campaign: Campaign, _who: str, _now: datetime) -> Campaign:
    """Tell nobody more until it is resumed; what is on the line at this moment arrives."""
    _need(campaign, {Status.RUNNING}, "paused")
    return _next(campaign, status=Status.PAUSED)


def resume(campaign: Campaign, _who: str, now: datetime) -> Campaign:
    """Go on exactly where it was."""
    _need(campaign, {Status.PAUSED}, "resumed")
    return _next(campaign, status=Status.RUNNING, pace_from=now, pace_base=campaign.told_up_to)


def cancel(campaign: Campaign, _who: str, now: datetime) -> Campaign:
    """End it for good; who was not told yet will not be."""
    _need(campaign, set(Status) - ENDED, "cancelled")
    return _next(campaign, status=Status.CANCELLED, ended_at=now)


def complete(campaign: Campaign, now: datetime) -> Campaign:
    """Everybody was told, or it is written down why not."""
    return _next(campaign, status=Status.COMPLETED, ended_at=now)


def due(campaign: Campaign, now: datetime, most: int) -> int:
    """How many more may be told now, by the pace, at most `most`."""
    if campaign.pace_from is None:
        return 0
    seconds = max((now - campaign.pace_from).total_seconds(), 0.0)
    # One minute's worth may go at once: who tells 60 a minute begins with 60, and not with a wait.
    allowed = campaign.pace_base + int(campaign.plan.per_minute * (1 + seconds / 60))
    return max(min(allowed - campaign.told_up_to, most), 0)


ACTS: Final[dict[Act, Callable[[Campaign, str, datetime], Campaign]]] = {
    "approved": approve,
    "started": start,
    "paused": pause,
    "resumed": resume,
    "cancelled": cancel,
}


def _need(campaign: Campaign, allowed: set[Status] | frozenset[Status], done: str) -> None:
    if campaign.status not in allowed:
        names = " or ".join(sorted(allowed))
        raise CampaignRefusedError("wrong-status", f"The campaign is {campaign.status}; only {names} can be {done}.")


def _next(campaign: Campaign, **changes: object) -> Campaign:
    return replace(campaign, version=campaign.version + 1, **changes)
