"""The process: settings from the environment alone, and migrations that can be run again."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from pydantic import ValidationError

from services.casework.settings import Settings

ROOT = Path(__file__).parents[3]


async def run(*arguments: str, **environment: str) -> int:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.casework", *arguments, cwd=ROOT, env=os.environ | environment
    )
    async with asyncio.timeout(60):
        return await process.wait()


async def test_migrating_again_changes_nothing(service_database: Callable[[str], str]) -> None:
    url = service_database("casework")
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("UPDATE sla_policies SET resolution_hours = 99 WHERE tier = 'key'")
        assert await run("migrate", CASEWORK_DATABASE_URL=url) == 0
        kept = await connection.fetchval("SELECT resolution_hours FROM sla_policies WHERE tier = 'key'")
    finally:
        await connection.close()
    assert kept == 99


async def test_an_unknown_role_is_refused() -> None:
    assert await run("everything", CASEWORK_DATABASE_URL="postgresql://nobody@/nowhere") == 2


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASEWORK_DATABASE_URL", "postgresql://casework@/otklik")
    monkeypatch.setenv("OTKLIK_KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
    monkeypatch.setenv("CASEWORK_PORT", "18003")
    settings = Settings()  # type: ignore[call-arg]  # from the environment
    assert (settings.kafka_bootstrap_servers, settings.port, settings.host) == ("kafka:9092", 18003, "127.0.0.1")
    monkeypatch.setenv("CASEWORK_CLOCK_BATCH", "100000")
    with pytest.raises(ValidationError):
        Settings()  # type: ignore[call-arg]  # as above
