"""Whom a campaign would reach, counted by what is known now; and which shipped initiatives there are to tell."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import Request
from pydantic import BaseModel, Field

from libs.webapi.app import database_of
from libs.webapi.strict_json import Router
from services.notify.api.campaign_views import NothingBody, Reader, found
from services.notify.api.plans import AudienceBody
from services.notify.domain.campaigns import Side
from services.notify.store import audiences, campaigns
from services.notify.store.audiences import Group

router: Final = Router(prefix="/v1", tags=["campaigns"])


class CountedGroup(BaseModel):
    """So many people of an audience."""

    side: Side
    language: Literal["ru", "en"] | None
    held_back: Annotated[str | None, Field(description="Why they would not be written to; null: they would.")]
    people: int


class AudiencePreview(BaseModel):
    """Who is meant by what is known now."""

    people: int
    reachable: int
    groups: list[CountedGroup]


class Tellable(BaseModel):
    """A shipped initiative: what can be told, and how long there is for it."""

    initiative_id: str
    title: str
    root_causes: list[str]
    themes: list[str]
    department_id: str
    learned: str
    changed: str
    next_steps: str | None
    shipped_at: datetime
    communicate_by: datetime | None
    is_told: bool
    """Whether a campaign tells it, or did."""


@router.get("/tellable-initiatives", summary="Shipped initiatives, and whether they are told")
async def list_tellable(request: Request, principal: Reader) -> list[Tellable]:  # noqa: ARG001 - the rule
    """Those first whose quarter ends first."""
    async with database_of(request).reading() as tx:
        rows = await campaigns.tellable(tx)
    return [Tellable.model_validate(row, from_attributes=True) for row in rows]


@router.post("/audiences/preview", summary="Count an audience")
async def preview_audience(request: Request, principal: Reader, body: AudienceBody) -> AudiencePreview:  # noqa: ARG001 - the rule
    """How many people are meant by what is known now, and who of them would be held back, and why."""
    async with database_of(request).reading() as tx:
        return _preview(await audiences.count(tx, body.domain()))


@router.post("/campaigns/{campaign_id}/preview", summary="Count the audience of a campaign")
async def preview(
    request: Request,
    principal: Reader,  # noqa: ARG001 - the rule
    campaign_id: UUID,
    body: NothingBody,  # noqa: ARG001 - that it is an empty object
) -> AudiencePreview:
    """By what is known now; the audience is frozen when the campaign starts."""
    async with database_of(request).reading() as tx:
        stored = await found(tx, campaign_id)
        return _preview(await audiences.count(tx, stored.campaign.plan.audience))


def _preview(groups: Sequence[Group]) -> AudiencePreview:
    return AudiencePreview(
        people=sum(group.people for group in groups),
        reachable=sum(group.people for group in groups if group.held is None),
        groups=[
            CountedGroup(side=group.side, language=group.language, held_back=group.held, people=group.people)  # type: ignore[arg-type]  # these are the languages
            for group in groups
        ],
    )
