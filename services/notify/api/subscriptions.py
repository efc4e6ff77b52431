"""`/v1/subscriptions`: services have events sent to end points of their own."""

import secrets
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from libs.events.contracts.cases import Employee
from libs.events.database import Tx
from libs.events.topics import CONTRACTS, TOPIC_OF_TYPE
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
from services.notify.domain.hook_signatures import KEY_BYTES, secret_of
from services.notify.domain.mailboxes import is_address
from services.notify.domain.subscriptions import (
    TEST_TYPE,
    Disabled,
    Subscription,
    SubscriptionId,
    meant,
    url_trouble,
)
from services.notify.domain.visibility import Kind, written
from services.notify.hook_handlers import envelope
from services.notify.store import hook_deliveries, subscriptions
from services.notify.store.hook_deliveries import Told, Wanted

router: Final = Router(prefix="/v1", tags=["subscriptions"])
outgoing: Final = APIRouter()

_OVERLAP: Final = timedelta(days=1)
_LONGEST_OVERLAP: Final = timedelta(days=30)
_MOST_TYPES: Final = 100

Text = Annotated[str, Field(min_length=1, max_length=200)]


class Contact(BaseModel):
    """The employee who answers for a subscription, and is told when it is disabled."""

    model_config = ConfigDict(extra="forbid")

    employee_id: Text
    name: Text
    email: Annotated[str, Field(min_length=3, max_length=254)]
    language: Literal["ru", "en"]


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


class SubscriptionOut(BaseModel):
    """A subscription; its secret is told once, when it is made or rotated."""

    id: UUID
    owner: str
    name: str
    url: str
    types: list[str]
    sees: list[Kind]
    contact: Contact
    enabled: bool
    disabled_reason: Disabled | None
    failing_since: datetime | None
    """Since then nothing could be delivered."""
    paused_until: datetime | None
    """The receiver asked to be left alone until then."""
    previous_secret_until: datetime | None
    """Until then everything is signed by the previous secret, too."""
    created_at: datetime
    changed_at: datetime


class SubscriptionMade(SubscriptionOut):
    """A new subscription, with its secret: this is the only time that it is shown."""

    secret: str


class RotationBody(BaseModel):
    """How a secret is rotated."""

    model_config = ConfigDict(extra="forbid")

    previous_until: datetime | None = None
    """Until when the present secret signs, too; a day from now, if nothing is said."""


class SecretOut(BaseModel):
    """The new secret, shown this once."""

    secret: str
    previous_secret_until: datetime


class DeliveryStarted(BaseModel):
    """A delivery that will be made; its log is at `/v1/subscriptions/{id}/deliveries/{event_id}`."""

    event_id: UUID


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


@router.get("/subscriptions", summary="Subscriptions")
async def list_subscriptions(
    request: Request, principal: SubscriptionsReader, limit: Limit = 50, cursor: Cursor = None
) -> Page[SubscriptionOut]:
    """By owner and name; a key sees its own, a person everybody's."""
    after = None if cursor is None else decode_cursor(cursor, tuple[str, str])
    async with database_of(request).reading() as tx:
        listed = await subscriptions.listed(tx, owner=owner_for(principal), after=after, limit=limit + 1)
    shown = listed[:limit]
    more = encode_cursor((shown[-1].owner, shown[-1].name)) if len(listed) > limit else None
    return Page(items=[_out(each) for each in shown], next_cursor=more)


@router.post(
    "/subscriptions",
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
        shown = SubscriptionMade(**_out(made).model_dump(), secret=secret)
        return 201, shown, {"ETag": etag(made.version), "Location": f"/v1/subscriptions/{made.id}"}

    return await once(database_of(request), request, principal, command)


@router.get("/subscriptions/{subscription_id}", summary="A subscription")
async def get_subscription(
    request: Request, response: Response, principal: SubscriptionsReader, subscription_id: UUID
) -> SubscriptionOut:
    """Its version as `ETag`."""
    async with database_of(request).reading() as tx:
        subscription = await found(tx, principal, subscription_id)
    response.headers["ETag"] = etag(subscription.version)
    return _out(subscription)


@router.put(
    "/subscriptions/{subscription_id}",
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
        return 200, _out(changed), {"ETag": etag(changed.version)}

    return await once(database_of(request), request, principal, command)


@router.delete(
    "/subscriptions/{subscription_id}", status_code=204, openapi_extra=REPEATABLE, summary="Unsubscribe an end point"
)
async def delete_subscription(request: Request, principal: SubscriptionsWriter, subscription_id: UUID) -> Response:
    """Nothing is sent any more, and its log is gone."""

    async def command(tx: Tx, _command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        present = await held(tx, principal, subscription_id)
        await hook_deliveries.delete_of(tx, present.id)
        await subscriptions.delete(tx, present.id)
        return 204, None, {}

    return await once(database_of(request), request, principal, command)


@router.post(
    "/subscriptions/{subscription_id}/secret",
    status_code=201,
    response_model=SecretOut,
    openapi_extra=REPEATABLE,
    summary="Rotate the secret",
)
async def rotate_secret(
    request: Request, principal: SubscriptionsWriter, subscription_id: UUID, body: RotationBody
) -> Response:
    """Until the old secret's time is over, everything bears both signatures."""
    secret = secret_of(secrets.token_bytes(KEY_BYTES))

    async def command(tx: Tx, _command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        present = await held(tx, principal, subscription_id)
        until = body.previous_until or tx.now + _OVERLAP
        if until.tzinfo is None or not tx.now <= until <= tx.now + _LONGEST_OVERLAP:
            raise _invalid("/previous_until", "is not between now and 30 days from now")
        changed = await subscriptions.rotate(tx, present.id, secret=secret, previous_until=until)
        return 201, SecretOut(secret=secret, previous_secret_until=until), {"ETag": etag(changed.version)}

    return await once(database_of(request), request, principal, command)


@router.post(
    "/subscriptions/{subscription_id}/enable",
    responses={200: {"model": SubscriptionOut}},
    openapi_extra=REPEATABLE,
    summary="Enable a subscription",
)
async def enable_subscription(request: Request, principal: SubscriptionsWriter, subscription_id: UUID) -> Response:
    """What waited goes out; what happened while it was disabled was not written down for it."""

    async def command(tx: Tx, _command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        present = await held(tx, principal, subscription_id)
        now_enabled = present if present.disabled is None else await subscriptions.enable(tx, present.id)
        return 200, _out(now_enabled), {"ETag": etag(now_enabled.version)}

    return await once(database_of(request), request, principal, command)


@router.post(
    "/subscriptions/{subscription_id}/disable",
    responses={200: {"model": SubscriptionOut}},
    openapi_extra=REPEATABLE,
    summary="Disable a subscription",
)
async def disable_subscription(request: Request, principal: SubscriptionsWriter, subscription_id: UUID) -> Response:
    """Nothing is sent, and nothing more is written down for it; what waits is kept."""

    async def command(tx: Tx, _command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        present = await held(tx, principal, subscription_id)
        disabled = await subscriptions.disable(tx, {present.id}, Disabled.BY_HAND)
        shown = disabled[0] if disabled else present
        return 200, _out(shown), {"ETag": etag(shown.version)}

    return await once(database_of(request), request, principal, command)


@router.post(
    "/subscriptions/{subscription_id}/test",
    status_code=202,
    response_model=DeliveryStarted,
    openapi_extra=REPEATABLE,
    summary="Send a test",
)
async def send_test(request: Request, principal: SubscriptionsWriter, subscription_id: UUID) -> Response:
    """A delivery of the type `subscription.test`, signed and logged like any other."""

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        present = await held(tx, principal, subscription_id)
        if present.disabled is not None:
            raise Problem(409, "subscription-disabled", "The subscription is disabled", detail="Enable it first.")
        sees = written(present.sees)
        body = envelope(
            id_=str(command_id),
            type_=TEST_TYPE,
            subject=str(present.id),
            time=tx.now,
            payload={"subscription_id": str(present.id)},
        )
        wanted = Wanted(present.id, command_id, TEST_TYPE, sees)
        await hook_deliveries.write(tx, [Told(command_id, sees, None, body)], [wanted])
        location = f"/v1/subscriptions/{present.id}/deliveries/{command_id}"
        return 202, DeliveryStarted(event_id=command_id), {"Location": location}

    return await once(database_of(request), request, principal, command)


def _check(request: Request, body: SubscriptionBody) -> None:
    rules = rules_of(request)
    trouble = url_trouble(body.url, allow_http=rules.plain_http, networks=rules.networks)
    if trouble is not None:
        raise _invalid("/url", trouble)
    if len(body.types) > _MOST_TYPES:
        raise _invalid("/types", f"are more than {_MOST_TYPES}")
    for place, pattern in enumerate(body.types):
        if not meant([pattern], CONTRACTS):
            raise _invalid(f"/types/{place}", "is no event type")
    if "facts" not in body.sees:
        raise _invalid("/sees", "lacks facts, which everybody sees")
    if not is_address(body.contact.email):
        raise _invalid("/contact/email", "is not an address")


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


def _out(subscription: Subscription) -> SubscriptionOut:
    contact = subscription.contact
    return SubscriptionOut(
        id=subscription.id,
        owner=subscription.owner,
        name=subscription.name,
        url=subscription.url,
        types=list(subscription.types),
        sees=sorted(subscription.sees),
        contact=Contact(
            employee_id=contact.employee_id, name=contact.name, email=contact.email, language=contact.language
        ),
        enabled=subscription.disabled is None,
        disabled_reason=subscription.disabled,
        failing_since=subscription.failing_since,
        paused_until=subscription.paused_until,
        previous_secret_until=subscription.previous_until,
        created_at=subscription.created_at,
        changed_at=subscription.changed_at,
    )


def _name_taken() -> Problem:
    return Problem(409, "subscription-name-taken", "There is a subscription of that name", detail="Choose another.")


def _invalid(pointer: str, detail: str) -> Problem:
    return Problem(422, "invalid", "The request is not valid", errors=[{"pointer": pointer, "detail": detail}])
