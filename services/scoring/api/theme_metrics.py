"""`/v1/metrics/themes`: how often comments mention a theme, and how likely those are to recommend who do."""

from typing import Annotated, Final

from fastapi import Query, Request
from pydantic import BaseModel, Field

from libs.events.contracts.responses import SurveyKind
from libs.statistics.nps import CONFIDENCE, nps
from libs.webapi.app import database_of
from libs.webapi.strict_json import Router
from services.scoring.api.access import MetricsReader
from services.scoring.api.filters import Asked
from services.scoring.api.groups import not_shown, threshold_of
from services.scoring.store import theme_counts, themes
from services.scoring.store.metrics import NPS_SCALE
from services.scoring.store.theme_counts import Mentions, Unit

router: Final = Router(prefix="/v1/metrics", tags=["metrics"])

_DIGITS: Final = 2


class NpsOfTheme(BaseModel):
    """The answers of one survey kind that mention a theme, and their NPS in points from -100 to 100."""

    kind: SurveyKind
    theme: str
    name_ru: str
    name_en: str
    retired: bool
    period: str | None = Field(description="By what `by` says; null without `by`.")
    hidden: bool = Field(description="Too few mention it for this to be shown.")
    mentions: int | None = Field(description="How many answers mention it, those without a score too.")
    n: int | None = Field(description="How many of them have a score.")
    promoters: int | None
    passives: int | None
    detractors: int | None
    nps: float | None = Field(description="Null where none has a score.")
    ci_low: float | None
    ci_high: float | None


class ThemesAnswer(BaseModel):
    """One item per theme, survey kind and period. An answer that mentions two themes is counted with both."""

    confidence: float = Field(description="Of the intervals (adjusted Wald).")
    items: list[NpsOfTheme]


@router.get("/themes", summary="Themes by how often they are mentioned, with the NPS of those who do")
async def get_themes(
    request: Request,
    principal: MetricsReader,  # noqa: ARG001 - the rule
    asked: Asked,
    kind: Annotated[SurveyKind | None, Query()] = None,
    by: Annotated[Unit | None, Query(description="Periods of UTC; weeks as in ISO 8601.")] = None,
) -> ThemesAnswer:
    """The most mentioned first, or by period. Of NPS surveys; a theme that nobody mentions is not there."""
    series = asked.series("nps", kind)
    threshold = threshold_of(request)
    async with database_of(request).reading() as tx:
        found = await theme_counts.count(tx, series, by)
        taxonomy = (await themes.current(tx)).taxonomy
        hidden_kinds = {place[0] for place in await not_shown(tx, series, threshold) if place[1] == NPS_SCALE}
    known = {theme.id: theme for theme in taxonomy.themes}
    found.sort(key=lambda each: (each.kind, each.period or "", -each.n, each.theme))
    return ThemesAnswer(
        confidence=CONFIDENCE,
        items=[
            _item(
                each,
                (known[each.theme].names["ru"], known[each.theme].names["en"]),
                retired=known[each.theme].retired,
                hidden=each.kind in hidden_kinds or _tells_of_few(each, threshold),
            )
            for each in found
        ],
    )


def _tells_of_few(mentions: Mentions, threshold: int) -> bool:
    """Whether so few mention it, or all but so few, that single customers could be told."""
    scored = mentions.promoters + mentions.passives + mentions.detractors
    return mentions.n < threshold or 0 < scored < threshold


def _item(mentions: Mentions, names: tuple[str, str], *, retired: bool, hidden: bool) -> NpsOfTheme:
    found = nps(promoters=mentions.promoters, passives=mentions.passives, detractors=mentions.detractors)
    numbers: dict[str, float | None] = {
        "mentions": mentions.n,
        "n": found.n,
        "promoters": found.promoters,
        "passives": found.passives,
        "detractors": found.detractors,
        "nps": _rounded(found.value),
        "ci_low": _rounded(found.low),
        "ci_high": _rounded(found.high),
    }
    return NpsOfTheme(
        kind=mentions.kind,
        theme=mentions.theme,
        name_ru=names[0],
        name_en=names[1],
        retired=retired,
        period=mentions.period,
        hidden=hidden,
        **dict.fromkeys(numbers) if hidden else numbers,
    )


def _rounded(points: float | None) -> float | None:
    return None if points is None else round(points, _DIGITS)
