"""The scores page: each number with what it stands on, over time, by groups, and two groups beside each other."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from services.portal.api.access import Visit, needs
from services.portal.api.view import Pages
from services.portal.clients import Refusal, Scoring, ServiceAwayError
from services.portal.clients.measures import Comparison, Measured, Rate
from services.portal.domain.measures import DIMENSIONS, METRICS, WEIGHTS, Measure
from services.portal.domain.people import Person, Right
from services.portal.domain.period import Period, Span, parse_period, span_of
from services.portal.domain.sourceforms import CHANNELS, KINDS
from services.portal.domain.trend import STEPS, Step, Trend, first_of, trend

TIERS: Final = ("key", "high", "standard", "low")
_LONGEST: Final = 200
NAMED: Final = ("program", "touchpoint", "department", "region")
"""Dimensions whose groups are the company's own words."""
_USUAL_STEP: Final[Mapping[Period, Step]] = {Period.QUARTER: "week", Period.YEAR: "month"}
_RATES_KNOW: Final = ("program", "segment", "channel")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the page was asked to show; a filter that is not there means all."""

    metric: str
    period: Period
    span: Span
    step: Step
    by: str
    kind: str | None
    weights: str | None
    filters: Mapping[str, str]
    pair: tuple[str, str] | None

    def params(self, *, by: str | None = None, without: str | None = None) -> dict[str, str]:
        """As scoring takes it."""
        found = {"from": self.span.since.isoformat(), "to": self.span.until.isoformat()}
        found |= {name: value for name, value in self.filters.items() if name != without}
        found |= {"kind": self.kind} if self.kind else {}
        found |= {"weights": self.weights} if self.weights else {}
        return found | ({"by": by} if by else {})

    @property
    def shown(self) -> list[tuple[str, str]]:
        """The page's own parameters, but for the pair that is compared."""
        chosen = (("kind", self.kind), ("weights", self.weights))
        always = [("metric", self.metric), ("period", self.period), ("step", self.step), ("by", self.by)]
        return [*always, *self.filters.items(), *((name, value) for name, value in chosen if value)]

    def over_time(self) -> dict[str, str]:
        """The same in whole days, weeks or months, which are those of UTC."""
        first = first_of(self.step, self.span.since.date())
        return self.params(by=self.step) | {"from": _midnight(first).isoformat()}

    def of_pair(self, kind: str) -> dict[str, str]:
        """The two groups that are to be compared."""
        found = {"metric": self.metric, "kind": kind}
        for side, name in zip("ab", self.pair or (), strict=False):
            filters = {**self.filters, self.by: name}
            found |= {f"{side}_{dimension}": value for dimension, value in filters.items()}
            found |= {f"{side}_from": self.span.since.isoformat(), f"{side}_to": self.span.until.isoformat()}
        return found


@dataclass(frozen=True, slots=True)
class Compared:
    """Two groups, or why scoring would not compare them."""

    found: Comparison | None
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """One survey kind on one scale: the whole, its groups, its line. Kinds and scales are never added up."""

    whole: Measure
    groups: list[Measure]
    line: Trend | None
    compared: Compared | None


def routes(pages: Pages, scoring: Scoring) -> APIRouter:
    """`/nps`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/nps")
    async def scores(request: Request, visit: Annotated[Visit, needs(Right.METRICS)]) -> Response:
        words = pages.words(request, visit.person)
        period = parse_period(request.query_params.get("period", Period.MONTH))
        asked = asked_in(request, period, span_of(period, now=words.now, zone=words.zone))
        context: dict[str, Any] = {
            "asked": asked,
            "periods": list(Period),
            "fixed": {"segment": TIERS, "channel": CHANNELS},
            "kinds": KINDS,
        }
        try:
            found = await _found(scoring, visit.person, asked)
        except (ServiceAwayError, Refusal):
            away = {"away": True, "series": [], "names": {key: [] for key in NAMED}, "breaks": [], "rate": None}
            return pages.page(request, visit, "scores.html", status=503, **context, **away)
        return pages.page(request, visit, "scores.html", **context, **found, away=False)

    return router


async def _found(scoring: Scoring, person: Person, asked: Asked) -> dict[str, Any]:
    """Everything at once; then the comparisons, which need to know which kinds there are."""
    measures = scoring.measures

    async def measured(params: Mapping[str, str]) -> Measured:
        return await measures.measured(person, asked.metric, params)

    (whole, groups, line), named, rate = await asyncio.gather(
        asyncio.gather(
            measured(asked.params()),
            measured(asked.params(by=asked.by, without=asked.by)),
            measured(asked.over_time()),
        ),
        names_of(scoring, person, asked),
        _rate(scoring, person, asked),
    )
    wholes = sorted(
        (each for each in whole.measures if each.n or each.hidden), key=lambda each: each.scale, reverse=True
    )
    pairs = await asyncio.gather(*(_compared(scoring, person, asked, each.kind) for each in wholes))
    return {
        "series": [_series(each, groups, line, pair, asked.step) for each, pair in zip(wholes, pairs, strict=True)],
        "names": named,
        "breaks": sorted(whole.breaks, key=lambda each: each.at),
        "rate": rate,
    }


async def names_of(scoring: Scoring, person: Person, asked: Asked) -> dict[str, list[str]]:
    """What filters can choose from: the names that answers of the period have, of each dimension that is named."""
    period = {name: asked.params()[name] for name in ("from", "to")}
    found = await asyncio.gather(
        *(scoring.measures.measured(person, asked.metric, period | {"by": name}) for name in NAMED)
    )
    return {name: _names(each, asked.filters.get(name)) for name, each in zip(NAMED, found, strict=True)}


async def _rate(scoring: Scoring, person: Person, asked: Asked) -> Rate | None:
    """The response rate where the filters are such that invitations know."""
    if any(name not in _RATES_KNOW for name in asked.filters) or asked.kind:
        return None
    params = asked.params()
    return await scoring.measures.response_rate(
        person, {name: params[name] for name in ("from", "to", *_RATES_KNOW) if name in params}
    )


async def _compared(scoring: Scoring, person: Person, asked: Asked, kind: str) -> Compared | None:
    if asked.pair is None:
        return None
    try:
        return Compared(await scoring.measures.compared(person, asked.of_pair(kind)))
    except Refusal as refusal:
        return Compared(None, refusal.slug)


def _series(whole: Measure, groups: Measured, line: Measured, pair: Compared | None, step: Step) -> Series:
    breaks = [each.at for each in line.breaks if each.kind == whole.kind]
    return Series(
        whole,
        sorted(
            (each for each in groups.measures if each.scale == whole.scale),
            key=lambda each: (each.hidden, -each.n, each.name or ""),
        ),
        trend(step, [each for each in line.measures if each.scale == whole.scale], breaks),
        pair,
    )


def asked_in(request: Request, period: Period, span: Span) -> Asked:
    """What the address asks for; what is none of the known is left out."""
    query = request.query_params
    metric = _one_of(query.get("metric"), METRICS) or METRICS[0]
    fixed = {"segment": TIERS, "channel": CHANNELS}
    filters = {
        name: value
        for name in DIMENSIONS
        if (value := _chosen(request, name)) and (name not in fixed or value in fixed[name])
    }
    first, second = _chosen(request, "a"), _chosen(request, "b")
    by = _one_of(query.get("by"), DIMENSIONS) or "touchpoint"
    known = all(name in fixed.get(by, (name,)) for name in (first, second))
    return Asked(
        metric=metric,
        period=period,
        span=span,
        step=next((step for step in STEPS if step == query.get("step")), _USUAL_STEP.get(period, "day")),
        by=by,
        kind=_one_of(query.get("kind"), KINDS),
        weights=_one_of(query.get("weights"), WEIGHTS) if metric == "nps" else None,
        filters=filters,
        pair=(first, second) if first and second and first != second and known else None,
    )


def _one_of(written: str | None, known: tuple[str, ...]) -> str | None:
    return written if written in known else None


def _chosen(request: Request, name: str) -> str | None:
    value = request.query_params.get(name, "").strip().replace("\0", "")
    return value[:_LONGEST] or None


def _names(measured: Measured, chosen: str | None) -> list[str]:
    found = {each.name for each in measured.measures if each.name}
    return sorted(found | ({chosen} if chosen else set()))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
