"""Accounts: what each says as a whole, the worst first; and important contacts who say nothing."""

from typing import Annotated

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from libs.webapi.problem import of_status
from services.portal.api.access import Visit, needs
from services.portal.api.customers import id_in, page_in
from services.portal.api.refusals import NOT_FOUND
from services.portal.api.view import Pages
from services.portal.clients import Refusal, Scoring, ServiceAwayError
from services.portal.domain.people import Right
from services.portal.domain.sourceforms import KINDS


def routes(pages: Pages, scoring: Scoring) -> APIRouter:
    """`/accounts` and `/silences`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/accounts")
    async def accounts(request: Request, visit: Annotated[Visit, needs(Right.CUSTOMERS)]) -> Response:
        kind = request.query_params.get("kind", "")
        asked = {
            "kind": kind if kind in KINDS else "relationship",
            "show": "flagged" if request.query_params.get("show") == "flagged" else "all",
        }
        try:
            page = await scoring.customers.accounts(visit.person, page_in(request) | asked)
        except (ServiceAwayError, Refusal):
            return pages.page(request, visit, "accounts.html", status=503, asked=asked, kinds=KINDS, page=None)
        return pages.page(request, visit, "accounts.html", asked=asked, kinds=KINDS, page=page)

    @router.get("/accounts/{account_id:path}")
    async def account(request: Request, visit: Annotated[Visit, needs(Right.CUSTOMERS)], account_id: str) -> Response:
        found = await scoring.customers.account(visit.person, id_in(account_id))
        if found is None:
            raise of_status(NOT_FOUND)
        return pages.page(request, visit, "account.html", account=found)

    @router.get("/silences")
    async def silences(request: Request, visit: Annotated[Visit, needs(Right.CUSTOMERS)]) -> Response:
        try:
            page = await scoring.customers.silences(visit.person, page_in(request))
        except (ServiceAwayError, Refusal):
            return pages.page(request, visit, "silences.html", status=503, page=None)
        return pages.page(request, visit, "silences.html", page=page)

    return router
