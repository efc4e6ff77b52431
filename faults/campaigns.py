"""Those who tell everybody what changed: one campaign after another, and people who want no more of it meanwhile.

Each campaign tells an initiative of its own, shipped a moment before; one person writes it, another approves it. While
it is sent it is paused and resumed, or cancelled, its list grows and shrinks, and customers and partners unsubscribe.
Who is in its audience is known here by itself: all customers below the highest tier, and the list of partners as it was
at the start.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from faults.deliveries import CUSTOMERS, address_of, customer_id, value_of
from faults.staff import KEY_FROM

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from random import Random

    import httpx

    from faults.mailsink import MailSink

    Ask = Callable[[str, Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]], Awaitable[httpx.Response]]
    """Asks a service until it answers."""

OWNER: Final = "olga"
_AUTHOR: Final = {"Otklik-Person": OWNER, "Otklik-Role": "manager"}
_APPROVER: Final = {"Otklik-Person": "pavel", "Otklik-Role": "executive"}
_DEPARTMENT: Final = "service"
_LIST: Final = "partners"
_PARTNERS: Final = 120
_PER_MINUTE: Final = 100
"""A minute's worth goes at once, at the start and again when it is resumed."""
_CANCELLED: Final = 3
"""The first of so many campaigns is cancelled."""
_BEFORE_CANCEL_S: Final = (0.5, 8.0)
_BEFORE_PAUSE_S: Final = (8.0, 20.0)
_PAUSE_S: Final = (2.0, 6.0)
_LOOK_EVERY_S: Final = 0.5
_PATIENCE_S: Final = 600.0
_CONFLICT: Final = 409
_WORDS: Final = {"learned": "Many of you waited too long.", "changed": "Now we call back within a minute."}
_CONTENT: Final = {
    "ru": {"subject": "Вы ждали – мы перезваниваем", "about": "ожидание", **_WORDS},
    "en": {"subject": "You waited, we call back", "about": "waiting", **_WORDS},
}


class CampaignRefused(Exception):
    """A command that had to be done was not."""


@dataclass(slots=True)
class Campaign:
    """One campaign, and whom it is for."""

    id: str
    initiative_id: str
    audience: dict[str, str]
    """By recipient: the address."""
    started: float
    """Before it was asked for, by the monotonic clock."""
    paused_at: int | None = None
    """How far it had come when it was paused."""
    resumed_at: int | None = None
    """How far it had come when it was resumed."""
    cancelled: float | None = None
    """When we said that it is, by the monotonic clock."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Somebody wants no more news."""

    address: str
    answered: float
    """When we said that it is so, by the monotonic clock."""


class Campaigns:
    """Every campaign of the run, and everybody who unsubscribed."""

    def __init__(self, ask: Ask, sink: MailSink, random: Random, run: str) -> None:
        self.told: Final[list[Campaign]] = []
        """All that were started, in their order."""
        self.refusals: Final[dict[str, Refusal]] = {}
        """By address: the first time that it was said."""
        self.odd: Final[list[str]] = []
        """Answers that nobody should get."""
        self._ask = ask
        self._sink = sink
        self._random = random
        self._run = run
        self._number = 0
        self._partners: dict[str, str] = {}

    async def set_up(self) -> None:
        """The department that sees to changes, and the list of partners. The owner works here already."""
        await self._command("casework", "PUT", f"/v1/departments/{_DEPARTMENT}", {"name": "Service"})
        await self._command("notify", "PUT", f"/v1/lists/{_LIST}", {"side": "partners", "name": "Partners"})
        await self._change_list([f"partner-{number}" for number in range(_PARTNERS)], ())

    async def tell(self) -> None:
        """One campaign, from the proposal of its initiative to where it was paused and goes on."""
        try:
            await self._tell()
        except CampaignRefused as error:
            self.odd.append(str(error))

    async def _tell(self) -> None:
        self._number += 1
        initiative_id = await self._ship()
        if not await self._until(lambda: self._is_tellable(initiative_id)):
            self.odd.append(f"the initiative {initiative_id} cannot be told {_PATIENCE_S:.0f} s after it shipped")
            return
        audience = self._audience()
        if not await self._until(lambda: self._reaches(len(audience))):
            self.odd.append(f"the preview never counted the {len(audience)} people of the audience")
            return
        campaign = await self._begin(initiative_id, audience)
        await self._until(lambda: self._is(campaign, "running", "completed"))
        joins, leaves = f"partner-{_PARTNERS + self._number}", self._random.choice(sorted(self._partners))
        await self._change_list([joins], [leaves])
        if self._number % _CANCELLED == 1:
            await asyncio.sleep(self._random.uniform(*_BEFORE_CANCEL_S))
            if await self._act(campaign, "cancel", {"reason": "a mistake in it"}, conflict=True) is not None:
                campaign.cancelled = time.monotonic()
            return
        await asyncio.sleep(self._random.uniform(*_BEFORE_PAUSE_S))
        paused = await self._act(campaign, "pause", conflict=True)
        if paused is None:
            return  # everybody was told already
        campaign.paused_at = paused["told"]
        await asyncio.sleep(self._random.uniform(*_PAUSE_S))
        resumed = await self._act(campaign, "resume")
        if resumed is not None:
            campaign.resumed_at = resumed["told"]

    async def completed(self) -> None:
        """Return when the last campaign has ended, or nobody waits for it any longer."""
        if self.told:
            await self._until(lambda: self._is(self.told[-1], "completed", "cancelled"))

    async def unsubscribe(self) -> None:
        """Somebody presses the link in a mail that they got, as a mail client does by one click."""
        mails = [mail for mail in self._sink.kept if mail.unsubscribe and mail.recipient not in self.refusals]
        if not mails:
            return
        mail = self._random.choice(mails)
        path = "/u/" + str(mail.unsubscribe).rpartition("/u/")[2]
        one_click = {"List-Unsubscribe": "One-Click"}
        answer = await self._ask("notify", lambda client: client.post(path, data=one_click))
        self._note_refusal(mail.recipient, answer, path)

    async def decline(self) -> None:
        """A customer tells somebody of the staff that they want no more news, whether they were told yet or not."""
        id_ = customer_id(self._random.randrange(CUSTOMERS))
        address = address_of(id_)
        if address in self.refusals:
            return
        path = f"/v1/consents/{id_}/email/news"
        body = {"granted": False, "why": "said so on the phone"}
        answer = await self._ask("notify", lambda client: client.put(path, json=body, headers=_AUTHOR))
        self._note_refusal(address, answer, path)

    def _note_refusal(self, address: str, answer: httpx.Response, path: str) -> None:
        if answer.is_success:
            self.refusals[address] = Refusal(address, time.monotonic())
        else:
            self.odd.append(f"{path} was answered {answer.status_code} {answer.text[:200]}")

    def _audience(self) -> dict[str, str]:
        customers = (customer_id(number) for number in range(CUSTOMERS) if value_of(number) < KEY_FROM)
        return {
            **{f"customer:{id_}": address_of(id_) for id_ in customers},
            **{f"partners:{_LIST}/{member}": address for member, address in self._partners.items()},
        }

    async def _ship(self) -> str:
        """An initiative, proposed, approved by the executive, worked on and in force."""
        proposal = {
            "title": f"Call back {self._number}",
            "problem": "Customers wait on the line.",
            "root_causes": ["service.waiting"],
            "department_id": _DEPARTMENT,
            "owner_id": OWNER,
        }
        proposed = await self._command("casework", "POST", "/v1/initiatives", proposal)
        path = f"/v1/initiatives/{proposed['id']}"
        await self._command("casework", "POST", f"{path}/approve", {"due_on": "2100-01-01"}, who=_APPROVER)
        await self._command("casework", "POST", f"{path}/start", {})
        await self._command("casework", "POST", f"{path}/ship", _WORDS)
        return str(proposed["id"])

    async def _begin(self, initiative_id: str, audience: dict[str, str]) -> Campaign:
        plan = {
            "name": f"What changed {self._number}",
            "initiative_ids": [initiative_id],
            "audience": self._wanted(),
            "content": _CONTENT,
            "per_minute": _PER_MINUTE,
        }
        draft = await self._command("notify", "POST", "/v1/campaigns", plan)
        campaign = Campaign(draft["id"], initiative_id, audience, started=0.0)
        await self._act(campaign, "approve", who=_APPROVER)
        campaign.started = time.monotonic()
        await self._act(campaign, "start")
        self.told.append(campaign)
        return campaign

    @staticmethod
    def _wanted() -> dict[str, Any]:
        return {"customers": {"which": "everybody", "tiers": ["standard", "high"]}, "lists": [_LIST]}

    async def _is_tellable(self, initiative_id: str) -> bool:
        found = await self._command("notify", "GET", "/v1/tellable-initiatives", None)
        return any(each["initiative_id"] == initiative_id for each in found)

    async def _reaches(self, people: int) -> bool:
        preview = await self._command("notify", "POST", "/v1/audiences/preview", self._wanted())
        return bool(preview["people"] == people)

    async def _is(self, campaign: Campaign, *statuses: str) -> bool:
        found = await self._command("notify", "GET", f"/v1/campaigns/{campaign.id}", None)
        return found["status"] in statuses

    async def _act(
        self,
        campaign: Campaign,
        act: str,
        body: dict[str, str] | None = None,
        *,
        who: dict[str, str] = _AUTHOR,
        conflict: bool = False,
    ) -> dict[str, Any] | None:
        path = f"/v1/campaigns/{campaign.id}/{act}"
        found: dict[str, Any] | None = await self._command(
            "notify", "POST", path, body or {}, who=who, conflict=conflict
        )
        return found

    async def _change_list(self, joining: list[str], leaving: tuple[str, ...] | list[str]) -> None:
        put = [
            {"member_id": member, "name": member.title(), "email": _address_of_partner(member), "language": "en"}
            for member in joining
        ]
        await self._command("notify", "POST", f"/v1/lists/{_LIST}/members", {"put": put, "remove": list(leaving)})
        self._partners |= {member: _address_of_partner(member) for member in joining}
        for member in leaving:
            del self._partners[member]

    async def _until(self, holds: Callable[[], Awaitable[bool]]) -> bool:
        deadline = time.monotonic() + _PATIENCE_S
        while not await holds():
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_LOOK_EVERY_S)
        return True

    async def _command(
        self,
        service: str,
        method: str,
        path: str,
        body: object,
        *,
        who: dict[str, str] = _AUTHOR,
        conflict: bool = False,
    ) -> Any:  # noqa: ANN401 - JSON
        """Send it under one key until it is answered; what was answered, None where a conflict is no surprise."""
        key = f"{self._run}-{self._number}-{self._random.getrandbits(60)}"
        headers = {**who, "content-type": "application/json", "Idempotency-Key": key}
        content = None if body is None else json.dumps(body)
        answer = await self._ask(service, lambda client: client.request(method, path, content=content, headers=headers))
        if conflict and answer.status_code == _CONFLICT:
            return None
        if not answer.is_success:
            raise CampaignRefused(f"{method} {path} was answered {answer.status_code} {answer.text[:300]}")
        return answer.json() if answer.content else None


def _address_of_partner(member: str) -> str:
    return f"{member}@partners.example"
