"""`/v1/invitations` and `/v1/silences`: who was asked, and which important ones say nothing."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from libs.events.contracts.customers import AccountRole
from libs.events.contracts.responses import Channel
from libs.events.contracts.scores import Tier
from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.paging import Cursor, Limit, Page, decode_cursor, encode_cursor
from libs.webapi.strict_json import Router
from services.scoring.api.access import Reader, Writer
from services.scoring.api.batches import SortedOut, sorted_out
from services.scoring.api.bodies import MOST_IN_BATCH, Id, Identified, ItemError, Moment
from services.scoring.domain.invitations import Invitation
from services.scoring.domain.segments import valued
from services.scoring.store import customers, invitations, locks, responses, rules

router: Final = Router(prefix="/v1", tags=["invitations"])

_END: Final = (datetime(8999, 1, 1, tzinfo=UTC), "")
Outcome = Literal["created", "updated", "unchanged", "forgotten", "conflict"]


class InvitationItem(Identified):
    """One customer asked once. Sent again with `bounced_at` when the invitation did not reach them."""

    model_config = ConfigDict(strict=True, extra="forbid")

    customer_id: Id
    program: Id
    touchpoint: Id | None = None
    channel: Channel
    invited_at: Moment
    bounced_at: Moment | None = None

    def invitation(self) -> Invitation:
        """As the domain knows it."""
        return Invitation(
            self.id,
            self.customer_id,
            self.program,
            self.touchpoint,
            self.channel,
            self.invited_at.astimezone(UTC),
            None if self.bounced_at is None else self.bounced_at.astimezone(UTC),
        )


class InvitationBatch(BaseModel):
    """Up to 10,000 invitations; each is accepted or refused for itself."""

    model_config = ConfigDict(extra="forbid")

    items: Annotated[
        list[Annotated[Any, WithJsonSchema(InvitationItem.model_json_schema())]],
        Field(min_length=1, max_length=MOST_IN_BATCH),
    ]


class InvitationResult(BaseModel):
    """What became of one invitation of a batch."""

    id: str | None
    status: Annotated[
        Outcome | Literal["invalid"],
        Field(
            description="`updated`: it is known now that it bounced. `conflict`: its id is another one's. "
            "`forgotten`: the customer was erased after it, and it is not kept."
        ),
    ]
    errors: list[ItemError] = []


class InvitationResults(BaseModel):
    """One result per item, in the order of the items."""

    items: list[InvitationResult]


class Silent(BaseModel):
    """Somebody important who was invited, and did not answer or could not be reached."""

    invitation_id: str
    reason: Literal["unanswered", "bounced"]
    customer_id: str
    customer_name: str | None = Field(description="Null where nobody told us about them any more.")
    account_id: str | None
    account_name: str | None
    account_role: AccountRole | None
    tier: Tier | None = Field(description="The customer's today.")
    program: str
    touchpoint: str | None
    channel: Channel
    invited_at: datetime
    bounced_at: datetime | None
    noticed_at: datetime
    answered_at: datetime | None = Field(description="They answered after all.")


@router.post(
    "/invitations",
    responses={200: {"model": InvitationResults}},
    openapi_extra=REPEATABLE,
    summary="Tell who was invited, or could not be",
)
async def load(request: Request, principal: Writer, batch: InvitationBatch) -> Response:
    """An answer of the same customer in the same program within 30 days answers an invitation, come before or after."""
    items = await sorted_out(batch.items, InvitationItem)

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:  # noqa: ARG001 - nothing to announce
        outcomes = await _put(tx, [each.invitation() for each in items.good.values()])
        return 200, InvitationResults(items=_results(items, outcomes)), {}

    return await once(database_of(request), request, principal, command)


@router.get("/silences", summary="Important ones who were invited and say nothing")
async def list_silences(
    request: Request,
    principal: Reader,  # noqa: ARG001 - the rule
    still: Annotated[bool, Query(description="Only who has not answered since.")] = True,  # noqa: FBT002 - a query
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Silent]:
    """Key customers, and decision makers of accounts that have one; what was noticed last comes first."""
    before = _END if cursor is None else decode_cursor(cursor, tuple[datetime, str])
    async with database_of(request).reading() as tx:
        found = await invitations.silent(tx, before=before, limit=limit + 1, still=still)
    items = [
        Silent(
            invitation_id=row.id,
            reason=row.silence,
            customer_id=row.customer_id,
            customer_name=row.customer_name,
            account_id=row.account_id,
            account_name=row.account_name,
            account_role=row.account_role,
            tier=row.tier,
            program=row.program,
            touchpoint=row.touchpoint,
            channel=row.channel,
            invited_at=row.invited_at,
            bounced_at=row.bounced_at,
            noticed_at=row.judged_at,
            answered_at=row.answered_at,
        )
        for row in found[:limit]
    ]
    last = items[-1] if len(found) > limit else None
    return Page(items=items, next_cursor=None if last is None else encode_cursor((last.noticed_at, last.invitation_id)))


async def _put(tx: Tx, wanted: list[Invitation]) -> list[Outcome]:
    """Store these, each id at most once, with the tier that each customer has now."""
    if not wanted:
        return []
    await locks.storing_answers(tx)
    erased = await customers.erasures(tx, {each.customer_id for each in wanted})
    forgotten = {
        each.id
        for each in wanted
        if (erasure := erased.get(each.customer_id)) is not None and each.invited_at <= erasure.erased_at
    }
    kept = [each for each in wanted if each.id not in forgotten]
    created = await invitations.create(tx, kept, await _tiers(tx, kept)) if kept else set()
    present = await invitations.lock(tx, {each.id for each in kept} - created)
    bounced = {each.id: each.bounced_at for each in kept if each.id in present and _bounces(each, present[each.id])}
    if bounced:
        await invitations.bounce(tx, bounced)
    await invitations.find_answers(tx, [(each.customer_id, each.invited_at) for each in kept if each.id in created])

    def outcome(each: Invitation) -> Outcome:
        if each.id in forgotten:
            return "forgotten"
        if each.id in created:
            return "created"
        if each.id in bounced:
            return "updated"
        return "unchanged" if each.same_as(present[each.id]) else "conflict"

    return [outcome(each) for each in wanted]


def _bounces(now: Invitation, before: Invitation) -> bool:
    return now.bounced_at is not None and before.bounced_at is None and now.same_as(before)


async def _tiers(tx: Tx, asked: list[Invitation]) -> dict[str, Tier]:
    """The tier of each invitation's customer, by the program's own rules where it has any."""
    in_force = (await rules.current(tx)).rules
    own = any(in_force.of(each.program) for each in asked)
    known = await responses.respondents(tx, {each.customer_id for each in asked}, with_worth=own)

    def tier(each: Invitation) -> Tier:
        program, customer = in_force.of(each.program), known.get(each.customer_id)
        if customer is None or customer.tier is None:
            return (program or in_force).default
        return customer.tier if program is None or customer.worth is None else valued(customer.worth, program).tier

    return {each.id: tier(each) for each in asked}


def _results(items: SortedOut[InvitationItem], outcomes: list[Outcome]) -> list[InvitationResult]:
    results = {
        index: InvitationResult(id=each.id, status="invalid", errors=each.errors)
        for index, each in items.refused.items()
    }
    for (index, item), outcome in zip(items.good.items(), outcomes, strict=True):
        results[index] = InvitationResult(id=item.id, status=outcome)
    return [results[index] for index in range(len(results))]
