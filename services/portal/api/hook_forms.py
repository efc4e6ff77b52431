"""A subscription is made or changed: what is sent, where to, what of it may be seen, and who answers for it."""

from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.portal.api.access import Form, Visit, needs, posted_long_form
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER, WRONG, uuid_in, version_in
from services.portal.api.view import Pages
from services.portal.clients import Notify, Refusal
from services.portal.clients.hooks import EventType, Subscription
from services.portal.domain import hooks as domain
from services.portal.domain.forms import Draft
from services.portal.domain.hooks import FIELDS, SEEN
from services.portal.domain.people import Person, Right, Role
from services.portal.texts import LANGUAGES, Words

_MADE: Final = 201
_FORM: Final = "hook"


def routes(pages: Pages, notify: Notify) -> APIRouter:
    """`/subscriptions/new` and `/subscriptions/{id}/edit`."""
    router = APIRouter(include_in_schema=False)
    desk = HookForms(pages, notify)

    @router.get("/subscriptions/new")
    async def blank(request: Request, visit: Annotated[Visit, needs(Right.HOOKS)]) -> Response:
        draft = Draft(_FORM, domain.first_contact(visit.person), {"type": ("case.*",)})
        return await desk.form(request, visit, None, None, draft)

    @router.post("/subscriptions/new")
    async def make(
        request: Request, visit: Annotated[Visit, needs(Right.HOOKS)], form: Annotated[Form, Depends(posted_long_form)]
    ) -> Response:
        return await desk.make(request, visit, form)

    @router.get("/subscriptions/{subscription_id}/edit")
    async def edit(request: Request, subscription_id: str, visit: Annotated[Visit, needs(Right.HOOKS)]) -> Response:
        return await desk.stored(request, visit, uuid_in(subscription_id))

    @router.post("/subscriptions/{subscription_id}/edit")
    async def change(
        request: Request,
        subscription_id: str,
        visit: Annotated[Visit, needs(Right.HOOKS)],
        form: Annotated[Form, Depends(posted_long_form)],
    ) -> Response:
        return await desk.change(request, visit, uuid_in(subscription_id), form)

    return router


class HookForms:
    """The form of a subscription, blank, as it is stored, or as it was entered."""

    def __init__(self, pages: Pages, notify: Notify) -> None:
        self._pages = pages
        self._notify = notify

    async def stored(self, request: Request, visit: Visit, id_: str) -> Response:
        """As it is now."""
        found, version = await self._one(visit.person, id_)
        contact = found.contact
        fields = {
            "name": found.name,
            "url": found.url,
            "contact_name": contact.name,
            "contact_email": contact.email,
            "contact_language": contact.language,
        }
        lists = {"type": tuple(found.types), "sees": tuple(found.sees)}
        return await self.form(request, visit, id_, version, Draft(_FORM, fields, lists))

    async def make(self, request: Request, visit: Visit, form: Form) -> Response:
        """Subscribe; the answer shows the secret, once, and therefore is a page of its own."""
        draft = await self._entered(request, visit, form)
        if draft.wrong:
            return await self.form(request, visit, None, None, draft, status=WRONG)
        try:
            made = await self._notify.hooks.make(
                visit.person, self._body(draft, visit.person.id), command_id=uuid_in(form.get("command_id"))
            )
        except Refusal as refusal:
            draft = refused(draft, refusal, self._pages.words(request, visit.person))
            return await self.form(request, visit, None, None, draft, status=refusal.status)
        return self._pages.page(request, visit, "hook_made.html", status=_MADE, made=made)

    async def change(self, request: Request, visit: Visit, id_: str, form: Form) -> Response:
        """Have other things sent, or elsewhere."""
        draft, version = await self._entered(request, visit, form), version_in(form)
        if draft.wrong:
            return await self.form(request, visit, id_, version, draft, status=WRONG)
        found, _ = await self._one(visit.person, id_)
        same = draft.fields["contact_email"] == found.contact.email
        body = self._body(draft, found.contact.employee_id if same else draft.fields["contact_email"])
        command_id = uuid_in(form.get("command_id"))
        try:
            await self._notify.hooks.change(visit.person, id_, body, command_id=command_id, version=version)
        except Refusal as refusal:
            if refusal.status == NOT_FOUND:
                raise
            draft = refused(draft, refusal, self._pages.words(request, visit.person))
            return await self.form(request, visit, id_, version, draft, status=refusal.status)
        return RedirectResponse(f"/subscriptions/{id_}?{urlencode({'done': 'changed'})}", SEE_OTHER)

    async def form(
        self, request: Request, visit: Visit, id_: str | None, version: int | None, draft: Draft, *, status: int = 200
    ) -> Response:
        """The form, with every event type that there is."""
        types = await self._types(visit.person)
        names = [each.type for each in types]
        known = {domain.EVERYTHING, *names, *(f"{family}.*" for family in domain.families(names))}
        return self._pages.page(
            request,
            visit,
            "hook_form.html",
            status=status,
            subscription_id=id_,
            version=version,
            families=domain.families(names),
            summaries={each.type: each.summary for each in types},
            others=[each for each in draft.lists.get("type", ()) if each not in known],
            seen=SEEN,
            may_see=visit.person.role is Role.ADMINISTRATOR,
            draft=draft,
            form=_FORM,
        )

    async def _entered(self, request: Request, visit: Visit, form: Form) -> Draft:
        words = self._pages.words(request, visit.person)
        fields = {name: form.get(name) for name in FIELDS}
        lists = {"type": form.all("type"), "sees": form.all("sees")}
        wrong = {name: words("case.missing") for name, said in fields.items() if not said}
        if not lists["type"]:
            wrong["type"] = words("hooks.choose_types")
        if fields["contact_language"] not in LANGUAGES:
            wrong["contact_language"] = words("case.invalid")
        return Draft(_FORM, fields, lists, wrong, words("case.check") if wrong else "")

    def _body(self, draft: Draft, employee_id: str) -> dict[str, object]:
        said = draft.fields
        ticked = draft.lists["type"]
        return {
            "name": said["name"],
            "url": said["url"],
            "types": domain.chosen_types(ticked, [each for each in ticked if not each.endswith("*")]),
            "sees": ["facts", *(each for each in draft.lists["sees"] if each in SEEN)],
            "contact": {
                "employee_id": employee_id,
                "name": said["contact_name"],
                "email": said["contact_email"],
                "language": said["contact_language"],
            },
        }

    async def _one(self, person: Person, id_: str) -> tuple[Subscription, int]:
        return await self._notify.hooks.one(person, id_)

    async def _types(self, person: Person) -> list[EventType]:
        return await self._notify.hooks.event_types(person)


def refused(draft: Draft, refusal: Refusal, words: Words) -> Draft:
    """The form again, with what notify has against it where it stands."""
    wrong = {}
    for error in refusal.errors:
        name = {"/contact/email": "contact_email", "/types": "type"}.get(error.pointer, error.field)
        name = "type" if error.pointer.startswith("/types/") else name
        trouble = name == "url"
        wrong[name] = words(f"hook_url.{domain.url_trouble(error.detail)}") if trouble else words("case.invalid")
    if refusal.slug == "subscription-name-taken":
        wrong["name"] = words("hook_refused.subscription-name-taken")
    key = f"hook_refused.{refusal.slug}"
    message = words(key) if words.has(key) else words("case.check" if wrong else "hook_refused.other")
    return Draft(draft.form, draft.fields, draft.lists, wrong, message)
