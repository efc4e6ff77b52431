"""How campaigns answer over HTTP: their state, who may ask, and why something is refused."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from pydantic import BaseModel

from libs.events.database import Tx
from libs.webapi.auth import Principal, requires
from libs.webapi.etag import etag, expect
from libs.webapi.problem import FieldError, Problem, of_status
from services.notify.api.plans import Body, PlanBody, written
from services.notify.domain.campaigns import Act, CampaignId, CampaignRefusedError, Status
from services.notify.store import campaigns
from services.notify.store.campaigns import Stored, Tally

_LEADS: Final = frozenset({"manager", "executive", "administrator"})
Reader = Annotated[Principal, requires("campaigns:read", roles=_LEADS | {"operator"})]
Writer = Annotated[Principal, requires("campaigns:write", roles=_LEADS)]


class HistoryLine(BaseModel):
    """Who did what with a campaign."""

    version: int
    at: datetime
    act: Act
    by: str
    reason: str | None


class Progress(BaseModel):
    """What became of its messages, when they were last counted."""

    counted_at: datetime
    queued: int
    sent: int
    failed: int
    doubtful: int
    held_back: dict[str, int]


class CampaignState(BaseModel):
    """A campaign."""

    id: UUID
    version: int
    status: Status
    plan: PlanBody
    created_at: datetime
    edited_by: str
    approved_by: str | None
    approved_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    recipients: int | None
    """In the frozen audience."""
    told: int
    """Up to which position of it messages are in the ledger."""
    progress: Progress | None


class CampaignDetail(CampaignState):
    """A campaign with its history."""

    history: list[HistoryLine]


class NothingBody(Body):
    """Nothing is asked."""


def answers(status: int) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of a route that answers with the campaign."""
    problem: dict[str, Any] = {"content": {"application/problem+json": {}}}
    return {
        status: {"model": CampaignState, "description": "The campaign as it is now, its version as `ETag`."},
        404: {"description": "No such campaign.", **problem},
        409: {"description": "The campaign's status, or who asks, does not allow it.", **problem},
        412: {"description": "It has changed since the version in `If-Match`.", **problem},
        422: {"description": "The request is not valid.", **problem},
    }


async def found(tx: Tx, campaign_id: UUID) -> Stored:
    """The campaign; 404 where there is none."""
    stored = await campaigns.one(tx, CampaignId(campaign_id))
    if stored is None:
        raise of_status(404, detail="No such campaign.")
    return stored


async def held(tx: Tx, campaign_id: UUID, seen: int | None) -> Stored:
    """The campaign, locked for a change, if it is as the caller has seen it."""
    stored = await campaigns.lock(tx, CampaignId(campaign_id))
    if stored is None:
        raise of_status(404, detail="No such campaign.")
    expect(stored.campaign.version, seen)
    return stored


def who(principal: Principal) -> str:
    """Who acts, for the history: the person spoken for, else the key by its name."""
    return principal.person_id or f"key:{principal.name}"


def invalid(faults: Sequence[FieldError]) -> Problem:
    """A 422 about fields that only the database could judge."""
    return Problem(422, "invalid", "The request is not valid", errors=list(faults))


def refused(error: CampaignRefusedError) -> Problem:
    """A 409: the campaign's status, or who asks."""
    return Problem(409, error.code, "The campaign does not allow it", detail=str(error))


def answer(stored: Stored, status: int) -> tuple[int, Any, dict[str, str]]:
    """What a command answers."""
    return status, state(stored), {"ETag": etag(stored.campaign.version)}


def state(stored: Stored) -> CampaignState:
    """A campaign as its readers see it."""
    campaign = stored.campaign
    return CampaignState(
        id=campaign.id,
        version=campaign.version,
        status=campaign.status,
        plan=written(campaign.plan),
        created_at=campaign.created_at,
        edited_by=campaign.edited_by,
        approved_by=campaign.approved_by,
        approved_at=campaign.approved_at,
        started_at=campaign.started_at,
        ended_at=campaign.ended_at,
        recipients=campaign.recipients,
        told=campaign.told_up_to,
        progress=_progress(stored.tally, stored.counted_at),
    )


def _progress(tally: Tally | None, counted_at: datetime | None) -> Progress | None:
    if tally is None or counted_at is None:
        return None
    return Progress(counted_at=counted_at, **msgspec.structs.asdict(tally))
