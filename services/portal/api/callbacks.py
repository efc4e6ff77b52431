"""Callbacks: the calls that were agreed with customers, to come and gone by, one's own and, for who leads, all."""

import asyncio
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from services.portal.api.access import Visit, needs
from services.portal.api.mentions import unread_of
from services.portal.api.refusals import cursor_in
from services.portal.api.view import Pages
from services.portal.clients import Casework, ServiceAwayError
from services.portal.domain.people import Right

STATES: Final = ("agreed", "kept", "moved", "missed", "cancelled")
"""`moved` is none of casework's states: whatever became of it, it was agreed anew at least once."""
WHEN: Final[dict[str, tuple[timedelta, timedelta]]] = {
    "ahead": (timedelta(days=-1), timedelta(days=14)),
    "week": (timedelta(days=-7), timedelta()),
    "month": (timedelta(days=-30), timedelta()),
    "quarter": (timedelta(days=-90), timedelta()),
}
_PAGE: Final = 50
_LONGEST_ID: Final = 512


def routes(pages: Pages, casework: Casework) -> APIRouter:
    """`/callbacks`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/callbacks")
    async def listed(request: Request, visit: Annotated[Visit, needs(Right.CASES)]) -> Response:
        query = request.query_params
        state = query.get("state", "") if query.get("state") in STATES else ""
        when = query.get("when", "") if query.get("when") in WHEN else "ahead"
        may_choose = visit.person.may(Right.LEAD)
        whose = query.get("whose", "mine")[:_LONGEST_ID] if may_choose else "mine"
        now = pages.words(request, visit.person).now
        context: dict[str, Any] = {
            "whose": whose,
            "state": state,
            "when": when,
            "states": STATES,
            "times": tuple(WHEN),
            "may_choose": may_choose,
            "agents": [],
            "page": None,
            "unread": 0,
        }
        filters = _filters(visit.person.id if whose == "mine" else whose, state, when, now)
        try:
            context["page"], context["agents"], context["unread"] = await asyncio.gather(
                casework.contact.callbacks(visit.person, filters, limit=_PAGE, cursor=cursor_in(request)),
                casework.agents(visit.person),
                unread_of(casework, visit.person),
            )
        except ServiceAwayError:
            return pages.page(request, visit, "callbacks.html", status=503, **context)
        return pages.page(request, visit, "callbacks.html", **context)

    return router


def _filters(owner: str, state: str, when: str, now: datetime) -> dict[str, str]:
    since, until = WHEN[when]
    found = {"from": (now + since).isoformat(), "to": (now + until).isoformat()}
    if owner not in ("all", ""):
        found["owner"] = owner
    if state == "moved":
        return found | {"moved": "true"}
    return found | ({"state": state} if state else {})
