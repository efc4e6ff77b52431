"""Alembic, run inside one async connection, under a lock, in the service's own schema and role."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from alembic import command, context
from alembic.config import Config
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

_LOCK: Final = text("SELECT pg_advisory_xact_lock(hashtextextended('otklik.migrate.' || current_schema(), 0))")


def run_env() -> None:
    """The body of every service's `migrations/env.py`."""
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, transaction_per_migration=False)
    with context.begin_transaction():
        context.run_migrations()


async def upgrade(url: str, script_location: str | Path) -> None:
    """Bring the schema at `url` to the newest revision in `script_location`; a second run changes nothing."""
    config = Config()
    config.set_main_option("script_location", str(script_location).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"), poolclass=NullPool)

    def run(connection: Connection) -> None:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    try:
        async with engine.begin() as connection:
            await connection.execute(_LOCK)
            await connection.run_sync(run)
    finally:
        await engine.dispose()
