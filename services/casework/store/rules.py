"""SLA policies and root causes: the rules that the company edits as data."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

from services.casework.domain.clocks import Policy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Row

    from libs.events.database import Tx
    from services.casework.domain.names import RootCauseId, Tier

_POLICIES: Final = text("""
    SELECT tier, first_contact_hours, resolution_hours, reopened_first_contact_hours, reopened_resolution_hours,
           confirmation_days, warn_after, version
      FROM sla_policies
     ORDER BY array_position(ARRAY['key', 'high', 'standard', 'low'], tier)
""")

_POLICY: Final = text("""
    SELECT tier, first_contact_hours, resolution_hours, reopened_first_contact_hours, reopened_resolution_hours,
           confirmation_days, warn_after, version
      FROM sla_policies
     WHERE tier = :tier
""")

_LOCK_POLICY: Final = text("SELECT version FROM sla_policies WHERE tier = :tier FOR UPDATE")

# A policy for each tier is there from the first migration on, and none is ever taken away.
_PUT_POLICY: Final = text("""
    UPDATE sla_policies
       SET first_contact_hours = :first_contact_hours, resolution_hours = :resolution_hours,
           reopened_first_contact_hours = :reopened_first_contact_hours,
           reopened_resolution_hours = :reopened_resolution_hours, confirmation_days = :confirmation_days,
           warn_after = :warn_after, version = version + 1
     WHERE tier = :tier
""")

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


async def policies(tx: Tx) -> dict[Tier, Policy]:
    """The policy of each tier."""
    return {
        row.tier: Policy(
            tier=row.tier,
            first_contact=timedelta(hours=row.first_contact_hours),
            resolution=timedelta(hours=row.resolution_hours),
            reopened_first_contact=timedelta(hours=row.reopened_first_contact_hours),
            reopened_resolution=timedelta(hours=row.reopened_resolution_hours),
            confirmation=timedelta(days=row.confirmation_days),
            warn_after=row.warn_after,
        )
        for row in await tx.fetch(_POLICIES)
    }


async def list_policies(tx: Tx) -> Sequence[Row[Any]]:
    """The policies as the company edits them, the most valuable tier first."""
    return await tx.fetch(_POLICIES)


async def find_policy(tx: Tx, tier: Tier) -> Row[Any] | None:
    """The policy of one tier."""
    return await tx.fetch_one(_POLICY, {"tier": tier})


async def lock_policy(tx: Tx, tier: Tier) -> int | None:
    """The policy's version, locked."""
    row = await tx.fetch_one(_LOCK_POLICY, {"tier": tier})
    return None if row is None else int(row.version)


async def put_policy(tx: Tx, tier: Tier, fields: Mapping[str, object]) -> None:
    """Replace the policy. Clocks that run keep their instants."""
    await tx.execute(_PUT_POLICY, {"tier": tier, **fields})


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
