"""Who is not written to: the list with its reasons, what is known of an address, and who put it there."""

from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.events.database import Database
from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.named import named
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER, WRONG, cursor_in, uuid_in
from services.portal.api.view import Pages
from services.portal.clients import Notify, Refusal, ServiceAwayError
from services.portal.clients.reach import Suppression
from services.portal.domain.casefile import instant_in
from services.portal.domain.forms import NOTHING, Draft
from services.portal.domain.people import Right

MEDIA: Final = ("email", "phone")
REASONS: Final = ("listed", "undeliverable", "complained", "unsubscribed")
_PAGE: Final = 50
_LONGEST_ID: Final = 512
_DONE: Final = ("added", "lifted")


def routes(database: Database, pages: Pages, notify: Notify) -> APIRouter:
    """`/suppressions` and below."""
    router = APIRouter(include_in_schema=False)
    board = SuppressionPages(database, pages, notify)

    @router.get("/suppressions")
    async def listed(request: Request, visit: Annotated[Visit, needs(Right.MESSAGES)]) -> Response:
        return await board.listed(request, visit, NOTHING)

    @router.post("/suppressions")
    async def add(
        request: Request, visit: Annotated[Visit, needs(Right.MESSAGES)], form: Annotated[Form, Depends(posted_form)]
    ) -> Response:
        return await board.add(request, visit, form)

    @router.post("/suppressions/find")
    async def find(
        request: Request, visit: Annotated[Visit, needs(Right.MESSAGES)], form: Annotated[Form, Depends(posted_form)]
    ) -> Response:
        return await board.find(request, visit, form)

    @router.post("/suppressions/{suppression_id}/lift")
    async def lift(
        request: Request,
        suppression_id: str,
        visit: Annotated[Visit, needs(Right.MESSAGES)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        return await board.lift(request, visit, uuid_in(suppression_id), form)

    return router


class SuppressionPages:
    """Reads the list from notify, and changes it there in the person's name."""

    def __init__(self, database: Database, pages: Pages, notify: Notify) -> None:
        self._database = database
        self._pages = pages
        self._notify = notify

    async def listed(self, request: Request, visit: Visit, draft: Draft, *, status: int = 200) -> Response:
        """The newest first; with `removed` also those that were taken off."""
        query = request.query_params
        asked = {"reason": query.get("reason", "")} if query.get("reason") in REASONS else {}
        customer = query.get("customer", "").strip()[:_LONGEST_ID]
        asked |= ({"customer": customer} if customer else {}) | ({"removed": "true"} if query.get("removed") else {})
        try:
            page = await self._notify.reach.suppressions(visit.person, asked, limit=_PAGE, cursor=cursor_in(request))
        except (ServiceAwayError, Refusal):
            return await self._shown(request, visit, draft, asked, None, None, status=503)
        return await self._shown(request, visit, draft, asked, page, None, status=status)

    async def find(self, request: Request, visit: Visit, form: Form) -> Response:
        """What is known of one address; it is asked for in the body, so that it stands in no log."""
        entered = _entered(form, ("medium", "address"))
        words = self._pages.words(request, visit.person)
        if not entered["address"] or entered["medium"] not in MEDIA:
            draft = Draft("find", entered, {}, {"address": words("case.missing")}, words("case.check"))
            return await self.listed(request, visit, draft, status=WRONG)
        try:
            found = await self._notify.reach.find(visit.person, entered["medium"], entered["address"])
        except Refusal as refusal:
            return await self.listed(
                request, visit, self._refused(request, visit, "find", entered, refusal), status=422
            )
        return await self._shown(request, visit, Draft("find", entered), {}, None, found)

    async def add(self, request: Request, visit: Visit, form: Form) -> Response:
        """Write to it no more."""
        entered = _entered(form, ("medium", "address", "reason", "why", "until"))
        words = self._pages.words(request, visit.person)
        wrong = {name: words("case.missing") for name in ("address", "why") if not entered[name]}
        until = instant_in(entered["until"], self._pages.zone) if entered["until"] else None
        if entered["until"] and until is None:
            wrong["until"] = words("campaign_wrong.no_day")
        for name, known in (("medium", MEDIA), ("reason", REASONS)):
            if entered[name] not in known:
                wrong[name] = words("case.invalid")
        if wrong:
            draft = Draft("add", entered, {}, wrong, words("case.check"))
            return await self.listed(request, visit, draft, status=WRONG)
        body: dict[str, object] = {name: entered[name] for name in ("medium", "address", "reason", "why")}
        body |= {"until": None if until is None else until.isoformat()}
        try:
            await self._notify.reach.suppress(visit.person, body, command_id=uuid_in(form.get("command_id")))
        except Refusal as refusal:
            draft = self._refused(request, visit, "add", entered, refusal)
            return await self.listed(request, visit, draft, status=refusal.status)
        return RedirectResponse("/suppressions?done=added", SEE_OTHER)

    async def lift(self, request: Request, visit: Visit, id_: str, form: Form) -> Response:
        """It may be written to again."""
        entered = _entered(form, ("why",))
        words = self._pages.words(request, visit.person)
        name = f"lift-{id_}"
        if not entered["why"]:
            draft = Draft(name, entered, {}, {"why": words("case.missing")}, words("case.check"))
            return await self.listed(request, visit, draft, status=WRONG)
        command_id = uuid_in(form.get("command_id"))
        try:
            await self._notify.reach.lift(visit.person, id_, entered["why"], command_id=command_id)
        except Refusal as refusal:
            if refusal.status == NOT_FOUND:
                raise
            draft = self._refused(request, visit, name, entered, refusal)
            return await self.listed(request, visit, draft, status=refusal.status)
        return RedirectResponse(f"/suppressions?{urlencode({'done': 'lifted'})}", SEE_OTHER)

    def _refused(self, request: Request, visit: Visit, form: str, entered: dict[str, str], refusal: Refusal) -> Draft:
        words = self._pages.words(request, visit.person)
        key = f"suppression_refused.{refusal.slug}"
        wrong = {error.field: words("case.invalid") for error in refusal.errors if error.field in entered}
        return Draft(form, entered, {}, wrong, words(key) if words.has(key) else words("suppression_refused.other"))

    async def _shown(
        self,
        request: Request,
        visit: Visit,
        draft: Draft,
        asked: dict[str, str],
        page: Any,  # noqa: ANN401 - a page of the list, or none
        found: list[Suppression] | None,
        *,
        status: int = 200,
    ) -> Response:
        shown = found if found is not None else page.items if page is not None else []
        who = {each.added_by for each in shown} | {each.removed_by for each in shown if each.removed_by}
        done = request.query_params.get("done", "")
        return self._pages.page(
            request,
            visit,
            "suppressions.html",
            status=status,
            page=page,
            found=found,
            shown=shown,
            asked=asked,
            reasons=REASONS,
            media=MEDIA,
            names=await named(self._database, who),
            draft=draft,
            done=done if done in _DONE else "",
        )


def _entered(form: Form, names: tuple[str, ...]) -> dict[str, str]:
    return {name: form.get(name) for name in names}
