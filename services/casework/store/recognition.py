"""Proposals to name somebody, what was decided about them, and who does not want to be named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

from services.casework.domain.names import AgentId
from services.casework.domain.recognition import Status, Tally, proposal_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime
    from uuid import UUID

    from sqlalchemy import Row

    from libs.events.database import Tx
    from services.casework.domain.recognition import Standing

# The first to write the month looks at it; another process waits here, and then finds it done.
_BEGIN: Final = text("INSERT INTO recognition_months (month, looked_at) VALUES (:month, :now) ON CONFLICT DO NOTHING")
_LOOKED_AT: Final = text("SELECT EXISTS (SELECT FROM recognition_months WHERE month = :month) AS done")
# 48 hours from the customer's answer, as `domain.md` has it and as the measures of the loop count.
_TALLIES: Final = text("""
    SELECT owner_id, difficulty, count(*) AS cases, count(*) FILTER (WHERE is_confirmed) AS confirmed,
           count(*) FILTER (WHERE is_in_time) AS in_time, count(*) FILTER (WHERE reopenings = 0) AS never_reopened,
           count(*) FILTER (WHERE is_confirmed AND is_in_time AND reopenings = 0) AS well
      FROM (SELECT owner_id, reopenings, outcome = 'confirmed' AS is_confirmed,
                   CASE WHEN score <= 2 THEN 1 WHEN score <= 4 THEN 2 WHEN score <= 6 THEN 3 ELSE 4 END AS difficulty,
                   coalesce(first_contacted_at <= answered_at + interval '48 hours', false) AS is_in_time
              FROM cases
             WHERE status = 'closed' AND round > 0 AND closed_at >= :since AND closed_at < :until) AS closed
     GROUP BY owner_id, difficulty
""")
_PROPOSE: Final = text("""
    INSERT INTO recognitions (id, month, agent_id, cases, confirmed, in_time, never_reopened, well, share, low, high,
                              expected, status, proposed_at, version)
    SELECT given.id, :month, given.agent_id, cases, confirmed, in_time, never_reopened, well, share, low, high,
           expected, 'proposed', :now, 1
      FROM unnest(CAST(:ids AS uuid[]), CAST(:agents AS text[]), CAST(:cases AS integer[]),
                  CAST(:confirmed AS integer[]), CAST(:in_time AS integer[]), CAST(:never_reopened AS integer[]),
                  CAST(:well AS integer[]), CAST(:shares AS double precision[]), CAST(:lows AS double precision[]),
                  CAST(:highs AS double precision[]), CAST(:expected AS double precision[]))
           AS given (id, agent_id, cases, confirmed, in_time, never_reopened, well, share, low, high, expected)
      JOIN agents ON agents.id = given.agent_id AND NOT agents.disabled
     WHERE NOT EXISTS (SELECT FROM recognition_choices c WHERE c.agent_id = given.agent_id)
        ON CONFLICT (month, agent_id) DO NOTHING
""")
_PROPOSALS: Final = text("""
    SELECT r.id, r.month, r.agent_id, agents.name, coalesce(departments.name, teams.name) AS place, r.cases,
           r.confirmed, r.in_time, r.never_reopened, r.well, r.share, r.low, r.high, r.expected, r.status,
           r.proposed_at, r.decided_by, deciders.name AS decided_by_name, r.decided_at, r.reason, r.version,
           c.agent_id IS NOT NULL AS opted_out
      FROM recognitions r
      JOIN agents ON agents.id = r.agent_id
      LEFT JOIN teams ON teams.id = agents.team_id
      LEFT JOIN departments ON departments.id = coalesce(agents.department_id, teams.department_id)
      LEFT JOIN agents deciders ON deciders.id = r.decided_by
      LEFT JOIN recognition_choices c ON c.agent_id = r.agent_id
     WHERE r.id = :id
        OR (CAST(:id AS uuid) IS NULL
            AND r.month = coalesce(CAST(:month AS date), (SELECT max(month) FROM recognition_months)))
     ORDER BY r.expected - r.low, r.agent_id
""")
_MONTHS: Final = text("SELECT month FROM recognition_months ORDER BY month DESC LIMIT 24")
_LOCK: Final = text("""
    SELECT r.id, r.agent_id, r.status, r.version,
           EXISTS (SELECT FROM recognition_choices c WHERE c.agent_id = r.agent_id) AS opted_out
      FROM recognitions r WHERE r.id = :id
       FOR UPDATE OF r
""")
_DECIDE: Final = text("""
    UPDATE recognitions
       SET status = :status, decided_by = :by, decided_at = :now, reason = :reason, version = version + 1
     WHERE id = :id
""")
_TOLD: Final = text("""
    SELECT r.agent_id, agents.name, coalesce(departments.name, teams.name) AS place, r.month, r.cases, r.well,
           r.decided_at
      FROM recognitions r
      JOIN agents ON agents.id = r.agent_id AND NOT agents.disabled
      LEFT JOIN teams ON teams.id = agents.team_id
      LEFT JOIN departments ON departments.id = coalesce(agents.department_id, teams.department_id)
     WHERE r.status = 'approved' AND r.decided_at >= :since AND r.decided_at < :until
       AND NOT EXISTS (SELECT FROM recognition_choices c WHERE c.agent_id = r.agent_id)
     ORDER BY agents.name, r.agent_id, r.month
""")
_WANTS: Final = text("""
    SELECT NOT EXISTS (SELECT FROM recognition_choices WHERE agent_id = agents.id) AS wanted
      FROM agents WHERE id = :agent_id
""")
_OPT_OUT: Final = text("""
    INSERT INTO recognition_choices (agent_id, at) VALUES (:agent_id, :now) ON CONFLICT (agent_id) DO NOTHING
""")
_OPT_IN: Final = text("DELETE FROM recognition_choices WHERE agent_id = :agent_id")


async def is_looked_at(tx: Tx, month: date) -> bool:
    """Whether somebody has gone through this month."""
    row = await tx.fetch_one(_LOOKED_AT, {"month": month})
    return row is not None and bool(row.done)


async def begin(tx: Tx, month: date) -> bool:
    """Take this month on; False where somebody has."""
    return await tx.execute(_BEGIN, {"month": month, "now": tx.now}) == 1


async def tallies(tx: Tx, since: datetime, until: datetime) -> list[Tally]:
    """What was closed in this time, by person and difficulty."""
    return [
        Tally(
            agent_id=AgentId(row.owner_id),
            difficulty=row.difficulty,
            cases=row.cases,
            confirmed=row.confirmed,
            in_time=row.in_time,
            never_reopened=row.never_reopened,
            well=row.well,
        )
        for row in await tx.fetch(_TALLIES, {"since": since, "until": until})
    ]


async def propose(tx: Tx, month: date, found: Sequence[Standing]) -> int:
    """Propose these people, but those who do not want to be named; how many."""
    return await tx.execute(
        _PROPOSE,
        {
            "month": month,
            "now": tx.now,
            "ids": [proposal_id(month, each.agent_id) for each in found],
            "agents": [each.agent_id for each in found],
            "cases": [each.cases for each in found],
            "confirmed": [each.confirmed for each in found],
            "in_time": [each.in_time for each in found],
            "never_reopened": [each.never_reopened for each in found],
            "well": [each.well for each in found],
            "shares": [each.share for each in found],
            "lows": [each.low for each in found],
            "highs": [each.high for each in found],
            "expected": [each.expected for each in found],
        },
    )


async def of_month(tx: Tx, month: date | None) -> Sequence[Row[Any]]:
    """The proposals of a month, or of the latest that was looked at."""
    return await tx.fetch(_PROPOSALS, {"month": month, "id": None})


async def one(tx: Tx, id_: UUID) -> Row[Any] | None:
    """A proposal."""
    return await tx.fetch_one(_PROPOSALS, {"month": None, "id": id_})


async def months(tx: Tx) -> list[date]:
    """The months that were looked at, the latest first."""
    return [row.month for row in await tx.fetch(_MONTHS)]


async def lock(tx: Tx, id_: UUID) -> Row[Any] | None:
    """A proposal, locked."""
    return await tx.fetch_one(_LOCK, {"id": id_})


async def decide(tx: Tx, id_: UUID, status: Status, *, by: str | None, reason: str | None) -> None:
    """Note what was decided."""
    await tx.execute(_DECIDE, {"id": id_, "status": str(status), "by": by, "reason": reason, "now": tx.now})


async def told(tx: Tx, since: datetime, until: datetime) -> Sequence[Row[Any]]:
    """Who was approved in this time and wants to be named."""
    return await tx.fetch(_TOLD, {"since": since, "until": until})


async def wants(tx: Tx, agent_id: str) -> bool | None:
    """Whether somebody wants to be named where they deserve it; None where casework does not know them."""
    row = await tx.fetch_one(_WANTS, {"agent_id": agent_id})
    return None if row is None else bool(row.wanted)


async def choose(tx: Tx, agent_id: str, *, wanted: bool) -> None:
    """Keep what somebody said about being named."""
    if wanted:
        await tx.execute(_OPT_IN, {"agent_id": agent_id})
    else:
        await tx.execute(_OPT_OUT, {"agent_id": agent_id, "now": tx.now})
