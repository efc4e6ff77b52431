"""`GET /v1/cases.csv`: the cases of a filter as a file for spreadsheets, however many there are."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import structlog
from fastapi import Query, Request
from sqlalchemy import Row
from starlette.responses import StreamingResponse

from libs.events.database import Database
from libs.webapi.app import database_of
from libs.webapi.instants import Instant
from libs.webapi.strict_json import Router
from services.casework.api.access import CaseReader, actor_of
from services.casework.api.views import Status, summary_of
from services.casework.domain.names import Level, Tier
from services.casework.domain.spreadsheets import MARK, lines
from services.casework.store import reading

log: Final = structlog.get_logger()
router: Final = Router(prefix="/v1", tags=["cases"])

_AT_ONCE: Final = 500
_Text = Annotated[str | None, Query(min_length=1, max_length=512)]

COLUMNS: Final = (
    "id",
    "status",
    "outcome",
    "level",
    "tier",
    "priority",
    "score",
    "program",
    "touchpoint",
    "customer_id",
    "customer_name",
    "owner_id",
    "owner_name",
    "responsible_id",
    "responsible_name",
    "answered_at",
    "opened_at",
    "next_due_at",
    "first_contact_due_at",
    "first_contact_breached",
    "first_contacted_at",
    "resolution_due_at",
    "resolution_breached",
    "resolved_at",
    "root_cause_id",
    "round",
    "reopenings",
    "confirm_by",
    "closed_at",
    "escalated_at",
    "escalation_due_at",
)


@router.get(
    "/cases.csv",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {}}, "description": "UTF-8, RFC 4180; no cell begins as a formula does."}},
    summary="The cases of a filter, for spreadsheets",
)
async def export_cases(
    request: Request,
    principal: CaseReader,
    status: Status | None = None,
    owner: _Text = None,
    level: Level | None = None,
    tier: Tier | None = None,
    due_before: Annotated[Instant | None, Query(description="Only cases with something due before.")] = None,
    customer: _Text = None,
) -> StreamingResponse:
    """In the order of the list, and read page by page as it is sent.

    A case whose next due time moves meanwhile may stand in it twice, or not at all.
    """

    def statement(after: tuple[datetime, UUID] | None) -> Any:  # noqa: ANN401 - a select of the store
        return reading.list_statement(
            limit=_AT_ONCE,
            after=after,
            status=status,
            owner=owner,
            level=level,
            tier=tier,
            due_before=due_before,
            customer=customer,
        )

    async def written(database: Database) -> AsyncIterator[bytes]:
        yield MARK.encode() + lines([COLUMNS])
        after: tuple[datetime, UUID] | None = None
        count = 0
        while True:
            async with database.reading() as tx:
                rows = await reading.list_cases(tx, statement(after))
            if rows:
                yield lines(_cells(row) for row in rows)
            count += len(rows)
            if len(rows) < _AT_ONCE:
                break
            after = (rows[-1].listed_at, rows[-1].id)
        log.info("cases.exported", by=actor_of(principal).id, cases=count)

    return StreamingResponse(
        written(database_of(request)),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="cases.csv"', "Cache-Control": "no-store"},
    )


def _cells(row: Row[Any]) -> list[object]:
    summary = summary_of(row)
    return [getattr(summary, column) for column in COLUMNS]
