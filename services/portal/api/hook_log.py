"""The log of what was sent to an end point: each delivery with its attempts and its body, and its replay."""

import json
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER, WRONG, cursor_in, uuid_in
from services.portal.api.view import Pages
from services.portal.clients import Notify, Refusal
from services.portal.domain.casefile import instant_in
from services.portal.domain.forms import NOTHING, Draft
from services.portal.domain.hooks import REPLAYED, STATUSES
from services.portal.domain.people import Right

_PAGE: Final = 50
_DONE: Final = ("test", "replay")
_LONGEST_TYPE: Final = 200


def routes(pages: Pages, notify: Notify) -> APIRouter:
    """`/subscriptions/{id}/deliveries` and below."""
    router = APIRouter(include_in_schema=False)
    log = HookLog(pages, notify)

    @router.get("/subscriptions/{subscription_id}/deliveries")
    async def listed(request: Request, subscription_id: str, visit: Annotated[Visit, needs(Right.HOOKS)]) -> Response:
        return await log.listed(request, visit, uuid_in(subscription_id), NOTHING)

    @router.post("/subscriptions/{subscription_id}/deliveries")
    async def replay_range(
        request: Request,
        subscription_id: str,
        visit: Annotated[Visit, needs(Right.HOOKS)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        return await log.replay_range(request, visit, uuid_in(subscription_id), form)

    @router.get("/subscriptions/{subscription_id}/deliveries/{event_id}")
    async def one(
        request: Request, subscription_id: str, event_id: str, visit: Annotated[Visit, needs(Right.HOOKS)]
    ) -> Response:
        return await log.one(request, visit, uuid_in(subscription_id), uuid_in(event_id), NOTHING)

    @router.post("/subscriptions/{subscription_id}/deliveries/{event_id}")
    async def replay(
        request: Request,
        subscription_id: str,
        event_id: str,
        visit: Annotated[Visit, needs(Right.HOOKS)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        return await log.replay(request, visit, uuid_in(subscription_id), uuid_in(event_id), form)

    return router


class HookLog:
    """Reads the log from notify, and has deliveries made anew."""

    def __init__(self, pages: Pages, notify: Notify) -> None:
        self._pages = pages
        self._notify = notify

    async def listed(self, request: Request, visit: Visit, id_: str, draft: Draft, *, status: int = 200) -> Response:
        """The newest first."""
        query = request.query_params
        asked = {"status": query.get("status", "")} if query.get("status") in STATUSES else {}
        type_ = query.get("type", "").strip()[:_LONGEST_TYPE]
        asked |= {"type": type_} if type_ else {}
        replayed = query.get("replayed", "")
        found, _ = await self._notify.hooks.one(visit.person, id_)
        page = await self._notify.hooks.deliveries(visit.person, id_, asked, limit=_PAGE, cursor=cursor_in(request))
        return self._pages.page(
            request,
            visit,
            "hook_log.html",
            status=status,
            found=found,
            page=page,
            asked=asked,
            statuses=STATUSES,
            may_replay=REPLAYED,
            draft=draft,
            replayed=int(replayed) if replayed.isascii() and replayed.isdecimal() else None,
            more="more" in query,
        )

    async def one(
        self, request: Request, visit: Visit, id_: str, event_id: str, draft: Draft, *, status: int = 200
    ) -> Response:
        """One delivery, with each of its attempts."""
        found, _ = await self._notify.hooks.one(visit.person, id_)
        delivery = await self._notify.hooks.delivery(visit.person, id_, event_id)
        done = request.query_params.get("done", "")
        body = None if delivery.body is None else json.dumps(delivery.body, ensure_ascii=False, indent=2)
        return self._pages.page(
            request,
            visit,
            "hook_delivery.html",
            status=status,
            found=found,
            delivery=delivery,
            body=body,
            draft=draft,
            done=done if done in _DONE else "",
        )

    async def replay(self, request: Request, visit: Visit, id_: str, event_id: str, form: Form) -> Response:
        """Deliver one anew, under the same id."""
        command_id = uuid_in(form.get("command_id"))
        try:
            await self._notify.hooks.replay(visit.person, id_, event_id, command_id=command_id)
        except Refusal as refusal:
            if refusal.status == NOT_FOUND:
                raise
            words = self._pages.words(request, visit.person)
            draft = Draft("replay", message=words("hook_refused.other"))
            return await self.one(request, visit, id_, event_id, draft, status=refusal.status)
        return RedirectResponse(f"/subscriptions/{id_}/deliveries/{event_id}?done=replay", SEE_OTHER)

    async def replay_range(self, request: Request, visit: Visit, id_: str, form: Form) -> Response:
        """Deliver what was written in a span of time anew."""
        words = self._pages.words(request, visit.person)
        entered = {name: form.get(name) for name in ("since", "until")}
        statuses = [each for each in form.all("statuses") if each in REPLAYED]
        span = {name: instant_in(said, self._pages.zone) for name, said in entered.items()}
        wrong = {name: words("campaign_wrong.no_day") for name, at in span.items() if at is None}
        if not statuses:
            wrong["statuses"] = words("hooks.choose_statuses")
        if wrong:
            draft = Draft("range", entered, {"statuses": tuple(statuses)}, wrong, words("case.check"))
            return await self.listed(request, visit, id_, draft, status=WRONG)
        body: dict[str, Any] = {name: at.isoformat() for name, at in span.items() if at is not None}
        command_id = uuid_in(form.get("command_id"))
        try:
            done = await self._notify.hooks.replay_range(
                visit.person, id_, body | {"statuses": statuses}, command_id=command_id
            )
        except Refusal as refusal:
            if refusal.status == NOT_FOUND:
                raise
            draft = Draft("range", entered, {"statuses": tuple(statuses)}, {}, words("hook_refused.other"))
            return await self.listed(request, visit, id_, draft, status=refusal.status)
        query = {"replayed": str(done.replayed)} | ({"more": "yes"} if done.more else {})
        return RedirectResponse(f"/subscriptions/{id_}/deliveries?{urlencode(query)}", SEE_OTHER)
