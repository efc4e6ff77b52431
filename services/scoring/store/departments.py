"""The map from touchpoints to departments, in all its versions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
from sqlalchemy import text

from services.scoring.domain.departments import Responsibility, as_document, parse

if TYPE_CHECKING:
    from datetime import datetime

    from libs.events.database import Tx

_CURRENT: Final = text("""
    SELECT version, CAST(document AS text) AS document, created_at, created_by
      FROM touchpoint_maps
     ORDER BY version DESC
     LIMIT 1
""")
_ADD: Final = text("""
    INSERT INTO touchpoint_maps (version, document, created_at, created_by)
    VALUES (:version, CAST(:document AS jsonb), :now, :created_by)
""")

_read: Final = msgspec.json.Decoder(dict[str, dict[str, str]]).decode


@dataclass(frozen=True, slots=True)
class TouchpointMap:
    """The map as it was put into force."""

    version: int
    responsibilities: list[Responsibility]
    created_at: datetime
    created_by: str


async def current(tx: Tx) -> TouchpointMap:
    """The map in force; the first one is empty."""
    (row,) = await tx.fetch(_CURRENT)
    return TouchpointMap(row.version, parse(_read(row.document)), row.created_at, row.created_by)


async def add(tx: Tx, new: TouchpointMap) -> None:
    """Put a version into force; under the lock `changing_rules`."""
    await tx.execute(
        _ADD,
        {
            "version": new.version,
            "document": msgspec.json.encode(as_document(new.responsibilities)).decode(),
            "now": new.created_at,
            "created_by": new.created_by,
        },
    )
