"""`/v1/subscriptions/{id}/secret`, `enable`, `disable`, `test`: what is done about a subscription that is there."""

import secrets
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict

from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.etag import etag
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.problem import Problem
from libs.webapi.strict_json import Router
from services.notify.api.hook_access import SubscriptionsWriter, held
from services.notify.api.subscription_views import SubscriptionOut, invalid, out
from services.notify.domain.hook_signatures import KEY_BYTES, secret_of
from services.notify.domain.subscriptions import TEST_TYPE, Disabled
from services.notify.domain.visibility import written
from services.notify.hook_handlers import envelope
from services.notify.store import hook_deliveries, subscriptions
from services.notify.store.hook_deliveries import Told, Wanted

router: Final = Router(prefix="/v1/subscriptions/{subscription_id}", tags=["subscriptions"])

_OVERLAP: Final = timedelta(days=1)
_LONGEST_OVERLAP: Final = timedelta(days=30)


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


@router.post(
    "/secret",
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
            raise invalid("/previous_until", "is not between now and 30 days from now")
        changed = await subscriptions.rotate(tx, present.id, secret=secret, previous_until=until)
        return 201, SecretOut(secret=secret, previous_secret_until=until), {"ETag": etag(changed.version)}

    return await once(database_of(request), request, principal, command)


@router.post(
    "/enable",
    responses={200: {"model": SubscriptionOut}},
    openapi_extra=REPEATABLE,
    summary="Enable a subscription",
)
async def enable_subscription(request: Request, principal: SubscriptionsWriter, subscription_id: UUID) -> Response:
    """What waited goes out; what happened while it was disabled was not written down for it."""

    async def command(tx: Tx, _command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        present = await held(tx, principal, subscription_id)
        now_enabled = present if present.disabled is None else await subscriptions.enable(tx, present.id)
        return 200, out(now_enabled), {"ETag": etag(now_enabled.version)}

    return await once(database_of(request), request, principal, command)


@router.post(
    "/disable",
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
        return 200, out(shown), {"ETag": etag(shown.version)}

    return await once(database_of(request), request, principal, command)


@router.post(
    "/test",
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
