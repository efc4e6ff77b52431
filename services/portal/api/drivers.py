"""The drivers page: what goes together with the NPS, how sure that is, and what is at stake."""

from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.refusals import SEE_OTHER, uuid_in
from services.portal.api.view import Pages
from services.portal.clients import Refusal, Scoring, ServiceAwayError
from services.portal.domain.people import Right
from services.portal.domain.period import Period, span_of
from services.portal.domain.sourceforms import KINDS

_LONGEST: Final = 200


def routes(pages: Pages, scoring: Scoring) -> APIRouter:
    """`/drivers`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/drivers")
    async def drivers(request: Request, visit: Annotated[Visit, needs(Right.METRICS)]) -> Response:
        words = pages.words(request, visit.person)
        span = span_of(Period.YEAR, now=words.now, zone=words.zone)
        program, kind = _scope(request.query_params.get("program", ""), request.query_params.get("kind", ""))
        asked_run = request.query_params.get("run")
        context: dict[str, Any] = {"kind": kind, "kinds": KINDS, "run": None, "programs": [], "away": False}
        try:
            params = {"from": span.since.isoformat(), "to": span.until.isoformat(), "by": "program"}
            measured = await scoring.measures.measured(visit.person, "nps", params)
            programs = sorted({each.name for each in measured.measures if each.name})
            program = program or (programs[0] if programs else "")
            context |= {"programs": programs, "program": program}
            if asked_run:
                context["run"] = await scoring.drivers.run(visit.person, uuid_in(asked_run))
            elif program:
                context["run"] = await scoring.drivers.newest(visit.person, program, kind)
        except (ServiceAwayError, Refusal):
            context |= {"away": True, "program": program}
            return pages.page(request, visit, "drivers.html", status=503, **context)
        return pages.page(request, visit, "drivers.html", **context)

    @router.post("/drivers")
    async def ask(
        request: Request, visit: Annotated[Visit, needs(Right.RULES)], form: Annotated[Form, Depends(posted_form)]
    ) -> Response:
        words = pages.words(request, visit.person)
        program, kind = _scope(form.get("program"), form.get("kind"))
        span = span_of(Period.QUARTER, now=words.now, zone=words.zone)
        run = await scoring.drivers.ask(
            visit.person, program, kind, span.since, span.until, command_id=uuid_in(form.get("command_id"))
        )
        query = urlencode({"program": program, "kind": kind, "run": str(run.id)})
        return RedirectResponse(f"/drivers?{query}", SEE_OTHER)

    return router


def _scope(program: str, kind: str) -> tuple[str, str]:
    return program.strip().replace("\0", "")[:_LONGEST], kind if kind in KINDS else KINDS[0]
