"""`/v1/subscriptions`: services have events sent to end points of their own."""

import secrets
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field

from libs.events.contracts.cases import Employee
from libs.events.database import Tx
from libs.events.topics import CONTRACTS
from libs.webapi.app import database_of
from libs.webapi.etag import IfMatch, etag, expect
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.paging import Cursor, Limit, Page, decode_cursor, encode_cursor
from libs.webapi.problem import Problem
from libs.webapi.strict_json import Router
from services.notify.api.hook_access import (
    SubscriptionsReader,
    SubscriptionsWriter,
    found,
    held,
    owner_for,
    refuse_unseen,
    rules_of,
)
from services.notify.api.subscription_views import Contact, SubscriptionOut, Text, invalid, out
from services.notify.domain.hook_signatures import KEY_BYTES, secret_of
from services.notify.domain.mailboxes import is_address
from services.notify.domain.subscriptions import Subscription, SubscriptionId, meant, url_trouble
from services.notify.domain.visibility import Kind
from services.notify.store import hook_deliveries, subscriptions

router: Final = Router(prefix="/v1/subscriptions", tags=["subscriptions"])

_MOST_TYPES: Final = 100


class SubscriptionBody(BaseModel):
    """What is to be sent where."""

    model_config = ConfigDict(extra="forbid")

    name: Text
    """Its owner's own name for it."""
    url: Annotated[str, Field(min_length=1, max_length=2_048)]
    types: Annotated[list[Annotated[str, Field(pattern=r"^(\*|[a-z.]+\.(\*|v[0-9]+))$")]], Field(min_length=1)]
    """Event types (`case.opened.v1`), `case.*` for all that begin so, `*` for all."""
    sees: list[Kind] = ["facts"]
    """`facts` always; `comments`, what customers wrote; `people`, names and contact details."""
    contact: Contact


class SubscriptionMade(SubscriptionOut):
    """A new subscription, with its secret: this is the only time that it is shown."""

    secret: str


@router.get("", summary="Subscriptions")
async def list_subscriptions(
    request: Request, principal: SubscriptionsReader, limit: Limit = 50, cursor: Cursor = None
) -> Page[SubscriptionOut]:
    """By owner and name; a key sees its own, a person everybody's."""
    after = None if cursor is None else decode_cursor(cursor, tuple[str, str])
    async with database_of(request).reading() as tx:
        listed = await subscriptions.listed(tx, owner=owner_for(principal), after=after, limit=limit + 1)
    shown = listed[:limit]
    more = encode_cursor((shown[-1].owner, shown[-1].name)) if len(listed) > limit else None
    return Page(items=[out(each) for each in shown], next_cursor=more)


@router.post(
    "",
    status_code=201,
    response_model=SubscriptionMade,
    openapi_extra=REPEATABLE,
    summary="Subscribe an end point",
)
async def create_subscription(request: Request, principal: SubscriptionsWriter, body: SubscriptionBody) -> Response:
    """It gets what happens from now on. The secret is in this answer and in no other."""
    _check(request, body)
    refuse_unseen(principal, frozenset(body.sees))
    secret = secret_of(secrets.token_bytes(KEY_BYTES))

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        wanted = _subscription(SubscriptionId(command_id), principal.name, body, secret, tx.now)
        made = await subscriptions.add(tx, wanted)
        if made is None:
            raise _name_taken()
        shown = SubscriptionMade(**out(made).model_dump(), secret=secret)
        return 201, shown, {"ETag": etag(made.version), "Location": f"/v1/subscriptions/{made.id}"}

    return await once(database_of(request), request, principal, command)


@router.get("/{subscription_id}", summary="A subscription")
async def get_subscription(
    request: Request, response: Response, principal: SubscriptionsReader, subscription_id: UUID
) -> SubscriptionOut:
    """Its version as `ETag`."""
    async with database_of(request).reading() as tx:
        subscription = await found(tx, principal, subscription_id)
    response.headers["ETag"] = etag(subscription.version)
    return out(subscription)


@router.put(
    "/{subscription_id}",
    responses={200: {"model": SubscriptionOut}},
    openapi_extra=REPEATABLE,
    summary="Change a subscription",
)
async def change_subscription(
    request: Request, principal: SubscriptionsWriter, subscription_id: UUID, body: SubscriptionBody, seen: IfMatch
) -> Response:
    """What waits goes to the new address, too, and with no more than what may be seen from now on."""
    _check(request, body)

    async def command(tx: Tx, _command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        present = await held(tx, principal, subscription_id)
        expect(present.version, seen)
        # Who may not see it changes other things of a subscription that sees it already, but never where it goes.
        refuse_unseen(principal, frozenset(body.sees) - (present.sees if body.url == present.url else frozenset()))
        wanted = _subscription(present.id, present.owner, body, present.secret, tx.now)
        changed = await subscriptions.change(tx, replace(wanted, id=present.id))
        if changed is None:
            raise _name_taken()
        return 200, out(changed), {"ETag": etag(changed.version)}

    return await once(database_of(request), request, principal, command)


@router.delete("/{subscription_id}", status_code=204, openapi_extra=REPEATABLE, summary="Unsubscribe an end point")
async def delete_subscription(request: Request, principal: SubscriptionsWriter, subscription_id: UUID) -> Response:
    """Nothing is sent any more, and its log is gone."""

    async def command(tx: Tx, _command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        present = await held(tx, principal, subscription_id)
        await hook_deliveries.delete_of(tx, present.id)
        await subscriptions.delete(tx, present.id)
        return 204, None, {}

    return await once(database_of(request), request, principal, command)


def _check(request: Request, body: SubscriptionBody) -> None:
    rules = rules_of(request)
    trouble = url_trouble(body.url, allow_http=rules.plain_http, networks=rules.networks)
    if trouble is not None:
        raise invalid("/url", trouble)
    if len(body.types) > _MOST_TYPES:
        raise invalid("/types", f"are more than {_MOST_TYPES}")
    for place, pattern in enumerate(body.types):
        if not meant([pattern], CONTRACTS):
            raise invalid(f"/types/{place}", "is no event type")
    if "facts" not in body.sees:
        raise invalid("/sees", "lacks facts, which everybody sees")
    if not is_address(body.contact.email):
        raise invalid("/contact/email", "is not an address")


def _subscription(id_: SubscriptionId, owner: str, body: SubscriptionBody, secret: str, now: datetime) -> Subscription:
    return Subscription(
        id=id_,
        owner=owner,
        name=body.name,
        url=body.url,
        types=tuple(dict.fromkeys(body.types)),
        sees=frozenset(body.sees),
        contact=Employee(**body.contact.model_dump()),
        disabled=None,
        failing_since=None,
        paused_until=None,
        secret=secret,
        previous_secret=None,
        previous_until=None,
        version=1,
        created_at=now,
        changed_at=now,
    )


def _name_taken() -> Problem:
    return Problem(409, "subscription-name-taken", "There is a subscription of that name", detail="Choose another.")
