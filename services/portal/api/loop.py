"""How the loop is doing: shares with their intervals, over time and by groups, and what delay does."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from services.portal.api.access import Visit, needs
from services.portal.api.view import Pages
from services.portal.clients import Casework, Refusal, ServiceAwayError
from services.portal.clients.loop import Health
from services.portal.domain.casefile import TIERS
from services.portal.domain.loop import GROUPINGS, PERIODS, SHARES, STEP_OF, WANTED, share_of
from services.portal.domain.measures import Measure
from services.portal.domain.people import Person, Right
from services.portal.domain.period import Period, Span, span_of
from services.portal.domain.trend import Step, trend
from services.portal.texts import Words

_LONGEST: Final = 200
_OF_DELAY: Final = ("tier", "program")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the page was asked to show; a filter that is not there means all."""

    period: Period
    span: Span
    by: str
    share: str
    filters: Mapping[str, str]


def routes(pages: Pages, casework: Casework) -> APIRouter:
    """`/loop`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/loop")
    async def health(request: Request, visit: Annotated[Visit, needs(Right.METRICS)]) -> Response:
        words = pages.words(request, visit.person)
        asked = _asked(request, words)
        context: dict[str, Any] = {
            "asked": asked,
            "periods": PERIODS,
            "groupings": GROUPINGS,
            "shares": SHARES,
            "wanted": WANTED,
            "tiers": TIERS,
            "step": STEP_OF[asked.period],
        }
        try:
            found = await _found(casework, visit.person, asked)
        except (ServiceAwayError, Refusal):
            return pages.page(request, visit, "loop.html", status=503, **context, away=True)
        return pages.page(request, visit, "loop.html", **context, **found, away=False)

    return router


async def _found(casework: Casework, person: Person, asked: Asked) -> dict[str, Any]:
    since, until = asked.span.since, asked.span.until
    step = STEP_OF[asked.period]
    of_delay = {name: value for name, value in asked.filters.items() if name in _OF_DELAY}
    whole, groups, steps, delays, programs, names = await asyncio.gather(
        casework.loop.health(person, since, until, asked.filters),
        casework.loop.health(person, since, until, asked.filters, by=asked.by),
        casework.loop.health(person, since, until, asked.filters, by=step),
        casework.loop.delay(person, since, until, of_delay),
        casework.loop.health(person, since, until, {}, by="program"),
        casework.loop.names(person),
    )
    return {
        "whole": whole.groups[0] if whole.groups else None,
        "told": whole.initiatives,
        "groups": groups.groups,
        "line": trend(step, _over_time(step, asked.share, steps.groups), ()),
        "delays": delays,
        "programs": [each.group for each in programs.groups if each.group],
        "names": {"team": names.teams, "department": names.departments},
    }


def _over_time(step: Step, share: str, groups: list[Health]) -> list[Measure]:
    found = ((each.group, each.portion(share)) for each in groups)
    return [
        share_of(step, group, n=each.n, value=each.value, low=each.low, high=each.high)
        for group, each in found
        if group
    ]


def _asked(request: Request, words: Words) -> Asked:
    query = request.query_params
    period = query.get("period", "")
    by = query.get("by", "")
    share = query.get("share", "")
    filters = {
        name: value
        for name in ("team", "department", "tier", "program")
        if (value := query.get(name, "").strip().replace("\0", "")[:_LONGEST])
    }
    if filters.get("tier") not in TIERS:
        filters.pop("tier", None)
    chosen = Period(period) if period in PERIODS else Period.QUARTER
    return Asked(
        chosen,
        span_of(chosen, now=words.now, zone=words.zone),
        by if by in GROUPINGS else GROUPINGS[0],
        share if share in SHARES else SHARES[0],
        filters,
    )
