"""Waiting for a source's test delivery: the page that notices it by itself, with scripts and without."""

from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from services.portal.api.access import Visit, needs
from services.portal.api.refusals import source_name_in
from services.portal.api.view import Pages
from services.portal.clients import Ingest
from services.portal.domain.people import Right

_MOST_LOOKS: Final = 450
"""Two seconds each: a quarter of an hour, after which somebody looks by hand."""


def routes(pages: Pages, ingest: Ingest, *, public_url: str) -> APIRouter:
    """`/sources/{source}/test`."""
    router = APIRouter(include_in_schema=False)
    waiting = WaitingPage(pages, ingest, public_url=public_url)

    @router.get("/sources/{source}/test")
    async def wait(request: Request, source: str, visit: Annotated[Visit, needs(Right.SOURCES)]) -> Response:
        return await waiting.wait(request, visit, source_name_in(source))

    return router


class WaitingPage:
    """Looks for the newest delivery of a source."""

    def __init__(self, pages: Pages, ingest: Ingest, *, public_url: str) -> None:
        self._pages = pages
        self._ingest = ingest
        self._public_url = public_url.rstrip("/")

    async def wait(self, request: Request, visit: Visit, source: str) -> Response:
        """Whether a delivery has come since; the page asks again by itself for a while."""
        after, looks = request.query_params.get("after", ""), request.query_params.get("n", "0")
        look = int(looks) if looks.isdecimal() and len(looks) < 5 else 0  # noqa: PLR2004 - digits
        found, _ = await self._ingest.source(visit.person, source)
        newest = next(iter((await self._ingest.deliveries(visit.person, {"source": source}, limit=1)).items), None)
        vendors = await self._ingest.vendors(visit.person)
        # Ids of deliveries are in order of time.
        arrived = newest if newest is not None and newest.id > after else None
        following = urlencode({"after": after, "n": str(look + 1)})
        return self._pages.page(
            request,
            visit,
            "source_test.html",
            source=found,
            vendor=vendors[found.vendor],
            address=f"{self._public_url}/v1/webhooks/{source}",
            arrived=arrived,
            again=f"/sources/{source}/test?{following}" if look < _MOST_LOOKS else None,
            restart=f"/sources/{source}/test?{urlencode({'after': after})}",
        )
