"""Accounts: the companies that customers belong to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Row

    from libs.events.database import Tx

_FIND: Final = text("SELECT id, version, name, updated_at FROM accounts WHERE id = :id")
_NAMES: Final = text("SELECT id, name FROM accounts WHERE id = ANY(CAST(:ids AS text[]))")
_PUT: Final = text("""
    INSERT INTO accounts (id, version, name, created_at, updated_at) VALUES (:id, :version, :name, :now, :now)
        ON CONFLICT (id) DO UPDATE
       SET version = excluded.version, name = excluded.name, updated_at = excluded.updated_at
""")


@dataclass(frozen=True, slots=True)
class Account:
    """A company among our customers."""

    id: str
    version: int
    name: str
    updated_at: datetime


async def find(tx: Tx, account_id: str) -> Account | None:
    """The account, if anybody told us about it."""
    row = await tx.fetch_one(_FIND, {"id": account_id})
    return None if row is None else _account(row)


async def names(tx: Tx, ids: Iterable[str]) -> dict[str, str]:
    """The names of those of `ids` that are known."""
    wanted = sorted(set(ids))
    return {row.id: row.name for row in await tx.fetch(_NAMES, {"ids": wanted})} if wanted else {}


async def put(tx: Tx, account: Account) -> None:
    """Store it; under the lock `changing_account`, which keeps others away from the version in between."""
    await tx.execute(_PUT, {"id": account.id, "version": account.version, "name": account.name, "now": tx.now})


def _account(row: Row[Any]) -> Account:
    return Account(row.id, row.version, row.name, row.updated_at)
