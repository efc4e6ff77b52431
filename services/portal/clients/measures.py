"""Scores, as the portal asks scoring for them: one shape for NPS, effort and satisfaction."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from services.portal.domain.measures import Difference, Measure
from services.portal.domain.plot import Nps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.portal.clients.service import Service
    from services.portal.domain.people import Person


class Break(msgspec.Struct, frozen=True):
    """From here on the question was asked otherwise."""

    at: datetime
    kind: str
    program: str
    touchpoint: str | None
    changed: list[str]


class _Item(msgspec.Struct, frozen=True):
    kind: str
    group: str | None
    hidden: bool
    n: int | None
    ci_low: float | None
    ci_high: float | None
    nps: float | None = None
    promoters: int | None = None
    passives: int | None = None
    detractors: int | None = None
    coverage: float | None = None
    scale_min: int = -100
    scale_max: int = 100
    mean: float | None = None
    good_share: float | None = None
    good_share_ci_low: float | None = None
    good_share_ci_high: float | None = None


class _Answer(msgspec.Struct, frozen=True):
    items: list[_Item]
    instrument_breaks: list[Break]


class Measured(msgspec.Struct, frozen=True):
    """What was asked for, and where its series break."""

    measures: list[Measure]
    breaks: list[Break]


class _Difference(msgspec.Struct, frozen=True):
    value: float
    ci_low: float
    ci_high: float
    p_value: float


class Comparison(msgspec.Struct, frozen=True):
    """Two groups beside each other."""

    hidden: bool
    n_a: int | None
    n_b: int | None
    a: float | None
    b: float | None
    difference: _Difference | None

    @property
    def differ(self) -> Difference | None:
        """What lies between them, where it can be told."""
        found = self.difference
        return None if found is None else Difference(found.value, found.ci_low, found.ci_high, found.p_value)


class Rate(msgspec.Struct, frozen=True):
    """How many of the invited answered; shares of 1."""

    hidden: bool
    invited: int | None
    n: int | None
    answered: int | None
    waiting: int | None
    rate: float | None
    ci_low: float | None
    ci_high: float | None


class _Rates(msgspec.Struct, frozen=True):
    items: list[Rate]


class Measures:
    """`/v1/metrics` of scoring."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def measured(self, person: Person, metric: str, params: Mapping[str, str]) -> Measured:
        """One measure per group, survey kind and scale."""
        answer = await self._service.get(f"/v1/metrics/{metric}", _Answer, person=person, params=params)
        return Measured([_measure(metric, item) for item in answer.items], answer.instrument_breaks)

    async def compared(self, person: Person, params: Mapping[str, str]) -> Comparison:
        """The difference of two groups, asked for with `a_…` and `b_…`."""
        return await self._service.get("/v1/metrics/compare", Comparison, person=person, params=params)

    async def response_rate(self, person: Person, params: Mapping[str, str]) -> Rate | None:
        """Of the invitations that are known; None where none is."""
        answer = await self._service.get("/v1/metrics/response-rates", _Rates, person=person, params=params)
        known = [item for item in answer.items if item.hidden or item.invited]
        return known[0] if known else None


def _measure(metric: str, item: _Item) -> Measure:
    share = (item.good_share, item.good_share_ci_low, item.good_share_ci_high)
    good = None if None in share else share
    classes = None
    if item.promoters is not None and item.passives is not None and item.detractors is not None:
        classes = Nps(
            item.n or 0,
            item.promoters,
            item.passives,
            item.detractors,
            nps=item.nps,
            low=item.ci_low,
            high=item.ci_high,
        )
    return Measure(
        metric,
        item.kind,
        item.group,
        item.scale_min,
        item.scale_max,
        hidden=item.hidden,
        n=item.n or 0,
        value=item.nps if metric == "nps" else item.mean,
        low=item.ci_low,
        high=item.ci_high,
        classes=classes,
        good=good,  # type: ignore[arg-type]  # none of the three is None
        coverage=item.coverage,
    )
