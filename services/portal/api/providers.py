"""Who carries SMS and messengers and how sending goes; a provider is data, and its secrets are never shown."""

import asyncio
from typing import Annotated, Final
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.events.database import Database
from libs.webapi.problem import of_status
from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.named import named
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER, WRONG, uuid_in, version_in
from services.portal.api.view import Pages
from services.portal.clients import Notify, Refusal, ServiceAwayError
from services.portal.clients.providers import Provider
from services.portal.domain import providerforms as domain
from services.portal.domain.forms import Draft
from services.portal.domain.people import Person, Right
from services.portal.texts import Words

_FORM: Final = "provider"


def routes(database: Database, pages: Pages, notify: Notify) -> APIRouter:
    """`/providers` and below."""
    router = APIRouter(include_in_schema=False)
    desk = ProviderPages(database, pages, notify)

    @router.get("/providers")
    async def listed(request: Request, visit: Annotated[Visit, needs(Right.PROVIDERS)]) -> Response:
        return await desk.listed(request, visit)

    @router.get("/providers/new")
    async def blank(request: Request, visit: Annotated[Visit, needs(Right.PROVIDERS)]) -> Response:
        return desk.form(request, visit, None, None, Draft(_FORM, domain.BLANK))

    @router.post("/providers/new")
    async def make(
        request: Request, visit: Annotated[Visit, needs(Right.PROVIDERS)], form: Annotated[Form, Depends(posted_form)]
    ) -> Response:
        return await desk.make(request, visit, form)

    @router.get("/providers/{name}")
    async def edit(request: Request, name: str, visit: Annotated[Visit, needs(Right.PROVIDERS)]) -> Response:
        found, version = await desk.one(visit.person, name)
        draft = Draft(_FORM, domain.as_entered(msgspec.to_builtins(found)))
        return desk.form(request, visit, found, version, draft)

    @router.post("/providers/{name}")
    async def change(
        request: Request,
        name: str,
        visit: Annotated[Visit, needs(Right.PROVIDERS)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        return await desk.change(request, visit, name, form)

    return router


class ProviderPages:
    """Reads providers and what they answered from notify, and sets them there in the person's name."""

    def __init__(self, database: Database, pages: Pages, notify: Notify) -> None:
        self._database = database
        self._pages = pages
        self._notify = notify

    async def listed(self, request: Request, visit: Visit) -> Response:
        """Mail, chat and every provider, with what was answered lately."""
        try:
            found, sending = await asyncio.gather(
                self._notify.providers.all(visit.person), self._notify.providers.answers(visit.person)
            )
        except (ServiceAwayError, Refusal):
            return self._pages.page(request, visit, "providers.html", status=503, providers=None)
        answers = {each.provider: each for each in sending.items}
        return self._pages.page(
            request,
            visit,
            "providers.html",
            providers=found,
            sending=sending,
            by_mail=answers[None],
            answers=answers,
            uncarried=[each for each in domain.CHANNELS if not any(p.enabled and p.channel == each for p in found)],
            names=await named(self._database, {each.by for each in found}),
            done=request.query_params.get("done") == "kept",
        )

    async def one(self, person: Person, name: str) -> tuple[Provider, int]:
        """A provider and its version; 404 for whatever none can be called."""
        if not domain.is_name(name):
            raise of_status(NOT_FOUND)
        return await self._notify.providers.one(person, name)

    async def make(self, request: Request, visit: Visit, form: Form) -> Response:
        """Set up a new one."""
        draft, body = self._entered(request, visit, form)
        name = draft.fields["name"]
        words = self._pages.words(request, visit.person)
        if not domain.is_name(name):
            draft = _wrong(draft, words, {"name": words("providers_wrong.name")})
        elif not draft.wrong and await self._notify.providers.is_there(visit.person, name):
            draft = _wrong(draft, words, {"name": words("providers_wrong.taken")})
        if draft.wrong:
            return self.form(request, visit, None, None, draft, status=WRONG)
        return await self._put(request, visit, form, draft, None, None, body)

    async def change(self, request: Request, visit: Visit, name: str, form: Form) -> Response:
        """Change one that there is; its name stays."""
        found, _ = await self.one(visit.person, name)
        version = version_in(form)
        draft, body = self._entered(request, visit, form)
        if draft.wrong:
            return self.form(request, visit, found, version, draft, status=WRONG)
        return await self._put(request, visit, form, draft, found, version, body)

    def form(
        self,
        request: Request,
        visit: Visit,
        provider: Provider | None,
        version: int | None,
        draft: Draft,
        *,
        status: int = 200,
    ) -> Response:
        """The form; of an existing one with the names of its headers."""
        return self._pages.page(
            request,
            visit,
            "provider_form.html",
            status=status,
            provider=provider,
            version=version,
            draft=draft,
            form=_FORM,
            channels=domain.CHANNELS,
            places=", ".join(f"{{{each}}}" for each in domain.PLACES),
        )

    def _entered(self, request: Request, visit: Visit, form: Form) -> tuple[Draft, dict[str, object]]:
        fields = {name: form.get(name) for name in domain.FIELDS}
        body, found = domain.provider_of(fields)
        words = self._pages.words(request, visit.person)
        draft = Draft(_FORM, fields)
        if not found:
            return draft, body
        told = {}
        for name, (code, line) in found.items():
            key = f"providers_wrong.{code}"
            told[name] = words(key, n=line) if words.has(key) else words("case.invalid")
        return _wrong(draft, words, told), body

    async def _put(
        self,
        request: Request,
        visit: Visit,
        form: Form,
        draft: Draft,
        provider: Provider | None,
        version: int | None,
        body: dict[str, object],
    ) -> Response:
        name = draft.fields["name"] if provider is None else provider.name
        command_id = uuid_in(form.get("command_id"))
        try:
            await self._notify.providers.put(visit.person, name, body, command_id=command_id, version=version)
        except Refusal as refusal:
            words = self._pages.words(request, visit.person)
            wrong = {name: words("case.invalid") for name in _fields_of(refusal)}
            if "body" in wrong:
                wrong["body"] = words("providers_wrong.no_place")
            key = f"provider_refused.{refusal.slug}"
            message = words(key) if words.has(key) else words("case.check" if wrong else "provider_refused.other")
            draft = Draft(_FORM, draft.fields, {}, wrong, message)
            return self.form(request, visit, provider, version, draft, status=refusal.status)
        return RedirectResponse(f"/providers?{urlencode({'done': 'kept'})}", SEE_OTHER)


def _wrong(draft: Draft, words: Words, more: dict[str, str]) -> Draft:
    return Draft(draft.form, draft.fields, {}, {**draft.wrong, **more}, words("case.check"))


def _fields_of(refusal: Refusal) -> set[str]:
    """The fields of the form that notify has something against."""
    places = [error.pointer.strip("/").split("/") for error in refusal.errors if error.pointer]
    found = {steps[1] if steps[0] == "reading" and len(steps) > 1 else steps[0] for steps in places}
    return found & set(domain.FIELDS)
