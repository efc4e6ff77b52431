"""Counting the deadlines of open cases anew: what it would change first, then the act, and its log."""

import asyncio
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.policies import programs_of
from services.portal.api.refusals import SEE_OTHER, cursor_in, uuid_in
from services.portal.api.view import Pages
from services.portal.clients import Casework, Refusal, ServiceAwayError
from services.portal.domain.casefile import LEVELS, TIERS
from services.portal.domain.people import Right

_PAGE: Final = 20
_BREACHES: Final = 50
_SCOPE: Final = ("program", "tier", "level", "calendar_id")


def routes(pages: Pages, casework: Casework) -> APIRouter:
    """`/recomputations` and below."""
    router = APIRouter(include_in_schema=False)

    @router.get("/recomputations")
    async def listed(request: Request, visit: Annotated[Visit, needs(Right.SETUP)]) -> Response:
        words = pages.words(request, visit.person)
        context: dict[str, Any] = {"page": None, "tiers": TIERS, "levels": LEVELS}
        try:
            page, programs, calendars, agents = await asyncio.gather(
                casework.policies.recomputations(visit.person, limit=_PAGE, cursor=cursor_in(request)),
                programs_of(casework, visit.person, words),
                casework.policies.calendars(visit.person),
                casework.agents(visit.person),
            )
        except (ServiceAwayError, Refusal):
            return pages.page(request, visit, "recomputations.html", status=503, **context)
        context |= {"page": page, "programs": programs, "calendars": calendars}
        context["names"] = {each.id: each.name for each in agents}
        return pages.page(request, visit, "recomputations.html", **context)

    @router.post("/recomputations")
    async def ask(
        request: Request,  # noqa: ARG001 - the form stands in it
        visit: Annotated[Visit, needs(Right.LEAD)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        body: dict[str, object] = {name: form.get(name) for name in _SCOPE if form.get(name)}
        body["dry_run"] = form.get("do") != "count"
        asked = await casework.policies.recompute(visit.person, body, command_id=uuid_in(form.get("command_id")))
        return RedirectResponse(f"/recomputations/{asked.id}", SEE_OTHER)

    @router.get("/recomputations/{recomputation_id}")
    async def one(request: Request, recomputation_id: str, visit: Annotated[Visit, needs(Right.SETUP)]) -> Response:
        id_ = uuid_in(recomputation_id)
        found, breaches, agents = await asyncio.gather(
            casework.policies.recomputation(visit.person, id_),
            casework.policies.breaches(visit.person, id_, limit=_BREACHES, cursor=cursor_in(request)),
            casework.agents(visit.person),
        )
        names = {each.id: each.name for each in agents}
        return pages.page(request, visit, "recomputation.html", found=found, breaches=breaches, names=names)

    return router
