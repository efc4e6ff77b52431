"""Setting up a source, step by step: vendor, survey, address; and changing it later."""

import base64
import secrets
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Annotated, Final
from urllib.parse import urlencode
from uuid import uuid4

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.webapi.problem import of_status
from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER, WRONG, is_source_name, source_name_in, uuid_in
from services.portal.api.view import Pages
from services.portal.clients import Ingest, Refusal, ServiceAwayError
from services.portal.clients.ingest import Vendor
from services.portal.domain import sourceforms
from services.portal.domain.people import Right

_TAKEN: Final = 409
_THERE_ALREADY: Final = 412


@dataclass(frozen=True, slots=True)
class Entered:
    """A form about a source: what it holds, and what was wrong with it."""

    fields: Mapping[str, str]
    name: str = ""
    make_secret: bool = False
    wrong: AbstractSet[str] = frozenset()
    message: str = ""
    command_id: str = field(default_factory=lambda: str(uuid4()))


def routes(pages: Pages, ingest: Ingest, *, public_url: str) -> APIRouter:
    """`/sources/new` and what follows it."""
    router = APIRouter(include_in_schema=False)
    setup = SetupPages(pages, ingest, public_url=public_url)

    @router.get("/sources/new")
    async def choose_vendor(request: Request, visit: Annotated[Visit, needs(Right.SOURCES)]) -> Response:
        return await setup.vendors(request, visit)

    @router.get("/sources/new/{vendor}")
    async def describe(request: Request, vendor: str, visit: Annotated[Visit, needs(Right.SOURCES)]) -> Response:
        return await setup.blank(request, visit, vendor)

    @router.post("/sources/new/{vendor}")
    async def make(
        request: Request,
        vendor: str,
        visit: Annotated[Visit, needs(Right.SOURCES)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        return await setup.make(request, visit, vendor, form)

    @router.get("/sources/{source}/edit")
    async def show(request: Request, source: str, visit: Annotated[Visit, needs(Right.SOURCES)]) -> Response:
        return await setup.present(request, visit, source_name_in(source))

    @router.post("/sources/{source}/edit")
    async def change(
        request: Request,
        source: str,
        visit: Annotated[Visit, needs(Right.SOURCES)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        return await setup.change(request, visit, source_name_in(source), form)

    @router.post("/sources/{source}/secrets")
    async def rotate(
        request: Request,
        source: str,
        visit: Annotated[Visit, needs(Right.SOURCES)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        return await setup.rotate(request, visit, source_name_in(source), form)

    return router


class SetupPages:
    """Makes sources in ingest, in the person's name. A secret that is made here is shown once and kept by nobody."""

    def __init__(self, pages: Pages, ingest: Ingest, *, public_url: str) -> None:
        self._pages = pages
        self._ingest = ingest
        self._public_url = public_url.rstrip("/")

    async def vendors(self, request: Request, visit: Visit) -> Response:
        """The vendors, with a sentence on each."""
        vendors = await self._ingest.vendors(visit.person)
        in_order = sorted(vendors.values(), key=lambda vendor: vendor.title.casefold())
        return self._pages.page(request, visit, "source_vendors.html", vendors=in_order)

    async def blank(self, request: Request, visit: Visit, vendor: str) -> Response:
        """The form for a new source."""
        known = await self._vendor(visit, vendor)
        zone = str(self._pages.zone)
        usual = {name: sourceforms.USUAL.get(name, "") for name in sourceforms.ENTERED} | {"time_zone": zone}
        entered = Entered(usual, make_secret=_ours(known))
        return self._form(request, visit, known, entered)

    async def make(self, request: Request, visit: Visit, vendor: str, form: Form) -> Response:
        """Make the source; then its address, and the secret if it was made here."""
        words = self._pages.words(request, visit.person)
        known = await self._vendor(visit, vendor)
        entered = _entered(form)
        wrong = sourceforms.wrong_with(entered.fields) | set(entered.wrong)
        if not is_source_name(entered.name):
            wrong.add("name")
        secret = _new_secret(known) if entered.make_secret and _ours(known) else form.get("secret")
        if not secret:
            wrong.add("secret")
        if wrong:
            return self._again(request, visit, known, entered, wrong=wrong, message=words("sources.check"))
        body = sourceforms.body_of(entered.fields) | {
            "vendor": known.name,
            "secret": secret,
            "field_map": {"score": None} if known.needs_score else {},
            "enabled": True,
        }
        try:
            await self._ingest.put_source(visit.person, entered.name, body, command_id=entered.command_id, version=None)
        except ServiceAwayError:
            return self._again(request, visit, known, entered, message=words("away.ingest"), status=503)
        except Refusal as refusal:
            if refusal.status == _THERE_ALREADY:
                return self._again(
                    request, visit, known, entered, wrong={"name"}, message=words("sources.taken"), status=_TAKEN
                )
            return self._again(
                request,
                visit,
                known,
                entered,
                wrong={_last(error.pointer) for error in refusal.errors},
                message=words("sources.check"),
                status=refusal.status,
            )
        return self._address(request, visit, known, entered.name, secret, made=True)

    async def present(self, request: Request, visit: Visit, source: str, *, message: str = "") -> Response:
        """The form for a change, with what is so now."""
        found, version = await self._ingest.source(visit.person, source)
        known = await self._vendor(visit, found.vendor)
        entered = Entered(sourceforms.entered_of(found.body()), name=found.name, message=message)
        return self._form(request, visit, known, entered, version=version, status=_TAKEN if message else 200)

    async def change(self, request: Request, visit: Visit, source: str, form: Form) -> Response:
        """Change what the person has seen."""
        words = self._pages.words(request, visit.person)
        written = form.get("version")
        version = int(written) if written.isdecimal() else 0
        entered = _entered(form, name=source)
        wrong = sourceforms.wrong_with(entered.fields)
        try:
            found, _ = await self._ingest.source(visit.person, source)
            known = await self._vendor(visit, found.vendor)
            if wrong:
                message = words("sources.check")
                return self._again(request, visit, known, entered, wrong=wrong, message=message, version=version)
            body = found.body() | sourceforms.body_of(entered.fields)
            await self._ingest.put_source(visit.person, source, body, command_id=entered.command_id, version=version)
        except Refusal as refusal:
            if refusal.status == NOT_FOUND:
                raise
            if not refusal.errors:
                return await self.present(request, visit, source, message=words("sources.changed"))
            return self._again(
                request,
                visit,
                known,
                entered,
                wrong={_last(error.pointer) for error in refusal.errors},
                message=words("sources.check"),
                version=version,
            )
        return RedirectResponse(f"/sources/{source}?{urlencode({'done': 'changed'})}", SEE_OTHER)

    async def rotate(self, request: Request, visit: Visit, source: str, form: Form) -> Response:
        """Another secret: what was pasted, or one that is made and shown once."""
        try:
            found, _ = await self._ingest.source(visit.person, source)
            known = await self._vendor(visit, found.vendor)
            secret = form.get("secret") or (_new_secret(known) if _ours(known) else "")
            if not secret:
                return RedirectResponse(f"/sources/{source}?{urlencode({'refused': 'secret'})}#secret", SEE_OTHER)
            await self._ingest.rotate_secret(visit.person, source, secret, command_id=uuid_in(form.get("command_id")))
        except Refusal as refusal:
            if refusal.status == NOT_FOUND:
                raise
            why = "rotation" if refusal.status == _TAKEN else "secret"
            return RedirectResponse(f"/sources/{source}?{urlencode({'refused': why})}#secret", SEE_OTHER)
        return self._address(request, visit, known, source, secret, made=False)

    def address(self, source: str) -> str:
        """Where the vendor posts to."""
        return f"{self._public_url}/v1/webhooks/{source}"

    async def _vendor(self, visit: Visit, name: str) -> Vendor:
        vendors = await self._ingest.vendors(visit.person)
        if name not in vendors:
            raise of_status(NOT_FOUND)
        return vendors[name]

    def _again(
        self,
        request: Request,
        visit: Visit,
        vendor: Vendor,
        entered: Entered,
        *,
        message: str,
        wrong: AbstractSet[str] = frozenset(),
        status: int = WRONG,
        version: int | None = None,
    ) -> Response:
        """The form once more, with what was entered and what is wrong; another command, as it may be changed."""
        shown = Entered(entered.fields, entered.name, entered.make_secret, wrong, message)
        return self._form(request, visit, vendor, shown, version=version, status=status)

    def _form(
        self,
        request: Request,
        visit: Visit,
        vendor: Vendor,
        entered: Entered,
        *,
        version: int | None = None,
        status: int = 200,
    ) -> Response:
        return self._pages.page(
            request,
            visit,
            "source_form.html",
            status=status,
            vendor=vendor,
            entered=entered,
            forms=sourceforms,
            version=version,
            ours=_ours(vendor),
        )

    def _address(
        self, request: Request, visit: Visit, vendor: Vendor, source: str, secret: str, *, made: bool
    ) -> Response:
        return self._pages.page(
            request,
            visit,
            "source_address.html",
            vendor=vendor,
            source=source,
            address=self.address(source),
            secret=secret,
            made=made,
        )


def _entered(form: Form, *, name: str = "") -> Entered:
    fields = {each: form.get(each).replace("\r\n", "\n") for each in sourceforms.ENTERED}
    return Entered(
        fields,
        name=name or form.get("name"),
        make_secret=form.get("secret_from") == "us",
        command_id=uuid_in(form.get("command_id")),
    )


def _ours(vendor: Vendor) -> bool:
    """Whether the secret may be one that we make."""
    return vendor.secret == "token" or vendor.name in sourceforms.GENERATED  # noqa: S105 - a kind


def _new_secret(vendor: Vendor) -> str:
    if vendor.secret == "whsec":  # noqa: S105 - a kind
        return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    return secrets.token_urlsafe(32)


def _last(pointer: str) -> str:
    """The innermost field's name; of a whole instrument, its scale; of one network, the list."""
    name = pointer.rpartition("/")[2]
    if pointer.startswith("/networks"):
        return "networks"
    return "scale_max" if name == "instrument" else name
