"""What departments did in a time, what they decided and owe, and what lies before each person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Row

    from libs.events.database import Tx

_DEPARTMENTS: Final = text("""
    SELECT d.id, d.name, coalesce(t.tasks_done, 0) AS tasks_done, coalesce(c.cases_closed, 0) AS cases_closed
      FROM departments d
      LEFT JOIN (SELECT department_id, count(*) AS tasks_done FROM tasks
                  WHERE state = 'done' AND kind = 'department' AND ended_at >= :since AND ended_at < :until
                  GROUP BY department_id) t ON t.department_id = d.id
      LEFT JOIN (SELECT coalesce(agents.department_id, teams.department_id) AS department_id, count(*) AS cases_closed
                   FROM cases
                   JOIN agents ON agents.id = cases.owner_id
                   LEFT JOIN teams ON teams.id = agents.team_id
                  WHERE cases.status = 'closed' AND cases.closed_at >= :since AND cases.closed_at < :until
                  GROUP BY 1) c ON c.department_id = d.id
     ORDER BY d.name, d.id
""")
_DECIDED: Final = text("""
    SELECT i.id, i.title, i.department_id, stage.name AS stage, stage.at,
           CASE WHEN stage.name = 'declined' THEN i.decision_reason END AS reason
      FROM initiatives i
     CROSS JOIN LATERAL (VALUES ('approved', CASE WHEN i.status <> 'declined' THEN i.decided_at END),
                                ('declined', CASE WHEN i.status = 'declined' THEN i.decided_at END),
                                ('shipped', i.shipped_at),
                                ('communicated', i.communicated_at)) AS stage (name, at)
     WHERE stage.at >= :since AND stage.at < :until
     ORDER BY stage.at, i.id, stage.name
     LIMIT :limit
""")
_OWED: Final = text("""
    SELECT i.id, i.title, i.department_id, agents.name AS owner_name, i.status, i.due_on, i.communicate_by,
           coalesce(i.status IN ('approved', 'in_progress') AND i.due_on < CAST(:now AS date), false) AS is_overdue,
           coalesce(i.communicate_by < :now, false) AS is_quarter_over
      FROM initiatives i JOIN agents ON agents.id = i.owner_id
     WHERE i.status <> 'declined' AND i.communicated_at IS NULL
       AND ((i.status IN ('approved', 'in_progress') AND i.due_on < CAST(:now AS date)) OR i.communicate_by < :soon)
     ORDER BY least(i.communicate_by, CAST(i.due_on AS timestamptz)), i.id
     LIMIT :limit
""")
# A page of people first, and then what each of them has: three looks by index, however many people and cases there are.
_WORK: Final = text("""
    WITH people AS MATERIALIZED (
        SELECT a.id, a.name, a.email, a.language, a.role, a.team_id,
               coalesce(a.department_id, t.department_id) AS department_id,
               ARRAY(SELECT led.id FROM teams led WHERE led.lead_id = a.id ORDER BY led.id) AS leads,
               ARRAY(SELECT run.id FROM departments run WHERE run.manager_id = a.id ORDER BY run.id) AS manages
          FROM agents a LEFT JOIN teams t ON t.id = a.team_id
         WHERE a.id > :after AND NOT a.disabled
         ORDER BY a.id
         LIMIT :limit)
    SELECT people.*, coalesce(c.cases, 0) AS cases, coalesce(c.cases_overdue, 0) AS cases_overdue,
           coalesce(k.tasks, 0) AS tasks, coalesce(k.tasks_overdue, 0) AS tasks_overdue
      FROM people
      LEFT JOIN (SELECT owner_id, count(*) AS cases,
                        count(*) FILTER (WHERE (first_contacted_at IS NULL AND first_contact_due_at < :now)
                                            OR resolution_due_at < :now) AS cases_overdue
                   FROM cases
                  WHERE status IN ('open', 'contacted') AND owner_id IN (SELECT id FROM people)
                  GROUP BY owner_id) c ON c.owner_id = people.id
      LEFT JOIN (SELECT owner_id, count(*) AS tasks, count(*) FILTER (WHERE due_at < :now) AS tasks_overdue
                   FROM tasks
                  WHERE state = 'open' AND owner_id IN (SELECT id FROM people)
                  GROUP BY owner_id) k ON k.owner_id = people.id
     ORDER BY people.id
""")


async def departments(tx: Tx, since: datetime, until: datetime) -> Sequence[Row[Any]]:
    """Each department with what it did in this time."""
    return await tx.fetch(_DEPARTMENTS, {"since": since, "until": until})


async def decided(tx: Tx, since: datetime, until: datetime, limit: int) -> Sequence[Row[Any]]:
    """What became of initiatives in this time, in its order."""
    return await tx.fetch(_DECIDED, {"since": since, "until": until, "limit": limit})


async def owed(tx: Tx, soon: datetime, limit: int) -> Sequence[Row[Any]]:
    """Initiatives that are late, and those whose quarter ends before `soon`; the most pressing first."""
    return await tx.fetch(_OWED, {"now": tx.now, "soon": soon, "limit": limit})


async def work(tx: Tx, *, after: str, limit: int) -> Sequence[Row[Any]]:
    """People in the order of their ids, with what lies before them."""
    return await tx.fetch(_WORK, {"after": after, "limit": limit, "now": tx.now})
