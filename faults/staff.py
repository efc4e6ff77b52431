"""The staff who feed scoring: they change the taxonomy and the segment rules, invite customers, and erase some.

All of that goes on under the load, so that jobs that follow from it (comments read anew, tiers computed anew) are at
work whenever a fault strikes. Every command is sent until it is answered; the ledger goes by what was answered.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from faults.deliveries import CUSTOMERS, PROGRAM, WORDS, customer_id, value_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from random import Random

    import httpx

    Ask = Callable[[Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]], Awaitable[httpx.Response]]
    """Asks scoring until it answers."""

_THEMES: Final = ("first", "second", "third")
_HIGH_FROM: Final = (200_000, 700_000)
KEY_FROM: Final = 1_000_000
_AT_ONCE: Final = 5
_TOLD: Final = frozenset({"created", "unchanged"})


class Staff:
    """What they told scoring last, and all that they were answered."""

    def __init__(self, ask: Ask, random: Random, run: str) -> None:
        """`run` begins the ids of invitations and of customers who come and go."""
        self.words: dict[str, str] = dict(zip(_THEMES, WORDS, strict=True))
        """By theme, the word that tells it by the taxonomy in force."""
        self.high_from = _HIGH_FROM[0]
        self.invited: Final[dict[str, str]] = {}
        """By invitation, who it went to; only what was taken."""
        self.erased: Final[list[str]] = []
        """The ids of customers who were erased."""
        self.odd: Final[list[str]] = []
        """Answers that nobody should get."""
        self._ask = ask
        self._random = random
        self._run = run
        self.secret: Final = f"forgotten-{run}"
        """In the names and addresses of the erased, and nowhere else. Services that forget people by ids keep ids."""
        self._number = 0

    async def set_up(self) -> None:
        """The taxonomy and the rules that the load begins with."""
        await self._put_themes(self.words)
        await self._put_rules(self.high_from)

    async def reword(self) -> None:
        """Two themes change their words, and other customers are high ones."""
        first, second, third = (self.words[theme] for theme in _THEMES)
        await self._put_themes(dict(zip(_THEMES, (second, first, third), strict=True)))
        await self._put_rules(next(each for each in _HIGH_FROM if each != self.high_from))

    async def invite(self) -> None:
        """Some customers are invited, and some invitations bounce; told twice now and then."""
        items = [self._invitation(customer_id(self._random.randrange(CUSTOMERS))) for _ in range(_AT_ONCE)]
        for _ in range(self._random.choice((1, 1, 2))):
            await self._tell(items)

    async def let_go(self) -> None:
        """Somebody becomes known, is invited, and is erased a moment later, wherever they have become known by then."""
        self._number += 1
        leaver = f"leaver-{self._run}-{self._number}"
        profile = {
            "name": f"Somebody {self.secret}",
            "email": f"{self.secret}-{self._number}@customers.example",
            "language": "en",
            "time_zone": "Europe/Moscow",
            "current_value": float(KEY_FROM),
            "email_consent": False,
        }
        path = f"/v1/customers/{leaver}"
        await self._done(lambda client: client.put(path, json=profile), path)
        await self._tell([self._invitation(leaver, bounces=False)])
        if self._random.random() < 0.5:  # noqa: PLR2004 - as often as not
            await asyncio.sleep(1.0)
        if await self._done(lambda client: client.delete(path), path):
            self.erased.append(leaver)

    def tier_of(self, number: int) -> str:
        """The tier of a customer by the rules in force."""
        value = value_of(number)
        return "key" if value >= KEY_FROM else "high" if value >= self.high_from else "standard"

    def themes_of(self, comment: str | None) -> list[str]:
        """What a comment mentions by the taxonomy in force."""
        said = (comment or "").replace(",", " ").split()
        return [theme for theme in _THEMES if self.words[theme] in said]

    async def _put_themes(self, words: dict[str, str]) -> None:
        themes = [
            {"id": id_, "names": {"ru": id_, "en": id_}, "patterns": {"en": [f"={word}"]}}
            for id_, word in words.items()
        ]
        if await self._done(lambda client: client.put("/v1/themes", json={"themes": themes, "urgent": []}), "themes"):
            self.words = words

    async def _put_rules(self, high_from: int) -> None:
        rules = [
            {"tier": tier, "when": [{"field": "current_value", "op": ">=", "value": value}]}
            for tier, value in (("key", KEY_FROM), ("high", high_from))
        ]
        body = {"default": "standard", "rules": rules}
        if await self._done(lambda client: client.put("/v1/segment-rules", json=body), "segment rules"):
            self.high_from = high_from

    def _invitation(self, customer: str, *, bounces: bool = True) -> dict[str, Any]:
        self._number += 1
        invited_at = datetime.now(UTC) - timedelta(minutes=self._random.randint(1, 40))
        bounced = bounces and self._random.random() < 0.2  # noqa: PLR2004 - now and then
        return {
            "id": f"{self._run}-invitation-{self._number}",
            "customer_id": customer,
            "program": PROGRAM,
            "touchpoint": "branch",
            "channel": "email",
            "invited_at": invited_at.isoformat(),
            "bounced_at": (invited_at + timedelta(seconds=20)).isoformat() if bounced else None,
        }

    async def _tell(self, items: list[dict[str, Any]]) -> None:
        answer = await self._ask(lambda client: client.post("/v1/invitations", json={"items": items}))
        if not answer.is_success:
            self.odd.append(f"invitations were answered {answer.status_code} {answer.text[:200]}")
            return
        for item, result in zip(items, answer.json()["items"], strict=True):
            if result["status"] in _TOLD:
                self.invited[item["id"]] = item["customer_id"]
            else:
                self.odd.append(f"the invitation {item['id']} is {result['status']}")

    async def _done(self, ask: Callable[[httpx.AsyncClient], Awaitable[httpx.Response]], what: str) -> bool:
        answer = await self._ask(ask)
        if not answer.is_success:
            self.odd.append(f"{what}: answered {answer.status_code} {answer.text[:200]}")
        return answer.is_success
