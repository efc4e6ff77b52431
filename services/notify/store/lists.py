"""Lists of people who are no customers: employees and partners."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

from libs.events.contracts.responses import address_mark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from libs.events.database import Tx

_PUT: Final = text("""
    INSERT INTO lists (list_id, side, name, created_at) VALUES (:list_id, :side, :name, :now)
        ON CONFLICT (list_id) DO UPDATE SET name = excluded.name WHERE lists.side = excluded.side
 RETURNING list_id
""")
_EMPTY: Final = text("DELETE FROM members WHERE list_id = :list_id")
_FILL: Final = text("""
    INSERT INTO members (list_id, member_id, name, email, email_mark, language)
    SELECT :list_id, member_id, name, email, email_mark, language
      FROM unnest(CAST(:member_ids AS text[]), CAST(:names AS text[]), CAST(:emails AS text[]),
                  CAST(:email_marks AS text[]), CAST(:languages AS text[]))
           AS given (member_id, name, email, email_mark, language)
        ON CONFLICT (list_id, member_id) DO UPDATE
       SET name = excluded.name, email = excluded.email, email_mark = excluded.email_mark,
           language = excluded.language
""")
_REMOVE: Final = text("""
    DELETE FROM members WHERE list_id = :list_id AND member_id = ANY(CAST(:member_ids AS text[]))
""")
_DELETE: Final = text("DELETE FROM lists WHERE list_id = :list_id")
_ALL: Final = text("""
    SELECT l.list_id, l.side, l.name, count(m.member_id) AS people
      FROM lists l LEFT JOIN members m USING (list_id)
     GROUP BY l.list_id
     ORDER BY l.side, l.name, l.list_id
""")
_ONE: Final = text("SELECT list_id, side, name FROM lists WHERE list_id = :list_id")
_MEMBERS: Final = text("""
    SELECT member_id, name, email, language FROM members
     WHERE list_id = :list_id AND member_id > :after ORDER BY member_id LIMIT :limit
""")


async def put(tx: Tx, list_id: str, *, side: str, name: str) -> bool:
    """Make or rename a list; False where there is one of the other side."""
    parameters = {"list_id": list_id, "side": side, "name": name, "now": tx.now}
    return bool(await tx.fetch(_PUT, parameters))


async def fill(tx: Tx, list_id: str, members: Sequence[dict[str, str]], *, anew: bool) -> None:
    """Add or change these members; `anew`: there are no others."""
    if anew:
        await tx.execute(_EMPTY, {"list_id": list_id})
    if members:
        await tx.execute(
            _FILL,
            {
                "list_id": list_id,
                "member_ids": [member["member_id"] for member in members],
                "names": [member["name"] for member in members],
                "emails": [member["email"] for member in members],
                "email_marks": [address_mark(member["email"]) for member in members],
                "languages": [member["language"] for member in members],
            },
        )


async def remove(tx: Tx, list_id: str, member_ids: Sequence[str]) -> int:
    """Take these members off the list; how many there were."""
    return await tx.execute(_REMOVE, {"list_id": list_id, "member_ids": list(member_ids)})


async def delete(tx: Tx, list_id: str) -> bool:
    """Delete a list with its members; whether there was one."""
    return await tx.execute(_DELETE, {"list_id": list_id}) == 1


async def all_lists(tx: Tx) -> Sequence[Row[Any]]:
    """All of them, with how many people each has."""
    return await tx.fetch(_ALL)


async def one(tx: Tx, list_id: str) -> Row[Any] | None:
    """A list."""
    return await tx.fetch_one(_ONE, {"list_id": list_id})


async def members(tx: Tx, list_id: str, *, after: str, limit: int) -> Sequence[Row[Any]]:
    """Members of a list, by their ids."""
    return await tx.fetch(_MEMBERS, {"list_id": list_id, "after": after, "limit": limit})
