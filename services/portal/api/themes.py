"""Themes of comments: how often they are mentioned, the NPS of those who do, and what these people wrote."""

import asyncio
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from libs.webapi.problem import of_status
from services.portal.api.access import Visit, needs
from services.portal.api.customers import page_in
from services.portal.api.metrics import NAMED, TIERS, Asked, asked_in, names_of
from services.portal.api.refusals import NOT_FOUND
from services.portal.api.view import Pages
from services.portal.clients import Refusal, Scoring, ServiceAwayError
from services.portal.domain.people import Person, Right
from services.portal.domain.period import Period, parse_period, span_of
from services.portal.domain.sourceforms import CHANNELS, KINDS
from services.portal.domain.themes import Mentioned, by_kind
from services.portal.domain.trend import Step, Trend, trend

_ID: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_COMMENTS: Final = "25"


def routes(pages: Pages, scoring: Scoring) -> APIRouter:
    """`/themes`, and `/themes/of/…` for one of them."""
    router = APIRouter(include_in_schema=False)

    def asked_of(request: Request, visit: Visit) -> Asked:
        words = pages.words(request, visit.person)
        period = parse_period(request.query_params.get("period", Period.QUARTER))
        return asked_in(request, period, span_of(period, now=words.now, zone=words.zone))

    @router.get("/themes")
    async def themes(request: Request, visit: Annotated[Visit, needs(Right.METRICS)]) -> Response:
        asked = asked_of(request, visit)
        context = _choices(asked) | {"kinds_of_themes": [], "wholes": {}, "waiting": 0}
        try:
            context |= await _all(scoring, visit.person, asked)
        except (ServiceAwayError, Refusal):
            return pages.page(request, visit, "themes.html", status=503, **context, away=True)
        return pages.page(request, visit, "themes.html", **context, away=False)

    @router.get("/themes/of/{theme}")
    async def theme(request: Request, visit: Annotated[Visit, needs(Right.METRICS)], theme: str) -> Response:
        if not _ID.fullmatch(theme):
            raise of_status(NOT_FOUND)
        asked = asked_of(request, visit)
        context = _choices(asked) | {"theme": theme, "lines": [], "known": {}, "comments": None, "name": theme}
        try:
            context |= await _one(scoring, visit.person, asked, theme, page_in(request))
        except (ServiceAwayError, Refusal):
            return pages.page(request, visit, "theme.html", status=503, **context, away=True)
        return pages.page(request, visit, "theme.html", **context, away=False)

    return router


def _choices(asked: Asked) -> dict[str, Any]:
    return {
        "asked": asked,
        "periods": list(Period),
        "fixed": {"segment": TIERS, "channel": CHANNELS},
        "kinds": KINDS,
        "names": {key: [] for key in NAMED},
    }


async def _all(scoring: Scoring, person: Person, asked: Asked) -> dict[str, Any]:
    """The themes of each survey kind beside all answers of that kind."""
    mentioned, whole, names, waiting = await asyncio.gather(
        scoring.themes.mentioned(person, _of_nps(asked)),
        scoring.measures.measured(person, "nps", _of_nps(asked)),
        names_of(scoring, person, asked),
        _undecided(scoring, person),
    )
    return {
        "kinds_of_themes": by_kind(mentioned),
        "wholes": {each.kind: each for each in whole.measures},
        "names": names,
        "waiting": waiting,
    }


async def _undecided(scoring: Scoring, person: Person) -> int:
    """How many suggestions wait for somebody who may decide; nobody else is told."""
    return len(await scoring.themes.suggestions(person)) if person.may(Right.THEMES) else 0


async def _one(
    scoring: Scoring, person: Person, asked: Asked, theme: str, position: Mapping[str, str]
) -> dict[str, Any]:
    over_time = asked.over_time()
    del over_time["by"]
    mentioned, steps, names, taxonomy = await asyncio.gather(
        scoring.themes.mentioned(person, _of_nps(asked)),
        scoring.themes.mentioned(person, over_time | {"by": asked.step}),
        names_of(scoring, person, asked),
        scoring.themes.taxonomy(person),
    )
    known = taxonomy.theme(theme)
    if known is None:
        raise of_status(NOT_FOUND)
    found: dict[str, Any] = {
        "names": names,
        "name": known.names,
        "known": {each.id: each.names for each in taxonomy.themes},
        "lines": [
            (each, _line(asked.step, steps, each))
            for kind in by_kind(mentioned)
            for each in (*kind.shown, *kind.hidden)
            if each.theme == theme
        ],
    }
    if person.may(Right.CUSTOMERS):
        params = _of_nps(asked) | {"theme": theme, "metric": "nps", "limit": _COMMENTS, **position}
        found["comments"] = await scoring.responses.page(person, params)
    return found


def _line(step: Step, steps: list[Mentioned], of: Mentioned) -> Trend | None:
    kind = of.measure.kind
    return trend(step, [each.measure for each in steps if (each.theme, each.measure.kind) == (of.theme, kind)], [])


def _of_nps(asked: Asked) -> dict[str, str]:
    """What was asked for, unweighted: themes are counted, not projected."""
    return {name: value for name, value in asked.params().items() if name != "weights"}
