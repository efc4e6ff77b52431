"""Tasks: read and saved set-wise by whoever holds their cases, and listed for those who do them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

from services.casework.domain.clocks import Deadline, Stage
from services.casework.domain.tasks import Task, TaskState
from services.casework.store import cases

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Row

    from libs.events.database import Tx
    from services.casework.domain.cases import Case
    from services.casework.domain.names import AgentId, CaseId, TaskKind

_CASE_OF: Final = text("SELECT case_id FROM tasks WHERE id = :id")

_FIND: Final = text("""
    SELECT id, case_id, kind, title, department_id, owner_id, state, opened_at, due_at, warn_at, stage, later, ended_at,
           declined_because, version
      FROM tasks
     WHERE id = :id
""")

_OPEN_OF_CASES: Final = text("""
    SELECT id, case_id, kind, title, department_id, owner_id, state, opened_at, due_at, warn_at, stage, later, ended_at,
           declined_because, version
      FROM tasks
     WHERE case_id = ANY(CAST(:cases AS uuid[])) AND state = 'open'
     ORDER BY case_id, opened_at, id
""")

_FIRING_OF_CASES: Final = text("""
    SELECT id, case_id, kind, title, department_id, owner_id, state, opened_at, due_at, warn_at, stage, later, ended_at,
           declined_because, version
      FROM tasks
     WHERE case_id = ANY(CAST(:cases AS uuid[])) AND fires_at <= :now
     ORDER BY fires_at, id
""")

_SAVE: Final = text("""
    INSERT INTO tasks (id, case_id, kind, title, department_id, owner_id, state, opened_at, due_at, warn_at, stage,
                       later, ended_at, declined_because, version, fires_at)
    SELECT id, case_id, kind, title, department_id, owner_id, state, opened_at, due_at, warn_at, stage, later, ended_at,
           declined_because, version, fires_at
      FROM unnest(CAST(:rows AS task_row[]))
        ON CONFLICT (id) DO UPDATE
       SET owner_id = excluded.owner_id, state = excluded.state, due_at = excluded.due_at, warn_at = excluded.warn_at,
           stage = excluded.stage, later = excluded.later, ended_at = excluded.ended_at,
           declined_because = excluded.declined_because, version = excluded.version, fires_at = excluded.fires_at
""")

_HOLDING: Final = text("""
    SELECT count(*) AS tasks FROM tasks WHERE case_id = :case_id AND state = 'open' AND kind = 'department'
""")

_FIRING: Final = text("""
    SELECT case_id
      FROM tasks
     WHERE fires_at <= :now AND case_id <> ALL(CAST(:but AS uuid[]))
     ORDER BY fires_at
     LIMIT :limit
""")

_CLAIM: Final = text("""
    SELECT id FROM cases WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE SKIP LOCKED
""")

_ERASE_TITLES: Final = text("""
    UPDATE tasks SET title = NULL WHERE case_id = ANY(CAST(:cases AS uuid[])) AND title IS NOT NULL
""")

# Only filters that were asked for narrow it; every one of them goes with a state, and has its index.
_LIST: Final = text("""
    SELECT tasks.id, tasks.case_id, tasks.kind, tasks.title, tasks.department_id, tasks.owner_id, tasks.state,
           tasks.opened_at, tasks.due_at, tasks.stage, tasks.ended_at, tasks.declined_because, tasks.version,
           departments.name AS department_name, agents.name AS owner_name, cases.status AS case_status,
           cases.customer_id, customers.name AS customer_name, case_owners.name AS case_owner_name
      FROM tasks
      JOIN cases ON cases.id = tasks.case_id
      LEFT JOIN customers ON customers.customer_id = cases.customer_id
      LEFT JOIN departments ON departments.id = tasks.department_id
      LEFT JOIN agents ON agents.id = tasks.owner_id
      LEFT JOIN agents AS case_owners ON case_owners.id = cases.owner_id
     WHERE tasks.state = :state
       AND (CAST(:owner AS text) IS NULL OR tasks.owner_id = :owner)
       AND (CAST(:department AS text) IS NULL OR tasks.department_id = :department)
       AND (CAST(:kind AS text) IS NULL OR tasks.kind = :kind)
       AND (CAST(:due_at AS timestamptz) IS NULL OR (tasks.due_at, tasks.id) > (:due_at, CAST(:after AS uuid)))
     ORDER BY tasks.due_at, tasks.id
     LIMIT :limit
""")

_SHOWN: Final = text("""
    SELECT tasks.id, tasks.case_id, tasks.kind, tasks.title, tasks.department_id, tasks.owner_id, tasks.state,
           tasks.opened_at, tasks.due_at, tasks.stage, tasks.ended_at, tasks.declined_because, tasks.version,
           departments.name AS department_name, agents.name AS owner_name, cases.status AS case_status,
           cases.customer_id, customers.name AS customer_name, case_owners.name AS case_owner_name
      FROM tasks
      JOIN cases ON cases.id = tasks.case_id
      LEFT JOIN customers ON customers.customer_id = cases.customer_id
      LEFT JOIN departments ON departments.id = tasks.department_id
      LEFT JOIN agents ON agents.id = tasks.owner_id
      LEFT JOIN agents AS case_owners ON case_owners.id = cases.owner_id
     WHERE tasks.id = :id OR tasks.case_id = :case_id
     ORDER BY tasks.opened_at, tasks.id
""")


_OPEN_OF_OWNER: Final = text("""
    SELECT DISTINCT case_id FROM tasks WHERE owner_id = :owner AND state = 'open' ORDER BY case_id LIMIT :limit
""")

_MANAGERS: Final = text("SELECT id, manager_id FROM departments WHERE manager_id IS NOT NULL")

_STAGES: Final = {stage.value: stage for stage in Stage}


async def case_of_task(tx: Tx, id_: UUID) -> CaseId | None:
    """To which case the task belongs, so that it can be locked."""
    row = await tx.fetch_one(_CASE_OF, {"id": id_})
    return None if row is None else row.case_id


async def find(tx: Tx, id_: UUID) -> Task | None:
    """The task, of a case that the transaction holds."""
    row = await tx.fetch_one(_FIND, {"id": id_})
    return None if row is None else _task(row)


async def open_of(tx: Tx, ids: Iterable[CaseId]) -> list[Task]:
    """The open tasks of these cases, which the transaction holds."""
    return [_task(row) for row in await tx.fetch(_OPEN_OF_CASES, {"cases": list(ids)})]


async def firing_of(tx: Tx, ids: Iterable[CaseId]) -> list[Task]:
    """The tasks of these cases, which the transaction holds, whose clocks have something to do by now."""
    return [_task(row) for row in await tx.fetch(_FIRING_OF_CASES, {"cases": list(ids), "now": tx.now})]


async def save(tx: Tx, tasks: Sequence[Task]) -> None:
    """Store tasks as they are now, of cases that the transaction holds."""
    if tasks:
        await tx.execute(_SAVE, {"rows": [_row(task) for task in tasks]})


async def count_holding(tx: Tx, id_: CaseId) -> int:
    """For how many tasks of departments the case waits."""
    row = await tx.fetch_one(_HOLDING, {"case_id": id_})
    return 0 if row is None else int(row.tasks)


async def firing(tx: Tx, limit: int, but: Iterable[CaseId] = ()) -> list[CaseId]:
    """Cases that have tasks with something to do by now, the longest due first; not locked."""
    rows = await tx.fetch(_FIRING, {"now": tx.now, "limit": limit, "but": list(but)})
    return list(dict.fromkeys(row.case_id for row in rows))


async def claim(tx: Tx, ids: Iterable[CaseId]) -> list[Case]:
    """Those of these cases that are in no other hands, locked: who holds a case does not wait for a clock."""
    free = [row.id for row in await tx.fetch(_CLAIM, {"ids": list(ids)})]
    return await cases.lock(tx, free) if free else []


async def cases_of_owner(tx: Tx, owner: AgentId, limit: int) -> list[CaseId]:
    """Cases in which this person has an open task; not locked."""
    rows = await tx.fetch(_OPEN_OF_OWNER, {"owner": owner, "limit": limit})
    return [row.case_id for row in rows]


async def managers(tx: Tx) -> dict[str, AgentId]:
    """Who manages which department."""
    return {row.id: row.manager_id for row in await tx.fetch(_MANAGERS)}


async def erase_titles(tx: Tx, ids: Iterable[CaseId]) -> None:
    """Remove what people wrote about what is to be done for these cases."""
    await tx.execute(_ERASE_TITLES, {"cases": list(ids)})


async def list_tasks(
    tx: Tx,
    *,
    state: str,
    owner: str | None,
    department: str | None,
    kind: TaskKind | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Tasks by when they are due."""
    due_at, id_ = after or (None, None)
    return await tx.fetch(
        _LIST,
        {
            "state": state,
            "owner": owner,
            "department": department,
            "kind": kind,
            "due_at": due_at,
            "after": id_,
            "limit": limit,
        },
    )


async def shown(tx: Tx, id_: UUID) -> Row[Any] | None:
    """The task as it is shown."""
    return await tx.fetch_one(_SHOWN, {"id": id_, "case_id": None})


async def shown_of_case(tx: Tx, id_: UUID) -> Sequence[Row[Any]]:
    """The tasks of the case as they are shown, in the order in which they were opened."""
    return await tx.fetch(_SHOWN, {"id": None, "case_id": id_})


def _task(row: Row[Any]) -> Task:
    return Task(
        id=row.id,
        case_id=row.case_id,
        kind=row.kind,
        title=row.title,
        department_id=row.department_id,
        owner_id=row.owner_id,
        state=TaskState(row.state),
        opened_at=row.opened_at,
        clock=Deadline(row.due_at, row.warn_at, _STAGES[row.stage], () if row.later is None else tuple(row.later)),
        ended_at=row.ended_at,
        declined_because=row.declined_because,
        version=row.version,
    )


def _row(task: Task) -> tuple[object, ...]:
    """The task in the order of `task_row`."""
    return (
        task.id,
        task.case_id,
        task.kind,
        task.title,
        task.department_id,
        task.owner_id,
        task.state.value,
        task.opened_at,
        task.clock.due_at,
        task.clock.warn_at,
        task.clock.stage.value,
        task.clock.later or None,
        task.ended_at,
        task.declined_because,
        task.version,
        task.fires_at,
    )
