"""The pages of cases: queues, one case, and what people do with it, as plain forms that work without scripts."""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import urlencode
from uuid import uuid4
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.webapi.problem import of_status
from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.mentions import unread_of
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER, cursor_in, uuid_in, version_in
from services.portal.api.view import Pages
from services.portal.clients import Casework, Refusal, ServiceAwayError
from services.portal.clients.casework import PAGE, Agent, CaseFile, RootCause
from services.portal.domain import casefile
from services.portal.domain.casefile import Action
from services.portal.domain.people import Person, Right
from services.portal.domain.policyforms import LIGHT

_OF_CALLBACK: Final = (Action.MOVE_CALLBACK, Action.CANCEL_CALLBACK)
PartT = TypeVar("PartT")

_FIELDS: Final[dict[Action, tuple[str, ...]]] = {
    Action.CONTACT: ("outcome", "channel", "callback_at", "callback_id", "note"),
    Action.RESOLVE: ("root_cause_id", "customer_contacts", "passed_on", "promise", "promise_due", "note"),
    Action.COMMENT: ("text", "mention"),
    Action.TASK: ("department_id", "title", "due_at"),
    Action.CALLBACK: ("at", "channel", "note"),
    Action.MOVE_CALLBACK: ("at", "reason", "note"),
    Action.CANCEL_CALLBACK: ("reason", "note"),
    Action.DEESCALATE: ("reason", "note"),
    Action.ASSIGN: ("owner_id", "note"),
    Action.ESCALATE: ("reason", "note"),
    Action.REOPEN: ("note",),
    Action.NOTE: ("text",),
    Action.WAIT: ("reason", "until", "note"),
    Action.RESUME: ("note",),
}
_OPTIONAL: Final = frozenset(
    {
        "note",
        "channel",
        "callback_at",
        "callback_id",
        "customer_contacts",
        "passed_on",
        "promise",
        "promise_due",
        "mention",
        "due_at",
    }
)
_INSTANTS: Final = ("until", "at", "callback_at", "promise_due", "due_at")


@dataclass(frozen=True, slots=True)
class Failed:
    """An action that was refused: what was entered stays, with what is wrong with it."""

    action: Action
    fields: dict[str, str]
    message: str
    errors: dict[str, str] = field(default_factory=dict)


def routes(pages: Pages, casework: Casework) -> APIRouter:
    """`/cases/{case_id}` and below, and the queues of levels."""
    router = APIRouter(include_in_schema=False)
    reader = CasePages(pages, casework)

    @router.get("/queues/{level}")
    async def queue(request: Request, level: str, visit: Annotated[Visit, needs(Right.LEAD)]) -> Response:
        if level not in casefile.LEVELS[1:]:
            raise of_status(NOT_FOUND)
        return await reader.queue(request, visit, level)

    @router.get("/cases/{case_id}")
    async def one_case(request: Request, case_id: str, visit: Annotated[Visit, needs(Right.CASES)]) -> Response:
        return await reader.one(request, visit, uuid_in(case_id))

    @router.post("/cases/{case_id}/{action}")
    async def act(
        request: Request,
        case_id: str,
        action: str,
        visit: Annotated[Visit, needs(Right.CASES)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        if action not in set(Action):
            raise of_status(NOT_FOUND)
        return await reader.act(request, visit, uuid_in(case_id), Action(action), form)

    return router


class CasePages:
    """Reads from casework, acts there, and shows what came of it."""

    def __init__(self, pages: Pages, casework: Casework) -> None:
        self._pages = pages
        self._casework = casework

    async def queue(self, request: Request, visit: Visit, level: str) -> Response:
        """What a level was asked and has not answered, by when it has to."""
        cursor = cursor_in(request)
        context: dict[str, Any] = {"level": level, "page": None, "cursor": cursor, "unread": 0}
        try:
            context["page"], context["unread"] = await asyncio.gather(
                self._casework.queue(visit.person, level, limit=PAGE, cursor=cursor),
                unread_of(self._casework, visit.person),
            )
        except ServiceAwayError:
            return self._pages.page(request, visit, "queue.html", status=503, **context)
        return self._pages.page(request, visit, "queue.html", **context)

    async def one(
        self,
        request: Request,
        visit: Visit,
        case_id: str,
        *,
        failed: Failed | None = None,
        file_failed: str = "",
        status: int = 200,
    ) -> Response:
        """One case with everything that belongs to it; `file_failed`: why a file did not come or go."""
        case, agents, causes, departments = await asyncio.gather(
            self._casework.case(visit.person, case_id),
            self._casework.agents(visit.person),
            self._casework.root_causes(visit.person),
            self._casework.people.departments(visit.person),
        )
        policy, guides, suggested, files, _ = await asyncio.gather(
            _or_none(
                self._casework.policies.in_force(
                    visit.person, LIGHT if case.kind == "light" else case.program, case.tier
                )
            ),
            _or_none(self._casework.guides.of_case(visit.person, case_id)),
            _or_none(self._casework.contact.next_attempt(visit.person, case_id)),
            _or_none(self._casework.files.of_case(visit.person, case_id)),
            _or_none(self._casework.contact.read(visit.person, case_id)),
        )
        words = self._pages.words(request, visit.person)
        done = request.query_params.get("done")
        return self._pages.page(
            request,
            visit,
            "case.html",
            status=status,
            case=case,
            casefile=casefile,
            actions=Action,
            offered=_offered(case, visit.person),
            policy=policy,
            wait_until=policy and casefile.latest_wait(policy.longest_wait, case.pauses, now=words.now),
            names={agent.id: agent.name for agent in agents},
            owners=_owners(agents, case),
            colleagues=[agent for agent in agents if not agent.disabled and agent.id != visit.person.id],
            guides=guides or [],
            suggested=suggested,
            departments=[each for each in departments if not each.retired],
            causes={cause.id: cause.name(words.language) for cause in causes},
            cause_groups=_groups(causes),
            files=files,
            failed=failed,
            file_failed=file_failed,
            done=done if done in {*Action, *casefile.FILE_ACTS} else None,
            command_id=uuid4(),
        )

    async def act(self, request: Request, visit: Visit, case_id: str, action: Action, form: Form) -> Response:
        """Do it in casework, in the person's name; back to the case, or the form again with what is wrong."""
        words = self._pages.words(request, visit.person)
        entered = {name: form.get(name).replace("\r\n", "\n") for name in _FIELDS[action]}
        missing = {name: words("case.missing") for name in entered if name not in _OPTIONAL and not entered[name]}
        if entered.get("promise") and not entered["promise_due"]:
            missing["promise_due"] = words("case.no_moment")
        if missing:
            failed = Failed(action, entered, words("case.check"), missing)
            return await self.one(request, visit, case_id, failed=failed, status=422)
        body, wrong = _body(entered, self._pages.zone)
        if wrong:
            failed = Failed(action, entered, words("case.check"), {name: words(text) for name, text in wrong.items()})
            return await self.one(request, visit, case_id, failed=failed, status=422)
        callback_id = uuid_in(form.get("callback_id")) if action in _OF_CALLBACK else ""
        try:
            await self._casework.act(
                visit.person,
                case_id,
                casefile.path_of(action, callback_id),
                body,
                command_id=uuid_in(form.get("command_id")),
                version=version_in(form),
            )
        except ServiceAwayError:
            failed = Failed(action, entered, words("away.casework"))
            return await self.one(request, visit, case_id, failed=failed, status=503)
        except Refusal as refusal:
            if refusal.status == NOT_FOUND:
                raise
            key = f"refused.{refusal.slug}"
            message = words(key) if words.has(key) else words("refused.other")
            errors = {error.field: words("case.invalid") for error in refusal.errors}
            if refusal.latest is not None:
                latest = words("case.wait_latest", moment=words.moment(refusal.latest))
                errors |= {name: latest for name in ("until", "at", "callback_at") if name in entered}
            failed = Failed(action, entered, message, errors)
            return await self.one(request, visit, case_id, failed=failed, status=refusal.status)
        return RedirectResponse(f"/cases/{case_id}?{urlencode({'done': action.value})}", SEE_OTHER)


def _offered(case: CaseFile, person: Person) -> tuple[Action, ...]:
    """What this person is offered, the likeliest first."""
    if casefile.given_back_by(person, case.status, case.level):
        return (*case.offered[:-1], Action.DEESCALATE, case.offered[-1])
    return case.offered


async def _or_none(part: Awaitable[PartT]) -> PartT | None:
    """What helps with a case, or None where casework cannot say just now: the case can be worked on without."""
    try:
        return await part
    except (ServiceAwayError, Refusal):
        return None


def _body(entered: Mapping[str, str], zone: ZoneInfo) -> tuple[dict[str, object], dict[str, str]]:
    """What was entered, as casework takes it; and the fields that cannot be so, with the key of what to say."""
    body: dict[str, object] = {name: value for name, value in entered.items() if value}
    wrong: dict[str, str] = {}
    for name in _INSTANTS:
        if entered.get(name):
            instant = casefile.instant_in(entered[name], zone)
            if instant is None:
                wrong[name] = "case.no_moment"
            else:
                body[name] = instant.isoformat()
    if contacts := entered.get("customer_contacts"):
        if contacts.isdecimal() and contacts.isascii():
            body["customer_contacts"] = int(contacts)
        else:
            wrong["customer_contacts"] = "case.invalid"
    if "passed_on" in body:
        body["passed_on"] = body["passed_on"] == "yes"
    due = body.pop("promise_due", None)
    if promise := body.pop("promise", None):
        body["follow_ups"] = [{"title": promise, "due_at": due}]
    if mention := body.pop("mention", None):
        body["mentions"] = [mention]
    return body, wrong


def _owners(agents: list[Agent], case: CaseFile) -> list[Agent]:
    """To whom the case can be given: everybody who works, but its present owner."""
    return sorted(
        (agent for agent in agents if not agent.disabled and agent.id != case.owner_id), key=lambda agent: agent.name
    )


def _groups(causes: list[RootCause]) -> list[tuple[RootCause, list[RootCause]]]:
    """The taxonomy for choosing: each top with what is below it, however deep; retired ones are not offered."""
    alive = {cause.id: cause for cause in causes if not cause.retired}

    def top_of(cause: RootCause) -> str:
        seen: set[str] = set()
        while cause.parent_id in alive and cause.id not in seen:
            seen.add(cause.id)
            cause = alive[cause.parent_id]
        return cause.id

    below: dict[str, list[RootCause]] = {}
    for cause in alive.values():
        below.setdefault(top_of(cause), []).append(cause)
    return [
        (alive[top], [cause for cause in members if cause.id != top] or [alive[top]]) for top, members in below.items()
    ]
