"""Subscriptions: which other systems have events sent to them, how that goes, and what can be done about it."""

from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.webapi.problem import of_status
from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER, WRONG, cursor_in, uuid_in
from services.portal.api.view import Pages
from services.portal.clients import Notify, Refusal, ServiceAwayError
from services.portal.domain.forms import NOTHING, Draft
from services.portal.domain.hooks import STEPS
from services.portal.domain.people import Right

_PAGE: Final = 50
_LATEST: Final = 5
_DONE: Final = ("changed", "enable", "disable", "deleted")


def routes(pages: Pages, notify: Notify) -> APIRouter:
    """`/subscriptions`, and what is done about one."""
    router = APIRouter(include_in_schema=False)
    board = HookPages(pages, notify)

    @router.get("/subscriptions")
    async def listed(request: Request, visit: Annotated[Visit, needs(Right.HOOKS)]) -> Response:
        return await board.listed(request, visit)

    @router.get("/subscriptions/{subscription_id}")
    async def one(request: Request, subscription_id: str, visit: Annotated[Visit, needs(Right.HOOKS)]) -> Response:
        return await board.one(request, visit, uuid_in(subscription_id), NOTHING)

    @router.post("/subscriptions/{subscription_id}/{step}")
    async def act(
        request: Request,
        subscription_id: str,
        step: str,
        visit: Annotated[Visit, needs(Right.HOOKS)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        if step not in STEPS:
            raise of_status(NOT_FOUND)
        return await board.act(request, visit, uuid_in(subscription_id), step, form)

    return router


class HookPages:
    """Reads subscriptions from notify, and acts there in the person's name."""

    def __init__(self, pages: Pages, notify: Notify) -> None:
        self._pages = pages
        self._notify = notify

    async def listed(self, request: Request, visit: Visit) -> Response:
        """By owner and name."""
        done = request.query_params.get("done", "")
        done = done if done in _DONE else ""
        try:
            page = await self._notify.hooks.page(visit.person, limit=_PAGE, cursor=cursor_in(request))
        except (ServiceAwayError, Refusal):
            return self._pages.page(request, visit, "hooks.html", status=503, page=None, done=done)
        return self._pages.page(request, visit, "hooks.html", page=page, done=done)

    async def one(
        self, request: Request, visit: Visit, id_: str, draft: Draft, *, secret: str = "", status: int = 200
    ) -> Response:
        """One of them, with its latest deliveries."""
        found, version = await self._notify.hooks.one(visit.person, id_)
        log = await self._notify.hooks.deliveries(visit.person, id_, {}, limit=_LATEST, cursor=None)
        done = request.query_params.get("done", "")
        return self._pages.page(
            request,
            visit,
            "hook.html",
            status=status,
            found=found,
            version=version,
            latest=log.items,
            draft=draft,
            secret=secret,
            done=done if done in _DONE else "",
        )

    async def act(self, request: Request, visit: Visit, id_: str, step: str, form: Form) -> Response:
        """Pause it, let it go on, test it, give it a new secret, or delete it."""
        words = self._pages.words(request, visit.person)
        command_id = uuid_in(form.get("command_id"))
        if step == "delete" and form.get("sure") != "yes":
            draft = Draft(step, {}, {}, {"sure": words("hooks.say_sure")}, words("case.check"))
            return await self.one(request, visit, id_, draft, status=WRONG)
        hooks = self._notify.hooks
        try:
            if step == "secret":
                told = await hooks.rotate(visit.person, id_, command_id=command_id)
                return await self.one(request, visit, id_, NOTHING, secret=told.secret)
            if step == "test":
                event_id = await hooks.test(visit.person, id_, command_id=command_id)
                return RedirectResponse(f"/subscriptions/{id_}/deliveries/{event_id}?done=test", SEE_OTHER)
            if step == "delete":
                await hooks.delete(visit.person, id_, command_id=command_id)
                return RedirectResponse("/subscriptions?done=deleted", SEE_OTHER)
            await hooks.act(visit.person, id_, step, command_id=command_id)
        except Refusal as refusal:
            if refusal.status == NOT_FOUND:
                raise
            key = f"hook_refused.{refusal.slug}"
            draft = Draft(step, message=words(key) if words.has(key) else words("hook_refused.other"))
            return await self.one(request, visit, id_, draft, status=refusal.status)
        return RedirectResponse(f"/subscriptions/{id_}?{urlencode({'done': step})}", SEE_OTHER)
