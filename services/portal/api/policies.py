"""Deadlines: the company's by the tier of the customer, and those that a program has of its own."""

import asyncio
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.webapi.problem import of_status
from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER, WRONG, refused_draft, uuid_in, version_in
from services.portal.api.view import Pages
from services.portal.clients import Casework, Refusal, ServiceAwayError
from services.portal.domain.casefile import TIERS
from services.portal.domain.forms import NOTHING, Draft
from services.portal.domain.people import Person, Right
from services.portal.domain.period import Period, span_of
from services.portal.domain.policyforms import (
    COUNTS,
    DAYS,
    HOURS,
    LIGHT,
    POLICY,
    WrongEntryError,
    entered_policy,
    policy_of,
)
from services.portal.texts import Words

_LONGEST: Final = 200


def routes(pages: Pages, casework: Casework) -> APIRouter:
    """`/policies` and below."""
    router = APIRouter(include_in_schema=False)
    editor = PolicyPages(pages, casework)

    @router.get("/policies")
    async def listed(request: Request, visit: Annotated[Visit, needs(Right.SETUP)]) -> Response:
        return await editor.listed(request, visit)

    @router.get("/policies/{tier}")
    async def edit(request: Request, tier: str, visit: Annotated[Visit, needs(Right.LEAD)]) -> Response:
        program = _program(request.query_params.get("program", ""))
        return await editor.one(request, visit, _tier(tier), program, NOTHING)

    @router.post("/policies/{tier}")
    async def change(
        request: Request,
        tier: str,
        visit: Annotated[Visit, needs(Right.LEAD)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        if form.get("do") == "delete":
            return await editor.delete(request, visit, _tier(tier), form)
        return await editor.change(request, visit, _tier(tier), form)

    return router


async def programs_of(casework: Casework, person: Person, words: Words) -> list[str]:
    """The programs that had cases within a year."""
    span = span_of(Period.YEAR, now=words.now, zone=words.zone)
    found = await casework.loop.health(person, span.since, span.until, {}, by="program")
    return [each.group for each in found.groups if each.group]


class PolicyPages:
    """Reads policies from casework and changes them there, in the person's name."""

    def __init__(self, pages: Pages, casework: Casework) -> None:
        self._pages = pages
        self._casework = casework

    async def listed(self, request: Request, visit: Visit) -> Response:
        """The company's policies; beside them, where a program is asked for, its own."""
        program = _program(request.query_params.get("program", ""))
        words = self._pages.words(request, visit.person)
        done = request.query_params.get("done", "")
        context: dict[str, Any] = {
            "program": program,
            "policies": None,
            "hours": HOURS,
            "days": DAYS,
            "light": LIGHT,
            "done": done if done in ("saved", "deleted") else "",
        }
        try:
            company, own, programs, calendars = await asyncio.gather(
                self._casework.policies.company(visit.person),
                self._own(visit.person, program),
                programs_of(self._casework, visit.person, words),
                self._casework.policies.calendars(visit.person),
            )
        except (ServiceAwayError, Refusal):
            return self._pages.page(request, visit, "policies.html", status=503, **context)
        by_tier = {each.tier: each for each in own}
        context |= {
            "policies": [(by_tier.get(each.tier, each), each.tier in by_tier) for each in company],
            "programs": [*sorted({*programs, program} - {"", LIGHT}), LIGHT],
            "calendars": {each.id: each.name for each in calendars},
        }
        return self._pages.page(request, visit, "policies.html", **context)

    async def _own(self, person: Person, program: str) -> list[Any]:
        return list(await self._casework.policies.of_program(person, program)) if program else []

    async def one(
        self, request: Request, visit: Visit, tier: str, program: str, draft: Draft, *, status: int = 200
    ) -> Response:
        """The form; for a program without a policy of its own it begins with the company's."""
        own, calendars = await asyncio.gather(
            self._casework.policies.find(visit.person, program, tier),
            self._casework.policies.calendars(visit.person),
        )
        shown = own or await self._casework.policies.find(visit.person, "", tier)
        if shown is None:
            raise of_status(NOT_FOUND)
        return self._pages.page(
            request,
            visit,
            "policy.html",
            status=status,
            tier=tier,
            program=program,
            own=bool(program and own),
            stored=entered_policy(msgspec.structs.asdict(shown)),
            version=own.version if own else None,
            calendars=[(each.id, each.name) for each in calendars],
            hours=HOURS,
            days=DAYS,
            counts=COUNTS,
            light=LIGHT,
            draft=draft,
        )

    async def change(self, request: Request, visit: Visit, tier: str, form: Form) -> Response:
        """Put it into force, for clocks that start from now on."""
        words = self._pages.words(request, visit.person)
        program = _program(form.get("program"))
        entered = {name: form.get(name) for name in POLICY}
        try:
            body = policy_of(entered)
        except WrongEntryError as error:
            wrong = {
                name: words(f"policies.wrong_{name}" if name in ("warnings", *COUNTS) else "policies.wrong")
                for name in error.fields
            }
            draft = Draft("policy", entered, {}, wrong, words("case.check"))
            return await self.one(request, visit, tier, program, draft, status=WRONG)
        try:
            await self._casework.policies.put(
                visit.person, program, tier, body, command_id=uuid_in(form.get("command_id")), version=version_in(form)
            )
        except Refusal as refusal:
            draft = refused_draft("policy", entered, {}, refusal, words)
            return await self.one(request, visit, tier, program, draft, status=refusal.status)
        return _to(program, "saved")

    async def delete(self, request: Request, visit: Visit, tier: str, form: Form) -> Response:
        """The company's policy holds for the program again."""
        program = _program(form.get("program"))
        if not program:
            raise of_status(NOT_FOUND)
        try:
            await self._casework.policies.delete(
                visit.person, program, tier, command_id=uuid_in(form.get("command_id")), version=version_in(form)
            )
        except Refusal as refusal:
            draft = refused_draft("policy", {}, {}, refusal, self._pages.words(request, visit.person))
            return await self.one(request, visit, tier, program, draft, status=refusal.status)
        return _to(program, "deleted")


def _tier(written: str) -> str:
    if written not in TIERS:
        raise of_status(NOT_FOUND)
    return written


def _program(written: str) -> str:
    """A program as it can be asked for; empty where none can be called so."""
    program = written.strip()[:_LONGEST]
    return "" if "/" in program or not program.isprintable() else program


def _to(program: str, done: str) -> Response:
    query = ({"program": program} if program else {}) | {"done": done}
    return RedirectResponse(f"/policies?{urlencode(query)}", SEE_OTHER)
