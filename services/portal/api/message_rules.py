"""Rules of messages: over which channels, at which hours and how often people may be written to."""

from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.events.database import Database
from services.portal.api.access import Form, Visit, needs, posted_long_form
from services.portal.api.named import named
from services.portal.api.refusals import SEE_OTHER, WRONG, uuid_in, version_in
from services.portal.api.view import Pages
from services.portal.clients import Notify, Refusal, ServiceAwayError
from services.portal.clients.reach import MessageRules
from services.portal.domain import messagerules as domain
from services.portal.domain.forms import Draft
from services.portal.domain.messagerules import CHANNELS, PLACES, PURPOSES
from services.portal.domain.people import Person, Right

_FORM: Final = "rules"


def routes(database: Database, pages: Pages, notify: Notify) -> APIRouter:
    """`/message-rules` and their form."""
    router = APIRouter(include_in_schema=False)
    editor = MessageRulePages(database, pages, notify)

    @router.get("/message-rules")
    async def shown(request: Request, visit: Annotated[Visit, needs(Right.MESSAGES)]) -> Response:
        return await editor.shown(request, visit)

    @router.get("/message-rules/edit")
    async def edit(request: Request, visit: Annotated[Visit, needs(Right.SENDING)]) -> Response:
        return await editor.stored(request, visit)

    @router.post("/message-rules/edit")
    async def change(
        request: Request,
        visit: Annotated[Visit, needs(Right.SENDING)],
        form: Annotated[Form, Depends(posted_long_form)],
    ) -> Response:
        return await editor.change(request, visit, form)

    return router


class MessageRulePages:
    """Reads the rules from notify and changes them there, in the person's name."""

    def __init__(self, database: Database, pages: Pages, notify: Notify) -> None:
        self._database = database
        self._pages = pages
        self._notify = notify

    async def shown(self, request: Request, visit: Visit) -> Response:
        """What is in force, and who set it."""
        try:
            rules = await self._notify.reach.rules(visit.person)
        except (ServiceAwayError, Refusal):
            return self._pages.page(request, visit, "message_rules.html", status=503, rules=None, done="")
        done = "saved" if request.query_params.get("done") == "saved" else ""
        names = await named(self._database, {rules.by} if rules.by else set())
        return self._pages.page(
            request, visit, "message_rules.html", rules=rules, purposes=PURPOSES, names=names, done=done
        )

    async def stored(self, request: Request, visit: Visit) -> Response:
        """The form as the rules are now."""
        rules = await self._rules(visit.person)
        fields, lists = domain.as_entered(msgspec.to_builtins(rules))
        return self._form(request, visit, rules.revision, Draft(_FORM, fields, lists))

    async def change(self, request: Request, visit: Visit, form: Form) -> Response:
        """Set them; or the form again, with what is wrong."""
        words = self._pages.words(request, visit.person)
        names, boxes = domain.field_names()
        fields = {name: form.get(name) for name in names}
        lists = {name: form.all(name) for name in boxes}
        body, wrong = domain.rules_of(fields, lists)
        seen = version_in(form)
        if wrong:
            said = {name: words(f"rules_wrong.{code}") for name, code in wrong.items()}
            draft = Draft(_FORM, fields, lists, said, words("case.check"))
            return self._form(request, visit, seen, draft, status=WRONG)
        command_id = uuid_in(form.get("command_id"))
        try:
            await self._notify.reach.put_rules(visit.person, body, command_id=command_id, version=seen)
        except Refusal as refusal:
            key = f"template_refused.{refusal.slug}"
            message = words(key) if words.has(key) else words("template_refused.other")
            return self._form(request, visit, seen, Draft(_FORM, fields, lists, {}, message), status=refusal.status)
        return RedirectResponse("/message-rules?done=saved", SEE_OTHER)

    def _form(self, request: Request, visit: Visit, seen: int | None, draft: Draft, *, status: int = 200) -> Response:
        return self._pages.page(
            request,
            visit,
            "message_rules_form.html",
            status=status,
            seen=seen,
            purposes=PURPOSES,
            channels=CHANNELS,
            places=PLACES,
            quiet_rows=domain.rows_of("quiet", draft.fields, draft.lists),
            cap_rows=domain.rows_of("cap", draft.fields, draft.lists),
            draft=draft,
            form=_FORM,
        )

    async def _rules(self, person: Person) -> MessageRules:
        return await self._notify.reach.rules(person)
