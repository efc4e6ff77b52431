"""The pages of sources: the list, one of them, its account at the vendor, and its quarantine."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import urlencode
from uuid import uuid4

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER, source_name_in, uuid_in
from services.portal.api.view import Pages
from services.portal.clients import Ingest, Refusal, ServiceAwayError
from services.portal.clients.ingest import Overview, counted
from services.portal.domain import sourceforms
from services.portal.domain.people import Right

_DONE: Final = frozenset({"changed", "map", "account", "account_gone", "switched"})
_REFUSED: Final = frozenset({"secret", "rotation", "account"})
_WITH_EACH: Final = 5
_REPLAY_SECONDS: Final = 2.0
_LONGEST_CURSOR: Final = 1_024
_MOST_DIGITS: Final = 9


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a replay of what is quarantined has come."""

    seen: int = 0
    accepted: int = 0
    quarantined: int = 0
    cursor: str = ""
    begun: bool = False

    @property
    def finished(self) -> bool:
        """Whether nothing is left to look at."""
        return self.begun and not self.cursor


def routes(pages: Pages, ingest: Ingest, *, public_url: str) -> APIRouter:
    """`/sources`, `/sources/{source}` and what is done there."""
    router = APIRouter(include_in_schema=False)
    reader = SourcePages(pages, ingest, public_url=public_url)

    @router.get("/sources")
    async def list_sources(request: Request, visit: Annotated[Visit, needs(Right.SOURCES)]) -> Response:
        return await reader.listed(request, visit)

    @router.get("/sources/{source}")
    async def one_source(request: Request, source: str, visit: Annotated[Visit, needs(Right.SOURCES)]) -> Response:
        return await reader.one(request, visit, source_name_in(source))

    @router.post("/sources/{source}/switch")
    async def switch(
        source: str, visit: Annotated[Visit, needs(Right.SOURCES)], form: Annotated[Form, Depends(posted_form)]
    ) -> Response:
        return await reader.switch(visit, source_name_in(source), form)

    @router.post("/sources/{source}/delete")
    async def delete(
        source: str, visit: Annotated[Visit, needs(Right.SOURCES)], form: Annotated[Form, Depends(posted_form)]
    ) -> Response:
        return await reader.delete(visit, source_name_in(source), form)

    @router.post("/sources/{source}/account")
    async def put_account(
        source: str, visit: Annotated[Visit, needs(Right.SOURCES)], form: Annotated[Form, Depends(posted_form)]
    ) -> Response:
        return await reader.put_account(visit, source_name_in(source), form)

    @router.post("/sources/{source}/account/delete")
    async def delete_account(
        source: str, visit: Annotated[Visit, needs(Right.SOURCES)], form: Annotated[Form, Depends(posted_form)]
    ) -> Response:
        return await reader.delete_account(visit, source_name_in(source), form)

    @router.get("/sources/{source}/replay")
    async def before_replay(request: Request, source: str, visit: Annotated[Visit, needs(Right.SOURCES)]) -> Response:
        return await reader.before_replay(request, visit, source_name_in(source))

    @router.post("/sources/{source}/replay")
    async def replay(
        request: Request,
        source: str,
        visit: Annotated[Visit, needs(Right.SOURCES)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        return await reader.replay(request, visit, source_name_in(source), form)

    return router


class SourcePages:
    """Reads from ingest, changes sources there in the person's name, and shows what came of it."""

    def __init__(self, pages: Pages, ingest: Ingest, *, public_url: str) -> None:
        self._pages = pages
        self._ingest = ingest
        self._public_url = public_url.rstrip("/")

    async def listed(self, request: Request, visit: Visit) -> Response:
        """All sources, by name, each with its newest delivery and what polls brought."""
        overview: list[Overview] = []
        titles: dict[str, str] = {}
        is_away = False
        try:
            vendors = await self._ingest.vendors(visit.person)
            with_api = frozenset(vendor.name for vendor in vendors.values() if vendor.api)
            overview = await self._ingest.overview(visit.person, with_api=with_api)
            titles = {vendor.name: vendor.title for vendor in vendors.values()}
        except ServiceAwayError:
            is_away = True
        return self._pages.page(
            request,
            visit,
            "sources.html",
            status=503 if is_away else 200,
            overview=overview,
            titles=titles,
            away=is_away,
            gone=request.query_params.get("done") == "deleted",
        )

    async def one(self, request: Request, visit: Visit, name: str) -> Response:
        """One source with its account, its newest deliveries and the actions on it."""
        person = visit.person
        (source, version), vendors, newest, waiting, account = await asyncio.gather(
            self._ingest.source(person, name),
            self._ingest.vendors(person),
            self._ingest.deliveries(person, {"source": name}, limit=_WITH_EACH),
            self._ingest.deliveries(person, {"source": name, "status": "quarantined"}),
            self._ingest.account(person, name),
        )
        done, refused = request.query_params.get("done"), request.query_params.get("refused")
        return self._pages.page(
            request,
            visit,
            "source.html",
            source=source,
            version=version,
            vendor=vendors.get(source.vendor),
            address=f"{self._public_url}/v1/webhooks/{name}",
            newest=newest.items,
            waiting=len(waiting.items),
            more_waiting=waiting.next_cursor is not None,
            account=account,
            generated=sourceforms.GENERATED,
            fields=sourceforms.FIELDS,
            done=done if done in _DONE else None,
            refused=refused if refused in _REFUSED else None,
            command_id=uuid4(),
        )

    async def switch(self, visit: Visit, name: str, form: Form) -> Response:
        """Take deliveries from now on, or refuse them."""
        written = form.get("version")
        source, version = await self._ingest.source(visit.person, name)
        body = source.body() | {"enabled": form.get("enabled") == "yes"}
        await self._ingest.put_source(
            visit.person,
            name,
            body,
            command_id=uuid_in(form.get("command_id")),
            version=int(written) if written.isdecimal() else version,
        )
        return _back(name, done="switched")

    async def delete(self, visit: Visit, name: str, form: Form) -> Response:
        """Take it out of use, if its name was typed."""
        if form.get("typed") != name:
            return _back(name)
        try:
            await self._ingest.delete_source(visit.person, name, command_id=uuid_in(form.get("command_id")))
        except Refusal as refusal:
            if refusal.status != NOT_FOUND:
                raise
        return RedirectResponse(f"/sources?{urlencode({'done': 'deleted'})}", SEE_OTHER)

    async def put_account(self, visit: Visit, name: str, form: Form) -> Response:
        """How the vendor's API is asked; the token goes in and never comes out."""
        minutes = form.get("poll_minutes")
        body = {
            "token": form.get("token"),
            "survey": form.get("survey") or None,
            "base_url": form.get("base_url") or None,
            "poll_minutes": int(minutes) if minutes.isdecimal() and len(minutes) <= _MOST_DIGITS else None,
        }
        try:
            await self._ingest.put_account(visit.person, name, body, command_id=uuid_in(form.get("command_id")))
        except Refusal as refusal:
            if refusal.status == NOT_FOUND:
                raise
            return _back(name, refused="account")
        return _back(name, done="account")

    async def delete_account(self, visit: Visit, name: str, form: Form) -> Response:
        """Forget the token, and stop polling."""
        await self._ingest.delete_account(visit.person, name, command_id=uuid_in(form.get("command_id")))
        return _back(name, done="account_gone")

    async def before_replay(self, request: Request, visit: Visit, name: str) -> Response:
        """How many wait, and the button."""
        source, _ = await self._ingest.source(visit.person, name)
        waiting = await self._ingest.deliveries(visit.person, {"source": name, "status": "quarantined"})
        return self._pages.page(
            request,
            visit,
            "source_replay.html",
            source=source.name,
            progress=Progress(),
            waiting=len(waiting.items),
            more_waiting=waiting.next_cursor is not None,
            saved=request.query_params.get("done") == "map",
        )

    async def replay(self, request: Request, visit: Visit, name: str, form: Form) -> Response:
        """A few batches, for about two seconds; then how far it came, and the button for those that are left."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _REPLAY_SECONDS
        cursor = form.get("cursor")[:_LONGEST_CURSOR] or None
        seen, accepted, quarantined = (_count(form, field) for field in ("seen", "accepted", "quarantined"))
        while True:
            page = await self._ingest.replay_batch(visit.person, name, cursor=cursor)
            seen += len(page.items)
            accepted += counted(page.items, "accepted")
            quarantined += counted(page.items, "quarantined")
            cursor = page.next_cursor
            if cursor is None or loop.time() >= until:
                break
        return self._pages.page(
            request,
            visit,
            "source_replay.html",
            source=name,
            progress=Progress(seen, accepted, quarantined, cursor or "", begun=True),
            waiting=0,
            more_waiting=False,
            saved=False,
        )


def _back(name: str, **told: str) -> Response:
    query = f"?{urlencode(told)}" if told else ""
    return RedirectResponse(f"/sources/{name}{query}", SEE_OTHER)


def _count(form: Form, field: str) -> int:
    written = form.get(field)
    return int(written) if written.isdecimal() and len(written) <= _MOST_DIGITS else 0
