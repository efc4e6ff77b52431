"""`/v1/campaigns/{id}/approve`, `start`, `pause`, `resume`, `cancel`: what moves a campaign from status to status."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Request, Response
from pydantic import StringConstraints

from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.auth import Principal
from libs.webapi.etag import IfMatch
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.strict_json import Router
from services.notify import announcements
from services.notify.api.campaign_views import NothingBody, Writer, answer, answers, held, refused, who
from services.notify.api.plans import Body
from services.notify.campaigns import recall
from services.notify.domain import campaigns as domain
from services.notify.domain.campaigns import Act, CampaignRefusedError
from services.notify.store import campaigns
from services.notify.store.campaigns import Stored

router: Final = Router(prefix="/v1/campaigns", tags=["campaigns"])

_PLAIN: Final[tuple[tuple[Act, str, str, str], ...]] = (
    ("approved", "approve", "Agree", "By somebody else than who wrote it as it is now."),
    ("started", "start", "Start", "The audience is frozen, and told."),
    (
        "paused",
        "pause",
        "Pause",
        "Nobody more is told until it is resumed; what is on the line at this moment arrives.",
    ),
    ("resumed", "resume", "Resume", "It goes on exactly where it was."),
)
"""The acts that need no more than to be done, as they are asked for."""


class ReasonBody(Body):
    """Why."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1_000)]


def _plain(act: Act) -> Callable[..., Awaitable[Response]]:
    async def take(
        request: Request,
        principal: Writer,
        campaign_id: UUID,
        body: NothingBody,  # noqa: ARG001 - that it is an empty object
        seen: IfMatch,
    ) -> Response:
        return await _act(request, principal, campaign_id, seen, act)

    return take


for _done, _path, _summary, _says in _PLAIN:
    router.add_api_route(
        f"/{{campaign_id}}/{_path}",
        _plain(_done),
        methods=["POST"],
        name=_path,
        summary=_summary,
        description=_says,
        responses=answers(200),
        openapi_extra=REPEATABLE,
    )


@router.post("/{campaign_id}/cancel", responses=answers(200), openapi_extra=REPEATABLE, summary="Cancel")
async def cancel(request: Request, principal: Writer, campaign_id: UUID, body: ReasonBody, seen: IfMatch) -> Response:
    """For good; what is in the queue is held back, and written down as that."""
    return await _act(request, principal, campaign_id, seen, "cancelled", body.reason)


async def _act(
    request: Request, principal: Principal, campaign_id: UUID, seen: int | None, act: Act, reason: str | None = None
) -> Response:
    async def command(tx: Tx, _command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        stored = await held(tx, campaign_id, seen)
        actor = who(principal)
        try:
            campaign = domain.ACTS[act](stored.campaign, actor, tx.now)
        except CampaignRefusedError as error:
            raise refused(error) from error
        await campaigns.save(tx, campaign, act, actor, reason)
        announcements.campaign_act(tx, campaign, act, actor, reason)
        match act:
            case "paused":
                await campaigns.park(tx)
            case "resumed":
                await campaigns.unpark(tx, campaign.id)
            case "cancelled":
                await recall(tx, campaign.id)
            case _:
                pass
        return answer(Stored(campaign, stored.tally, stored.counted_at), 200)

    return await once(database_of(request), request, principal, command)
