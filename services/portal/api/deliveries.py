"""The pages of deliveries: what vendors sent, what was understood of it, and understanding it again."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.refusals import SEE_OTHER, is_source_name, uuid_in
from services.portal.api.view import Pages
from services.portal.clients import Ingest, ServiceAwayError
from services.portal.clients.ingest import DeliveryPage
from services.portal.domain.deliveries import STATUSES, body_seen_by
from services.portal.domain.people import Right

_LONGEST_CURSOR: Final = 1_024
_REPLAYED: Final = "replayed"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the list was asked to show; empty: all."""

    status: str
    source: str

    def params(self) -> dict[str, str]:
        """As ingest takes them."""
        return {name: value for name, value in (("status", self.status), ("source", self.source)) if value}

    def query(self, **more: str) -> str:
        """As our own address carries them."""
        return urlencode(self.params() | {name: value for name, value in more.items() if value})


def routes(pages: Pages, ingest: Ingest) -> APIRouter:
    """`/deliveries` and below."""
    router = APIRouter(include_in_schema=False)
    reader = DeliveryPages(pages, ingest)

    @router.get("/deliveries")
    async def list_deliveries(request: Request, visit: Annotated[Visit, needs(Right.SOURCES)]) -> Response:
        return await reader.listed(request, visit)

    @router.get("/deliveries/{delivery_id}")
    async def one_delivery(
        request: Request, delivery_id: str, visit: Annotated[Visit, needs(Right.SOURCES)]
    ) -> Response:
        return await reader.one(request, visit, uuid_in(delivery_id))

    @router.post("/deliveries/{delivery_id}/replay")
    async def replay(
        delivery_id: str,
        visit: Annotated[Visit, needs(Right.SOURCES)],
        form: Annotated[Form, Depends(posted_form)],  # noqa: ARG001 - proves that our page sent it
    ) -> Response:
        return await reader.replay(visit, uuid_in(delivery_id))

    return router


class DeliveryPages:
    """Reads from ingest, and has deliveries understood again."""

    def __init__(self, pages: Pages, ingest: Ingest) -> None:
        self._pages = pages
        self._ingest = ingest

    async def listed(self, request: Request, visit: Visit) -> Response:
        """The list, the newest first."""
        asked = _asked(request)
        cursor = request.query_params.get("cursor", "")[:_LONGEST_CURSOR] or None
        page, names, is_away = DeliveryPage([]), [asked.source] if asked.source else [], False
        try:
            page, sources = await asyncio.gather(
                self._ingest.deliveries(visit.person, asked.params(), cursor=cursor), self._ingest.sources(visit.person)
            )
            names = sorted({source.name for source in sources} | set(names))
        except ServiceAwayError:
            is_away = True
        return self._pages.page(
            request,
            visit,
            "deliveries.html",
            status=503 if is_away else 200,
            asked=asked,
            statuses=STATUSES,
            names=names,
            deliveries=page.items,
            next_cursor=page.next_cursor,
            cursor=cursor,
            away=is_away,
        )

    async def one(self, request: Request, visit: Visit, delivery_id: str) -> Response:
        """One delivery, with what its reader may see of it."""
        delivery = await self._ingest.delivery(visit.person, delivery_id)
        return self._pages.page(
            request,
            visit,
            "delivery.html",
            delivery=delivery,
            body=body_seen_by(visit.person.role, delivery.content) if delivery.size else None,
            done=request.query_params.get("done") == _REPLAYED,
        )

    async def replay(self, visit: Visit, delivery_id: str) -> Response:
        """Have it understood again; back to it."""
        await self._ingest.replay(visit.person, delivery_id)
        return RedirectResponse(f"/deliveries/{delivery_id}?{urlencode({'done': _REPLAYED})}", SEE_OTHER)


def _asked(request: Request) -> Asked:
    status, source = request.query_params.get("status", ""), request.query_params.get("source", "")
    return Asked(status if status in STATUSES else "", source if is_source_name(source) else "")
