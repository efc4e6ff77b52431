"""Agreed callbacks: customers choose a time on the page behind their link, and agents promise calls that nobody makes.

Customers of one agent press the same half hour at the same moment; some choose another time later, or want no call.
What agents agree by hand is so soon that it is missed within the run, and climbs a minute later.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from faults.leaving import LEAVER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from random import Random

    import httpx

    from faults.mailsink import MailSink

    Ask = Callable[[str, Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]], Awaitable[httpx.Response]]
    """Asks a service until it answers."""

GRACE: Final = timedelta(0)
"""How long after its time a callback is missed."""
_ADMINISTRATOR: Final = {"Otklik-Person": "admin", "Otklik-Role": "administrator"}
_MANAGER: Final = {"Otklik-Person": "olga", "Otklik-Role": "manager"}
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_LOOKED_AT: Final = 4
"""Customers who open their page at the same moment."""
_AMONG: Final = 3
"""They choose among so many of the first free times."""
_SLOT: Final = re.compile(r'name="at" value="([^"]+)"')
_CANCEL: Final = re.compile(r'name="cancel" value="([^"]+)"')
_AGENT: Final = re.compile(r"<strong>([^<]+)</strong>")
_SEE_OTHER: Final = 303
_CONFLICT: Final = 409


@dataclass(frozen=True, slots=True)
class Page:
    """What a customer sees."""

    path: str
    case_id: UUID
    agent: str
    slots: tuple[str, ...]
    callback_id: str | None


@dataclass(slots=True)
class Contest:
    """Two customers of one agent who pressed the same half hour at once, and what each was told."""

    agent: str
    at: str
    told: dict[UUID, str] = field(default_factory=dict)


class Bookings:
    """What customers chose and were told, by case."""

    def __init__(self, ask: Ask, sink: MailSink, random: Random, run: str, *, climbs_after: timedelta) -> None:
        """`climbs_after`, in whole minutes: how long a missed callback may be made up for."""
        self.chosen: Final[dict[UUID, datetime | None]] = {}
        """By case: the time that the customer was told is theirs; None once they wanted no call."""
        self.contests: Final[list[Contest]] = []
        self.promised = 0
        """How many calls agents agreed on."""
        self.odd: Final[list[str]] = []
        """Answers that nobody should get."""
        self._climbs_after: Final = climbs_after
        self._ask = ask
        self._sink = sink
        self._random = random
        self._run = run
        self._number = 0
        self._over: set[str] = set()

    async def set_up(self) -> None:
        """Customers may be called at any hour, and what is agreed is missed at once."""
        rules = {
            "zone": "Europe/Moscow",
            "week": {day: [{"start": "00:00", "end": "24:00"}] for day in _DAYS},
            "early_minutes": 0,
            "grace_minutes": int(GRACE.total_seconds() // 60),
            "climbs_after_minutes": int(self._climbs_after.total_seconds() // 60),
            "pause_minutes": 0,
        }
        answer = await self._ask(
            "casework", lambda client: client.put("/v1/contact-rules", json=rules, headers=_ADMINISTRATOR)
        )
        answer.raise_for_status()

    async def book(self) -> None:
        """Some customers open the page behind their link; two of one agent press the same time."""
        mails = [mail for mail in self._sink.kept if mail.booking is not None and mail.booking not in self._over]
        latest = mails[-40:]
        links = {str(mail.booking) for mail in self._random.sample(latest, min(_LOOKED_AT, len(latest)))}
        pages = [page for page in await asyncio.gather(*map(self._open, sorted(links))) if page is not None]
        for number, first in enumerate(pages):
            for second in pages[number + 1 :]:
                both = [each for each in first.slots if each in second.slots]
                if first.agent == second.agent and first.case_id != second.case_id and both:
                    await self._contest(first, second, self._random.choice(both[:_AMONG]))
                    return
        for page in pages[:1]:
            if page.callback_id is not None and self._random.random() < 0.3:  # noqa: PLR2004 - now and then
                await self._press(page, {"cancel": page.callback_id})
            elif page.slots:
                await self._press(page, {"at": self._random.choice(page.slots[:_AMONG])})

    async def promise(self, case_id: str) -> None:
        """An agent agrees to call in a moment, and nobody does."""
        self._number += 1
        at = datetime.now(UTC) + timedelta(seconds=self._random.uniform(2.0, 6.0))
        headers = {**_MANAGER, "Idempotency-Key": f"{self._run}-promise-{self._number}"}
        path, body = f"/v1/cases/{case_id}/callbacks", {"at": at.isoformat()}
        answer = await self._ask("casework", lambda client: client.post(path, json=body, headers=headers))
        if answer.is_success:
            self.promised += 1
        elif answer.status_code != _CONFLICT:
            self.odd.append(f"{path} was answered {answer.status_code} {answer.text[:200]}")

    async def _contest(self, first: Page, second: Page, at: str) -> None:
        contest = Contest(first.agent, at)
        self.contests.append(contest)
        told = await asyncio.gather(self._press(first, {"at": at}), self._press(second, {"at": at}))
        contest.told.update(zip((first.case_id, second.case_id), told, strict=True))

    async def _open(self, link: str) -> Page | None:
        path = "/b/" + link.rpartition("/b/")[2]
        answer = await self._ask("notify", lambda client: client.get(path))
        if not answer.is_success:
            self.odd.append(f"{path} was answered {answer.status_code}")
            return None
        html = answer.text
        slots = tuple(map(unescape, _SLOT.findall(html)))
        if not slots:
            self._over.add(link)
            return None
        agent, cancel = _AGENT.search(html), _CANCEL.search(html)
        if agent is not None and agent[1] == LEAVER.title():
            return None
        return Page(path, _case_of(path), agent[1] if agent else "", slots, cancel[1] if cancel else None)

    async def _press(self, page: Page, form: dict[str, str]) -> str:
        """Press a button; what the page says afterwards."""
        answer = await self._ask("notify", lambda client: client.post(page.path, data=form))
        if answer.status_code != _SEE_OTHER:
            self.odd.append(f"{page.path} was answered {answer.status_code} {answer.text[:200]}")
            return "?"
        told = answer.headers["location"].partition("o=")[2].partition("&")[0]
        if told == "cancelled":
            self.chosen[page.case_id] = None
        elif told == "done":
            self.chosen[page.case_id] = datetime.fromisoformat(form["at"])
        return str(told)


def _case_of(path: str) -> UUID:
    """A token names its case: the signed part is its id as a piece of JSON."""
    payload = path.rpartition("/")[2].partition(".")[0]
    named: Any = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return UUID(named)
