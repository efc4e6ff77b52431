"""Who reads digests: everybody who works here and a list of colleagues; and when the company began to have them.

A digest is made once for each week and month that ends, which no run waits for. So the day on which the company began
is put back, to before the end of the last period that has ended: its digest is due from then on, and was not before.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import httpx

    from faults.tables import Tables

    Ask = Callable[[Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]], Awaitable[httpx.Response]]
    """Asks notify until it answers."""

COLLEAGUES: Final = 40
_LIST: Final = "colleagues"
_HERE: Final = ZoneInfo("Europe/Moscow")
_MADE_AT: Final = time(8)
_MANAGER: Final = {"Otklik-Person": "olga", "Otklik-Role": "manager"}
_BEGAN: Final = "UPDATE digests_begin SET at = $1 RETURNING at"


class Readers:
    """The digests that are due, and who gets them."""

    def __init__(self, ask: Ask, tables: Tables, *, employees: tuple[str, ...], perhaps: tuple[str, ...]) -> None:
        """`employees`: ids of those who work here all the time, `perhaps` of those who come and go."""
        self.due: Final[set[tuple[str, str]]] = set()
        """The kind and the first day after its period."""
        self.perhaps: Final = frozenset(f"employee:{each}" for each in perhaps)
        self._employees = employees
        self._ask = ask
        self._tables = tables

    @property
    def recipients(self) -> frozenset[str]:
        """Who gets each digest."""
        everybody = (*self._employees, *map(_colleague, range(COLLEAGUES)))
        return frozenset(f"employee:{each}" for each in everybody)

    async def make_one_due(self) -> set[tuple[str, str]]:
        """Let the latest digest that was not due before be due; what it is, nothing where there is none."""
        await self._put_list()
        now = datetime.now(UTC)
        ends = [
            (kind, end)
            for kind, end in _ends(now)
            if (kind, end.date().isoformat()) not in self.due and end.replace(hour=_MADE_AT.hour) <= now
        ]
        if not ends:
            return set()
        latest = max(end for _, end in ends)
        new = {(kind, end.date().isoformat()) for kind, end in ends if end == latest}
        self.due.update(new)
        await self._tables.rows("notify", _BEGAN, latest - timedelta(seconds=1))
        return new

    async def _put_list(self) -> None:
        path, body = f"/v1/lists/{_LIST}", {"side": "employees", "name": "Colleagues"}
        answer = await self._ask(lambda client: client.put(path, json=body, headers=_MANAGER))
        answer.raise_for_status()
        # Some stand there under two ids, and those who work here anyway.
        people = {name: name for name in map(_colleague, range(COLLEAGUES))}
        people |= {f"{name}-again": name for name in (_colleague(0), *self._employees)}
        members = [
            {"member_id": id_, "name": name.title(), "email": f"{name}@company.example", "language": "en"}
            for id_, name in people.items()
        ]
        answer = await self._ask(lambda client: client.post(f"{path}/members", json={"put": members}, headers=_MANAGER))
        answer.raise_for_status()


def _ends(now: datetime) -> tuple[tuple[str, datetime], tuple[str, datetime]]:
    """When the last week and the last month ended, here."""
    today = datetime.combine(now.astimezone(_HERE).date(), time(), tzinfo=_HERE)
    return ("weekly", today - timedelta(days=today.weekday())), ("monthly", today.replace(day=1))


def _colleague(number: int) -> str:
    return f"colleague-{number}"
