"""Which files belong to which cases; the files themselves are in `attachment_files`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from uuid import UUID

    from sqlalchemy import Row

    from libs.events.database import Tx
    from services.casework.domain.names import CaseId
    from services.casework.domain.timeline import Actor

_LOCK: Final = text("""
    SELECT pg_advisory_xact_lock(hashtextextended(sha256, 11))
      FROM (SELECT sha256 FROM unnest(CAST(:digests AS text[])) AS wanted (sha256) ORDER BY sha256) AS ordered
""")

_COUNT: Final = text("SELECT count(*) AS attachments FROM attachments WHERE case_id = :case_id")

_ADD: Final = text("""
    INSERT INTO attachments (id, case_id, sha256, name, media_type, size, added_at, actor_kind, actor_id)
    VALUES (:id, :case_id, :sha256, :name, :media_type, :size, :now, :actor_kind, :actor_id)
""")

_OF_CASE: Final = text("""
    SELECT attachments.id, sha256, attachments.name, media_type, size, added_at, actor_kind, actor_id,
           agents.name AS actor_name
      FROM attachments
      LEFT JOIN agents ON agents.id = actor_id AND actor_kind = 'person'
     WHERE case_id = :case_id
     ORDER BY added_at, attachments.id
""")

_FIND: Final = text("SELECT case_id, sha256, name, media_type, size FROM attachments WHERE id = :id")

# What nothing points at any more is written down in the same transaction, and taken away after it. Where it is
# written down already, somebody may be about to strike it out who cannot see this removal: the update waits for them.
_REMOVE: Final = text("""
    WITH removed AS (DELETE FROM attachments WHERE id = :id RETURNING sha256)
    INSERT INTO attachment_removals (sha256)
    SELECT sha256 FROM removed ON CONFLICT (sha256) DO UPDATE SET sha256 = excluded.sha256
""")
_ERASE: Final = text("""
    WITH removed AS (DELETE FROM attachments WHERE case_id = ANY(CAST(:cases AS uuid[])) RETURNING sha256)
    INSERT INTO attachment_removals (sha256)
    SELECT DISTINCT sha256 FROM removed ORDER BY sha256
        ON CONFLICT (sha256) DO UPDATE SET sha256 = excluded.sha256
""")

_TO_REMOVE: Final = text("""
    SELECT sha256 FROM attachment_removals ORDER BY sha256 LIMIT :limit FOR UPDATE SKIP LOCKED
""")
_REMOVED: Final = text("DELETE FROM attachment_removals WHERE sha256 = ANY(CAST(:digests AS text[]))")

_UNKNOWN: Final = text("""
    SELECT sha256
      FROM unnest(CAST(:digests AS text[])) AS found (sha256)
     WHERE NOT EXISTS (SELECT 1 FROM attachments WHERE attachments.sha256 = found.sha256)
""")


async def lock(tx: Tx, digests: Collection[str]) -> None:
    """Be the only one who names or takes away the files with these digests, until the end of the transaction."""
    await tx.fetch(_LOCK, {"digests": list(digests)})


async def count(tx: Tx, case_id: CaseId) -> int:
    """How many files the case has."""
    (row,) = await tx.fetch(_COUNT, {"case_id": case_id})
    return int(row.attachments)


async def add(
    tx: Tx, id_: UUID, case_id: CaseId, actor: Actor, *, sha256: str, name: str, media_type: str, size: int
) -> None:
    """A file of the case; it is on the disk already, and its digest locked."""
    await tx.execute(
        _ADD,
        {
            "id": id_,
            "case_id": case_id,
            "sha256": sha256,
            "name": name,
            "media_type": media_type,
            "size": size,
            "now": tx.now,
            "actor_kind": actor.kind,
            "actor_id": actor.id,
        },
    )


async def of_case(tx: Tx, case_id: UUID) -> Sequence[Row[Any]]:
    """The files of the case, the earliest first."""
    return await tx.fetch(_OF_CASE, {"case_id": case_id})


async def find(tx: Tx, id_: UUID) -> Row[Any] | None:
    """One file: its case, digest, name, type and size."""
    return await tx.fetch_one(_FIND, {"id": id_})


async def remove(tx: Tx, id_: UUID) -> None:
    """The file is the case's no more. Where it is nobody's, it goes soon after the transaction."""
    await tx.execute(_REMOVE, {"id": id_})


async def erase(tx: Tx, cases: Collection[CaseId]) -> None:
    """No file of these cases is theirs any more."""
    await tx.execute(_ERASE, {"cases": list(cases)})


async def to_remove(tx: Tx, limit: int) -> Sequence[str]:
    """Digests of files that lost a case, for this transaction alone."""
    return [row.sha256 for row in await tx.fetch(_TO_REMOVE, {"limit": limit})]


async def removed(tx: Tx, digests: Collection[str]) -> None:
    """They are gone, or somebody still points at them."""
    await tx.execute(_REMOVED, {"digests": list(digests)})


async def unknown(tx: Tx, digests: Collection[str]) -> Sequence[str]:
    """Those of them that nothing points at."""
    return [row.sha256 for row in await tx.fetch(_UNKNOWN, {"digests": list(digests)})]
