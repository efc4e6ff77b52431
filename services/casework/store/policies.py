"""SLA policies, the company's for each tier and those of programs, with the calendars that they name."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import text

from services.casework.domain.calendars import Calendar, CalendarId, Day, Shift
from services.casework.domain.policies import Policies, Policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Row

    from libs.events.database import Tx
    from services.casework.domain.names import Tier

# What every transaction needs that decides about clocks, in one statement.
_LOAD: Final = text("""
    SELECT policies.*, zone, CAST(week AS text) AS week, holidays, CAST(special_days AS text) AS special_days
      FROM (SELECT NULL AS program, tier, first_contact_hours, resolution_hours, reopened_first_contact_hours,
                   reopened_resolution_hours, management_hours, executive_hours, confirmation_days, longest_wait_days,
                   unanswered_attempts, COALESCE(warnings, ARRAY[warn_after]) AS warnings, calendar_id
              FROM sla_policies
             UNION ALL
            SELECT program, tier, first_contact_hours, resolution_hours, reopened_first_contact_hours,
                   reopened_resolution_hours, management_hours, executive_hours, confirmation_days, longest_wait_days,
                   unanswered_attempts, warnings, calendar_id
              FROM program_policies) AS policies
      LEFT JOIN calendars ON calendars.id = policies.calendar_id
""")

_LIST: Final = text("""
    SELECT tier, first_contact_hours, resolution_hours, reopened_first_contact_hours, reopened_resolution_hours,
           management_hours, executive_hours, confirmation_days, longest_wait_days, unanswered_attempts,
           COALESCE(warnings, ARRAY[warn_after]) AS warnings, calendar_id, version
      FROM sla_policies
     ORDER BY array_position(ARRAY['key', 'high', 'standard', 'low'], tier)
""")

_FIND: Final = text("""
    SELECT tier, first_contact_hours, resolution_hours, reopened_first_contact_hours, reopened_resolution_hours,
           management_hours, executive_hours, confirmation_days, longest_wait_days, unanswered_attempts,
           COALESCE(warnings, ARRAY[warn_after]) AS warnings, calendar_id, version
      FROM sla_policies
     WHERE tier = :tier
""")

_LOCK: Final = text("SELECT version FROM sla_policies WHERE tier = :tier FOR UPDATE")

# A policy for each tier is there from the first migration on, and none is ever taken away.
_PUT: Final = text("""
    UPDATE sla_policies
       SET first_contact_hours = :first_contact_hours, resolution_hours = :resolution_hours,
           reopened_first_contact_hours = :reopened_first_contact_hours,
           reopened_resolution_hours = :reopened_resolution_hours, management_hours = :management_hours,
           executive_hours = :executive_hours, confirmation_days = :confirmation_days,
           longest_wait_days = :longest_wait_days, unanswered_attempts = :unanswered_attempts,
           warnings = CAST(:warnings AS double precision[]),
           warn_after = (CAST(:warnings AS double precision[]))[1], calendar_id = :calendar_id, version = version + 1
     WHERE tier = :tier
""")

_LIST_OF_PROGRAM: Final = text("""
    SELECT program, tier, first_contact_hours, resolution_hours, reopened_first_contact_hours,
           reopened_resolution_hours, management_hours, executive_hours, confirmation_days, longest_wait_days,
           unanswered_attempts, warnings, calendar_id, version
      FROM program_policies
     WHERE program = :program
     ORDER BY array_position(ARRAY['key', 'high', 'standard', 'low'], tier)
""")

_FIND_OF_PROGRAM: Final = text("""
    SELECT program, tier, first_contact_hours, resolution_hours, reopened_first_contact_hours,
           reopened_resolution_hours, management_hours, executive_hours, confirmation_days, longest_wait_days,
           unanswered_attempts, warnings, calendar_id, version
      FROM program_policies
     WHERE program = :program AND tier = :tier
""")

_LOCK_OF_PROGRAM: Final = text("""
    SELECT version FROM program_policies WHERE program = :program AND tier = :tier FOR UPDATE
""")

_PUT_OF_PROGRAM: Final = text("""
    INSERT INTO program_policies AS known (
           program, tier, first_contact_hours, resolution_hours, reopened_first_contact_hours,
           reopened_resolution_hours, management_hours, executive_hours, confirmation_days, longest_wait_days,
           unanswered_attempts, warnings, calendar_id, version)
    VALUES (:program, :tier, :first_contact_hours, :resolution_hours, :reopened_first_contact_hours,
            :reopened_resolution_hours, :management_hours, :executive_hours, :confirmation_days, :longest_wait_days,
            :unanswered_attempts, CAST(:warnings AS double precision[]), :calendar_id, 1)
        ON CONFLICT (program, tier) DO UPDATE
       SET first_contact_hours = excluded.first_contact_hours, resolution_hours = excluded.resolution_hours,
           reopened_first_contact_hours = excluded.reopened_first_contact_hours,
           reopened_resolution_hours = excluded.reopened_resolution_hours,
           management_hours = excluded.management_hours, executive_hours = excluded.executive_hours,
           confirmation_days = excluded.confirmation_days, longest_wait_days = excluded.longest_wait_days,
           unanswered_attempts = excluded.unanswered_attempts,
           warnings = excluded.warnings, calendar_id = excluded.calendar_id, version = known.version + 1
""")

_DELETE_OF_PROGRAM: Final = text("DELETE FROM program_policies WHERE program = :program AND tier = :tier")

_CALENDARS: Final = text("""
    SELECT id, name, zone, week, holidays, special_days, version
      FROM calendars
     WHERE id > :after
     ORDER BY id
     LIMIT :limit
""")
_CALENDAR: Final = text("SELECT id, name, zone, week, holidays, special_days, version FROM calendars WHERE id = :id")
_THESE_CALENDARS: Final = text("""
    SELECT id AS calendar_id, zone, CAST(week AS text) AS week, holidays, CAST(special_days AS text) AS special_days
      FROM calendars
     WHERE id = ANY(CAST(:ids AS text[]))
""")
_LOCK_CALENDAR: Final = text("SELECT version FROM calendars WHERE id = :id FOR UPDATE")
_PUT_CALENDAR: Final = text("""
    INSERT INTO calendars AS known (id, name, zone, week, holidays, special_days, version)
    VALUES (:id, :name, :zone, CAST(:week AS json), CAST(:holidays AS date[]), CAST(:special_days AS json), 1)
        ON CONFLICT (id) DO UPDATE
       SET name = excluded.name, zone = excluded.zone, week = excluded.week, holidays = excluded.holidays,
           special_days = excluded.special_days, version = known.version + 1
""")
_DELETE_CALENDAR: Final = text("""
    DELETE FROM calendars
     WHERE id = :id AND NOT EXISTS (SELECT FROM sla_policies WHERE calendar_id = :id)
       AND NOT EXISTS (SELECT FROM program_policies WHERE calendar_id = :id)
       AND NOT EXISTS (SELECT FROM agents WHERE calendar_id = :id)
       AND NOT EXISTS (SELECT FROM teams WHERE calendar_id = :id)
       AND NOT EXISTS (SELECT FROM departments WHERE calendar_id = :id)
""")

_week: Final = msgspec.json.Decoder(tuple[list[tuple[int, int]], ...]).decode
_special_days: Final = msgspec.json.Decoder(dict[date, list[tuple[int, int]]]).decode
_json: Final = msgspec.json.Encoder().encode


async def load(tx: Tx) -> Policies:
    """All policies with their calendars."""
    by_tier: dict[Tier, Policy] = {}
    by_program: dict[tuple[str, Tier], Policy] = {}
    calendars: dict[CalendarId, Calendar] = {}
    for row in await tx.fetch(_LOAD):
        calendar = None
        if row.calendar_id is not None:
            if row.calendar_id not in calendars:
                calendars[row.calendar_id] = _calendar(row)
            calendar = calendars[row.calendar_id]
        policy = _policy(row, calendar)
        if row.program is None:
            by_tier[row.tier] = policy
        else:
            by_program[row.program, row.tier] = policy
    return Policies(by_tier, by_program)


def _policy(row: Row[Any], calendar: Calendar | None) -> Policy:
    return Policy(
        tier=row.tier,
        first_contact=timedelta(hours=row.first_contact_hours),
        resolution=timedelta(hours=row.resolution_hours),
        reopened_first_contact=timedelta(hours=row.reopened_first_contact_hours),
        reopened_resolution=timedelta(hours=row.reopened_resolution_hours),
        management=timedelta(hours=row.management_hours),
        executive=timedelta(hours=row.executive_hours),
        confirmation=timedelta(days=row.confirmation_days),
        longest_wait=timedelta(days=row.longest_wait_days),
        unanswered_attempts=row.unanswered_attempts,
        warnings=tuple(row.warnings),
        calendar=calendar,
    )


def _calendar(row: Row[Any]) -> Calendar:
    monday, tuesday, wednesday, thursday, friday, saturday, sunday = (_day(day) for day in _week(row.week))
    return Calendar(
        id=row.calendar_id,
        zone=ZoneInfo(row.zone),
        week=(monday, tuesday, wednesday, thursday, friday, saturday, sunday),
        holidays=frozenset(row.holidays),
        special_days={day: _day(shifts) for day, shifts in _special_days(row.special_days).items()},
    )


def _day(shifts: Sequence[tuple[int, int]]) -> Day:
    return tuple(Shift(start, end) for start, end in shifts)


async def list_policies(tx: Tx) -> Sequence[Row[Any]]:
    """The company's policies as it edits them, the most valuable tier first."""
    return await tx.fetch(_LIST)


async def find_policy(tx: Tx, tier: Tier) -> Row[Any] | None:
    """The company's policy of one tier."""
    return await tx.fetch_one(_FIND, {"tier": tier})


async def lock_policy(tx: Tx, tier: Tier) -> int | None:
    """The policy's version, locked."""
    row = await tx.fetch_one(_LOCK, {"tier": tier})
    return None if row is None else int(row.version)


async def put_policy(tx: Tx, tier: Tier, fields: Mapping[str, object]) -> None:
    """Replace the policy. Clocks that run keep their instants."""
    await tx.execute(_PUT, {"tier": tier, **fields})


async def list_policies_of(tx: Tx, program: str) -> Sequence[Row[Any]]:
    """The policies that the program has of its own, the most valuable tier first."""
    return await tx.fetch(_LIST_OF_PROGRAM, {"program": program})


async def find_policy_of(tx: Tx, program: str, tier: Tier) -> Row[Any] | None:
    """The program's own policy of one tier."""
    return await tx.fetch_one(_FIND_OF_PROGRAM, {"program": program, "tier": tier})


async def lock_policy_of(tx: Tx, program: str, tier: Tier) -> int | None:
    """The version of the program's own policy, locked."""
    row = await tx.fetch_one(_LOCK_OF_PROGRAM, {"program": program, "tier": tier})
    return None if row is None else int(row.version)


async def put_policy_of(tx: Tx, program: str, tier: Tier, fields: Mapping[str, object]) -> None:
    """Create or replace the program's own policy."""
    await tx.execute(_PUT_OF_PROGRAM, {"program": program, "tier": tier, **fields})


async def delete_policy_of(tx: Tx, program: str, tier: Tier) -> None:
    """From now on the company's policy holds."""
    await tx.execute(_DELETE_OF_PROGRAM, {"program": program, "tier": tier})


async def list_calendars(tx: Tx, *, after: str, limit: int) -> Sequence[Row[Any]]:
    """Calendars in the order of their ids, after this one."""
    return await tx.fetch(_CALENDARS, {"after": after, "limit": limit})


async def calendars_of(tx: Tx, ids: Iterable[CalendarId]) -> dict[CalendarId, Calendar]:
    """These calendars."""
    return {row.calendar_id: _calendar(row) for row in await tx.fetch(_THESE_CALENDARS, {"ids": sorted(ids)})}


async def find_calendar(tx: Tx, id_: str) -> Row[Any] | None:
    """One calendar."""
    return await tx.fetch_one(_CALENDAR, {"id": id_})


async def lock_calendar(tx: Tx, id_: str) -> int | None:
    """The calendar's version, locked."""
    row = await tx.fetch_one(_LOCK_CALENDAR, {"id": id_})
    return None if row is None else int(row.version)


async def put_calendar(tx: Tx, calendar: Calendar, name: str) -> None:
    """Create or replace the calendar. Clocks that run keep their instants."""
    await tx.execute(
        _PUT_CALENDAR,
        {
            "id": calendar.id,
            "name": name,
            "zone": calendar.zone.key,
            "week": _json([_minutes(day) for day in calendar.week]).decode(),
            "holidays": sorted(calendar.holidays),
            "special_days": _json(
                {str(day): _minutes(calendar.special_days[day]) for day in calendar.special_days}
            ).decode(),
        },
    )


def _minutes(day: Day) -> list[tuple[int, int]]:
    return [(shift.start, shift.end) for shift in day]


async def delete_calendar(tx: Tx, id_: str) -> bool:
    """Take the calendar away, unless a policy, a team, a department or an agent names it; whether it is gone."""
    return await tx.execute(_DELETE_CALENDAR, {"id": id_}) > 0
