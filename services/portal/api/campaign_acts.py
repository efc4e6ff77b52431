"""What is done about a campaign: approved by a second person, tried out, started, paused, resumed, cancelled."""

from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.events.database import Database
from libs.webapi.problem import of_status
from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.campaigns import CampaignPages
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER, WRONG, uuid_in, version_in
from services.portal.api.view import Pages
from services.portal.clients import Notify, Refusal
from services.portal.domain.campaigns import SIDES, Step
from services.portal.domain.forms import Draft
from services.portal.domain.people import Right
from services.portal.texts import LANGUAGES, Words

_FIELDS: Final[dict[Step, tuple[str, ...]]] = {Step.TEST: ("email", "language", "side"), Step.CANCEL: ("reason",)}


def routes(database: Database, pages: Pages, notify: Notify) -> APIRouter:
    """`/campaigns/{id}/{step}`."""
    router = APIRouter(include_in_schema=False)
    board = CampaignPages(database, pages, notify)

    @router.post("/campaigns/{campaign_id}/{step}")
    async def act(
        request: Request,
        campaign_id: str,
        step: str,
        visit: Annotated[Visit, needs(Right.LEAD)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        id_ = uuid_in(campaign_id)
        if step not in list(Step):
            raise of_status(NOT_FOUND)
        words = pages.words(request, visit.person)
        entered = {name: form.get(name).replace("\r\n", "\n") for name in _FIELDS.get(Step(step), ())}
        wrong = _wrong(Step(step), entered, words)
        if wrong:
            return await board.one(
                request, visit, id_, Draft(step, entered, {}, wrong, words("case.check")), status=WRONG
            )
        body = entered | ({"name": visit.person.name} if step == Step.TEST else {})
        # A trial is of the campaign as it is; whoever changed it meanwhile wants it no less.
        version = None if step == Step.TEST else version_in(form)
        try:
            await notify.campaigns.act(
                visit.person, id_, step, body, command_id=uuid_in(form.get("command_id")), version=version
            )
        except Refusal as refusal:
            if refusal.status == NOT_FOUND:
                raise
            return await board.one(request, visit, id_, refused(step, entered, refusal, words), status=refusal.status)
        return RedirectResponse(f"/campaigns/{id_}?{urlencode({'done': step})}", SEE_OTHER)

    return router


def refused(step: str, entered: dict[str, str], refusal: Refusal, words: Words) -> Draft:
    """The form again, with what notify has against it."""
    key = f"campaign_refused.{refusal.slug}"
    wrong = {error.field: words("case.invalid") for error in refusal.errors if error.field}
    return Draft(step, entered, {}, wrong, words(key) if words.has(key) else words("campaign_refused.other"))


def _wrong(step: Step, entered: dict[str, str], words: Words) -> dict[str, str]:
    wrong = {name: words("case.missing") for name, said in entered.items() if not said}
    if step is Step.TEST:
        allowed = {"language": LANGUAGES, "side": SIDES}
        wrong |= {name: words("case.invalid") for name, those in allowed.items() if entered[name] not in those}
    return wrong
