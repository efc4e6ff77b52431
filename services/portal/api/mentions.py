"""Where colleagues asked somebody to look: their comments, the latest first, until they are read."""

from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.refusals import SEE_OTHER, cursor_in, uuid_in
from services.portal.api.view import Pages
from services.portal.clients import Casework, Refusal, ServiceAwayError
from services.portal.domain.people import Person, Right

SHOWN: Final = ("unread", "all")
_PAGE: Final = 30


def routes(pages: Pages, casework: Casework) -> APIRouter:
    """`/mentions`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/mentions")
    async def listed(request: Request, visit: Annotated[Visit, needs(Right.CASES)]) -> Response:
        show = request.query_params.get("show", "")
        show = show if show in SHOWN else SHOWN[0]
        cursor = cursor_in(request)
        context: dict[str, Any] = {
            "show": show,
            "shown": SHOWN,
            "cursor": cursor,
            "page": None,
            "unread": 0,
            "read": request.query_params.get("done") == "read",
        }
        try:
            page = await casework.contact.mentions(visit.person, limit=_PAGE, unread=show == "unread", cursor=cursor)
        except ServiceAwayError:
            return pages.page(request, visit, "mentions.html", status=503, **context)
        return pages.page(request, visit, "mentions.html", **context | {"page": page, "unread": page.unread})

    @router.post("/mentions")
    async def read(
        visit: Annotated[Visit, needs(Right.CASES)], form: Annotated[Form, Depends(posted_form)]
    ) -> Response:
        case_id = uuid_in(form.get("case_id")) if form.get("case_id") else None
        await casework.contact.read(visit.person, case_id)
        show = {"show": "all"} if form.get("show") == "all" else {}
        return RedirectResponse(f"/mentions?{urlencode({**show, 'done': 'read'})}", SEE_OTHER)

    return router


async def unread_of(casework: Casework, person: Person) -> int:
    """How many mentions wait for the person; none where casework cannot say just now."""
    try:
        return (await casework.contact.mentions(person, limit=1)).unread
    except (ServiceAwayError, Refusal):
        return 0
