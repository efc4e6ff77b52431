"""The rules of contact: when customers may be called, how long they are left in peace, how callbacks are kept."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.refusals import SEE_OTHER, WRONG, refused_draft, uuid_in, version_in
from services.portal.api.view import Pages
from services.portal.clients import Casework, Refusal, ServiceAwayError
from services.portal.domain.contactforms import CONTACT, MINUTES, contact_rules_of, entered_contact_rules
from services.portal.domain.forms import NOTHING, Draft
from services.portal.domain.people import Right
from services.portal.domain.policyforms import WEEKDAYS, WrongEntryError, written


def routes(pages: Pages, casework: Casework) -> APIRouter:
    """`/contact-rules`."""
    router = APIRouter(include_in_schema=False)

    async def shown(request: Request, visit: Visit, draft: Draft, *, status: int = 200) -> Response:
        try:
            rules = await casework.contact_rules.in_force(visit.person)
        except (ServiceAwayError, Refusal):
            return pages.page(request, visit, "contact_rules.html", status=503, rules=None)
        return pages.page(
            request,
            visit,
            "contact_rules.html",
            status=status,
            rules=rules,
            stored=entered_contact_rules(msgspec.structs.asdict(rules)),
            minutes=MINUTES,
            weekdays=WEEKDAYS,
            written=written,
            draft=draft,
            saved=request.query_params.get("done") == "saved",
        )

    @router.get("/contact-rules")
    async def rules(request: Request, visit: Annotated[Visit, needs(Right.SETUP)]) -> Response:
        return await shown(request, visit, NOTHING)

    @router.post("/contact-rules")
    async def change(
        request: Request, visit: Annotated[Visit, needs(Right.LEAD)], form: Annotated[Form, Depends(posted_form)]
    ) -> Response:
        words = pages.words(request, visit.person)
        entered = {name: form.get(name) for name in CONTACT}
        try:
            body = contact_rules_of(entered)
        except WrongEntryError as error:
            wrong = {
                name: words("calendars.wrong.hours" if name in WEEKDAYS else "contact_rules.wrong_minutes")
                for name in error.fields - {"zone", "week"}
            }
            if "zone" in error.fields:
                wrong["zone"] = words("calendars.wrong.zone")
            if "week" in error.fields:
                wrong[WEEKDAYS[0]] = words("contact_rules.wrong_week")
            draft = Draft("contact", entered, {}, wrong, words("case.check"))
            return await shown(request, visit, draft, status=WRONG)
        try:
            await casework.contact_rules.put(
                visit.person, body, command_id=uuid_in(form.get("command_id")), version=version_in(form)
            )
        except Refusal as refusal:
            return await shown(
                request, visit, refused_draft("contact", entered, {}, refusal, words), status=refusal.status
            )
        return RedirectResponse("/contact-rules?done=saved", SEE_OTHER)

    return router
