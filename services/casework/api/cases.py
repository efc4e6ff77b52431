"""`GET /v1/cases`: the list by the next due time, and one case with everything that belongs to it."""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import Query, Request, Response

from libs.webapi.app import database_of
from libs.webapi.etag import etag
from libs.webapi.instants import Instant
from libs.webapi.paging import Cursor, Limit, decode_cursor, encode_cursor
from libs.webapi.problem import of_status
from libs.webapi.strict_json import Router
from services.casework.api.access import CaseReader
from services.casework.api.views import CaseDetail, CasePage, Status, detail_of, summary_of
from services.casework.domain.names import CaseId, Level, Tier
from services.casework.store import callbacks, reading, resolutions, tasks

router: Final = Router(prefix="/v1/cases", tags=["cases"])

_EARLIER_CASES: Final = 20
_EARLIER_RESPONSES: Final = 50

_Text = Annotated[str | None, Query(min_length=1, max_length=512)]


@router.get("", summary="Cases, by what is due next")
async def list_cases(
    request: Request,
    principal: CaseReader,  # noqa: ARG001 - the rule
    status: Status | None = None,
    owner: _Text = None,
    level: Level | None = None,
    tier: Tier | None = None,
    due_before: Annotated[Instant | None, Query(description="Only cases with something due before.")] = None,
    customer: _Text = None,
    sort: Annotated[
        Literal["due", "priority"],
        Query(description="By priority: the highest first, equal ones by what is due; only open and contacted cases."),
    ] = "due",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> CasePage:
    """What is due first comes first; closed cases come last, the latest closed first."""
    by_priority = sort == "priority"
    after: tuple[datetime, UUID] | None = None
    ranked_after: int | None = None
    if cursor is not None and by_priority:
        ranked_after, listed_at, id_ = decode_cursor(cursor, tuple[int, datetime, UUID])
        after = (listed_at, id_)
    elif cursor is not None:
        after = decode_cursor(cursor, tuple[datetime, UUID])
    statement = reading.list_statement(
        limit=limit + 1,
        after=after,
        ranked_after=ranked_after,
        by_priority=by_priority,
        status=status,
        owner=owner,
        level=level,
        tier=tier,
        due_before=due_before,
        customer=customer,
    )
    async with database_of(request).reading() as tx:
        rows = await reading.list_cases(tx, statement)
    last = rows[limit - 1] if len(rows) > limit else None
    next_cursor = None
    if last is not None and by_priority:
        next_cursor = encode_cursor((100 - (last.priority or 0), last.listed_at, last.id))
    elif last is not None:
        next_cursor = encode_cursor((last.listed_at, last.id))
    return CasePage(items=[summary_of(row) for row in rows[:limit]], next_cursor=next_cursor)


@router.get("/{case_id}", summary="One case with its timeline")
async def get_case(
    request: Request,
    response: Response,
    principal: CaseReader,  # noqa: ARG001 - the rule
    case_id: UUID,
) -> CaseDetail:
    """Its timeline, answers and contact attempts, and the customer's earlier ones, so that nobody asks twice."""
    async with database_of(request).reading() as tx:
        row = await reading.find_case(tx, case_id)
        if row is None:
            raise of_status(404, detail="No such case.")
        # Up to the version read: what was added meanwhile belongs to another ETag.
        timeline = await reading.timeline(tx, case_id, row.version)
        answers = await reading.answers(tx, case_id)
        promised = await callbacks.of_cases(tx, [CaseId(case_id)])
        resolved = await resolutions.of_case(tx, case_id) if row.round else []
        work = await tasks.shown_of_case(tx, case_id)
        known = row.customer_id is not None
        cases = await reading.earlier_cases(tx, case_id, row.customer_id, _EARLIER_CASES) if known else []
        others = await reading.earlier_answers(tx, case_id, row.customer_id, _EARLIER_RESPONSES) if known else []
    response.headers["ETag"] = etag(row.version)
    return detail_of(
        row,
        timeline=timeline,
        answers=answers,
        callbacks=promised,
        resolutions=resolved,
        earlier_cases=cases,
        earlier_answers=others,
        tasks=work,
    )
