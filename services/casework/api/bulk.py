"""`POST /v1/cases/bulk`: one act on many cases, each decided about for itself, with a preview of what would change."""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import Request, Response
from pydantic import BaseModel, Field, StrictBool, model_validator

from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.strict_json import Router
from services.casework.api.access import ID_PATTERN, LeadWriter, refused_field
from services.casework.api.acting import cause_of
from services.casework.api.filters import CaseFilter
from services.casework.api.shapes import Body
from services.casework.domain import commands, sharing_out
from services.casework.domain.agents import Staff
from services.casework.domain.casebook import Casebook
from services.casework.domain.cases import Case, Decision
from services.casework.domain.names import AgentId, CaseId, Level
from services.casework.domain.sharing_out import Outcome
from services.casework.domain.timeline import Cause
from services.casework.store import cases, people, policies, reading, saving

router: Final = Router(prefix="/v1", tags=["cases"])

_AT_ONCE: Final = 500
_Decide = Callable[[Case, Cause], Decision]


class Assign(Body):
    """To this person, or, where nobody is named, to whom the routing rule names for each case."""

    kind: Literal["assign"]
    owner_id: Annotated[str, Field(pattern=ID_PATTERN)] | None = None


class Escalate(Body):
    """One level up."""

    kind: Literal["escalate"]
    reason: Literal["no_authority", "several_departments", "key_customer", "repeated_problem", "customer_asked"]


class Prioritize(Body):
    """Whom to call first, 0 to 100."""

    kind: Literal["priority"]
    priority: Annotated[int, Field(strict=True, ge=0, le=100)]


class SeenCase(Body):
    """A case; with a version, only as it was at that version."""

    id: UUID
    version: Annotated[int, Field(strict=True, ge=1)] | None = None


class BulkBody(Body):
    """What to do, and with which cases: those that are named, or those of a filter, the first of its list."""

    action: Annotated[Assign | Escalate | Prioritize, Field(discriminator="kind")]
    cases: Annotated[list[SeenCase], Field(min_length=1, max_length=_AT_ONCE)] | None = None
    filter: CaseFilter | None = None
    preview: StrictBool
    note: Annotated[str | None, Field(max_length=10_000)] = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "BulkBody":
        if (self.cases is None) == (self.filter is None):
            raise ValueError("either cases or filter is required")
        if self.cases is not None and len({each.id for each in self.cases}) < len(self.cases):
            raise ValueError("a case is named once")
        return self


class BulkItem(BaseModel):
    """What became of one case, or would."""

    case_id: UUID
    customer_name: str | None
    result: Literal["changed", "unchanged", "refused"]
    because: str | None
    """The code of the refusal: `not-found`, `precondition-failed`, or what a single command is refused with."""
    version: int | None
    owner_id_before: str | None
    owner_id: str | None
    level_before: Level | None
    level: Level | None
    priority_before: int | None
    priority: int | None
    customer_is_told: bool
    """Whether the customer hears who their contact is now."""


class BulkReport(BaseModel):
    """What became of every case, or would."""

    preview: bool
    changed: int
    unchanged: int
    refused: int
    items: list[BulkItem]
    more: bool
    """The filter has more cases than are done at once."""


@router.post(
    "/cases/bulk",
    responses={
        200: {"model": BulkReport, "description": "What became of each case, or would."},
        422: {"description": "The request is not valid.", "content": {"application/problem+json": {}}},
    },
    openapi_extra=REPEATABLE,
    summary="One act on many cases",
)
async def act_on_many(request: Request, principal: LeadWriter, body: BulkBody) -> Response:
    """Up to 500 cases at once, in one transaction. What one case refuses is reported, and holds up no other."""

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        staff = await people.assigning(tx)
        decide = await _decider(tx, staff, body)
        wanted, more = await _wanted(tx, body)
        book = Casebook(await cases.lock(tx, [CaseId(each.id) for each in wanted]))
        cause = cause_of(request, principal, tx, command_id)
        going, refused = _split(book, wanted)
        outcomes = sharing_out.decide_each(book, going, staff, cause, decide)
        if not body.preview:
            await saving.save(tx, book)
        names = await reading.customer_names(tx, [each.id for each in wanted])
        decided = {each.after.id: _item(each) for each in outcomes} | refused
        items = [decided[CaseId(each.id)].model_copy(update={"customer_name": names.get(each.id)}) for each in wanted]
        report = BulkReport(
            preview=body.preview,
            changed=sum(item.result == "changed" for item in items),
            unchanged=sum(item.result == "unchanged" for item in items),
            refused=sum(item.result == "refused" for item in items),
            items=items,
            more=more,
        )
        return 200, report, {}

    return await once(database_of(request), request, principal, command)


async def _wanted(tx: Tx, body: BulkBody) -> tuple[list[SeenCase], bool]:
    if body.cases is not None:
        return body.cases, False
    asked = body.filter or CaseFilter()
    statement = reading.list_statement(
        limit=_AT_ONCE + 1,
        after=None,
        status=asked.status,
        owner=asked.owner,
        level=asked.level,
        tier=asked.tier,
        customer=asked.customer,
        due_before=None if asked.due_within_hours is None else tx.now + timedelta(hours=asked.due_within_hours),
        by_priority=asked.sort == "priority",
    )
    rows = await reading.list_cases(tx, statement)
    return [SeenCase(id=row.id) for row in rows[:_AT_ONCE]], len(rows) > _AT_ONCE


async def _decider(tx: Tx, staff: Staff, body: BulkBody) -> _Decide:
    match body.action:
        case Assign(owner_id=str() as owner_id):
            owner = staff.agents.get(AgentId(owner_id))
            if owner is None:
                raise refused_field(
                    "/action/owner_id", "is nobody's id", slug="unknown-agent", title="There is no such agent"
                )
            if owner.disabled:
                raise refused_field(
                    "/action/owner_id", "is disabled", slug="agent-disabled", title="This agent takes no cases any more"
                )
            return lambda case, cause: commands.assign(case, owner, cause, note=body.note)
        case Assign():
            desk = await people.desk(tx, staff)
            return lambda case, cause: sharing_out.routed(case, desk, {}, cause, note=body.note)
        case Escalate(reason=reason):
            known = await policies.load(tx)
            return lambda case, cause: commands.escalate(
                case, reason, known.of(case.program, case.tier), staff, cause, note=body.note
            )
        case Prioritize(priority=priority):
            return lambda case, cause: commands.prioritize(case, priority, cause, note=body.note)


def _split(book: Casebook, wanted: list[SeenCase]) -> tuple[list[Case], dict[CaseId, BulkItem]]:
    """The cases to decide about, and what of the others is known already to be refused."""
    going: list[Case] = []
    refused: dict[CaseId, BulkItem] = {}
    for each in wanted:
        case = book.case(CaseId(each.id))
        if case is None:
            refused[CaseId(each.id)] = BulkItem(
                case_id=each.id,
                customer_name=None,
                result="refused",
                because="not-found",
                version=None,
                owner_id_before=None,
                owner_id=None,
                level_before=None,
                level=None,
                priority_before=None,
                priority=None,
                customer_is_told=False,
            )
        elif each.version is not None and each.version != case.version:
            refused[case.id] = _item(Outcome(case, case, "refused", "precondition-failed"))
        else:
            going.append(case)
    return going, refused


def _item(outcome: Outcome) -> BulkItem:
    before, after = outcome.before, outcome.after
    return BulkItem(
        case_id=after.id,
        customer_name=None,
        result=outcome.result,
        because=outcome.because,
        version=after.version,
        owner_id_before=before.owner_id,
        owner_id=after.owner_id,
        level_before=before.level,
        level=after.level,
        priority_before=before.priority,
        priority=after.priority,
        customer_is_told=before.owner_id != after.owner_id and commands.knows_contact(before),
    )
