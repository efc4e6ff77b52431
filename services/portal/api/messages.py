"""Messages: the ledger of what was written to whom, what was held back and why, and the doubts that people settle."""

from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER, WRONG, cursor_in, uuid_in
from services.portal.api.view import Pages
from services.portal.clients import Notify, Refusal, ServiceAwayError
from services.portal.domain.forms import NOTHING, Draft
from services.portal.domain.messages import KINDS, REASONS, STATUSES, outcomes
from services.portal.domain.people import Right

_PAGE: Final = 50
_LONGEST_ID: Final = 512
_OUTCOMES: Final = ("sent", "resend")


def routes(pages: Pages, notify: Notify) -> APIRouter:
    """`/messages` and below."""
    router = APIRouter(include_in_schema=False)
    ledger = MessagePages(pages, notify)

    @router.get("/messages")
    async def listed(request: Request, visit: Annotated[Visit, needs(Right.MESSAGES)]) -> Response:
        return await ledger.listed(request, visit)

    @router.get("/messages/held")
    async def held(request: Request, visit: Annotated[Visit, needs(Right.MESSAGES)]) -> Response:
        return await ledger.held(request, visit)

    @router.get("/messages/{message_id}")
    async def one(request: Request, message_id: str, visit: Annotated[Visit, needs(Right.MESSAGES)]) -> Response:
        return await ledger.one(request, visit, uuid_in(message_id), NOTHING)

    @router.post("/messages/{message_id}")
    async def resolve(
        request: Request,
        message_id: str,
        visit: Annotated[Visit, needs(Right.DOUBTS)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        return await ledger.resolve(request, visit, uuid_in(message_id), form)

    return router


class MessagePages:
    """Reads the ledger from notify, and tells it what people found out."""

    def __init__(self, pages: Pages, notify: Notify) -> None:
        self._pages = pages
        self._notify = notify

    async def listed(self, request: Request, visit: Visit) -> Response:
        """The newest first."""
        asked = _asked(request, {"status": STATUSES, "kind": KINDS})
        context: dict[str, Any] = {"asked": asked, "statuses": STATUSES, "kinds": KINDS}
        try:
            page = await self._notify.messages.page(visit.person, asked, limit=_PAGE, cursor=cursor_in(request))
        except (ServiceAwayError, Refusal):
            return self._pages.page(request, visit, "messages.html", status=503, page=None, **context)
        return self._pages.page(request, visit, "messages.html", page=page, **context)

    async def held(self, request: Request, visit: Visit) -> Response:
        """What a rule held back, for a while or for good."""
        asked = _asked(request, {"reason": REASONS})
        context: dict[str, Any] = {"asked": asked, "reasons": REASONS}
        try:
            page = await self._notify.messages.held(visit.person, asked, limit=_PAGE, cursor=cursor_in(request))
        except (ServiceAwayError, Refusal):
            return self._pages.page(request, visit, "messages_held.html", status=503, page=None, **context)
        return self._pages.page(request, visit, "messages_held.html", page=page, **context)

    async def one(self, request: Request, visit: Visit, id_: str, draft: Draft, *, status: int = 200) -> Response:
        """One message, and what may be said of it."""
        found = await self._notify.messages.one(visit.person, id_)
        return self._pages.page(
            request,
            visit,
            "message.html",
            status=status,
            message=found,
            outcomes=outcomes(found.status) if visit.person.may(Right.DOUBTS) else (),
            draft=draft,
            done=request.query_params.get("done", "") in _OUTCOMES,
        )

    async def resolve(self, request: Request, visit: Visit, id_: str, form: Form) -> Response:
        """Note that it arrived, or have it sent again."""
        outcome = form.get("outcome")
        words = self._pages.words(request, visit.person)
        if outcome not in _OUTCOMES:
            draft = Draft("resolve", {}, {}, {"outcome": words("case.missing")}, words("case.check"))
            return await self.one(request, visit, id_, draft, status=WRONG)
        command_id = uuid_in(form.get("command_id"))
        try:
            await self._notify.messages.resolve(visit.person, id_, outcome, command_id=command_id)
        except Refusal as refusal:
            if refusal.status == NOT_FOUND:
                raise
            key = f"message_refused.{refusal.slug}"
            message = words(key) if words.has(key) else words("message_refused.other")
            return await self.one(request, visit, id_, Draft("resolve", message=message), status=refusal.status)
        return RedirectResponse(f"/messages/{id_}?{urlencode({'done': outcome})}", SEE_OTHER)


def _asked(request: Request, choices: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """The filters of a list that were chosen, as notify takes them."""
    found = {name: request.query_params.get(name, "") for name in choices}
    asked = {name: value for name, value in found.items() if value in choices[name]}
    recipient = request.query_params.get("recipient", "").strip()[:_LONGEST_ID]
    return asked | ({"recipient": recipient} if recipient else {})
