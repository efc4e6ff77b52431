"""What is behind unhappy answers: root causes by how many cases and how much value they concern."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from services.portal.api.access import Visit, needs
from services.portal.api.view import Pages
from services.portal.clients import Casework, Refusal, ServiceAwayError
from services.portal.clients.casework import RootCause
from services.portal.domain.loop import PERIODS
from services.portal.domain.people import Language, Right
from services.portal.domain.period import Period, span_of


def routes(pages: Pages, casework: Casework) -> APIRouter:
    """`/causes`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/causes")
    async def overview(request: Request, visit: Annotated[Visit, needs(Right.CASES)]) -> Response:
        words = pages.words(request, visit.person)
        asked = request.query_params.get("period", "")
        period = Period(asked) if asked in PERIODS else Period.QUARTER
        span = span_of(period, now=words.now, zone=words.zone)
        context: dict[str, Any] = {"period": period, "periods": PERIODS, "since": span.since, "found": None}
        try:
            found, causes = await asyncio.gather(
                casework.initiatives.evidence(visit.person, span.since, span.until),
                casework.root_causes(visit.person),
            )
        except (ServiceAwayError, Refusal):
            return pages.page(request, visit, "causes.html", status=503, **context)
        context |= {
            "found": found,
            "most": max((each.cases for each in found), default=1),
            "paths": cause_paths(causes, words.language),
        }
        return pages.page(request, visit, "causes.html", **context)

    return router


def cause_paths(causes: list[RootCause], language: Language) -> dict[str, list[str]]:
    """Each cause by the names from the top of the tree down to it."""
    known = {cause.id: cause for cause in causes}
    found: dict[str, list[str]] = {}
    for cause in causes:
        names = [cause.name(language)]
        seen = {cause.id}
        parent = cause.parent_id
        while parent in known and parent not in seen:
            seen.add(parent)
            names.insert(0, known[parent].name(language))
            parent = known[parent].parent_id
        found[cause.id] = names
    return found
