"""Callbacks, and the rules by which customers are contacted.

A callback is changed under its case's lock alone. Its clock locks the cases first, too, and passes over those that are
in other hands, so that it never waits for anybody.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import text

from services.casework.domain.calendars import Calendar, CalendarId, Shift
from services.casework.domain.callbacks import Callback
from services.casework.domain.contacting import ContactRules
from services.casework.store import cells

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Row

    from libs.events.database import Tx
    from services.casework.domain.names import CaseId

_OF_CASES: Final = text("""
    SELECT id, case_id, at, channel, state, agreed_at, agreed_by, moves, settled_at, outcome, fires_at
      FROM callbacks
     WHERE case_id = ANY(CAST(:cases AS uuid[]))
     ORDER BY agreed_at, id
""")

_SAVE: Final = text("""
    INSERT INTO callbacks (
           id, case_id, at, channel, state, agreed_at, agreed_by, moves, settled_at, outcome, fires_at)
    SELECT *
      FROM unnest(CAST(:ids AS uuid[]), CAST(:cases AS uuid[]), CAST(:at AS timestamptz[]), CAST(:channels AS text[]),
                  CAST(:states AS text[]), CAST(:agreed_at AS timestamptz[]), CAST(:agreed_by AS text[]),
                  CAST(:moves AS integer[]), CAST(:settled_at AS timestamptz[]), CAST(:outcomes AS text[]),
                  CAST(:fires_at AS timestamptz[]))
        ON CONFLICT (id) DO UPDATE
       SET at = excluded.at, channel = excluded.channel, state = excluded.state, moves = excluded.moves,
           settled_at = excluded.settled_at, outcome = excluded.outcome, fires_at = excluded.fires_at
""")

_FIRING: Final = text("""
    SELECT case_id
      FROM callbacks
     WHERE fires_at <= :now AND case_id <> ALL(CAST(:but AS uuid[]))
     ORDER BY fires_at
     LIMIT :limit
""")

_OLDEST: Final = text("SELECT fires_at FROM callbacks WHERE fires_at IS NOT NULL ORDER BY fires_at LIMIT 1")

_LIST: Final = text("""
    SELECT callbacks.id, case_id, at, callbacks.channel, state, agreed_at, agreed_by, moves, settled_at,
           callbacks.outcome, cases.owner_id, owners.name AS owner_name, cases.customer_id,
           customers.name AS customer_name, customers.time_zone, cases.tier, cases.level, cases.status
      FROM callbacks
      JOIN cases ON cases.id = callbacks.case_id
      LEFT JOIN agents AS owners ON owners.id = cases.owner_id
      LEFT JOIN customers ON customers.customer_id = cases.customer_id
     WHERE at >= :since AND at < :until
       AND (CAST(:owner AS text) IS NULL OR cases.owner_id = :owner)
       AND (CAST(:state AS text) IS NULL OR state = :state)
       AND (NOT :moved OR moves > 0)
       AND (at, callbacks.id) > (:after_at, CAST(:after_id AS uuid))
     ORDER BY at, callbacks.id
     LIMIT :limit
""")

_RULES: Final = text("""
    SELECT id, zone, week, early_minutes, grace_minutes, climbs_after_minutes, pause_minutes, version
      FROM contact_rules
""")
_LOCK_RULES: Final = text("SELECT version FROM contact_rules FOR UPDATE")
_PUT_RULES: Final = text("""
    UPDATE contact_rules
       SET zone = :zone, week = CAST(:week AS json), early_minutes = :early_minutes, grace_minutes = :grace_minutes,
           climbs_after_minutes = :climbs_after_minutes, pause_minutes = :pause_minutes, version = version + 1
""")

_WAYS: Final = text("SELECT time_zone, channels FROM customers WHERE customer_id = :customer_id")

_ATTEMPTS: Final = text("""
    SELECT at, COALESCE(details ->> 'channel', 'phone') AS channel, details ->> 'outcome' AS outcome
      FROM timeline
     WHERE case_id = :case_id AND kind = 'contacted' AND at >= :since
     ORDER BY version
""")

_json: Final = msgspec.json.Encoder().encode


async def of_cases(tx: Tx, cases: Iterable[CaseId]) -> list[Callback]:
    """All callbacks of these cases, the first agreed first. Whoever changes one holds its case."""
    return [_callback(row) for row in await tx.fetch(_OF_CASES, {"cases": list(cases)})]


async def pending(tx: Tx, case_id: CaseId) -> Callback | None:
    """The callback of the case that somebody still has to make, if there is one."""
    found = [each for each in await of_cases(tx, [case_id]) if each.is_pending]
    return found[-1] if found else None


async def save(tx: Tx, callbacks: Sequence[Callback]) -> None:
    """Store callbacks as they are now."""
    if not callbacks:
        return
    await tx.execute(
        _SAVE,
        {
            "ids": [each.id for each in callbacks],
            "cases": [each.case_id for each in callbacks],
            "at": [each.at for each in callbacks],
            "channels": [each.channel for each in callbacks],
            "states": [each.state for each in callbacks],
            "agreed_at": [each.agreed_at for each in callbacks],
            "agreed_by": [each.agreed_by for each in callbacks],
            "moves": [each.moves for each in callbacks],
            "settled_at": [each.settled_at for each in callbacks],
            "outcomes": [each.outcome for each in callbacks],
            "fires_at": [each.fires_at for each in callbacks],
        },
    )
    await cells.follow(tx, [each.id for each in callbacks])


async def firing(tx: Tx, limit: int, but: Iterable[CaseId] = ()) -> list[CaseId]:
    """The cases of which a callback has something to do by now, the longest due first; not locked."""
    rows = await tx.fetch(_FIRING, {"now": tx.now, "limit": limit, "but": list(but)})
    return list(dict.fromkeys(row.case_id for row in rows))


async def oldest_firing(tx: Tx) -> datetime | None:
    """The earliest instant at which a callback has, or had, something to do."""
    row = await tx.fetch_one(_OLDEST)
    return None if row is None else row.fires_at


async def in_time(
    tx: Tx,
    *,
    since: datetime,
    until: datetime,
    owner: str | None,
    state: str | None,
    moved: bool,
    after: tuple[datetime, UUID],
    limit: int,
) -> Sequence[Row[Any]]:
    """Callbacks that are agreed for this time, the earliest first, after this one."""
    return await tx.fetch(
        _LIST,
        {
            "since": since,
            "until": until,
            "owner": owner,
            "state": state,
            "moved": moved,
            "after_at": after[0],
            "after_id": after[1],
            "limit": limit,
        },
    )


async def rules(tx: Tx) -> ContactRules:
    """The company's rules."""
    row = await find_rules(tx)
    monday, tuesday, wednesday, thursday, friday, saturday, sunday = (
        tuple(Shift(start, end) for start, end in day) for day in row.week
    )
    return ContactRules(
        hours=Calendar(
            id=CalendarId("calling"),
            zone=ZoneInfo(row.zone),
            week=(monday, tuesday, wednesday, thursday, friday, saturday, sunday),
        ),
        early=timedelta(minutes=row.early_minutes),
        grace=timedelta(minutes=row.grace_minutes),
        climbs_after=timedelta(minutes=row.climbs_after_minutes),
        pause=timedelta(minutes=row.pause_minutes),
    )


async def find_rules(tx: Tx) -> Row[Any]:
    """The rules as the company edits them."""
    (row,) = await tx.fetch(_RULES)
    return row


async def lock_rules(tx: Tx) -> int:
    """The version of the rules, locked."""
    (row,) = await tx.fetch(_LOCK_RULES)
    return int(row.version)


async def put_rules(tx: Tx, fields: Mapping[str, object], week: Sequence[Sequence[tuple[int, int]]]) -> None:
    """Replace the rules. Callbacks that are agreed keep their instants."""
    await tx.execute(_PUT_RULES, {**fields, "week": _json(week).decode()})


async def ways_to(tx: Tx, customer_id: str) -> Row[Any] | None:
    """On which clock the customer lives and by which channels they can be reached; None where nobody is known."""
    return await tx.fetch_one(_WAYS, {"customer_id": customer_id})


async def attempts(tx: Tx, case_id: CaseId, since: datetime) -> Sequence[Row[Any]]:
    """The tries to reach the customer of this case since then, in their order."""
    return await tx.fetch(_ATTEMPTS, {"case_id": case_id, "since": since})


def _callback(row: Row[Any]) -> Callback:
    return Callback(
        id=row.id,
        case_id=row.case_id,
        at=row.at,
        channel=row.channel,
        state=row.state,
        agreed_at=row.agreed_at,
        agreed_by=row.agreed_by,
        moves=row.moves,
        settled_at=row.settled_at,
        outcome=row.outcome,
        fires_at=row.fires_at,
    )
