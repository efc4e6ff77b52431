"""What can be subscribed to, and what a receiver gets: for those who read the API's description."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Header
from pydantic import BaseModel

from libs.events.topics import CONTRACTS, TOPIC_OF_TYPE
from libs.webapi.strict_json import Router
from services.notify.api.hook_access import SubscriptionsReader

router: Final = Router(prefix="/v1", tags=["subscriptions"])
outgoing: Final = APIRouter()


class EventType(BaseModel):
    """An event type that can be subscribed to."""

    type: str
    topic: str
    summary: str


class HookBody(BaseModel):
    """What a receiver gets."""

    type: str
    timestamp: datetime
    """When it happened."""
    id: UUID
    """The event's; the header `webhook-id` says the same. The same event always comes under the same id."""
    subject: str
    data: dict[str, Any]
    """The payload by the schema of its type in the AsyncAPI document, as far as the subscription sees it."""


@outgoing.post("event", status_code=204, responses={410: {"description": "Never again: the subscription is disabled"}})
async def event_sent(
    body: HookBody,
    webhook_id: Annotated[str, Header()],
    webhook_timestamp: Annotated[int, Header()],
    webhook_signature: Annotated[str, Header()],
) -> None:
    """An event, signed by Standard Webhooks: `v1,` and HMAC-SHA256 over `{id}.{timestamp}.{body}`, by each secret.

    Any 2xx within the time limit is a yes. Anything else is tried again after 5 s, 5 min, 30 min, 2, 5, 10, 14, 20 and
    24 hours; `Retry-After` is honoured, redirects are not followed. At least once, and in no promised order: the times
    and versions in the payloads say what is newer.
    """


@router.get("/event-types", summary="What can be subscribed to")
async def list_event_types(principal: SubscriptionsReader) -> list[EventType]:  # noqa: ARG001 - the rule
    """All types, by name."""
    return [
        EventType(type=type_, topic=TOPIC_OF_TYPE[type_].name, summary=(contract.__doc__ or "").strip())
        for type_, contract in sorted(CONTRACTS.items())
    ]
