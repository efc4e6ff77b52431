"""One database, in it a role and a schema for each service, none of which sees another's.

Works as a superuser and as the administrator of a managed server. Running it again only sets the passwords.
"""

import contextlib
from collections.abc import Mapping
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

DATABASE = "otklik"
_LOCK = 0x6F746B6C  # "otkl": two at once wait for each other


async def ensure_database(admin_dsn: str, name: str = DATABASE) -> str:
    """Create the database where it is missing; the DSN of the administrator in it."""
    connection = await asyncpg.connect(admin_dsn)
    try:
        if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name):
            # Another one may create it in this moment: then there it is.
            with contextlib.suppress(asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
                await connection.execute(await _written(connection, "CREATE DATABASE %I", name))
    finally:
        await connection.close()
    return in_database(admin_dsn, name)


async def bootstrap(admin_dsn: str, roles_with_passwords: Mapping[str, str]) -> None:
    """In the administrator's database, give each role its log-in, its schema (= its name) and search path."""
    connection = await asyncpg.connect(admin_dsn)
    try:
        async with connection.transaction():
            # Roles belong to the whole server, so that two databases set up at once meet here.
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            superuser = await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
            database = await connection.fetchval("SELECT current_database()")
            for role, password in roles_with_passwords.items():
                await _bootstrap_role(connection, role, password, superuser=superuser)
                await connection.execute(
                    await _written(connection, "GRANT CONNECT, TEMPORARY ON DATABASE %I TO %I", database, role)
                )
            await connection.execute(
                await _written(connection, "REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC", database)
            )
            await connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    finally:
        await connection.close()


async def _bootstrap_role(
    connection: "asyncpg.Connection[asyncpg.Record]", role: str, password: str, *, superuser: bool
) -> None:
    known = await connection.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role)
    verb = "ALTER" if known else "CREATE"
    await connection.execute(await _written(connection, f"{verb} ROLE %I LOGIN PASSWORD %L", role, password))
    if not superuser:
        # Only a member of a role may make a schema that belongs to it.
        await connection.execute(await _written(connection, "GRANT %I TO CURRENT_USER", role))
    await connection.execute(await _written(connection, "ALTER ROLE %I SET search_path = %I", role, role))
    await connection.execute(await _written(connection, "ALTER ROLE %I SET timezone = 'UTC'", role))
    await connection.execute(await _written(connection, "CREATE SCHEMA IF NOT EXISTS %I AUTHORIZATION %I", role, role))


async def _written(connection: "asyncpg.Connection[asyncpg.Record]", template: str, *words: str) -> str:
    """Let the server write the statement: names and literals of definitions cannot be bound as parameters."""
    statement: str = await connection.fetchval("SELECT format($1::text, VARIADIC $2::text[])", template, list(words))
    return statement


def in_database(dsn: str, name: str) -> str:
    """Point the DSN at another database of the same server, as the same role."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{quote(name, safe='')}"))


def as_role(dsn: str, role: str, password: str) -> str:
    """Make the DSN of another role in the same database."""
    parts = urlsplit(dsn)
    _, _, address = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{quote(role, safe='')}:{quote(password, safe='')}@{address}"))
