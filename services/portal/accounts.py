"""Accounts of people: made, and checked by password with constant work whether the log-in exists or not."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Final

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from services.portal import store
from services.portal.domain.people import Language, Person, PersonId, Role, normal_login

if TYPE_CHECKING:
    from libs.events.database import Database, Tx

MIN_PASSWORD: Final = 10
MAX_PASSWORD: Final = 1_000
_AT_ONCE: Final = 2
"""Each check takes 64 MiB and a core for a moment; more at once would only let strangers take the machine."""


async def create_person(
    tx: Tx,
    *,
    person_id: str,
    login: str,
    name: str,
    email: str,
    role: str,
    language: Language,
    password: str,
    hasher: PasswordHasher | None = None,
) -> Person:
    """Make an account, or set an existing one (by `person_id`) anew. `person_id` is the agent's id in casework too."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise ValueError(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    person = Person(PersonId(person_id), normal_login(login), name, email, Role(role), language)
    password_hash = await asyncio.to_thread((hasher or PasswordHasher()).hash, password)
    await store.put_person(tx, person, password_hash=password_hash)
    return person


class Passwords:
    """Checks passwords, a few at a time, off the event loop."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._nobody = self._hasher.hash("the password of nobody")

    async def hash(self, password: str) -> str:
        """What is stored of a password, of a length that is allowed."""
        if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
            raise ValueError(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def unknown(self) -> str:
        """The hash of a password that nobody knows, of an account whose person has not chosen one yet."""
        return await self.hash(secrets.token_urlsafe(32))

    async def check(self, database: Database, *, login: str, password: str) -> Person | None:
        """The person, if the password is theirs. An unknown log-in costs the same work as a known one."""
        async with database.reading() as tx:
            found = await store.find_by_login(tx, normal_login(login))
        person, password_hash = found if found is not None else (None, self._nobody)
        async with self._turns:
            right = await asyncio.to_thread(self._verify, password_hash, password)
        if person is None or not right:
            return None
        if self._hasher.check_needs_rehash(password_hash):
            fresh = await asyncio.to_thread(self._hasher.hash, password)
            async with database.transaction() as tx:
                await store.set_password_hash(tx, person.id, fresh)
        return person

    def _verify(self, password_hash: str, password: str) -> bool:
        if len(password) > MAX_PASSWORD:
            password = ""  # never anybody's; the work stays the same, and bounded
        try:
            return self._hasher.verify(password_hash, password)
        except VerificationError:
            return False
