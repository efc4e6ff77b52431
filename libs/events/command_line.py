"""What all services say on the command line: which of their processes to be, or `migrate`."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_ROLES: Final = ("api", "worker", "all", "migrate")


def asked_role(service: str, *further: str) -> str:
    """What this process is asked to be; `further`: what this service alone can be."""
    parser = argparse.ArgumentParser(prog=f"python -m services.{service}")
    parser.add_argument("role", choices=[*_ROLES, *further])
    role: str = parser.parse_args().role
    return role


def migrate(database_url: str, migrations: Path) -> None:
    """Bring the service's schema to its newest revision; a second run changes nothing."""
    # Alembic is needed here alone, and costs a serving process memory.
    from libs.events.migrate import upgrade  # noqa: PLC0415

    asyncio.run(upgrade(database_url, migrations))
