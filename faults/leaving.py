"""Somebody leaves now and then, and hands over what they have; a while later they are back, at the end they are not.

They are disabled first, so that nothing new comes to them, and hand over until nothing is left: to everybody, by the
routing rule, or to one colleague. Nobody agrees on calls about their cases: whose half hour that is, is another story.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from random import Random

    import httpx

    Ask = Callable[[Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]], Awaitable[httpx.Response]]
    """Asks casework until it answers."""

LEAVER: Final = "eva"
_HEIRS: Final = ("anna", "boris", None)
"""None: shared out by the routing rule."""
_MANAGER: Final = {"Otklik-Person": "olga", "Otklik-Role": "manager"}
_ADMINISTRATOR: Final = {"Otklik-Person": "admin", "Otklik-Role": "administrator"}
_AWAY_S: Final = (1.0, 4.0)
_SETTLES_S: Final = 1.0
_LOOKS: Final = 20
_QUIET_LOOKS: Final = 3
"""So often in a row they have nothing any more: what was being routed to them when they left has come by then."""


@dataclass(frozen=True, slots=True)
class HandedOver:
    """One case that somebody else has now, as it was answered."""

    case_id: str
    owner_id: str
    version: int
    """Of the case when it was assigned."""


class Leaving:
    """What was handed over, and whether the leaver is here."""

    def __init__(self, ask: Ask, random: Random, run: str, *, profile: dict[str, Any]) -> None:
        """`profile`: what is told of every agent."""
        self.handed: Final[list[HandedOver]] = []
        self.leavings = 0
        self.odd: Final[list[str]] = []
        """Answers that nobody should get."""
        self._ask = ask
        self._random = random
        self._run = run
        self._profile: Final = {**profile, "name": LEAVER.title(), "email": f"{LEAVER}@company.example"}
        self._number = 0

    async def come(self) -> None:
        """They work here, and take cases."""
        await self._put(disabled=False)

    async def leave_and_return(self) -> None:
        """They leave, and come back a while later."""
        await self.leave()
        await asyncio.sleep(self._random.uniform(*_AWAY_S))
        await self.come()

    async def leave(self) -> None:
        """They leave, and hand over all that they have."""
        self.leavings += 1
        heir = self._random.choice(_HEIRS)
        await self._put(disabled=True)
        quiet = 0
        for _ in range(_LOOKS):
            quiet = 0 if await self._hand_over(heir) else quiet + 1
            if quiet == _QUIET_LOOKS:
                return
            await asyncio.sleep(_SETTLES_S)
        self.odd.append(f"{LEAVER} still has cases after {_LOOKS} hand-overs")

    async def _hand_over(self, heir: str | None) -> bool:
        """Hand over once; whether there was anything."""
        self._number += 1
        headers = {**_MANAGER, "Idempotency-Key": f"{self._run}-leaving-{self._number}"}
        body = {"reason": "leaves", "preview": False, "to_id": heir}
        path = f"/v1/agents/{LEAVER}/hand-over"
        answer = await self._ask(lambda client: client.post(path, json=body, headers=headers))
        if not answer.is_success:
            self.odd.append(f"{path} was answered {answer.status_code} {answer.text[:200]}")
            return False
        told = answer.json()
        for each in told["cases"]:
            if each["result"] != "changed":
                self.odd.append(f"{each['case_id']} was not handed over: {each['because']}")
                continue
            # That the customer hears the name is one more step of the case.
            version = each["version"] - each["customer_is_told"]
            self.handed.append(HandedOver(each["case_id"], each["owner_id"], version))
        return bool(told["cases"])

    async def _put(self, *, disabled: bool) -> None:
        path, body = f"/v1/agents/{LEAVER}", {**self._profile, "disabled": disabled}
        answer = await self._ask(lambda client: client.put(path, json=body, headers=_ADMINISTRATOR))
        if not answer.is_success:
            self.odd.append(f"{path} was answered {answer.status_code} {answer.text[:200]}")
