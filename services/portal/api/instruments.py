"""How the company asks, version by version; which versions are one question; and classes that vendors claim wrongly."""

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.webapi.problem import of_status
from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER, uuid_in
from services.portal.api.view import Pages
from services.portal.clients import Refusal, Scoring, ServiceAwayError
from services.portal.domain.people import Right

_AT_ONCE: Final = "100"
_CURSOR: Final = 1024
_CANNOT_JOIN: Final = (409, 422)
_STALE: Final = 412
_DIGITS: Final = 9


def routes(pages: Pages, scoring: Scoring) -> APIRouter:
    """`/instruments`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/instruments")
    async def instruments(request: Request, visit: Annotated[Visit, needs(Right.METRICS)]) -> Response:
        cursor = request.query_params.get("cursor", "")
        params = {"limit": _AT_ONCE} | ({"cursor": cursor} if 0 < len(cursor) <= _CURSOR else {})
        try:
            page, mismatches = await asyncio.gather(
                scoring.instruments.page(visit.person, params), scoring.instruments.mismatches(visit.person)
            )
        except (ServiceAwayError, Refusal):
            return pages.page(request, visit, "instruments.html", status=503, page=None, mismatches=None, done=None)
        done = request.query_params.get("done")
        return pages.page(request, visit, "instruments.html", page=page, mismatches=mismatches, done=done)

    @router.post("/instruments/{instrument_id}/{version}")
    async def join(
        visit: Annotated[Visit, needs(Right.RULES)],
        form: Annotated[Form, Depends(posted_form)],
        instrument_id: str,
        version: str,
    ) -> Response:
        same_as = form.get("same_as")
        if not _is_number(version) or (same_as and not _is_number(same_as)):
            raise of_status(NOT_FOUND)
        try:
            await scoring.instruments.join(
                visit.person,
                uuid_in(instrument_id),
                int(version),
                int(same_as) if same_as else None,
                command_id=uuid_in(form.get("command_id")),
                revision=int(form.get("revision")) if _is_number(form.get("revision")) else None,
            )
        except Refusal as refusal:
            if refusal.status in _CANNOT_JOIN:
                return RedirectResponse("/instruments?done=refused", SEE_OTHER)
            if refusal.status == _STALE:
                return RedirectResponse("/instruments?done=changed", SEE_OTHER)
            raise
        return RedirectResponse("/instruments?done=joined", SEE_OTHER)

    return router


def _is_number(written: str) -> bool:
    return written.isascii() and written.isdecimal() and 0 < len(written) <= _DIGITS
