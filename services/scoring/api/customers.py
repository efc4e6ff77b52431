"""`/v1/customers`: profiles put, read, loaded in batches, and erased."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Path, Query, Request, Response

from libs.events.contracts.customers import CustomerErased
from libs.events.contracts.scores import Tier
from libs.events.database import Tx
from libs.events.event import Event
from libs.webapi.app import database_of
from libs.webapi.etag import IfMatch, changed, etag
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.paging import Cursor, Limit, Page, decode_cursor, encode_cursor
from libs.webapi.problem import Problem, of_status
from libs.webapi.strict_json import Router
from services.scoring.api import profiles
from services.scoring.api.access import Eraser, Reader, Writer
from services.scoring.api.batches import sorted_out
from services.scoring.api.bodies import (
    Batch,
    BatchItem,
    BatchResult,
    BatchResults,
    Customer,
    CustomerBody,
    CustomerInList,
    Fact,
    Stored,
)
from services.scoring.domain.consents import refused
from services.scoring.domain.customers import LONGEST_ID
from services.scoring.store import customers, locks

router: Final = Router(prefix="/v1/customers", tags=["customers"])

CustomerId = Annotated[str, Path(min_length=1, max_length=LONGEST_ID)]


@router.post(
    "/batch",
    responses={200: {"model": BatchResults}},
    openapi_extra=REPEATABLE,
    summary="Load up to 10,000 customers",
)
async def load(request: Request, principal: Writer, batch: Batch) -> Response:
    """Each item has its own result; one that is refused does not hold up the others."""
    items = await sorted_out(batch.items, BatchItem)
    wanted = [
        profiles.Wanted(each.profile(each.id), each.version, each.told, each.email_consent_at)
        for each in items.good.values()
    ]

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        outcomes = await profiles.put(tx, command_id, wanted, told_by=principal.subject) if wanted else []
        results = {
            index: BatchResult(id=each.id, status="invalid", version=None, errors=each.errors)
            for index, each in items.refused.items()
        }
        for (index, item), outcome in zip(items.good.items(), outcomes, strict=True):
            results[index] = _result(item.id, outcome)
        return 200, BatchResults(items=[results[index] for index in range(len(results))]), {}

    return await once(database_of(request), request, principal, command)


@router.put(
    "/{customer_id:path}",
    responses={200: {"model": Stored}, 201: {"model": Stored}},
    openapi_extra=REPEATABLE,
    summary="Put a customer's whole profile",
)
async def put(
    request: Request, principal: Writer, customer_id: CustomerId, body: CustomerBody, seen: IfMatch
) -> Response:
    """`201` for a new customer, else `200`; what changes nothing counts no version up and tells nobody.

    `409` for what is older than what is known, by the `source_version` or the `source_updated_at` of both.
    """
    wanted = profiles.Wanted(body.profile(customer_id), seen, body.told, body.email_consent_at)

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        (outcome,) = await profiles.put(tx, command_id, [wanted], told_by=principal.subject)
        customer = outcome.customer
        if outcome.status == "stale":
            raise stale()
        if customer is None:
            raise of_status(412, detail="There is no such customer to be changed.")
        if outcome.status == "conflict":
            raise changed(customer.version)
        stored = Stored(id=customer_id, version=customer.version, tier=customer.tier, tier_reason=customer.tier_reason)
        return 201 if outcome.status == "created" else 200, stored, {"ETag": etag(customer.version)}

    return await once(database_of(request), request, principal, command)


@router.get("", summary="Customers, in the order of their ids")
async def list_(
    request: Request,
    principal: Reader,  # noqa: ARG001 - the rule
    tier: Tier | None = None,
    account_id: Annotated[str | None, Query(min_length=1, max_length=LONGEST_ID)] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[CustomerInList]:
    """All, those of a tier, or those of an account."""
    after = "" if cursor is None else decode_cursor(cursor, str)
    async with database_of(request).reading() as tx:
        found = await customers.page(tx, after=after, limit=limit + 1, tier=tier, account_id=account_id)
    items = [
        CustomerInList(
            id=each.profile.id,
            name=each.profile.name,
            account_id=each.profile.account_id,
            account_role=each.profile.account_role,
            current_value=each.profile.current_value,
            potential_value=each.profile.potential_value,
            tier=each.tier,
            tier_reason=each.tier_reason,
        )
        for each in found[:limit]
    ]
    return Page(items=items, next_cursor=encode_cursor(items[-1].id) if len(found) > limit else None)


@router.get("/{customer_id:path}", summary="A customer")
async def get(request: Request, response: Response, principal: Reader, customer_id: CustomerId) -> Customer:  # noqa: ARG001 - the rule
    """The profile with its tier; its version as `ETag`."""
    async with database_of(request).reading() as tx:
        known = await customers.find(tx, customer_id)
    if known is None:
        raise of_status(404, detail="No such customer.")
    response.headers["ETag"] = etag(known.customer.version)
    profile = known.customer.profile
    return Customer(
        id=profile.id,
        version=known.customer.version,
        name=profile.name,
        email=profile.email,
        phone=profile.phone,
        language=profile.language,
        time_zone=profile.time_zone,
        account_id=profile.account_id,
        account_name=known.account_name,
        account_role=profile.account_role,
        current_value=profile.current_value,
        potential_value=profile.potential_value,
        attributes=dict(profile.attributes),
        products=list(profile.products),
        email_consent=profile.email_consent,
        email_consented_at=profile.email_consented_at,
        email_refused=list(refused(known.customer.choices, profile.email_consented_at)),
        tier=known.customer.tier,
        tier_reason=known.customer.tier_reason,
        tier_facts=[Fact.of(each) for each in known.customer.facts],
        source_version=known.customer.told.version,
        source_updated_at=known.customer.told.at,
        updated_at=known.updated_at,
    )


@router.delete("/{customer_id:path}", status_code=204, openapi_extra=REPEATABLE, summary="Erase a customer, everywhere")
async def erase(request: Request, principal: Eraser, customer_id: CustomerId) -> Response:
    """Removes the profile, and from their answers the comment and the link to the person; tells every service.

    Also where nobody is known by this id: an answer of theirs may still be on its way. What they answered before this
    moment is forgotten when it arrives.
    """

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        await locks.erasing(tx)
        if await customers.erase(tx, customer_id):
            erased = CustomerErased(customer_id=customer_id)
            event = Event.caused_by_command(
                command_id, erased, subject=customer_id, time=tx.now, source=profiles.SOURCE
            )
            tx.emit(event, key=customer_id)
        return 204, None, {}

    return await once(database_of(request), request, principal, command)


def stale() -> Problem:
    """What is older than what is known."""
    return Problem(
        409,
        "older-than-known",
        "This is older than what is known",
        detail="By its source_version or source_updated_at it was overtaken; nothing was changed.",
    )


def _result(customer_id: str, outcome: profiles.Outcome) -> BatchResult:
    customer = outcome.customer
    if customer is None:
        return BatchResult(id=customer_id, status=outcome.status, version=None)
    return BatchResult(
        id=customer_id,
        status=outcome.status,
        version=customer.version,
        tier=customer.tier,
        tier_reason=customer.tier_reason,
    )
