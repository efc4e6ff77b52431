"""`/v1/customers`: profiles put, read, loaded in batches, and erased."""

from collections.abc import Sequence
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Path, Request, Response
from pydantic import ValidationError

from libs.events.contracts.customers import CustomerErased
from libs.events.database import Tx
from libs.events.event import Event
from libs.webapi.etag import IfMatch, changed, etag
from libs.webapi.idempotency import once
from libs.webapi.problem import invalid, of_status
from libs.webapi.strict_json import Router
from services.scoring.api import profiles
from services.scoring.api.access import REPEATABLE, Eraser, Reader, Writer, database_of
from services.scoring.api.bodies import (
    Batch,
    BatchItem,
    BatchResult,
    BatchResults,
    Customer,
    CustomerBody,
    ItemError,
    Stored,
)
from services.scoring.domain.customers import LONGEST_ID
from services.scoring.store import customers, locks

router: Final = Router(prefix="/v1/customers", tags=["customers"])

CustomerId = Annotated[str, Path(min_length=1, max_length=LONGEST_ID)]


@router.post(
    "/batch",
    responses={200: {"model": BatchResults}},
    openapi_extra=REPEATABLE,
    summary="Load up to 1,000 customers",
)
async def load(request: Request, principal: Writer, batch: Batch) -> Response:
    """Each item has its own result; one that is refused does not hold up the others."""
    results, wanted = _sorted_out(batch.items)

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        outcomes = await profiles.put(tx, command_id, list(wanted.values())) if wanted else []
        for index, outcome in zip(wanted, outcomes, strict=True):
            results[index] = _result(wanted[index].profile.id, outcome)
        return 200, BatchResults(items=results), {}

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
    """`201` for a new customer, else `200`; what changes nothing counts no version up and tells nobody."""

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        (outcome,) = await profiles.put(
            tx, command_id, [profiles.Wanted(body.profile(customer_id), seen, body.email_consent_at)]
        )
        customer = outcome.customer
        if customer is None:
            raise of_status(412, detail="There is no such customer to be changed.")
        if outcome.status == "conflict":
            raise changed(customer.version)
        stored = Stored(id=customer_id, version=customer.version, tier=customer.tier, tier_reason=customer.tier_reason)
        return 201 if outcome.status == "created" else 200, stored, {"ETag": etag(customer.version)}

    return await once(database_of(request), request, principal, command)


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
        email_consent=profile.email_consent,
        tier=known.customer.tier,
        tier_reason=known.customer.tier_reason,
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


def _sorted_out(items: Sequence[Any]) -> tuple[list[BatchResult], dict[int, profiles.Wanted]]:
    """The results so far (what is invalid), and by their index the items that can be tried."""
    results: list[BatchResult] = []
    wanted: dict[int, profiles.Wanted] = {}
    ids: set[str] = set()
    for index, raw in enumerate(items):
        given = raw.get("id") if isinstance(raw, dict) else None
        result = BatchResult(id=given if isinstance(given, str) else None, status="invalid", version=None)
        results.append(result)
        try:
            item = BatchItem.model_validate(raw)
        except ValidationError as error:
            placed = ({**each, "loc": ("body", "items", index, *each["loc"])} for each in error.errors())
            result.errors = [
                ItemError(pointer=each["pointer"], detail=each["detail"]) for each in invalid(placed).errors
            ]
            continue
        if item.id in ids:
            result.errors = [ItemError(pointer=f"/items/{index}/id", detail="is in this batch already")]
            continue
        ids.add(item.id)
        wanted[index] = profiles.Wanted(item.profile(item.id), item.version, item.email_consent_at)
    return results, wanted


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
