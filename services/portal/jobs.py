"""What the portal does by itself: it forgets what is over (sessions, failed log-ins, answered commands, old events)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from libs.webapi.idempotency import prune_keys
from services.portal import store

if TYPE_CHECKING:
    from libs.events.database import Database
    from services.portal.domain.sessions import SessionRules

PRUNE_EVERY: Final = timedelta(minutes=10)
_ATTEMPTS_KEPT: Final = timedelta(days=1)
_COMMANDS_KEPT: Final = timedelta(days=7)


class Pruning:
    """Deletes what is over, a bounded number of rows per transaction."""

    def __init__(self, database: Database, *, rules: SessionRules, events_kept: timedelta) -> None:
        self._database = database
        self._rules = rules
        self._events_kept = events_kept

    async def step(self) -> bool:
        """Forget some; whether more is waiting."""
        async with self._database.transaction() as tx:
            more = [
                await store.prune_sessions(tx, idle=self._rules.idle),
                await store.prune_attempts(tx, older_than=_ATTEMPTS_KEPT),
                await store.prune_events(tx, older_than=self._events_kept),
                await prune_keys(tx, older_than=_COMMANDS_KEPT),
            ]
        return any(more)
