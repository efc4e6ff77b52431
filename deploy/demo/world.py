"""The running system as the story meets it: over HTTP, with keys like anybody's, waiting on conditions."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, Self

import httpx

from deploy.demo.company import PASSWORD, PEOPLE
from deploy.troubles import CommandError
from libs.events.database import Database
from libs.webapi.keys import create_key, list_keys, revoke_key
from services.portal.accounts import create_person

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType
    from typing import TypeVar

    from deploy.demo.deliveries import Delivery
    from deploy.local.running import Addresses

    FoundT = TypeVar("FoundT")

_KEY_NAME: Final = "demo"
_SCOPES: Final[dict[str, tuple[str, ...]]] = {
    "ingest": ("sources:read", "sources:write", "deliveries:read"),
    "scoring": ("customers:read", "customers:write", "rules:read", "rules:write", "metrics:read"),
    "casework": ("cases:read", "cases:write", "settings:read", "settings:write", "on-behalf"),
    "notify": ("campaigns:read", "campaigns:write", "messages:read", "on-behalf"),
}
_ROLES: Final = {person.id: person.role for person in PEOPLE}
_PATIENCE_SECONDS: Final = 180.0
_LOOK_EVERY_SECONDS: Final = 0.1
_LINK: Final = re.compile(r"https?://[^\s<>\"]+/c/[A-Za-z0-9_.\-]+")


class World:
    """The services, the mailbox, and what is needed to act in them."""

    def __init__(self, addresses: Addresses) -> None:
        self.addresses: Final = addresses
        self._closing = AsyncExitStack()
        self._clients: dict[str, httpx.AsyncClient] = {}

    async def __aenter__(self) -> Self:
        for service, url in self.addresses.urls.items():
            headers = {}
            if service in _SCOPES:
                headers["Authorization"] = f"Bearer {await self._fresh_key(service)}"
            client = httpx.AsyncClient(base_url=url, headers=headers, timeout=10)
            self._clients[service] = await self._closing.enter_async_context(client)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._closing.aclose()

    @property
    def has_mailbox(self) -> bool:
        """Whether mail goes to the local mailbox, where the story can read it."""
        return "mailbox" in self.addresses.urls

    def source_secret(self, source: str) -> str:
        """The secret shared with a vendor: it follows from the stack's own, so that a second run signs alike."""
        own = self.addresses.databases["ingest"].encode()
        return hmac.new(own, f"demo source {source}".encode(), hashlib.sha256).hexdigest()

    async def create_people(self) -> None:
        """Make the accounts of everybody who may log in to the portal."""
        database = Database.connect(self.addresses.databases["portal"], pool_size=1)
        try:
            async with database.transaction() as tx:
                for person in PEOPLE:
                    await create_person(
                        tx,
                        person_id=person.id,
                        login=person.login,
                        name=person.name,
                        email=person.email,
                        role=person.role,
                        language=person.language,
                        password=PASSWORD,
                    )
        finally:
            await database.close()

    async def get(self, service: str, path: str, **params: str) -> Any:  # noqa: ANN401 - JSON
        """The JSON at `path`."""
        return _checked(await self._patiently(lambda: self._clients[service].get(path, params=params))).json()

    async def put(self, service: str, path: str, body: object) -> Any:  # noqa: ANN401 - JSON
        """Put `body`; the same again changes nothing."""
        return _checked(await self._patiently(lambda: self._clients[service].put(path, json=body))).json()

    async def act(self, person: str, case_id: str, action: str, body: object, *, once: str) -> None:
        """Let an agent act on a case, once however often the story is told."""
        await self.command("casework", person, f"/v1/cases/{case_id}/{action}", body, once=once)

    async def command(self, service: str, person: str, path: str, body: object, *, once: str) -> Any:  # noqa: ANN401 - JSON
        """What a service answers when `person` asks it to do something, which it does once."""
        headers = {"Otklik-Person": person, "Otklik-Role": _ROLES[person], "Idempotency-Key": f"demo-{once}"}
        return _checked(
            await self._patiently(lambda: self._clients[service].post(path, json=body, headers=headers))
        ).json()

    async def deliver(self, delivery: Delivery) -> httpx.Response:
        """Post a webhook as the vendor does, again while nothing can be made durable."""
        path = f"/v1/webhooks/{delivery.source}"
        return await self._patiently(
            lambda: self._clients["ingest"].post(path, content=delivery.body, headers=dict(delivery.headers))
        )

    async def case_of(self, customer: str) -> dict[str, Any] | None:
        """The customer's latest case."""
        found = await self.get("casework", "/v1/cases", customer=customer)
        cases: list[dict[str, Any]] = found["items"]
        return max(cases, key=lambda case: str(case["opened_at"])) if cases else None

    async def mails_to(self, address: str) -> list[dict[str, Any]]:
        """What the mailbox received for `address`, oldest first."""
        mails = await self.get("mailbox", "/api/messages")
        return [mail for mail in mails if address in mail["to"]]

    async def link_in_mail_to(self, address: str, number: int) -> str | None:
        """The confirmation link in the `number`th mail with one to `address`, when it is there."""
        links = [found[0] for mail in await self.mails_to(address) if (found := _LINK.search(mail["text"]))]
        return links[number - 1] if len(links) >= number else None

    async def answer(self, link: str, *, solved: bool, comment: str) -> None:
        """Open the customer's page and send its form."""
        async with httpx.AsyncClient(timeout=10, follow_redirects=True) as browser:
            _checked(await self._patiently(lambda: browser.get(link)))
            form = {"answer": "yes" if solved else "not_yet", "comment": comment}
            _checked(await self._patiently(lambda: browser.post(link, data=form)))

    async def until(self, what: str, look: Callable[[], Awaitable[FoundT | None]]) -> FoundT:
        """Look again and again until there is something; a CommandError that names `what` when there never is."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while (found := await look()) is None:
            if time.monotonic() > deadline:
                raise CommandError(f"The story waited {_PATIENCE_SECONDS:.0f} s in vain for {what}; see .data/logs/")
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
        return found

    async def _patiently(self, ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        """Ask again while the other side is being started anew: as any good client of ours would."""

        async def once() -> httpx.Response | None:
            try:
                answer = await ask()
            except httpx.TransportError:
                return None
            return None if answer.status_code in {429, 503} else answer

        return await self.until("a service to answer", once)

    async def _fresh_key(self, service: str) -> str:
        """A new key for this run; those of earlier runs are revoked."""
        database = Database.connect(self.addresses.databases[service], pool_size=1)
        try:
            async with database.transaction() as tx:
                for key in await list_keys(tx):
                    if key.name == _KEY_NAME and key.revoked_at is None:
                        await revoke_key(tx, key_id=key.id)
                return await create_key(tx, name=_KEY_NAME, scopes=_SCOPES[service])
        finally:
            await database.close()


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_error:
        raise CommandError(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}")
    return answer
