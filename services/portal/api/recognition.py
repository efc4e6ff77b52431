"""Whom to name for closing loops exceptionally well: proposals with their numbers, and a manager's decision."""

from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.webapi.problem import of_status
from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER, WRONG, uuid_in, version_in
from services.portal.api.view import Pages
from services.portal.clients import Casework, Refusal, ServiceAwayError
from services.portal.domain.forms import NOTHING, Draft
from services.portal.domain.people import Right

STEPS: Final = ("approve", "decline")


class RecognitionPages:
    """The page of proposals, as it is asked for and as it comes back."""

    def __init__(self, pages: Pages, casework: Casework) -> None:
        self._pages = pages
        self._casework = casework

    async def show(self, request: Request, visit: Visit, draft: Draft = NOTHING, *, status: int = 200) -> Response:
        """The proposals of a month."""
        done = request.query_params.get("done", "")
        context = {"draft": draft, "done": done if done in STEPS else ""}
        try:
            month = request.query_params.get("month", "")[:7]
            found = await self._casework.recognition.proposals(visit.person, month)
        except ServiceAwayError:
            return self._pages.page(request, visit, "recognition.html", status=503, **context, found=None)
        return self._pages.page(request, visit, "recognition.html", status=status, **context, found=found)

    async def decide(self, request: Request, visit: Visit, id_: str, step: str, form: Form) -> Response:
        """Name somebody, or do not, with the reason."""
        words = self._pages.words(request, visit.person)
        entered = {"reason": form.get("reason").replace("\r\n", "\n")} if step == "decline" else {}
        if step == "decline" and not entered["reason"]:
            wrong = {"reason": words("case.missing")}
            return await self.show(request, visit, Draft(id_, entered, {}, wrong, words("case.check")), status=WRONG)
        try:
            await self._casework.recognition.decide(
                visit.person, id_, step, entered, command_id=uuid_in(form.get("command_id")), version=version_in(form)
            )
        except Refusal as refusal:
            if refusal.status == NOT_FOUND:
                raise
            key = f"recognition_refused.{refusal.slug}"
            said = words(key) if words.has(key) else words("recognition_refused.other")
            return await self.show(request, visit, Draft(id_, entered, {}, {}, said), status=refusal.status)
        return RedirectResponse(f"/recognition?{urlencode({'done': step})}", SEE_OTHER)


def routes(pages: Pages, casework: Casework) -> APIRouter:
    """`/recognition`."""
    router = APIRouter(include_in_schema=False)
    board = RecognitionPages(pages, casework)

    @router.get("/recognition")
    async def show(request: Request, visit: Annotated[Visit, needs(Right.LEAD)]) -> Response:
        return await board.show(request, visit)

    @router.post("/recognition/{proposal_id}/{step}")
    async def decide(
        request: Request,
        proposal_id: str,
        step: str,
        visit: Annotated[Visit, needs(Right.LEAD)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        id_ = uuid_in(proposal_id)
        if step not in STEPS:
            raise of_status(NOT_FOUND)
        return await board.decide(request, visit, id_, step, form)

    return router
