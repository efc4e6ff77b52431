"""Customers: what they are worth, by which rule, and what became of their answers."""

from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.webapi.problem import of_status
from services.portal.api.access import Visit, needs
from services.portal.api.metrics import TIERS
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER
from services.portal.api.view import Pages
from services.portal.clients import Casework, Refusal, Scoring, ServiceAwayError
from services.portal.domain.people import Right

_LONGEST: Final = 200
_CURSOR: Final = 1024
_CASES: Final = 20
_ANSWERS: Final = "20"


def routes(pages: Pages, scoring: Scoring, casework: Casework) -> APIRouter:
    """`/customers`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/customers")
    async def customers(request: Request, visit: Annotated[Visit, needs(Right.CUSTOMERS)]) -> Response:
        sought = request.query_params.get("id", "").strip()
        if sought:
            return RedirectResponse(f"/customers/{quote(sought[:_LONGEST], safe='')}", SEE_OTHER)
        tier = request.query_params.get("tier", "")
        params = page_in(request) | ({"tier": tier} if tier in TIERS else {})
        context: dict[str, Any] = {"tier": tier, "tiers": TIERS, "page": None}
        try:
            context["page"] = await scoring.customers.page(visit.person, params)
        except (ServiceAwayError, Refusal):
            return pages.page(request, visit, "customers.html", status=503, **context)
        return pages.page(request, visit, "customers.html", **context)

    @router.get("/customers/{customer_id:path}")
    async def customer(request: Request, visit: Annotated[Visit, needs(Right.CUSTOMERS)], customer_id: str) -> Response:
        return await _one(pages, scoring, casework, request, visit, id_in(customer_id))

    return router


async def _one(
    pages: Pages,
    scoring: Scoring,
    casework: Casework,
    request: Request,
    visit: Visit,
    wanted: str,
) -> Response:
    """One customer, with the cases; without these where casework is away."""
    found = await scoring.customers.find(visit.person, wanted)
    if found is None:
        return pages.page(request, visit, "customer.html", status=NOT_FOUND, customer=None, wanted=wanted)
    answers = await scoring.responses.page(visit.person, {"customer_id": wanted, "limit": _ANSWERS})
    try:
        cases = (await casework.cases(visit.person, {"customer": wanted}, limit=_CASES)).items
    except (ServiceAwayError, Refusal):
        cases = None
    context: dict[str, Any] = {"customer": found, "wanted": wanted, "cases": cases, "answers": answers.items}
    return pages.page(request, visit, "customer.html", **context)


def page_in(request: Request) -> dict[str, str]:
    """Which page of a list was asked for, as scoring takes it."""
    cursor = request.query_params.get("cursor", "")
    return {"cursor": cursor} if 0 < len(cursor) <= _CURSOR else {}


def id_in(written: str) -> str:
    """An id as it can be asked for; 404 for what none can be."""
    if not 0 < len(written) <= _LONGEST or "\0" in written:
        raise of_status(NOT_FOUND)
    return written
