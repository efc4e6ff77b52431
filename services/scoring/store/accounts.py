"""Accounts: the companies that customers belong to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import text

from services.scoring.domain.told import UNTOLD, Told

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Row

    from libs.events.database import Tx
    from services.scoring.domain.worth import Attribute

_FIND: Final = text("""
    SELECT id, version, name, CAST(attributes AS text) AS attributes, source_version, source_updated_at, updated_at
      FROM accounts
     WHERE id = ANY(CAST(:ids AS text[]))
""")
_PAGE: Final = text("""
    SELECT id, version, name, CAST(attributes AS text) AS attributes, source_version, source_updated_at, updated_at
      FROM accounts
     WHERE (name, id) > (CAST(:name AS text), CAST(:id AS text))
     ORDER BY name, id
     LIMIT :limit
""")
_PUT: Final = text("""
    INSERT INTO accounts (id, version, name, attributes, source_version, source_updated_at, created_at, updated_at)
    SELECT id, version, name, CAST(attributes AS jsonb), source_version, source_updated_at, :now, :now
      FROM unnest(CAST(:ids AS text[]), CAST(:versions AS bigint[]), CAST(:names AS text[]),
                  CAST(:attributes AS text[]), CAST(:source_versions AS bigint[]),
                  CAST(:source_updated_ats AS timestamptz[]))
           AS given (id, version, name, attributes, source_version, source_updated_at)
        ON CONFLICT (id) DO UPDATE
       SET version = excluded.version, name = excluded.name, attributes = excluded.attributes,
           source_version = excluded.source_version, source_updated_at = excluded.source_updated_at,
           updated_at = excluded.updated_at
""")

_attributes: Final = msgspec.json.Decoder(dict[str, str | bool | int | float]).decode


@dataclass(frozen=True, slots=True)
class Account:
    """A company among our customers."""

    id: str
    version: int
    name: str
    updated_at: datetime
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    told: Told = UNTOLD


async def find(tx: Tx, account_id: str) -> Account | None:
    """The account, if anybody told us about it."""
    return (await known(tx, [account_id])).get(account_id)


async def known(tx: Tx, ids: Iterable[str | None]) -> dict[str, Account]:
    """Those of `ids` that anybody told us about."""
    wanted = sorted({id_ for id_ in ids if id_})
    return {row.id: _account(row) for row in await tx.fetch(_FIND, {"ids": wanted})} if wanted else {}


async def page(tx: Tx, *, after: tuple[str, str], limit: int) -> list[Account]:
    """The next ones in the order of name and id; two empty texts begin."""
    rows = await tx.fetch(_PAGE, {"name": after[0], "id": after[1], "limit": limit})
    return [_account(row) for row in rows]


async def put(tx: Tx, accounts: Sequence[Account]) -> None:
    """Store them; under the lock `changing_account`, which keeps others away from the versions in between."""
    await tx.execute(
        _PUT,
        {
            "ids": [each.id for each in accounts],
            "versions": [each.version for each in accounts],
            "names": [each.name for each in accounts],
            "attributes": [msgspec.json.encode(each.attributes).decode() for each in accounts],
            "source_versions": [each.told.version for each in accounts],
            "source_updated_ats": [each.told.at for each in accounts],
            "now": tx.now,
        },
    )


def _account(row: Row[Any]) -> Account:
    told = Told(row.source_version, row.source_updated_at)
    return Account(row.id, row.version, row.name, row.updated_at, _attributes(row.attributes), told)
