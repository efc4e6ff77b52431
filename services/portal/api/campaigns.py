"""Campaigns: the list of what is told to many, one with its audience and progress, and what became of each message."""

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from libs.events.database import Database
from services.portal import store
from services.portal.api.access import Visit, needs
from services.portal.api.refusals import cursor_in, uuid_in
from services.portal.api.view import Pages
from services.portal.clients import Notify, Refusal, ServiceAwayError
from services.portal.clients.campaigns import CampaignFile, Preview
from services.portal.domain import campaigns as domain
from services.portal.domain.campaigns import STATUSES, Step
from services.portal.domain.forms import NOTHING, Draft
from services.portal.domain.messages import STATUSES as MESSAGE_STATUSES
from services.portal.domain.people import Person, Right

_PAGE: Final = 30
_RECIPIENTS: Final = 50


def routes(database: Database, pages: Pages, notify: Notify) -> APIRouter:
    """`/campaigns`, and one of them to look at."""
    router = APIRouter(include_in_schema=False)
    board = CampaignPages(database, pages, notify)

    @router.get("/campaigns")
    async def listed(request: Request, visit: Annotated[Visit, needs(Right.MESSAGES)]) -> Response:
        return await board.listed(request, visit)

    @router.get("/campaigns/{campaign_id}")
    async def one(request: Request, campaign_id: str, visit: Annotated[Visit, needs(Right.MESSAGES)]) -> Response:
        return await board.one(request, visit, uuid_in(campaign_id), NOTHING)

    @router.get("/campaigns/{campaign_id}/recipients")
    async def recipients(
        request: Request, campaign_id: str, visit: Annotated[Visit, needs(Right.MESSAGES)]
    ) -> Response:
        return await board.recipients(request, visit, uuid_in(campaign_id))

    return router


class CampaignPages:
    """Reads campaigns from notify, and shows them with the names of who wrote and approved them."""

    def __init__(self, database: Database, pages: Pages, notify: Notify) -> None:
        self._database = database
        self._pages = pages
        self._notify = notify

    async def listed(self, request: Request, visit: Visit) -> Response:
        """The newest first, and what can be told and is not yet."""
        status = request.query_params.get("status", "")
        status = status if status in STATUSES else ""
        try:
            page, tellable = await asyncio.gather(
                self._notify.campaigns.page(visit.person, status, limit=_PAGE, cursor=cursor_in(request)),
                self._notify.campaigns.tellable(visit.person),
            )
        except (ServiceAwayError, Refusal):
            return self._pages.page(
                request, visit, "campaigns.html", status=503, page=None, statuses=STATUSES, only=status
            )
        return self._pages.page(
            request,
            visit,
            "campaigns.html",
            page=page,
            untold=[each for each in tellable if not each.is_told],
            statuses=STATUSES,
            only=status,
        )

    async def one(self, request: Request, visit: Visit, id_: str, draft: Draft, *, status: int = 200) -> Response:
        """One campaign: whom it is for, what it says, how far it is, and what can be done about it."""
        person = visit.person
        found, tellable = await asyncio.gather(
            self._notify.campaigns.one(person, id_), self._notify.campaigns.tellable(person)
        )
        # Who is in them is nothing for operators; they see which there are by their ids.
        lists = await self._notify.campaigns.lists(person) if person.may(Right.LEAD) else []
        words = self._pages.words(request, person)
        done = request.query_params.get("done", "")
        return self._pages.page(
            request,
            visit,
            "campaign.html",
            status=status,
            campaign=found,
            preview=await self._preview(person, found),
            titles={each.id: each.title for each in tellable},
            list_names={each.list_id: each.name for each in lists},
            names=await self._names(found),
            days=domain,
            zone=self._pages.zone,
            before_start=domain.is_before_start(found.status),
            offered=domain.offered(found.status, person),
            may_edit=domain.may_edit(found.status, person),
            is_own=found.edited_by == person.id,
            Step=Step,
            draft=draft,
            done=done if words.has(f"campaign_done.{done}") else "",
        )

    async def recipients(self, request: Request, visit: Visit, id_: str) -> Response:
        """What became of each message so far."""
        status = request.query_params.get("status", "")
        status = status if status in MESSAGE_STATUSES else ""
        cursor = cursor_in(request)
        found, page = await asyncio.gather(
            self._notify.campaigns.one(visit.person, id_),
            self._notify.campaigns.recipients(visit.person, id_, status, limit=_RECIPIENTS, cursor=cursor),
        )
        return self._pages.page(
            request,
            visit,
            "campaign_recipients.html",
            campaign=found,
            page=page,
            statuses=MESSAGE_STATUSES,
            only=status,
        )

    async def _preview(self, person: Person, found: CampaignFile) -> Preview | None:
        """Who would be told; None once that is settled, and where it could not be counted just now."""
        if not domain.is_before_start(found.status):
            return None
        try:
            return await self._notify.campaigns.preview(person, found.id)
        except (ServiceAwayError, Refusal):
            return None

    async def _names(self, found: CampaignFile) -> dict[str, str]:
        who = {found.edited_by, found.approved_by or found.edited_by, *(line.by for line in found.history)}
        async with self._database.reading() as tx:
            return await store.names_of(tx, who)
