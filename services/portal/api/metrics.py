"""The NPS page: the number with what it stands on, as a whole and by touchpoint."""

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from services.portal.api.access import Visit, needs
from services.portal.api.view import Pages
from services.portal.clients import Refusal, Scoring, ServiceAwayError
from services.portal.clients.scoring import Break, Group, Measured
from services.portal.domain.people import Person, Right
from services.portal.domain.period import Period, Span, parse_period, span_of

_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """What the page was asked to show; None means all."""

    period: Period
    span: Span
    program: str | None
    touchpoint: str | None


@dataclass(frozen=True, slots=True)
class Series:
    """One survey kind: the whole, and its touchpoints. Kinds are never added up."""

    kind: str
    whole: Group
    touchpoints: list[Group]


def routes(pages: Pages, scoring: Scoring) -> APIRouter:
    """`/nps`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/nps")
    async def nps(request: Request, visit: Annotated[Visit, needs(Right.METRICS)]) -> Response:
        words = pages.words(request, visit.person)
        period = parse_period(request.query_params.get("period"))
        asked = Asked(
            period,
            span_of(period, now=words.now, zone=words.zone),
            _chosen(request, "program"),
            _chosen(request, "touchpoint"),
        )
        context: dict[str, Any] = {"asked": asked, "periods": list(Period)}
        try:
            whole, by_touchpoint, by_program = await _measured(scoring, visit.person, asked)
        except (ServiceAwayError, Refusal):
            context |= {"away": True, "series": [], "programs": [], "touchpoints": [], "breaks": []}
            return pages.page(request, visit, "nps.html", status=503, **context)
        context |= {
            "away": False,
            "series": _series(whole, by_touchpoint),
            "programs": _names(by_program, asked.program),
            "touchpoints": _names(by_touchpoint, asked.touchpoint),
            "breaks": _breaks(whole.breaks),
        }
        return pages.page(request, visit, "nps.html", **context)

    return router


async def _measured(scoring: Scoring, person: Person, asked: Asked) -> tuple[Measured, Measured, Measured]:
    """The whole by the filters; by touchpoint within the programme; and which programmes there are."""
    ask = partial(scoring.nps, person, since=asked.span.since, until=asked.span.until)
    return await asyncio.gather(
        ask(program=asked.program, touchpoint=asked.touchpoint),
        ask(program=asked.program, by="touchpoint"),
        ask(by="program"),
    )


def _chosen(request: Request, name: str) -> str | None:
    value = request.query_params.get(name, "").strip()
    return value[:_LONGEST] or None


def _series(whole: Measured, by_touchpoint: Measured) -> list[Series]:
    return [
        Series(
            group.kind,
            group,
            sorted(
                (each for each in by_touchpoint.groups if each.kind == group.kind),
                key=lambda each: (-each.nps.n, each.name or ""),
            ),
        )
        for group in whole.answered
    ]


def _names(measured: Measured, chosen: str | None) -> list[str]:
    found = {group.name for group in measured.groups if group.name}
    return sorted(found | ({chosen} if chosen else set()))


def _breaks(breaks: list[Break]) -> list[Break]:
    return sorted(breaks, key=lambda each: each.at)
