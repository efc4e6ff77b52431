"""The segment rules in all their versions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
from sqlalchemy import text

from services.scoring.domain.segments import Rules, as_document, parse

if TYPE_CHECKING:
    from datetime import datetime

    from libs.events.database import Tx

_CURRENT: Final = text("""
    SELECT version, CAST(document AS text) AS document, created_at, created_by
      FROM segment_rules
     ORDER BY version DESC
     LIMIT 1
""")
_ADD: Final = text("""
    INSERT INTO segment_rules (version, document, created_at, created_by)
    VALUES (:version, CAST(:document AS jsonb), :now, :created_by)
""")


@dataclass(frozen=True, slots=True)
class RulesVersion:
    """A rule set as it was put into force."""

    version: int
    rules: Rules
    created_at: datetime
    created_by: str


async def current(tx: Tx) -> RulesVersion:
    """The rules in force; the first migration laid down the first ones."""
    (row,) = await tx.fetch(_CURRENT)
    return RulesVersion(row.version, parse(msgspec.json.decode(row.document)), row.created_at, row.created_by)


async def add(tx: Tx, new: RulesVersion) -> None:
    """Put a version into force; under the lock `changing_rules`."""
    await tx.execute(
        _ADD,
        {
            "version": new.version,
            "document": msgspec.json.encode(as_document(new.rules)).decode(),
            "now": new.created_at,
            "created_by": new.created_by,
        },
    )
