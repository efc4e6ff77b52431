"""`POST /v1/cases/{id}/…`: what people do with a case, each command once, on the version that they saw."""

from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field

from libs.events.database import Tx
from libs.webapi.etag import IfMatch
from libs.webapi.idempotency import REPEATABLE
from libs.webapi.instants import Instant
from libs.webapi.strict_json import Router
from services.casework.api.access import ID_PATTERN, CaseWriter, refused_field
from services.casework.api.acting import act, agree_on, answers_of, policy_of
from services.casework.domain import callbacks as promises
from services.casework.domain import commands, signals, waiting
from services.casework.domain.cases import Case, Decision, WaitReason
from services.casework.domain.errors import CustomerHasOpenCase
from services.casework.domain.names import AgentId, ContactChannel, ContactOutcome
from services.casework.domain.timeline import Cause
from services.casework.store import callbacks, cases, people

router: Final = Router(prefix="/v1/cases/{case_id}", tags=["cases"])

Note = Annotated[str | None, Field(max_length=10_000)]
_Id = Annotated[str, Field(pattern=ID_PATTERN)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ContactAttemptBody(_Body):
    """How the try to reach the customer went."""

    outcome: ContactOutcome
    channel: ContactChannel = "phone"
    callback_id: Annotated[
        UUID | None,
        Field(description="The agreed callback that this was; one at its time is known without."),
    ] = None
    callback_at: Annotated[
        Instant | None, Field(description="When the customer and we agreed to speak next: a callback by the channel.")
    ] = None
    note: Note = None


class AssignBody(_Body):
    """To whom the case goes, and why."""

    owner_id: _Id
    note: Note = None


class EscalateBody(_Body):
    """Why it cannot be solved at this level."""

    reason: Literal["no_authority", "several_departments", "key_customer", "repeated_problem", "customer_asked"]
    note: Note = None


class ReopenBody(_Body):
    """Why it is not solved after all."""

    note: Note = None


class WaitBody(_Body):
    """What the customer is waited for, and until when at the latest."""

    reason: WaitReason
    until: Instant
    note: Note = None


class ResumeBody(_Body):
    """Why the work goes on."""

    note: Note = None


class NoteBody(_Body):
    """Something worth knowing."""

    text: Annotated[str, Field(min_length=1, max_length=10_000)]


@router.post(
    "/contact-attempts",
    responses=answers_of(201),
    openapi_extra=REPEATABLE,
    summary="Record a try to reach the customer",
)
async def attempt_contact(
    request: Request, principal: CaseWriter, case_id: UUID, body: ContactAttemptBody, seen: IfMatch
) -> Response:
    """The first that reaches the customer stops the first-contact clock. Who declines to talk was reached, too.

    After as many attempts in a row at which nobody was reached as the policy says, the case climbs.
    """

    async def decide(tx: Tx, case: Case, cause: Cause) -> Decision:
        policy = await policy_of(tx, case)
        decision = commands.record_contact(
            case, body.outcome, policy, cause, attempt_id=str(cause.id), channel=body.channel, note=body.note
        )
        pending = await callbacks.pending(tx, case.id)
        if body.callback_id is not None and (pending is None or pending.id != body.callback_id):
            raise refused_field("/callback_id", "is no callback that is to be made", slug="unknown-callback")
        if pending is not None and (
            body.callback_id is not None or promises.keeps(pending, cause.at, await callbacks.rules(tx))
        ):
            staff = await people.staff(tx)
            promised = promises.kept(decision.case, pending, body.outcome, staff, cause)
            await callbacks.save(tx, [promised.callback])
            decision = Decision(promised.decision.case, decision.steps + promised.decision.steps)
        if body.callback_at is not None:
            agreed = await agree_on(tx, decision.case, body.callback_at, body.channel, cause)
            decision = Decision(agreed.case, decision.steps + agreed.steps)
        if body.outcome in signals.UNANSWERED:
            attempts = await cases.unanswered_attempts(tx, case.id) + 1
            staff = await people.staff(tx)
            decision = decision.then(lambda case: signals.not_reached(case, attempts, policy, staff, cause))
        return decision

    return await act(request, principal, case_id, seen, decide, status=201)


@router.post("/assign", responses=answers_of(200), openapi_extra=REPEATABLE, summary="Give the case to somebody")
async def assign(request: Request, principal: CaseWriter, case_id: UUID, body: AssignBody, seen: IfMatch) -> Response:
    """By hand also to somebody who is absent now; never to somebody who is disabled."""

    async def decide(tx: Tx, case: Case, cause: Cause) -> Decision:
        staff = await people.assigning(tx)
        owner = staff.agents.get(AgentId(body.owner_id))
        if owner is None:
            raise refused_field("/owner_id", "is nobody's id", slug="unknown-agent", title="There is no such agent")
        if owner.disabled:
            raise refused_field(
                "/owner_id", "is disabled", slug="agent-disabled", title="This agent takes no cases any more"
            )
        return commands.assign(case, owner, cause, note=body.note)

    return await act(request, principal, case_id, seen, decide)


@router.post("/escalate", responses=answers_of(200), openapi_extra=REPEATABLE, summary="Send the case one level up")
async def escalate(
    request: Request, principal: CaseWriter, case_id: UUID, body: EscalateBody, seen: IfMatch
) -> Response:
    """The owner stays the customer's contact."""

    async def decide(tx: Tx, case: Case, cause: Cause) -> Decision:
        staff = await people.staff(tx)
        return commands.escalate(case, body.reason, await policy_of(tx, case), staff, cause, note=body.note)

    return await act(request, principal, case_id, seen, decide)


@router.post(
    "/reopen", responses=answers_of(200), openapi_extra=REPEATABLE, summary="Open a resolved or closed case again"
)
async def reopen(request: Request, principal: CaseWriter, case_id: UUID, body: ReopenBody, seen: IfMatch) -> Response:
    """With new clocks from now. A customer who has another open case is helped there."""

    async def decide(tx: Tx, case: Case, cause: Cause) -> Decision:
        if await cases.has_other_open_case(tx, case):
            raise CustomerHasOpenCase(case.id)
        policy = await policy_of(tx, case)
        staff = await people.staff(tx)
        return commands.reopen(case, "by_hand", policy, staff, cause, since=cause.at, note=body.note)

    return await act(request, principal, case_id, seen, decide)


@router.post(
    "/wait",
    responses=answers_of(200),
    openapi_extra=REPEATABLE,
    summary="Wait for the customer; the resolution is paused",
)
async def wait(request: Request, principal: CaseWriter, case_id: UUID, body: WaitBody, seen: IfMatch) -> Response:
    """Only once somebody reached the customer, and in one round no longer than the policy allows, altogether."""

    async def decide(tx: Tx, case: Case, cause: Cause) -> Decision:
        return waiting.wait(case, body.reason, body.until, await policy_of(tx, case), cause, note=body.note)

    return await act(request, principal, case_id, seen, decide)


@router.post("/resume", responses=answers_of(200), openapi_extra=REPEATABLE, summary="Wait no longer for the customer")
async def resume(request: Request, principal: CaseWriter, case_id: UUID, body: ResumeBody, seen: IfMatch) -> Response:
    """The resolution is due as much later as it was paused. A word of the customer, and the limit, do it, too."""

    async def decide(tx: Tx, case: Case, cause: Cause) -> Decision:
        return waiting.resume(case, await policy_of(tx, case), cause, note=body.note)

    return await act(request, principal, case_id, seen, decide)


@router.post("/notes", responses=answers_of(201), openapi_extra=REPEATABLE, summary="Write something down")
async def add_note(request: Request, principal: CaseWriter, case_id: UUID, body: NoteBody, seen: IfMatch) -> Response:
    """Seen by whoever may see the case; never by the customer. Possible on a closed case."""

    async def decide(_: Tx, case: Case, cause: Cause) -> Decision:
        return commands.note(case, body.text, cause)

    return await act(request, principal, case_id, seen, decide, status=201)
