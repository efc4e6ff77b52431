"""A campaign is written down, or written anew: from changes in force, to whom, and in which words."""

import asyncio
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.portal.api.access import Form, Visit, needs, posted_long_form
from services.portal.api.causes import cause_paths
from services.portal.api.metrics import TIERS
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER, WRONG, uuid_in, version_in
from services.portal.api.view import Pages
from services.portal.clients import Casework, Notify, Refusal, ServiceAwayError
from services.portal.clients.campaigns import CampaignFile, Customers, Tellable
from services.portal.domain import campaigns as domain
from services.portal.domain.campaigns import FIELDS, LISTS, TEXTS, USUAL_PACE, WHICH
from services.portal.domain.forms import Draft
from services.portal.domain.people import Language, Person, Right

_FORM: Final = "campaign"


def routes(pages: Pages, notify: Notify, casework: Casework) -> APIRouter:
    """`/campaigns/new` and `/campaigns/{id}/edit`."""
    router = APIRouter(include_in_schema=False)
    desk = CampaignForms(pages, notify, casework)

    @router.get("/campaigns/new")
    async def blank(request: Request, visit: Annotated[Visit, needs(Right.LEAD)]) -> Response:
        return await desk.blank(request, visit, tuple(request.query_params.getlist("initiative")))

    @router.post("/campaigns/new")
    async def write(
        request: Request, visit: Annotated[Visit, needs(Right.LEAD)], form: Annotated[Form, Depends(posted_long_form)]
    ) -> Response:
        return await desk.keep(request, visit, None, form)

    @router.get("/campaigns/{campaign_id}/edit")
    async def edit(request: Request, campaign_id: str, visit: Annotated[Visit, needs(Right.LEAD)]) -> Response:
        return await desk.stored(request, visit, uuid_in(campaign_id))

    @router.post("/campaigns/{campaign_id}/edit")
    async def rewrite(
        request: Request,
        campaign_id: str,
        visit: Annotated[Visit, needs(Right.LEAD)],
        form: Annotated[Form, Depends(posted_long_form)],
    ) -> Response:
        return await desk.keep(request, visit, uuid_in(campaign_id), form)

    return router


class CampaignForms:
    """The form of a campaign, blank, filled in from what was changed, or as it was entered."""

    def __init__(self, pages: Pages, notify: Notify, casework: Casework) -> None:
        self._pages = pages
        self._notify = notify
        self._casework = casework

    async def blank(self, request: Request, visit: Visit, chosen: tuple[str, ...]) -> Response:
        """First which changes; then the form, with what their departments said about them."""
        tellable = await self._tellable(visit.person)
        told = [each for each in tellable if each.id in chosen]
        if not told:
            return self._pages.page(request, visit, "campaign_of.html", tellable=tellable)
        return await self._form(request, visit, None, None, _first(told), tellable)

    async def stored(self, request: Request, visit: Visit, id_: str) -> Response:
        """As it is written down now."""
        found = await self._one(visit.person, id_)
        tellable = await self._tellable(visit.person)
        return await self._form(request, visit, id_, found.version, self._written(found), tellable)

    async def keep(self, request: Request, visit: Visit, id_: str | None, form: Form) -> Response:
        """Write it down; or the form again, with what is wrong."""
        words = self._pages.words(request, visit.person)
        entered = {name: form.get(name).replace("\r\n", "\n") for name in FIELDS}
        lists = {name: form.all(name) for name in LISTS}
        version = version_in(form)
        said = domain.plan_of(entered, lists, self._pages.zone)
        if said.wrong:
            wrong = {name: words(f"campaign_wrong.{code}") for name, code in said.wrong.items()}
            draft = Draft(_FORM, entered, lists, wrong, words("case.check"))
            return await self._again(request, visit, id_, version, draft, WRONG)
        command_id = uuid_in(form.get("command_id"))
        try:
            if id_ is None:
                made = await self._notify.campaigns.write(visit.person, said.plan, command_id=command_id)
                return _to(made, "written")
            await self._notify.campaigns.rewrite(visit.person, id_, said.plan, command_id=command_id, version=version)
        except Refusal as refusal:
            if refusal.status == NOT_FOUND:
                raise
            key = f"campaign_refused.{refusal.slug}"
            message = words(key) if words.has(key) else words("campaign_refused.other")
            places = {domain.field_at(error.pointer.removeprefix("/body")) for error in refusal.errors}
            draft = Draft(_FORM, entered, lists, {name: words("case.invalid") for name in places if name}, message)
            return await self._again(request, visit, id_, version, draft, refusal.status)
        return _to(id_, "edited")

    async def _again(
        self, request: Request, visit: Visit, id_: str | None, version: int | None, draft: Draft, status: int
    ) -> Response:
        tellable = await self._tellable(visit.person)
        return await self._form(request, visit, id_, version, draft, tellable, status=status)

    async def _form(
        self,
        request: Request,
        visit: Visit,
        id_: str | None,
        version: int | None,
        draft: Draft,
        tellable: list[Tellable],
        *,
        status: int = 200,
    ) -> Response:
        lists, causes = await asyncio.gather(
            self._notify.campaigns.lists(visit.person), self._causes(request, visit.person)
        )
        chosen = draft.lists.get("root_cause", ())
        return self._pages.page(
            request,
            visit,
            "campaign_form.html",
            status=status,
            campaign_id=id_,
            version=version,
            tellable=tellable,
            causes=causes | {each: each for each in chosen if each not in causes},
            lists=lists,
            tiers=TIERS,
            kinds=WHICH,
            draft=draft,
            form=_FORM,
        )

    async def _tellable(self, person: Person) -> list[Tellable]:
        return await self._notify.campaigns.tellable(person)

    async def _one(self, person: Person, id_: str) -> CampaignFile:
        return await self._notify.campaigns.one(person, id_)

    async def _causes(self, request: Request, person: Person) -> dict[str, str]:
        """The root causes by name, in the order of their tree; none where casework is away: one can do without."""
        try:
            causes = await self._casework.root_causes(person)
        except (ServiceAwayError, Refusal):
            return {}
        paths = cause_paths(causes, self._pages.words(request, person).language)
        return {id_: " → ".join(path) for id_, path in sorted(paths.items(), key=lambda each: each[1])}

    def _written(self, found: CampaignFile) -> Draft:
        """What is stored, as if it had just been entered."""
        plan, zone = found.plan, self._pages.zone
        customers = plan.audience.customers or Customers(which="nobody")
        fields = {
            "name": plan.name,
            "which": customers.which,
            "themes": ", ".join(customers.themes),
            "programs": ", ".join(customers.programs),
            "since": domain.first_day(customers.since, zone).isoformat() if customers.since else "",
            "until": domain.last_day(customers.until, zone).isoformat() if customers.until else "",
            "per_minute": str(plan.per_minute),
            "is_public": "yes" if plan.is_public else "",
        }
        for language, said in plan.content.items():
            fields |= {f"{language}_{name}": getattr(said, name) or "" for name in TEXTS}
        lists = {
            "initiative": plan.initiative_ids,
            "root_cause": customers.root_causes,
            "tier": customers.tiers,
            "list": plan.audience.lists,
        }
        return Draft(_FORM, fields, lists)


def _first(told: list[Tellable]) -> Draft:
    """The form filled in from what was learned and changed, for those who raised it, in the language it was said in."""
    fields = {
        "name": told[0].title[:150],
        "which": "raised",
        "themes": ", ".join(dict.fromkeys(theme for each in told for theme in each.themes)),
        "per_minute": str(USUAL_PACE),
        "is_public": "yes",
    }
    by_language: dict[Language, list[Tellable]] = {
        language: [each for each in told if domain.language_of(each.changed) == language] for language in ("ru", "en")
    }
    for language, those in by_language.items():
        if those:
            fields |= {
                f"{language}_subject": those[0].title[:150],
                f"{language}_learned": "\n\n".join(each.learned for each in those)[:5_000],
                f"{language}_changed": "\n\n".join(each.changed for each in those)[:5_000],
                f"{language}_next_steps": "\n\n".join(each.next_steps for each in those if each.next_steps)[:5_000],
            }
    causes = dict.fromkeys(cause for each in told for cause in each.root_causes)
    return Draft(_FORM, fields, {"initiative": tuple(each.id for each in told), "root_cause": tuple(causes)})


def _to(id_: str, done: str) -> Response:
    return RedirectResponse(f"/campaigns/{id_}?{urlencode({'done': done})}", SEE_OTHER)
