"""What it took customers until their problems were solved: how often they had to get in touch, and be passed on."""

import asyncio
from typing import Annotated, Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from services.portal.api.access import Visit, needs
from services.portal.api.view import Pages
from services.portal.clients import Casework, Refusal, ServiceAwayError
from services.portal.domain.casefile import TIERS
from services.portal.domain.loop import PERIODS
from services.portal.domain.people import Language, Person, Right
from services.portal.domain.period import Period, span_of

GROUPINGS: Final = ("root_cause", "touchpoint", "program", "tier")
_SEES_CAUSES: Final = (Right.CASES, Right.SETUP)
_LONGEST: Final = 200


def routes(pages: Pages, casework: Casework) -> APIRouter:
    """`/loop/effort`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/loop/effort")
    async def effort(request: Request, visit: Annotated[Visit, needs(Right.METRICS)]) -> Response:
        words = pages.words(request, visit.person)
        query = request.query_params
        period = Period(query["period"]) if query.get("period") in PERIODS else Period.QUARTER
        span = span_of(period, now=words.now, zone=words.zone)
        groupings = GROUPINGS if _sees_causes(visit.person) else GROUPINGS[1:]
        by = query.get("by", "")
        filters = {
            "program": query.get("program", "").strip().replace("\0", "")[:_LONGEST],
            "tier": query.get("tier", ""),
        }
        if filters["tier"] not in TIERS:
            filters["tier"] = ""
        filters = {name: value for name, value in filters.items() if value}
        context: dict[str, Any] = {
            "period": period,
            "periods": PERIODS,
            "by": by if by in groupings else groupings[0],
            "groupings": groupings,
            "filters": filters,
            "tiers": TIERS,
            "whole": None,
            "groups": [],
            "programs": [],
            "causes": {},
            "away": False,
        }
        try:
            whole, groups, programs, causes = await asyncio.gather(
                casework.loop.effort(visit.person, span.since, span.until, filters),
                casework.loop.effort(visit.person, span.since, span.until, filters, by=context["by"]),
                casework.loop.effort(visit.person, span.since, span.until, {}, by="program"),
                _causes(casework, visit.person, words.language),
            )
        except (ServiceAwayError, Refusal):
            return pages.page(request, visit, "effort.html", status=503, **context | {"away": True})
        context |= {
            "whole": whole[0] if whole else None,
            # Where there is most to spare customers stands first.
            "groups": sorted(groups, key=lambda each: (-(each.contacts.value or 0.0), -each.resolutions)),
            "programs": sorted({each.group for each in programs if each.group} | {filters.get("program", "")} - {""}),
            "causes": causes,
        }
        return pages.page(request, visit, "effort.html", **context)

    return router


def _sees_causes(person: Person) -> bool:
    return any(person.may(right) for right in _SEES_CAUSES)


async def _causes(casework: Casework, person: Person, language: Language) -> dict[str, str]:
    """What root causes are called, for those who may know how the company is set up."""
    if not _sees_causes(person):
        return {}
    return {cause.id: cause.name(language) for cause in await casework.root_causes(person)}
