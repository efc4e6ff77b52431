from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from libs.events.database import Database
from libs.webapi import keys
from libs.webapi.auth import KeyRing


class SteppingClock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


async def a_key(database: Database, name: str = "portal", scopes: tuple[str, ...] = ("cases:read",)) -> str:
    async with database.transaction() as tx:
        return await keys.create_key(tx, name=name, scopes=scopes)


async def key_id(database: Database) -> str:
    async with database.reading() as tx:
        return (await keys.list_keys(tx))[0].id


async def revoke(database: Database) -> bool:
    only = await key_id(database)
    async with database.transaction() as tx:
        return await keys.revoke_key(tx, key_id=only)


async def test_a_key_is_found_by_itself_and_stored_only_as_its_hash(database: Database) -> None:
    secret = await a_key(database)
    assert keys.well_formed(secret)

    found = await keys.find_key(database, secret)

    assert found is not None
    assert found.name == "portal"
    assert found.scopes == {"cases:read"}
    async with database.reading() as tx:
        row = await tx.fetch_one(text("SELECT CAST(api_keys AS text) AS everything FROM api_keys"))
    assert row is not None
    assert secret not in row.everything
    assert secret[4:] not in row.everything


async def test_an_unknown_key_and_a_revoked_key_are_not_found(database: Database) -> None:
    secret = await a_key(database)
    assert await keys.find_key(database, keys.new_key()) is None

    assert await revoke(database)

    assert await keys.find_key(database, secret) is None
    assert not await revoke(database)


async def test_a_given_key_is_stored_again_with_its_new_rights(database: Database) -> None:
    secret = await a_key(database)
    async with database.transaction() as tx:
        await keys.create_key(tx, name="portal", scopes=["cases:read", "on-behalf"], key=secret)

    found = await keys.find_key(database, secret)

    assert found is not None
    assert found.scopes == {"cases:read", "on-behalf"}


async def test_a_weak_key_of_ones_own_is_refused(database: Database) -> None:
    async with database.transaction() as tx:
        with pytest.raises(ValueError, match="43 url-safe"):
            await keys.create_key(tx, name="x", scopes=[], key="otk_secret")


async def test_the_day_of_the_last_use_is_kept(database: Database) -> None:
    secret = await a_key(database)
    await keys.find_key(database, secret)
    async with database.reading() as tx:
        first = (await keys.list_keys(tx))[0].last_used_on
    assert first == datetime.now(UTC).date()

    tomorrow = datetime.now(UTC) + timedelta(days=1)
    await keys.find_key(Database(database.engine, clock=lambda: tomorrow), secret)

    async with database.reading() as tx:
        assert (await keys.list_keys(tx))[0].last_used_on == tomorrow.date()


async def test_a_ring_asks_once_and_notices_a_revocation_when_its_seconds_are_over(database: Database) -> None:
    clock = SteppingClock()
    ring = KeyRing(database, seconds=5, clock=clock)
    secret = await a_key(database)
    assert await ring.find(secret) is not None
    await revoke(database)

    clock.seconds = 4.9
    assert await ring.find(secret) is not None
    clock.seconds = 5.1
    assert await ring.find(secret) is None


async def test_a_new_key_works_at_once_though_it_was_asked_for_before(database: Database) -> None:
    ring = KeyRing(database)
    secret = keys.new_key()
    assert await ring.find(secret) is None

    async with database.transaction() as tx:
        await keys.create_key(tx, name="late", scopes=[], key=secret)

    assert await ring.find(secret) is not None


async def test_a_ring_holds_no_more_keys_than_its_capacity(database: Database) -> None:
    ring = KeyRing(database, capacity=2)
    secrets = [await a_key(database, name=f"key {number}") for number in range(4)]
    for secret in secrets:
        assert await ring.find(secret) is not None
    assert list(ring._known) == secrets[-2:]
