"""A handler whose effects can be counted: one row for each event, as often as it took effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from libs.events.database import Database, Tx
    from libs.events.event import Event

_INSERT: Final = text("""
    INSERT INTO effects (event_id, customer, number)
    SELECT event_id, customer, number
      FROM unnest(CAST(:ids AS uuid[]), CAST(:customers AS text[]), CAST(:numbers AS int[])) WITH ORDINALITY
           AS happened (event_id, customer, number, place)
     ORDER BY place
""")
_ALL: Final = text("SELECT event_id, customer, number FROM effects ORDER BY id")


def _let_pass(_: Event[Any]) -> None:
    """Nothing is wrong with the event."""


class Effects:
    """The table `effects` and the handler of answers that fills it. It has no unique key: what happens twice shows."""

    TABLE: Final = (
        "CREATE TABLE effects (id bigint GENERATED ALWAYS AS IDENTITY, event_id uuid, customer text, number int)"
    )

    def __init__(self, database: Database) -> None:
        self._database = database
        self.judge: Callable[[Event[Any]], None] = _let_pass
        """Raises for an event that shall fail."""
        self.batches: list[int] = []
        """How many events each call of the handler got."""

    async def handle(self, tx: Tx, events: Sequence[Event[Any]]) -> None:
        """Take effect."""
        self.batches.append(len(events))
        await tx.execute(
            _INSERT,
            {
                "ids": [event.id for event in events],
                "customers": [event.payload.customer_id for event in events],
                "numbers": [event.payload.round for event in events],
            },
        )
        # After the write, so that a failure has something to roll back.
        for event in events:
            self.judge(event)

    async def ids(self) -> list[UUID]:
        """The ids of the events that took effect, in order, each as often as it did."""
        async with self._database.reading() as tx:
            return [row.event_id for row in await tx.fetch(_ALL)]

    async def by_customer(self) -> dict[str, list[int]]:
        """The numbers of the events that took effect, in order, by customer."""
        numbers: dict[str, list[int]] = {}
        async with self._database.reading() as tx:
            for row in await tx.fetch(_ALL):
                numbers.setdefault(row.customer, []).append(row.number)
        return numbers
