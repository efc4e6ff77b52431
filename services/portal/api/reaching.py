"""How one customer may be reached: for what, over which channels, why not, what they said, and what was held back."""

import asyncio
import re
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.events.database import Database
from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.customers import id_in
from services.portal.api.named import named
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER, WRONG, cursor_in, uuid_in
from services.portal.api.view import Pages
from services.portal.clients import Notify, Refusal, Scoring, ServiceAwayError
from services.portal.clients.messages import Hold
from services.portal.clients.reach import MessageRules, ReachOfCustomer
from services.portal.domain.forms import NOTHING, Draft
from services.portal.domain.people import Person, Right

CHANNELS: Final = ("email", "sms", "messenger")
PURPOSES: Final = ("service", "courtesy", "news")
"""For which customers are written to."""
_HELD: Final = 20
_FORM: Final = "said"
_BY_THEMSELVES: Final = frozenset(("customer", "complaint", "reader"))
_MESSAGE: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def routes(database: Database, pages: Pages, scoring: Scoring, notify: Notify) -> APIRouter:
    """`/reach/{customer_id}`."""
    router = APIRouter(include_in_schema=False)
    desk = ReachPages(database, pages, scoring, notify)

    @router.get("/reach/{customer_id:path}")
    async def shown(request: Request, visit: Annotated[Visit, needs(Right.CUSTOMERS)], customer_id: str) -> Response:
        return await desk.shown(request, visit, id_in(customer_id), NOTHING)

    @router.post("/reach/{customer_id:path}")
    async def note(
        request: Request,
        customer_id: str,
        visit: Annotated[Visit, needs(Right.CUSTOMERS)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        return await desk.note(request, visit, id_in(customer_id), form)

    return router


class ReachPages:
    """Asks scoring who the customer is and what changed, and notify what it would do."""

    def __init__(self, database: Database, pages: Pages, scoring: Scoring, notify: Notify) -> None:
        self._database = database
        self._pages = pages
        self._scoring = scoring
        self._notify = notify

    async def shown(self, request: Request, visit: Visit, wanted: str, draft: Draft, *, status: int = 200) -> Response:
        """The page; without what notify knows where that is away."""
        customer, changes = await asyncio.gather(
            self._scoring.customers.find(visit.person, wanted),
            self._scoring.customers.contact_changes(visit.person, wanted, cursor_in(request)),
        )
        if customer is None:
            return self._pages.page(request, visit, "customer.html", status=NOT_FOUND, customer=None, wanted=wanted)
        found = await self._reached(visit.person, wanted)
        who = {each.told_by for each in changes.items if each.came_by != "survey_vendor"}
        messages: dict[str, str] = {}
        context: dict[str, Any] = {"reach": None, "rules": None, "held": []}
        if found is not None:
            reach, rules, held = found
            who |= {each.by for each in reach.said} | {each.added_by for each in reach.listed}
            who |= {each.removed_by for each in reach.listed if each.removed_by}
            messages = {each.why: id_[0] for each in reach.said if (id_ := _MESSAGE.search(each.why))}
            context = {"reach": reach, "rules": rules, "held": held}
        return self._pages.page(
            request,
            visit,
            "reach.html",
            status=status,
            customer=customer,
            changes=changes,
            channels=CHANNELS,
            purposes=PURPOSES,
            by_themselves=_BY_THEMSELVES,
            messages=messages,
            names=await named(self._database, who),
            draft=draft,
            done=request.query_params.get("done") == "noted",
            **context,
        )

    async def note(self, request: Request, visit: Visit, wanted: str, form: Form) -> Response:
        """Keep what the customer said to a channel for a purpose."""
        entered = {name: form.get(name) for name in ("channel", "purpose", "granted", "why")}
        words = self._pages.words(request, visit.person)
        wrong = {} if entered["why"] else {"why": words("case.missing")}
        for name, known in (("channel", CHANNELS), ("purpose", PURPOSES), ("granted", ("yes", "no"))):
            if entered[name] not in known:
                wrong[name] = words("case.invalid")
        if wrong:
            draft = Draft(_FORM, entered, {}, wrong, words("case.check"))
            return await self.shown(request, visit, wanted, draft, status=WRONG)
        try:
            await self._notify.reach.note(
                visit.person,
                wanted,
                entered["channel"],
                entered["purpose"],
                granted=entered["granted"] == "yes",
                why=entered["why"],
                command_id=uuid_in(form.get("command_id")),
            )
        except Refusal as refusal:
            wrong = {error.field: words("case.invalid") for error in refusal.errors if error.field in entered}
            draft = Draft(_FORM, entered, {}, wrong, words("refused.other"))
            return await self.shown(request, visit, wanted, draft, status=refusal.status)
        return RedirectResponse(f"/reach/{quote(wanted)}?{urlencode({'done': 'noted'})}", SEE_OTHER)

    async def _reached(self, person: Person, wanted: str) -> tuple[ReachOfCustomer, MessageRules, list[Hold]] | None:
        """What notify knows; None where it is away."""
        try:
            reach, rules, held = await asyncio.gather(
                self._notify.reach.of_customer(person, wanted),
                self._notify.reach.rules(person),
                self._notify.messages.held(person, {"recipient": wanted}, limit=_HELD),
            )
        except (ServiceAwayError, Refusal):
            return None
        return reach, rules, held.items
