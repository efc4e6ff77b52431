"""How the loop itself is doing: cases counted by how soon and how well they were closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Row

    from libs.events.database import Tx
    from services.casework.domain.names import Tier

Grouping = Literal["team", "department", "tier", "program", "touchpoint", "day", "week", "month"]

# The 48 hours are those of the domain's rule, whatever a policy allows: a company that gives itself more time is shown
# what it does to its customers. A case is counted for them once it was contacted or once they are over.
_HEALTH: Final = text("""
    SELECT CASE CAST(:by AS text)
               WHEN 'team' THEN agents.team_id
               WHEN 'department' THEN coalesce(agents.department_id, teams.department_id)
               WHEN 'tier' THEN cases.tier
               WHEN 'program' THEN cases.program
               WHEN 'touchpoint' THEN cases.touchpoint
               WHEN 'day' THEN to_char(cases.opened_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')
               WHEN 'week' THEN to_char(date_trunc('week', cases.opened_at AT TIME ZONE 'UTC'), 'YYYY-MM-DD')
               WHEN 'month' THEN to_char(cases.opened_at AT TIME ZONE 'UTC', 'YYYY-MM')
           END AS grouped,
           count(*) AS cases,
           count(*) FILTER (WHERE first_contacted_at IS NOT NULL OR answered_at + interval '48 hours' <= :now) AS due,
           count(*) FILTER (WHERE first_contacted_at <= answered_at + interval '48 hours') AS contacted_in_time,
           count(first_contacted_at) AS contacted,
           percentile_cont(0.5) WITHIN GROUP (
               ORDER BY extract(epoch FROM first_contacted_at - answered_at)) AS median_to_contact,
           count(*) FILTER (WHERE round > 0) AS resolved,
           count(resolved_at) AS standing,
           percentile_cont(0.5) WITHIN GROUP (
               ORDER BY extract(epoch FROM resolved_at - answered_at)) AS median_to_resolve,
           count(*) FILTER (WHERE status = 'closed' AND round > 0) AS closed,
           count(*) FILTER (WHERE outcome = 'confirmed') AS confirmed,
           count(*) FILTER (WHERE outcome = 'unconfirmed' AND round > 0) AS unconfirmed,
           count(*) FILTER (WHERE reopenings > 0) AS reopened,
           count(*) FILTER (WHERE level <> 'frontline') AS escalated,
           count(*) FILTER (WHERE status IN ('open', 'contacted')) AS running
      FROM cases
      JOIN agents ON agents.id = cases.owner_id
      LEFT JOIN teams ON teams.id = agents.team_id
     WHERE cases.opened_at >= :since AND cases.opened_at < :until
       AND (CAST(:team AS text) IS NULL OR agents.team_id = :team)
       AND (CAST(:department AS text) IS NULL OR coalesce(agents.department_id, teams.department_id) = :department)
       AND (CAST(:tier AS text) IS NULL OR cases.tier = :tier)
       AND (CAST(:program AS text) IS NULL OR cases.program = :program)
     GROUP BY 1
     ORDER BY 1 NULLS LAST
""")

# By hours from the answer to the first time that somebody spoke with the customer.
_DELAY: Final = text("""
    WITH reached AS (
        SELECT width_bucket(extract(epoch FROM first_contacted_at - answered_at) / 3600.0,
                            CAST(:bounds AS double precision[])) AS bucket,
               status, outcome, reopenings, round
          FROM cases
         WHERE opened_at >= :since AND opened_at < :until AND first_contacted_at IS NOT NULL
           AND (CAST(:tier AS text) IS NULL OR tier = :tier)
           AND (CAST(:program AS text) IS NULL OR program = :program)
    )
    SELECT bucket, count(*) AS cases,
           count(*) FILTER (WHERE status = 'closed' AND round > 0) AS closed,
           count(*) FILTER (WHERE outcome = 'confirmed') AS confirmed,
           count(*) FILTER (WHERE round > 0) AS resolved,
           count(*) FILTER (WHERE reopenings > 0) AS reopened
      FROM reached
     GROUP BY bucket
     ORDER BY bucket
""")

# A quarter is counted once its change was told, or once it is over.
_INITIATIVES: Final = text("""
    SELECT count(*) FILTER (WHERE shipped_at >= :since AND shipped_at < :until) AS shipped,
           count(*) FILTER (WHERE status <> 'declined' AND communicate_by IS NOT NULL
                              AND ((communicated_at >= :since AND communicated_at < :until)
                                   OR (communicated_at IS NULL AND communicate_by >= :since
                                       AND communicate_by < least(:until, :now)))) AS due,
           count(*) FILTER (WHERE communicated_at >= :since AND communicated_at < :until
                              AND communicated_at <= communicate_by) AS told_in_time
      FROM initiatives
     WHERE CAST(:department AS text) IS NULL OR department_id = :department
""")


_GROUP_NAMES: Final = text("""
    SELECT 'team' AS kind, id, name FROM teams
     UNION ALL
    SELECT 'department' AS kind, id, name FROM departments
     ORDER BY kind, name, id
""")


async def group_names(tx: Tx) -> Sequence[Row[Any]]:
    """What all teams and departments are called, by name."""
    return await tx.fetch(_GROUP_NAMES)


async def health(
    tx: Tx,
    *,
    since: datetime,
    until: datetime,
    by: Grouping | None = None,
    team: str | None = None,
    department: str | None = None,
    tier: Tier | None = None,
    program: str | None = None,
) -> Sequence[Row[Any]]:
    """Cases opened in this time, counted by group; one row where no grouping is asked for, none where no case is."""
    return await tx.fetch(
        _HEALTH,
        {
            "by": by,
            "since": since,
            "until": until,
            "now": tx.now,
            "team": team,
            "department": department,
            "tier": tier,
            "program": program,
        },
    )


async def delay(
    tx: Tx,
    *,
    bounds: Sequence[float],
    since: datetime,
    until: datetime,
    tier: Tier | None = None,
    program: str | None = None,
) -> Sequence[Row[Any]]:
    """How cases ended by how late the first contact was; bucket i holds [bounds[i - 1], bounds[i]) in hours."""
    parameters = {"bounds": list(bounds), "since": since, "until": until, "tier": tier, "program": program}
    return await tx.fetch(_DELAY, parameters)


async def initiatives(tx: Tx, *, since: datetime, until: datetime, department: str | None = None) -> Row[Any] | None:
    """How many changes shipped, how many should have been told of by now, and how many were within their quarter."""
    return await tx.fetch_one(_INITIATIVES, {"since": since, "until": until, "now": tx.now, "department": department})
