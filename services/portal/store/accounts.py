"""Accounts as administrators see and change them, and the links by which people choose their passwords."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from sqlalchemy import text

from services.portal.domain.people import Language, Person, PersonId, Role

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from sqlalchemy import Row

    from libs.events.database import Tx

# Two changes at once could each be right, and together leave nobody who may make accounts; they are rare.
_ONE_CHANGE_AT_A_TIME: Final = text("LOCK TABLE people IN SHARE ROW EXCLUSIVE MODE")

_ACCOUNTS: Final = text("""
    SELECT people.person_id, login, name, email, role, language, disabled_at, version, created_at,
           invitations.expires_at AS invited_until
      FROM people
      LEFT JOIN invitations ON invitations.person_id = people.person_id AND expires_at > :now
     ORDER BY disabled_at IS NOT NULL, name, people.person_id
     LIMIT 5000
""")

_ACCOUNT: Final = text("""
    SELECT people.person_id, login, name, email, role, language, disabled_at, version, created_at,
           invitations.expires_at AS invited_until
      FROM people
      LEFT JOIN invitations ON invitations.person_id = people.person_id AND expires_at > :now
     WHERE people.person_id = :person_id
""")

_TAKEN: Final = text("""
    SELECT person_id = :person_id AS id, login = :login AS login
      FROM people
     WHERE person_id = :person_id OR login = :login
""")

_ADD: Final = text("""
    INSERT INTO people (person_id, login, name, email, role, language, password_hash, created_at)
    VALUES (:person_id, :login, :name, :email, :role, :language, :password_hash, :now)
""")

_CHANGE: Final = text("""
    UPDATE people
       SET login = :login, name = :name, email = :email, role = :role, language = :language,
           disabled_at = CASE WHEN :closed THEN coalesce(disabled_at, :now) END, version = version + 1
     WHERE person_id = :person_id
""")

_END_SESSIONS: Final = text("DELETE FROM sessions WHERE person_id = :person_id")

_END_INVITATION: Final = text("DELETE FROM invitations WHERE person_id = :person_id")

_ADMINISTRATORS: Final = text("""
    SELECT count(*) AS n FROM people WHERE role = 'administrator' AND disabled_at IS NULL AND person_id <> :person_id
""")

_INVITE: Final = text("""
    INSERT INTO invitations (person_id, token_hash, expires_at)
    SELECT person_id, :token_hash, :expires_at FROM people WHERE person_id = :person_id AND disabled_at IS NULL
        ON CONFLICT (person_id) DO UPDATE SET token_hash = excluded.token_hash, expires_at = excluded.expires_at
""")

_INVITED: Final = text("""
    SELECT people.person_id, login, name, email, role, language
      FROM invitations
      JOIN people ON people.person_id = invitations.person_id
     WHERE token_hash = :token_hash AND expires_at > :now AND disabled_at IS NULL
""")

_TAKE_UP: Final = text("""
    WITH taken AS (
        DELETE FROM invitations
         WHERE token_hash = :token_hash AND expires_at > :now
        RETURNING person_id
    )
    UPDATE people SET password_hash = :password_hash
      FROM taken
     WHERE people.person_id = taken.person_id AND disabled_at IS NULL
""")


@dataclass(frozen=True, slots=True)
class Account:
    """A person's account. `invited_until`: till when a link can be used by which they choose a password."""

    person: Person
    version: int
    created_at: datetime
    disabled_at: datetime | None
    invited_until: datetime | None


Refused = Literal["id-taken", "login-taken", "changed", "last-administrator", "nobody"]


async def accounts(tx: Tx) -> list[Account]:
    """All of them by name, those that are closed last."""
    return [_account(row) for row in await tx.fetch(_ACCOUNTS, {"now": tx.now})]


async def account(tx: Tx, person_id: str) -> Account | None:
    """One of them, closed or not."""
    row = await tx.fetch_one(_ACCOUNT, {"person_id": person_id, "now": tx.now})
    return None if row is None else _account(row)


async def add(tx: Tx, person: Person, *, password_hash: str) -> Refused | None:
    """Make an account; or why not."""
    await tx.execute(_ONE_CHANGE_AT_A_TIME)
    taken = await _taken(tx, person)
    if taken is None:
        await tx.execute(_ADD, _fields(person) | {"password_hash": password_hash, "now": tx.now})
    return taken


async def change(tx: Tx, person: Person, *, closed: bool, seen: int | None) -> Refused | None:
    """Change an account that was seen at this version, or close it and end its sessions; or why not."""
    await tx.execute(_ONE_CHANGE_AT_A_TIME)
    now = await account(tx, person.id)
    if now is None:
        return "nobody"
    if seen != now.version:
        return "changed"
    if await _taken(tx, person) == "login-taken":
        return "login-taken"
    others = await tx.fetch_one(_ADMINISTRATORS, {"person_id": person.id})
    if (closed or person.role is not Role.ADMINISTRATOR) and others is not None and not others.n:
        return "last-administrator"
    await tx.execute(_CHANGE, _fields(person) | {"closed": closed, "now": tx.now})
    if closed:
        await tx.execute(_END_SESSIONS, {"person_id": person.id})
        await tx.execute(_END_INVITATION, {"person_id": person.id})
    return None


async def invite(tx: Tx, person_id: str, token_hash: bytes, *, lasting: timedelta) -> bool:
    """Remember the link by which this person chooses a password, in the place of any older one; whether they may."""
    parameters = {"person_id": person_id, "token_hash": token_hash, "expires_at": tx.now + lasting}
    return await tx.execute(_INVITE, parameters) > 0


async def invited(tx: Tx, token_hash: bytes) -> Person | None:
    """Whose link this is, while it can be used."""
    row = await tx.fetch_one(_INVITED, {"token_hash": token_hash, "now": tx.now})
    return None if row is None else _person(row)


async def take_up(tx: Tx, person: Person, token_hash: bytes, *, password_hash: str) -> bool:
    """The person's password from now on; the link and all sessions end. Whether the link could still be used."""
    parameters = {"token_hash": token_hash, "password_hash": password_hash, "now": tx.now}
    if not await tx.execute(_TAKE_UP, parameters):
        return False
    await tx.execute(_END_SESSIONS, {"person_id": person.id})
    return True


async def _taken(tx: Tx, person: Person) -> Refused | None:
    rows = await tx.fetch(_TAKEN, {"person_id": person.id, "login": person.login})
    if any(row.login and not row.id for row in rows):
        return "login-taken"
    return "id-taken" if rows else None


def _fields(person: Person) -> dict[str, object]:
    return {
        "person_id": person.id,
        "login": person.login,
        "name": person.name,
        "email": person.email,
        "role": person.role,
        "language": person.language,
    }


def _account(row: Row[Any]) -> Account:
    return Account(_person(row), row.version, row.created_at, row.disabled_at, row.invited_until)


def _person(row: Row[Any]) -> Person:
    return Person(
        id=PersonId(row.person_id),
        login=row.login,
        name=row.name,
        email=row.email,
        role=Role(row.role),
        language=cast("Language", row.language),  # the column's check
    )
