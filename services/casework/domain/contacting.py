"""When to try next to reach a customer: another time of day, day or channel than those that failed, and why.

The customer's calling hours are those of the company's rules, on the customer's own clock. Of the times in them that
come within a week, the one is taken that resembles failed attempts the least, and of equal ones the earliest:

    the same part of the day as a failed attempt    3 for each
    within an hour of a failed attempt's time       1 for each
    the same kind of day (working, weekend)         1 for each
    the same day                                    1/2 for each
    each day of waiting                             1
    after the first contact is due                  1000: only where nothing is left before it
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from services.casework.domain.calendars import Calendar
    from services.casework.domain.names import ContactChannel, ContactOutcome
    from services.casework.domain.timeline import Details

Part = Literal["morning", "midday", "afternoon", "evening"]

UNANSWERED: Final[frozenset[ContactOutcome]] = frozenset({"no_answer", "busy", "voicemail", "third_person"})
"""Outcomes after which another time may do better."""
_CALLS_BEFORE_WRITING: Final = 3
_STEP: Final = timedelta(minutes=30)
_AHEAD: Final = timedelta(days=7)
_DAY: Final = timedelta(days=1)
_SATURDAY: Final = 5
_TOO_LATE: Final = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactRules:
    """How the company keeps to what it agrees with customers. Data that it edits."""

    hours: Calendar
    """When customers may be called, on their own clock; its zone is that of customers who have told none."""
    early: timedelta
    """How long before the agreed time a call counts as the one that was agreed."""
    grace: timedelta
    """How long after the agreed time a callback is missed."""
    climbs_after: timedelta
    """How long after that a missed callback that nobody has made up for climbs."""
    pause: timedelta
    """How long to leave a customer in peace after a failed attempt."""

    def hours_of(self, zone: str | None) -> tuple[Calendar, bool]:
        """The calling hours on the customer's clock, and whether that clock is only assumed."""
        if zone is None:
            return self.hours, True
        try:
            return replace(self.hours, zone=ZoneInfo(zone)), False
        except (ZoneInfoNotFoundError, ValueError):
            # A zone that this machine's data does not know, or that is none: scoring's data may be newer than ours.
            return self.hours, True


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to reach the customer."""

    at: datetime
    channel: ContactChannel
    outcome: ContactOutcome


@dataclass(frozen=True, slots=True)
class Reason:
    """A code with parameters that the portal words in the reader's language."""

    code: str
    details: Details


@dataclass(frozen=True, slots=True)
class Suggestion:
    """When and how to try next, on the customer's clock, and why."""

    at: datetime
    local_time: str
    zone: str
    channel: ContactChannel
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class NoWay:
    """Nothing is known by which the customer could be reached."""

    reasons: tuple[Reason, ...]


def part_of(local: datetime) -> Part:
    """The part of the customer's day."""
    match local.hour:
        case hour if hour < 11:  # noqa: PLR2004 - where parts of a day begin is as good as said here
            return "morning"
        case hour if hour < 14:  # noqa: PLR2004
            return "midday"
        case hour if hour < 17:  # noqa: PLR2004
            return "afternoon"
        case _:
            return "evening"


def suggest(
    attempts: Sequence[Attempt],
    *,
    now: datetime,
    due_at: datetime,
    rules: ContactRules,
    zone: str | None,
    reachable_by: AbstractSet[ContactChannel],
) -> Suggestion | NoWay:
    """The next attempt after these, which are in their order."""
    channel, why = _channel(attempts, reachable_by)
    if channel is None:
        return NoWay(why)
    hours, assumed = rules.hours_of(zone)
    earliest, paused = _earliest(attempts, now, rules)
    failed = [each.at.astimezone(hours.zone) for each in attempts if each.outcome in UNANSWERED]
    if channel != "phone":
        # A letter waits until it is read, so only the hours matter.
        failed = []
    chosen = min(
        _times(hours, earliest),
        key=lambda at: (_likeness(at.astimezone(hours.zone), failed) + _wait(at, earliest, due_at), at),
    )
    local = chosen.astimezone(hours.zone)
    reasons = [*why, *paused, *_compared(local, failed)]
    if not attempts:
        reasons.append(Reason("first_attempt", {}))
    reasons.append(Reason("calling_hours", {"local_time": local.strftime("%H:%M"), "zone": hours.zone.key}))
    if assumed:
        reasons.append(Reason("zone_assumed", {"zone": hours.zone.key}))
    if chosen > due_at:
        reasons.append(Reason("after_due", {"due_at": due_at.isoformat()}))
    return Suggestion(chosen, local.strftime("%Y-%m-%dT%H:%M"), hours.zone.key, channel, tuple(reasons))


def _channel(
    attempts: Sequence[Attempt], reachable_by: AbstractSet[ContactChannel]
) -> tuple[ContactChannel | None, tuple[Reason, ...]]:
    calls = [each for each in attempts if each.channel == "phone"]
    wrong = any(each.outcome == "wrong_number" for each in calls)
    unanswered = sum(each.outcome in UNANSWERED for each in calls)
    written = sum(each.channel == "email" for each in attempts)
    may_call = "phone" in reachable_by and not wrong
    if may_call and unanswered < _CALLS_BEFORE_WRITING * (1 + written):
        return "phone", ()
    if "email" in reachable_by:
        code = "wrong_number" if wrong else "calls_unanswered" if may_call else "no_phone"
        return "email", (Reason(code, {"calls": unanswered} if code == "calls_unanswered" else {}),)
    if may_call:
        return "phone", (Reason("no_other_channel", {}),)
    return None, (Reason("wrong_number" if wrong else "no_phone", {}), Reason("no_way", {}))


def _earliest(attempts: Sequence[Attempt], now: datetime, rules: ContactRules) -> tuple[datetime, tuple[Reason, ...]]:
    if not attempts:
        return now, ()
    last = attempts[-1]
    # Who was left a message, or asked for another time, is given longer to come back to us.
    longer = last.outcome in {"voicemail", "call_later", "message_sent"}
    rested = last.at + rules.pause * (2 if longer else 1)
    if rested <= now:
        return now, ()
    code = "asked_for_later" if last.outcome == "call_later" else "left_in_peace"
    return rested, (Reason(code, {"since": last.at.isoformat()}),)


def _times(hours: Calendar, earliest: datetime) -> Iterator[datetime]:
    """Each half hour that is wholly in the calling hours, for a week, or for as long as it takes to find one."""
    found = False
    at = _next_half_hour(earliest)
    while not found or at < earliest + _AHEAD:
        if hours.between(at, at + _STEP) == _STEP:
            found = True
            yield at
        at += _STEP


def _next_half_hour(instant: datetime) -> datetime:
    seconds = instant.astimezone(UTC).timestamp()
    step = _STEP.total_seconds()
    return datetime.fromtimestamp(-(-seconds // step) * step, UTC)


def _likeness(local: datetime, failed: Sequence[datetime]) -> float:
    likeness = 0.0
    for each in failed:
        likeness += 3 * (part_of(each) == part_of(local))
        likeness += abs((each.hour * 60 + each.minute) - (local.hour * 60 + local.minute)) <= 60  # noqa: PLR2004
        likeness += (each.weekday() >= _SATURDAY) == (local.weekday() >= _SATURDAY)
        likeness += 0.5 * (each.date() == local.date())
    return likeness


def _wait(at: datetime, earliest: datetime, due_at: datetime) -> float:
    return (at - earliest) / _DAY + (_TOO_LATE if at > due_at else 0.0)


def _compared(local: datetime, failed: Sequence[datetime]) -> list[Reason]:
    if not failed:
        return []
    tried = sorted({part_of(each) for each in failed}, key=("morning", "midday", "afternoon", "evening").index)
    part = part_of(local)
    details: Details = {"part": part, "tried": ",".join(tried)}
    reasons = [Reason("another_part_of_day" if part not in tried else "same_part_of_day", details)]
    if local.date() not in {each.date() for each in failed}:
        reasons.append(Reason("another_day", {"days_tried": len({each.date() for each in failed})}))
    return reasons
