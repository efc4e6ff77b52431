"""What stands in the tables, read as each service's own role beside every link, whoever was killed a moment ago."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faults.stage import Stage

_DATABASE_S: Final = 30.0
_AWAY: Final = (OSError, asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError, asyncpg.InterfaceError)
_CROWDED: Final = (asyncpg.TooManyConnectionsError, asyncpg.CannotConnectNowError)

WAITING: Final[Mapping[str, str]] = {
    "outbox": "SELECT count(*) FROM outbox",
    "messages": """
        SELECT count(*) FROM messages
         WHERE status IN ('waiting', 'queued', 'sending', 'transmitting', 'doubtful')
    """,
    "campaigns": "SELECT count(*) FROM campaigns WHERE status IN ('starting', 'running', 'paused')",
    "hooks": """
        SELECT count(*) FROM hook_deliveries JOIN subscriptions ON subscriptions.id = subscription_id
         WHERE status = 'pending' AND disabled IS NULL
    """,
    "callbacks": "SELECT count(*) FROM callbacks WHERE fires_at < now() + interval '70 seconds'",
    "fetches": "SELECT count(*) FROM fetches",
    "comments": """
        SELECT count(*) FROM theme_taxonomies
         WHERE version = (SELECT max(version) FROM theme_taxonomies) AND read_up_to IS NOT NULL
    """,
    "tiers": "SELECT count(*) FROM customers WHERE rules_version <> (SELECT max(version) FROM segment_valuations)",
    "clocks": "SELECT count(*) FROM cases WHERE fires_at < now() + interval '40 seconds'",
}
"""What is not at rest, by its name."""


class Tables:
    """One connection per service, made anew where it was lost."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._connections: dict[str, Any] = {}
        self._locks: Final = {service: asyncio.Lock() for service in stage.names}

    async def rows(self, service: str, query: str, *arguments: object) -> list[Mapping[str, Any]]:
        """The rows of a query; asked again while the server comes back."""
        deadline = time.monotonic() + _DATABASE_S
        async with self._locks[service]:
            while True:
                try:
                    found: list[Mapping[str, Any]] = await (await self._connection(service)).fetch(query, *arguments)
                except (*_AWAY, *_CROWDED):
                    self._connections.pop(service, None)
                    if time.monotonic() > deadline:
                        raise
                    await asyncio.sleep(0.2)
                else:
                    return found

    async def value(self, service: str, query: str, *arguments: object) -> Any:  # noqa: ANN401 - whatever the query gives
        """The first value of the first row."""
        rows = await self.rows(service, query, *arguments)
        return next(iter(rows[0].values())) if rows else None

    async def close(self) -> None:
        """Close all connections."""
        for connection in self._connections.values():
            connection.terminate()
        self._connections.clear()

    async def _connection(self, service: str) -> Any:  # noqa: ANN401 - asyncpg publishes no types
        connection = self._connections.get(service)
        if connection is None or connection.is_closed():
            connection = await asyncpg.connect(self._stage.dsn(service), timeout=5, command_timeout=60)
            self._connections[service] = connection
        return connection
