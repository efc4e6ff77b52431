"""`GET /v1/initiatives/{id}/effect`: the time before the work began beside the time after the change was in force."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Query, Request
from pydantic import BaseModel
from sqlalchemy import Row

from libs.statistics import nps_groups
from libs.statistics.nps import Nps, nps
from libs.statistics.proportions import Difference, difference_of_shares, share
from libs.webapi.app import database_of
from libs.webapi.problem import of_status
from libs.webapi.strict_json import Router
from services.casework.api.access import MeasureReader
from services.casework.api.measures import Portion, portion
from services.casework.domain.initiatives import effect_windows
from services.casework.domain.names import SurveyKind
from services.casework.store import effects, initiatives

router: Final = Router(prefix="/v1/initiatives/{initiative_id}", tags=["initiatives"])


class Window(BaseModel):
    """From `since` on, before `until`."""

    since: datetime
    until: datetime


class Change(BaseModel):
    """After less before, with its 95 % interval and the probability of one as large by chance alone."""

    value: float
    ci_low: float
    ci_high: float
    p_value: float


class ShareEffect(BaseModel):
    """A share before and after; null where one of both times has nothing to count."""

    before: Portion
    after: Portion
    change: Change | None


class Score(BaseModel):
    """An NPS with its n and interval; null where nobody answered."""

    n: int
    promoters: int
    passives: int
    detractors: int
    nps: float | None
    ci_low: float | None
    ci_high: float | None


class ScoreEffect(BaseModel):
    """The NPS of one survey kind before and after."""

    kind: SurveyKind
    before: Score
    after: Score
    change: Change | None


class Effect(BaseModel):
    """What was different after a change. What came after it need not have come from it."""

    before: Window
    after: Window
    root_causes: ShareEffect
    """Cases with its root causes, of the cases whose root cause is known."""
    themes: ShareEffect | None
    """Comments that mention its themes, of all comments; null where it names none."""
    scores: list[ScoreEffect]
    """NPS of the programs and touchpoints that the cases behind it come from."""


@router.get("/effect", summary="What was different after the change")
async def effect(
    request: Request,
    principal: MeasureReader,  # noqa: ARG001 - the rule
    initiative_id: UUID,
    days: Annotated[int, Query(ge=7, le=366, description="How long each of both times is at most.")] = 90,
) -> Effect:
    """Of an initiative that shipped: 409 before. The time of the work itself belongs to neither side."""
    async with database_of(request).reading() as tx:
        row = await initiatives.find(tx, initiative_id)
        if row is None:
            raise of_status(404, detail="No such initiative.")
        windows = effect_windows(initiatives.initiative_of(row), timedelta(days=days), tx.now)
        if not windows:
            raise of_status(409, detail="It has not shipped yet, so nothing can be said about its effect.")
        before, after = windows
        causes = [await effects.causes(tx, initiative_id, *window) for window in windows]
        themes = [await effects.themes(tx, row.themes, *window) for window in windows] if row.themes else None
        scores = [await effects.scores(tx, initiative_id, *window) for window in windows]
    return Effect(
        before=Window(since=before[0], until=before[1]),
        after=Window(since=after[0], until=after[1]),
        root_causes=_of_shares(*causes),
        themes=None if themes is None else _of_shares(*themes),
        scores=[_of_scores(kind, *(found.get(kind) for found in scores)) for kind in sorted(scores[0] | scores[1])],
    )


def _of_shares(before: tuple[int, int], after: tuple[int, int]) -> ShareEffect:
    first, second = share(*before), share(*after)
    known = first.n and second.n
    return ShareEffect(
        before=portion(first),
        after=portion(second),
        change=_change(difference_of_shares(second, first)) if known else None,
    )


def _of_scores(kind: SurveyKind, before: Row[Any] | None, after: Row[Any] | None) -> ScoreEffect:
    first, second = _nps(before), _nps(after)
    known = first.n and second.n
    return ScoreEffect(
        kind=kind,
        before=_score(first),
        after=_score(second),
        change=_change(nps_groups.difference(second, first)) if known else None,
    )


def _nps(row: Row[Any] | None) -> Nps:
    if row is None:
        return nps(promoters=0, passives=0, detractors=0)
    return nps(promoters=row.promoters, passives=row.passives, detractors=row.detractors)


def _score(found: Nps) -> Score:
    return Score(
        n=found.n,
        promoters=found.promoters,
        passives=found.passives,
        detractors=found.detractors,
        nps=found.value,
        ci_low=found.low,
        ci_high=found.high,
    )


def _change(found: Difference) -> Change:
    return Change(value=found.value, ci_low=found.low, ci_high=found.high, p_value=found.p_value)
