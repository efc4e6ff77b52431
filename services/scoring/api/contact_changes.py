"""`/v1/contact-changes`: who changed a customer's consent, language or time zone, when, and by which way."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import Query, Request
from pydantic import BaseModel, Field

from libs.webapi.app import database_of
from libs.webapi.paging import Cursor, Limit, Page, decode_cursor, encode_cursor
from libs.webapi.strict_json import Router
from services.scoring.api.access import Reader
from services.scoring.domain.contact_changes import CameBy, What
from services.scoring.domain.customers import LONGEST_ID
from services.scoring.store import contact_histories

router: Final = Router(prefix="/v1/contact-changes", tags=["customers"])

_NEWEST: Final = 2**63 - 1


class ContactChangeBody(BaseModel):
    """One change."""

    what: What
    before: str | None = Field(description="Null for the first consent that is known.")
    after: str = Field(description="Of a consent `yes` or `no`.")
    came_by: CameBy = Field(
        description="`earlier_unsubscription`: a profile said yes, and the customer had unsubscribed since."
    )
    told_by: str = Field(description="The key, and the person whom it spoke for; of a survey vendor, the source.")
    said_at: datetime = Field(description="When the customer said so, as far as is told.")
    noted_at: datetime


@router.get("", summary="How a customer may be reached, and who changed it")
async def get(
    request: Request,
    principal: Reader,  # noqa: ARG001 - the rule
    customer_id: Annotated[str, Query(min_length=1, max_length=LONGEST_ID)],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ContactChangeBody]:
    """The latest first. Empty for whoever is not known; what is in force is in the profile."""
    before = _NEWEST if cursor is None else decode_cursor(cursor, int)
    async with database_of(request).reading() as tx:
        rows = await contact_histories.of_customer(tx, customer_id, before=before, limit=limit + 1)
    return Page(
        items=[ContactChangeBody.model_validate(row, from_attributes=True) for row in rows[:limit]],
        next_cursor=encode_cursor(rows[limit - 1].id) if len(rows) > limit else None,
    )
