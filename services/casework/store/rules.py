"""Root causes: the tree of what is behind problems, which the company edits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Row

    from libs.events.database import Tx
    from services.casework.domain.names import RootCauseId
    from services.casework.domain.timeline import Actor

# What lies below a retired cause is not chosen any more either; a tree is small, and read whole.
_ROOT_CAUSES: Final = text("""
    WITH RECURSIVE choosable AS (
        SELECT id FROM root_causes WHERE parent_id IS NULL AND NOT retired
         UNION ALL
        SELECT root_causes.id FROM root_causes JOIN choosable ON root_causes.parent_id = choosable.id
         WHERE NOT root_causes.retired
    )
    SELECT id, parent_id, name_ru, name_en, retired, version, id IN (SELECT id FROM choosable) AS choosable
      FROM root_causes
     WHERE id > :after
     ORDER BY id
     LIMIT :limit
""")

_ROOT_CAUSE: Final = text("""
    WITH RECURSIVE above AS (
        SELECT id, parent_id, retired FROM root_causes WHERE id = :id
         UNION
        SELECT root_causes.id, root_causes.parent_id, root_causes.retired
          FROM root_causes JOIN above ON root_causes.id = above.parent_id
    )
    SELECT id, parent_id, name_ru, name_en, retired, version, NOT (SELECT bool_or(retired) FROM above) AS choosable
      FROM root_causes
     WHERE id = :id
""")

_REMEMBER: Final = text("""
    INSERT INTO root_cause_versions (
           root_cause_id, version, parent_id, name_ru, name_en, retired, at, actor_kind, actor_id)
    SELECT id, version, parent_id, name_ru, name_en, retired, :now, :actor_kind, :actor_id
      FROM root_causes
     WHERE id = :id
""")

_VERSIONS: Final = text("""
    SELECT root_cause_versions.version, parent_id, name_ru, name_en, retired, at, actor_kind, actor_id,
           agents.name AS actor_name
      FROM root_cause_versions
      LEFT JOIN agents ON agents.id = actor_id AND actor_kind = 'person'
     WHERE root_cause_id = :id
     ORDER BY root_cause_versions.version DESC
     LIMIT 200
""")

_BELOW: Final = text("""
    WITH RECURSIVE below AS (
        SELECT id FROM root_causes WHERE id = :id
         UNION
        SELECT root_causes.id FROM root_causes JOIN below ON root_causes.parent_id = below.id
    )
    SELECT id FROM below ORDER BY id
""")

_CHOOSABLE: Final = text("""
    WITH RECURSIVE choosable AS (
        SELECT id FROM root_causes WHERE parent_id IS NULL AND NOT retired
         UNION ALL
        SELECT root_causes.id FROM root_causes JOIN choosable ON root_causes.parent_id = choosable.id
         WHERE NOT root_causes.retired
    )
    SELECT id FROM choosable
""")

_USE: Final = text("""
    SELECT count(*) FILTER (WHERE status = 'resolved') AS resolved, count(*) FILTER (WHERE status = 'closed') AS closed,
           max(resolved_at) AS last_used_at
      FROM cases
     WHERE root_cause_id = ANY(CAST(:ids AS text[]))
""")

_INITIATIVES: Final = text("""
    SELECT id, title, status
      FROM initiatives
     WHERE root_causes && CAST(:ids AS text[]) AND status IN ('proposed', 'approved', 'in_progress')
     ORDER BY proposed_at, id
     LIMIT 100
""")

# Two edits at once could each be right and together close a circle; edits are rare, so they come one after another.
_ONE_EDIT_AT_A_TIME: Final = text("LOCK TABLE root_causes IN SHARE ROW EXCLUSIVE MODE")

_ABOVE: Final = text("""
    WITH RECURSIVE above AS (
        SELECT id, parent_id FROM root_causes WHERE id = :id
         UNION
        SELECT root_causes.id, root_causes.parent_id FROM root_causes JOIN above ON root_causes.id = above.parent_id
    )
    SELECT id FROM above
""")

_PUT_ROOT_CAUSE: Final = text("""
    INSERT INTO root_causes (id, parent_id, name_ru, name_en, retired, version)
    VALUES (:id, :parent_id, :name_ru, :name_en, :retired, 1)
        ON CONFLICT (id) DO UPDATE
       SET parent_id = excluded.parent_id, name_ru = excluded.name_ru, name_en = excluded.name_en,
           retired = excluded.retired, version = root_causes.version + 1
""")


async def list_root_causes(tx: Tx, *, after: str, limit: int) -> Sequence[Row[Any]]:
    """Root causes in the order of their ids, after this one; retired ones too."""
    return await tx.fetch(_ROOT_CAUSES, {"after": after, "limit": limit})


async def find_root_cause(tx: Tx, id_: RootCauseId) -> Row[Any] | None:
    """The root cause, retired or not."""
    return await tx.fetch_one(_ROOT_CAUSE, {"id": id_})


async def edit_root_causes(tx: Tx) -> None:
    """Be the only one who edits the tree until the end of the transaction."""
    await tx.execute(_ONE_EDIT_AT_A_TIME)


async def above(tx: Tx, id_: RootCauseId) -> set[RootCauseId]:
    """The root cause and all above it; empty if there is none."""
    return {row.id for row in await tx.fetch(_ABOVE, {"id": id_})}


async def put_root_cause(tx: Tx, id_: RootCauseId, fields: Mapping[str, object], by: Actor) -> None:
    """Create or replace the root cause, and remember how it reads from now on, and by whom."""
    await tx.execute(_PUT_ROOT_CAUSE, {"id": id_, **fields})
    await tx.execute(_REMEMBER, {"id": id_, "now": tx.now, "actor_kind": by.kind, "actor_id": by.id})


async def versions(tx: Tx, id_: RootCauseId) -> Sequence[Row[Any]]:
    """How the root cause read at each version, the latest first."""
    return await tx.fetch(_VERSIONS, {"id": id_})


async def below(tx: Tx, id_: RootCauseId) -> list[RootCauseId]:
    """The root cause and all below it."""
    return [row.id for row in await tx.fetch(_BELOW, {"id": id_})]


async def choosable(tx: Tx) -> set[RootCauseId]:
    """Which root causes may be chosen: neither retired nor below one that is."""
    return {row.id for row in await tx.fetch(_CHOOSABLE)}


async def use(tx: Tx, ids: Sequence[RootCauseId]) -> Row[Any]:
    """How many cases stand on these root causes: resolved and waiting for the customer, and closed."""
    (row,) = await tx.fetch(_USE, {"ids": list(ids)})
    return row


async def initiatives_about(tx: Tx, ids: Sequence[RootCauseId]) -> Sequence[Row[Any]]:
    """Changes under way that rest on these root causes, the earliest first."""
    return await tx.fetch(_INITIATIVES, {"ids": list(ids)})
