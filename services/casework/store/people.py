"""Agents, teams and departments: as routing needs them, and as the company edits them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

from services.casework.domain.agents import EVERYTHING, Agent, Handles, Staff
from services.casework.domain.routing import Desk
from services.casework.store import policies

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Row

    from libs.events.database import Tx

# Who gets a case is decided by the staff as one transaction reads it. Whoever leaves waits for those that are deciding,
# so that what is handed over afterwards is all there is; who decides later reads of it. In a statement of its own: the
# staff is then read as it is when the wait is over.
_ASSIGNING: Final = text("SELECT pg_advisory_xact_lock_shared(hashtextextended('casework.staff', 0))")
_LEAVING: Final = text("SELECT pg_advisory_xact_lock(hashtextextended('casework.staff', 0))")

_STAFF: Final = text("""
    SELECT agents.id, agents.name, agents.email, agents.language, agents.role, agents.seniority, agents.capacity,
           agents.absent_from, agents.absent_until, agents.disabled,
           teams.lead_id AS team_lead_id, departments.manager_id AS department_manager_id,
           COALESCE(agent_loads.running_cases, 0) AS running_cases, languages, absences,
           agents.programs, agents.touchpoints, agents.themes, teams.programs AS team_programs,
           teams.touchpoints AS team_touchpoints, teams.themes AS team_themes,
           COALESCE(agents.calendar_id, teams.calendar_id) AS calendar_id
      FROM agents
      LEFT JOIN teams ON teams.id = agents.team_id
      LEFT JOIN departments ON departments.id = agents.department_id
      LEFT JOIN agent_loads ON agent_loads.agent_id = agents.id
""")

_AGENTS: Final = text("""
    SELECT id, name, email, language, role, seniority, team_id, department_id, capacity, absent_from, absent_until,
           disabled, version, COALESCE(agent_loads.running_cases, 0) AS running_cases, languages, programs,
           touchpoints, themes, calendar_id, absences
      FROM agents
      LEFT JOIN agent_loads ON agent_loads.agent_id = agents.id
     WHERE id > :after
     ORDER BY id
     LIMIT :limit
""")

_AGENT: Final = text("""
    SELECT id, name, email, language, role, seniority, team_id, department_id, capacity, absent_from, absent_until,
           disabled, version, COALESCE(agent_loads.running_cases, 0) AS running_cases, languages, programs,
           touchpoints, themes, calendar_id, absences
      FROM agents
      LEFT JOIN agent_loads ON agent_loads.agent_id = agents.id
     WHERE id = :id
""")

_LOCK_AGENT: Final = text("SELECT version FROM agents WHERE id = :id FOR NO KEY UPDATE")

_PUT_AGENT: Final = text("""
    INSERT INTO agents (id, name, email, language, role, seniority, team_id, department_id, capacity, absent_from,
                        absent_until, disabled, languages, programs, touchpoints, themes, calendar_id, absences,
                        version)
    VALUES (:id, :name, :email, :language, :role, :seniority, :team_id, :department_id, :capacity, :absent_from,
            :absent_until, :disabled, :languages, :programs, :touchpoints, :themes, :calendar_id, :absences, 1)
        ON CONFLICT (id) DO UPDATE
       SET name = excluded.name, email = excluded.email, language = excluded.language, role = excluded.role,
           seniority = excluded.seniority, team_id = excluded.team_id, department_id = excluded.department_id,
           capacity = excluded.capacity, absent_from = excluded.absent_from, absent_until = excluded.absent_until,
           disabled = excluded.disabled, languages = excluded.languages, programs = excluded.programs,
           touchpoints = excluded.touchpoints, themes = excluded.themes, calendar_id = excluded.calendar_id,
           absences = excluded.absences, version = agents.version + 1
""")

_TEAMS: Final = text("""
    SELECT id, name, lead_id, department_id, programs, touchpoints, themes, calendar_id, retired, version
      FROM teams
     WHERE id > :after
     ORDER BY id
     LIMIT :limit
""")

_TEAM: Final = text("""
    SELECT id, name, lead_id, department_id, programs, touchpoints, themes, calendar_id, retired, version
      FROM teams
     WHERE id = :id
""")

_LOCK_TEAM: Final = text("SELECT version FROM teams WHERE id = :id FOR NO KEY UPDATE")

_PUT_TEAM: Final = text("""
    INSERT INTO teams (id, name, lead_id, department_id, programs, touchpoints, themes, calendar_id, retired, version)
    VALUES (:id, :name, :lead_id, :department_id, :programs, :touchpoints, :themes, :calendar_id, :retired, 1)
        ON CONFLICT (id) DO UPDATE
       SET name = excluded.name, lead_id = excluded.lead_id, department_id = excluded.department_id,
           programs = excluded.programs, touchpoints = excluded.touchpoints, themes = excluded.themes,
           calendar_id = excluded.calendar_id, retired = excluded.retired, version = teams.version + 1
""")

_DEPARTMENTS: Final = text("""
    SELECT id, name, manager_id, task_hours, calendar_id, retired, version
      FROM departments
     WHERE id > :after
     ORDER BY id
     LIMIT :limit
""")

_DEPARTMENT: Final = text("""
    SELECT id, name, manager_id, task_hours, calendar_id, retired, version FROM departments WHERE id = :id
""")

_LOCK_DEPARTMENT: Final = text("SELECT version FROM departments WHERE id = :id FOR NO KEY UPDATE")

_PUT_DEPARTMENT: Final = text("""
    INSERT INTO departments (id, name, manager_id, task_hours, calendar_id, retired, version)
    VALUES (:id, :name, :manager_id, :task_hours, :calendar_id, :retired, 1)
        ON CONFLICT (id) DO UPDATE
       SET name = excluded.name, manager_id = excluded.manager_id, task_hours = excluded.task_hours,
           calendar_id = excluded.calendar_id, retired = excluded.retired, version = departments.version + 1
""")

# Held until the end of the transaction, so that nobody joins what somebody else retires at the same moment.
_HOLD_TEAM: Final = text("SELECT retired FROM teams WHERE id = :id FOR SHARE")

_HOLD_DEPARTMENT: Final = text("SELECT retired FROM departments WHERE id = :id FOR SHARE")

_TEAM_IN_USE: Final = text("""
    SELECT EXISTS (SELECT FROM agents WHERE team_id = :id AND NOT disabled) AS people
""")

_DEPARTMENT_IN_USE: Final = text("""
    SELECT EXISTS (SELECT FROM agents WHERE department_id = :id AND NOT disabled) AS people,
           EXISTS (SELECT FROM teams WHERE department_id = :id AND NOT retired) AS teams,
           EXISTS (SELECT FROM tasks WHERE department_id = :id AND state = 'open') AS tasks
""")

_UNSAID_OF_TEAM: Final[Mapping[str, object]] = {"programs": [], "touchpoints": [], "themes": [], "calendar_id": None}
_UNSAID: Final[Mapping[str, object]] = {"languages": [], "absences": [], **_UNSAID_OF_TEAM}
"""What of a person is only said where it narrows what they get."""

_NAMES: Final = text("SELECT id, name FROM agents WHERE id = ANY(CAST(:ids AS text[]))")


async def staff(tx: Tx) -> Staff:
    """Everybody, with their leads and loads."""
    return Staff.of(
        Agent(
            id=row.id,
            name=row.name,
            email=row.email,
            language=row.language,
            role=row.role,
            seniority=row.seniority,
            capacity=row.capacity,
            team_lead_id=row.team_lead_id,
            department_manager_id=row.department_manager_id,
            absent_from=row.absent_from,
            absent_until=row.absent_until,
            disabled=row.disabled,
            running_cases=row.running_cases,
            languages=frozenset(row.languages),
            handles=_handles(row),
            calendar_id=row.calendar_id,
            absences=tuple(zip(row.absences[::2], row.absences[1::2], strict=True)),
        )
        for row in await tx.fetch(_STAFF)
    )


async def assigning(tx: Tx) -> Staff:
    """Everybody, for who gives somebody a case or a task: until the end of `tx`, none of them leaves."""
    await tx.execute(_ASSIGNING)
    return await staff(tx)


async def desk(tx: Tx, everybody: Staff) -> Desk:
    """Who hands out cases to `everybody` at this moment, in their working hours."""
    named = {agent.calendar_id for agent in everybody.agents.values() if agent.calendar_id is not None}
    return Desk(everybody, tx.now, await policies.calendars_of(tx, named) if named else None)


def _handles(row: Row[Any]) -> Handles:
    own = (row.programs, row.touchpoints, row.themes)
    of_team = (row.team_programs or (), row.team_touchpoints or (), row.team_themes or ())
    if not any(own) and not any(of_team):
        return EVERYTHING
    return Handles(*map(frozenset, of_team)).narrowed_by(Handles(*map(frozenset, own)))


async def names(tx: Tx, ids: Sequence[str]) -> dict[str, str]:
    """The names of these people, by id."""
    return {row.id: row.name for row in await tx.fetch(_NAMES, {"ids": list(ids)})}


async def list_agents(tx: Tx, *, after: str, limit: int) -> Sequence[Row[Any]]:
    """Agents in the order of their ids, after this one."""
    return await tx.fetch(_AGENTS, {"after": after, "limit": limit})


async def find_agent(tx: Tx, id_: str) -> Row[Any] | None:
    """The agent, as the company edits them."""
    return await tx.fetch_one(_AGENT, {"id": id_})


async def lock_agent(tx: Tx, id_: str) -> int | None:
    """The agent's version, locked; None if there is none."""
    return await _version(tx, _LOCK_AGENT, id_)


async def put_agent(tx: Tx, id_: str, fields: Mapping[str, object]) -> None:
    """Create the agent or replace what is known of them. Who leaves does so when nobody is being assigned anything."""
    if fields["disabled"]:
        await tx.execute(_LEAVING)
    await tx.execute(_PUT_AGENT, {"id": id_, **_UNSAID, **fields})


async def list_teams(tx: Tx, *, after: str, limit: int) -> Sequence[Row[Any]]:
    """Teams in the order of their ids, after this one."""
    return await tx.fetch(_TEAMS, {"after": after, "limit": limit})


async def find_team(tx: Tx, id_: str) -> Row[Any] | None:
    """The team."""
    return await tx.fetch_one(_TEAM, {"id": id_})


async def lock_team(tx: Tx, id_: str) -> int | None:
    """The team's version, locked; None if there is none."""
    return await _version(tx, _LOCK_TEAM, id_)


async def put_team(tx: Tx, id_: str, fields: Mapping[str, object]) -> None:
    """Create or replace the team."""
    await tx.execute(_PUT_TEAM, {"id": id_, "retired": False, **_UNSAID_OF_TEAM, **fields})


async def list_departments(tx: Tx, *, after: str, limit: int) -> Sequence[Row[Any]]:
    """Departments in the order of their ids, after this one."""
    return await tx.fetch(_DEPARTMENTS, {"after": after, "limit": limit})


async def find_department(tx: Tx, id_: str) -> Row[Any] | None:
    """The department."""
    return await tx.fetch_one(_DEPARTMENT, {"id": id_})


async def lock_department(tx: Tx, id_: str) -> int | None:
    """The department's version, locked; None if there is none."""
    return await _version(tx, _LOCK_DEPARTMENT, id_)


async def put_department(tx: Tx, id_: str, fields: Mapping[str, object]) -> None:
    """Create or replace the department."""
    await tx.execute(_PUT_DEPARTMENT, {"id": id_, "retired": False, **fields})


async def hold_team(tx: Tx, id_: str) -> bool | None:
    """Whether the team is retired, which it stays until the end of the transaction; None if there is none."""
    row = await tx.fetch_one(_HOLD_TEAM, {"id": id_})
    return None if row is None else bool(row.retired)


async def hold_department(tx: Tx, id_: str) -> bool | None:
    """Whether the department is retired, which it stays until the end of the transaction; None if there is none."""
    row = await tx.fetch_one(_HOLD_DEPARTMENT, {"id": id_})
    return None if row is None else bool(row.retired)


async def uses_of_team(tx: Tx, id_: str) -> list[str]:
    """What still needs the team: people."""
    return _uses(await tx.fetch_one(_TEAM_IN_USE, {"id": id_}))


async def uses_of_department(tx: Tx, id_: str) -> list[str]:
    """What still needs the department: people, teams, open tasks."""
    return _uses(await tx.fetch_one(_DEPARTMENT_IN_USE, {"id": id_}))


def _uses(row: Row[Any] | None) -> list[str]:
    return [] if row is None else [name for name, used in row._asdict().items() if used]


async def _version(tx: Tx, statement: Any, id_: str) -> int | None:  # noqa: ANN401 - a text clause
    row = await tx.fetch_one(statement, {"id": id_})
    return None if row is None else int(row.version)
