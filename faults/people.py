"""The people of the stage: it is set up by an administrator, agents work on cases, customers answer mails and move.

Every command is sent under one key until it is answered, and noted: what was answered must have happened once.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

import httpx

from faults.bookings import Bookings
from faults.campaigns import Campaigns
from faults.deliveries import CUSTOMERS, PROGRAM, address_of, customer_id, value_of, wants_mail
from faults.leaving import LEAVER, Leaving
from faults.operators import Operators
from faults.readers import Readers
from faults.returns import Returns
from faults.sources import SOURCES
from faults.staff import Staff
from faults.subscribers import Subscribers

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from datetime import timedelta
    from random import Random

    from faults.mailsink import Mail
    from faults.stage import Stage
    from faults.tables import Tables

_QUESTION: Final = "How likely are you to recommend us to a friend or colleague?"
_SOURCE: Final[dict[str, Any]] = {
    "program": PROGRAM,
    "instrument": {
        "metric": "nps",
        "question": _QUESTION,
        "scale_min": 0,
        "scale_max": 10,
        "kind": "transactional",
        "channel": "email",
    },
}
AGENTS: Final = ("anna", "boris", "clara", "dmitri")
MANAGER: Final = "olga"
_AS_ADMINISTRATOR: Final = {"Otklik-Person": "admin", "Otklik-Role": "administrator"}
_AGENT: Final = {"language": "en", "role": "agent", "seniority": 2, "capacity": 1000}
_LATER: Final = frozenset({429, 500, 502, 503})
_CONFLICT: Final = 409
_AGAIN_S: Final = 0.5
_ANSWER_S: Final = 10.0
_NOT_REACHED: Final = 0.4
"""So often nobody is reached, and nothing else is tried for the moment."""
_RECONCILED_EVERY_S: Final = 20.0


class People:
    """Everybody who speaks to the services over HTTP besides the vendor."""

    def __init__(self, stage: Stage, tables: Tables, random: Random, run: str, *, climbs_after: timedelta) -> None:
        """`run` begins the ids of what they make; `climbs_after`: how long a missed callback may be made up for."""
        self.names: Final[dict[str, str]] = {}
        """The name that each customer told last."""
        self.attempts: Final[dict[str, set[str]]] = {}
        """By case: the keys of the contact attempts that were answered with success."""
        self._stage = stage
        self._random = random
        self._clients: Final[dict[str, httpx.AsyncClient]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self.staff: Final = Staff(lambda ask: self._patiently("scoring", ask), random, run)
        """Those who feed scoring."""
        self.campaigns: Final = Campaigns(self._patiently, stage.sink, random, run)
        """Those who tell what changed."""
        self.bookings: Final = Bookings(self._patiently, stage.sink, random, run, climbs_after=climbs_after)
        """Those who agree on calls."""
        self.subscribers: Final = Subscribers(lambda ask: self._patiently("notify", ask), stage.hooks, run)
        """Those who have events sent."""
        self.returns: Final = Returns(
            lambda ask: self._patiently("notify", ask),
            stage.sink,
            random,
            keys=stage.report_keys,
            url=stage.url("notify"),
            lmtp_port=stage.returns_port,
        )
        """Those who report what came back."""
        self.leaving: Final = Leaving(lambda ask: self._patiently("casework", ask), random, run, profile=_AGENT)
        """Somebody who leaves."""
        self.readers: Final = Readers(
            lambda ask: self._patiently("notify", ask), tables, employees=(*AGENTS, MANAGER), perhaps=(LEAVER,)
        )
        """Those who read digests."""
        self.operators: Final = Operators(
            lambda ask: self._patiently("ingest", ask), vendor_port=stage.vendor_link.port
        )
        """Those who look after ingest."""
        self._odd: Final[list[str]] = []
        self._answered = 0
        self._number = 0
        for service in stage.names:
            headers = {"Authorization": f"Bearer {stage.keys[service]}"} if service in stage.keys else {}
            self._clients[service] = httpx.AsyncClient(
                base_url=stage.url(service), headers=headers, timeout=_ANSWER_S, trust_env=False
            )

    @property
    def odd(self) -> list[str]:
        """Answers that nobody should get."""
        everybody = (self.staff, self.campaigns, self.bookings, self.returns, self.leaving)
        return [*self._odd, *(odd for each in everybody for odd in each.odd)]

    async def set_up(self) -> None:
        """The source, the customers, the agents."""
        for source in SOURCES:
            body = {**_SOURCE, "vendor": source.vendor, "field_map": source.field_map}
            await self._must(
                "ingest", "PUT", f"/v1/sources/{source.name}", {**body, "secret": self._stage.source_secret}
            )
        await self.operators.reconcile()
        if "notify" in self._stage.names:
            await self.subscribers.set_up()
        if "scoring" in self._stage.names:
            await self.staff.set_up()
        if "scoring" in self._stage.names and "casework" in self._stage.names:
            items = [self._profile(number, f"Customer {number}") for number in range(CUSTOMERS)]
            await self._must("scoring", "POST", "/v1/customers/batch", {"items": items})
        if "casework" in self._stage.names:
            for agent in (*AGENTS, MANAGER):
                role = "manager" if agent == MANAGER else "agent"
                body = {**_AGENT, "name": agent.title(), "email": f"{agent}@company.example", "role": role}
                await self._must("casework", "PUT", f"/v1/agents/{agent}", body)
            await self.leaving.come()
            if "notify" in self._stage.names:
                await self.campaigns.set_up()
                await self.bookings.set_up()

    def start(self) -> None:
        """Begin to act, a little every second."""
        self._tasks = [self._now_and_then(_RECONCILED_EVERY_S, self.operators.reconcile)]
        if "scoring" in self._stage.names:
            self._tasks += [
                self._now_and_then(seconds, act)
                for seconds, act in ((4.0, self.staff.reword), (2.0, self.staff.invite), (3.0, self.staff.let_go))
            ]
        if "casework" in self._stage.names and "notify" in self._stage.names:
            self._tasks += [
                asyncio.create_task(self._agents(), name="agents"),
                asyncio.create_task(self._customers(), name="customers"),
                asyncio.create_task(self._movers(), name="movers"),
                asyncio.create_task(self._leads(), name="leads"),
                *(
                    self._now_and_then(seconds, act)
                    for seconds, act in (
                        (9.0, self.campaigns.unsubscribe),
                        (13.0, self.campaigns.decline),
                        (2.5, self.bookings.book),
                        (4.0, self._promise),
                        (5.0, self.returns.come_back),
                        (12.0, self.leaving.leave_and_return),
                    )
                ),
            ]

    async def rest(self) -> None:
        """Stop acting, and let what is under way be done."""
        for task in self._tasks:
            task.cancel()
        done = await asyncio.gather(*self._tasks, *self._under_way, return_exceptions=True)
        for ended in done:
            if isinstance(ended, Exception):
                raise ended
        self._tasks = []
        if "casework" in self._stage.names:
            await self.leaving.leave()

    async def close(self) -> None:
        """Go home."""
        for task in (*self._tasks, *self._under_way):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._under_way, return_exceptions=True)
        for client in self._clients.values():
            await client.aclose()

    async def pages(self, service: str, path: str, **params: str) -> list[dict[str, Any]]:
        """All items of a list, page by page."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            query = {**params, "limit": "200", **({} if cursor is None else {"cursor": cursor})}
            answer = await self._clients[service].get(path, params=query)
            answer.raise_for_status()
            page = answer.json()
            found += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    async def get(self, service: str, path: str) -> Any:  # noqa: ANN401 - JSON
        """What stands at a path."""
        answer = await self._clients[service].get(path)
        answer.raise_for_status()
        return answer.json()

    # What they do.

    def _now_and_then(self, seconds: float, act: Callable[[], Coroutine[None, None, None]]) -> asyncio.Task[None]:
        return asyncio.create_task(self._every(seconds, act), name=act.__name__)

    async def _every(self, seconds: float, act: Callable[[], Coroutine[None, None, None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            await self._to_its_end(act())

    async def _agents(self) -> None:
        """Now and then somebody reaches a customer, and resolves the case."""
        while True:
            await asyncio.sleep(0.7)
            case = await self._some_case()
            if case is not None:
                await self._to_its_end(self._close_loop(case))

    async def _promise(self) -> None:
        """Somebody agrees on a call that nobody will make."""
        case = await self._some_case()
        if case is not None and case["owner_id"] != LEAVER:
            await self.bookings.promise(case["id"])

    async def _close_loop(self, case: dict[str, Any]) -> None:
        case_id = case["id"]
        self._number += 1
        if self._random.random() < _NOT_REACHED:
            key = f"contact-{case_id}-{self._number}"
            if await self._command(case_id, "contact-attempts", {"outcome": "no_answer"}, key):
                self.attempts.setdefault(case_id, set()).add(key)
            return
        for number in range(self._random.randint(1, 2)):
            key = f"contact-{case_id}-{self._number}-{number}"
            body = {"outcome": "reached" if number else self._random.choice(("reached", "no_answer"))}
            if await self._command(case_id, "contact-attempts", body, key):
                self.attempts.setdefault(case_id, set()).add(key)
        await self._command(
            case_id, "resolve", {"root_cause_id": "service.waiting"}, f"resolve-{case_id}-{self._number}"
        )

    async def _some_case(self) -> dict[str, Any] | None:
        try:
            answer = await self._clients["casework"].get("/v1/cases", params={"status": "open", "limit": "50"})
        except httpx.TransportError:
            return None
        items = answer.json()["items"] if answer.status_code == httpx.codes.OK else []
        return self._random.choice(items) if items else None

    async def _customers(self) -> None:
        """Whoever is asked whether it is solved says so, mostly yes."""
        while True:
            await asyncio.sleep(0.3)
            mails = self._stage.sink.kept
            while self._answered < len(mails):
                mail = mails[self._answered]
                self._answered += 1
                if mail.link is not None and self._random.random() < 0.7:  # noqa: PLR2004 - the others stay silent
                    await self._to_its_end(self._answer(mail))

    async def _answer(self, mail: Mail) -> None:
        path = (mail.link or "").partition(self._stage.url("notify"))[2]
        form = {"answer": "yes" if self._random.random() < 0.75 else "not_yet"}  # noqa: PLR2004 - most are content
        await self._patiently("notify", lambda client: client.post(path, data=form))

    async def _leads(self) -> None:
        """They tell everybody what changed, one campaign after another."""
        while True:
            await self._to_its_end(self.campaigns.tell())
            await self.campaigns.completed()

    async def _movers(self) -> None:
        """Customers change their names, which are told to everybody who knows them."""
        while True:
            await asyncio.sleep(1.5)
            number = self._random.randrange(CUSTOMERS)
            self._number += 1
            await self._to_its_end(self._move(number, f"Customer {number} ({self._number})"))

    async def _move(self, number: int, name: str) -> None:
        body = self._profile(number, name)
        path = f"/v1/customers/{body.pop('id')}"
        answer = await self._patiently("scoring", lambda client: client.put(path, json=body))
        if answer.is_success:
            self.names[customer_id(number)] = name
        else:
            self._odd.append(f"PUT {path} was answered {answer.status_code}")

    # How they ask.

    async def _to_its_end(self, act: Coroutine[None, None, None]) -> None:
        """Wait for it; whoever gives up waiting leaves it to be done all the same."""
        task = asyncio.create_task(act)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        await asyncio.shield(task)

    def _profile(self, number: int, name: str) -> dict[str, Any]:
        id_ = customer_id(number)
        return {
            "id": id_,
            "name": name,
            "email": address_of(id_),
            "language": "en",
            "time_zone": "Europe/Moscow",
            "current_value": value_of(number),
            "email_consent": wants_mail(number),
        }

    async def _command(self, case_id: str, action: str, body: dict[str, Any], key: str) -> bool:
        """Send a command until it is answered; whether it was done. A case that has moved on refuses it."""
        headers = {"Otklik-Person": MANAGER, "Otklik-Role": "manager", "Idempotency-Key": key}
        path = f"/v1/cases/{case_id}/{action}"
        answer = await self._patiently("casework", lambda client: client.post(path, json=body, headers=headers))
        if answer.status_code != _CONFLICT and not answer.is_success:
            self._odd.append(f"{action} of {case_id} was answered {answer.status_code} {answer.text[:200]}")
        return answer.is_success

    async def _must(self, service: str, method: str, path: str, body: dict[str, Any]) -> None:
        headers = _AS_ADMINISTRATOR if service == "casework" else {}
        answer = await self._patiently(
            service,
            lambda client: client.request(
                method, path, content=json.dumps(body), headers={"content-type": "application/json", **headers}
            ),
        )
        answer.raise_for_status()

    async def _patiently(self, service: str, ask: Any) -> httpx.Response:  # noqa: ANN401 - a function of the client
        while True:
            try:
                answer: httpx.Response = await ask(self._clients[service])
            except httpx.TransportError:
                await asyncio.sleep(_AGAIN_S)
                continue
            if answer.status_code not in _LATER:
                return answer
            await asyncio.sleep(_AGAIN_S)
