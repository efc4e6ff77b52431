"""Root causes: the tree of what is behind problems, which the company edits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Row

    from libs.events.database import Tx
    from services.casework.domain.names import RootCauseId

_ROOT_CAUSES: Final = text("""
    SELECT id, parent_id, name_ru, name_en, retired, version
      FROM root_causes
     WHERE id > :after
     ORDER BY id
     LIMIT :limit
""")

_ROOT_CAUSE: Final = text("SELECT id, parent_id, name_ru, name_en, retired, version FROM root_causes WHERE id = :id")

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


async def put_root_cause(tx: Tx, id_: RootCauseId, fields: Mapping[str, object]) -> None:
    """Create or replace the root cause."""
    await tx.execute(_PUT_ROOT_CAUSE, {"id": id_, **fields})
