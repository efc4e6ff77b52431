"""A provider is tried: a message to a number of one's own, and what came back."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from libs.webapi.problem import of_status
from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.refusals import NOT_FOUND, WRONG, uuid_in
from services.portal.api.view import Pages
from services.portal.clients import Notify, Refusal
from services.portal.clients.providers import Tried
from services.portal.domain import providerforms as domain
from services.portal.domain.forms import Draft
from services.portal.domain.people import Right

_FORM: Final = "try"
_FIELDS: Final = ("to", "text")


def routes(pages: Pages, notify: Notify) -> APIRouter:
    """`/providers/{name}/test`."""
    router = APIRouter(include_in_schema=False)
    desk = ProviderTrialPages(pages, notify)

    @router.get("/providers/{name}/test")
    async def blank(request: Request, name: str, visit: Annotated[Visit, needs(Right.PROVIDERS)]) -> Response:
        words = pages.words(request, visit.person)
        return await desk.show(request, visit, name, Draft(_FORM, {"text": words("providers_try.usual_text")}))

    @router.post("/providers/{name}/test")
    async def send(
        request: Request,
        name: str,
        visit: Annotated[Visit, needs(Right.PROVIDERS)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        return await desk.send(request, visit, name, form)

    return router


class ProviderTrialPages:
    """Has notify ask the provider in the person's name, and shows the answer on the same page."""

    def __init__(self, pages: Pages, notify: Notify) -> None:
        self._pages = pages
        self._notify = notify

    async def show(
        self, request: Request, visit: Visit, name: str, draft: Draft, *, tried: Tried | None = None, status: int = 200
    ) -> Response:
        """To whom, and what; after that, what was answered."""
        if not domain.is_name(name):
            raise of_status(NOT_FOUND)
        provider, _ = await self._notify.providers.one(visit.person, name)
        return self._pages.page(
            request,
            visit,
            "provider_test.html",
            status=status,
            provider=provider,
            draft=draft,
            form=_FORM,
            tried=tried,
        )

    async def send(self, request: Request, visit: Visit, name: str, form: Form) -> Response:
        """Ask the provider; whatever it answers is what was wanted, and no trouble of ours."""
        words = self._pages.words(request, visit.person)
        fields = {field: form.get(field) for field in _FIELDS}
        wrong = {field: words("case.missing") for field, value in fields.items() if not value}
        if wrong or not domain.is_name(name):
            draft = Draft(_FORM, fields, {}, wrong, words("case.check"))
            return await self.show(request, visit, name, draft, status=WRONG)
        body = {**fields, "language": visit.person.language}
        command_id = uuid_in(form.get("command_id"))
        try:
            tried = await self._notify.providers.try_out(visit.person, name, body, command_id=command_id)
        except Refusal as refusal:
            if refusal.status == NOT_FOUND:
                raise
            wrong = {error.field: words("case.invalid") for error in refusal.errors if error.field in _FIELDS}
            key = f"provider_refused.{refusal.slug}"
            message = words(key) if words.has(key) else words("case.check" if wrong else "provider_refused.other")
            draft = Draft(_FORM, fields, {}, wrong, message)
            return await self.show(request, visit, name, draft, status=refusal.status)
        return await self.show(request, visit, name, Draft(_FORM, fields), tried=tried)
