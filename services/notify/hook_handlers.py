"""What web hooks take from the streams: of every event, a row for each subscription that asks for its type."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

import msgspec

from libs.events.contracts.customers import CustomerErased
from libs.events.topics import CONTRACTS
from services.notify.domain.subscriptions import meant
from services.notify.domain.visibility import visible, written
from services.notify.store import hook_deliveries, subscriptions
from services.notify.store.hook_deliveries import Told, Wanted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from libs.events.database import Tx
    from libs.events.event import Event
    from services.notify.domain.subscriptions import Subscription
    from services.notify.domain.visibility import Sees

_encode: Final = msgspec.json.Encoder().encode


async def wanted_types(tx: Tx) -> frozenset[str]:
    """The types that anybody subscribes to, and that of erasures, which nobody has to ask for."""
    patterns = {pattern for each in await subscriptions.enabled(tx) for pattern in each.types}
    return meant(patterns, CONTRACTS) | {CustomerErased.TYPE}


async def handle_for_hooks(tx: Tx, events: Sequence[Event[Any]]) -> None:
    """Write deliveries of the events, in their order; empty what was kept of customers who are erased."""
    erased: dict[str, datetime] = {}
    for event in events:
        if isinstance(event.payload, CustomerErased):
            known = erased.get(event.payload.customer_id, event.time)
            erased[event.payload.customer_id] = max(event.time, known)
    if erased:
        await hook_deliveries.forget_customers(tx, erased)
    subscribers = _subscribers(await subscriptions.enabled(tx))
    asked_for = [(event, _customer_of(event)) for event in events if event.type in subscribers]
    if not asked_for:
        return
    gone = await hook_deliveries.erased_at(tx, {customer_id for _, customer_id in asked_for if customer_id is not None})
    told: list[Told] = []
    wanted: list[Wanted] = []
    for event, customer_id in asked_for:
        if customer_id in gone and event.time <= gone[customer_id]:
            continue
        by_sight: dict[Sees, str] = {}
        for subscription in subscribers[event.type]:
            sees = by_sight.get(subscription.sees)
            if sees is None:
                sees = by_sight[subscription.sees] = written(subscription.sees)
                told.append(Told(event.id, sees, customer_id, body_of(event, subscription.sees)))
            wanted.append(Wanted(subscription.id, event.id, event.type, sees))
    if wanted:
        await hook_deliveries.write(tx, told, wanted)


def body_of(event: Event[Any], sees: Sees) -> bytes:
    """What a receiver gets: the event as far as the subscription sees it."""
    return envelope(
        id_=str(event.id),
        type_=event.type,
        subject=event.subject,
        time=event.time,
        payload=visible(event.type, msgspec.to_builtins(event.payload), sees),
    )


def envelope(*, id_: str, type_: str, subject: str, time: datetime, payload: Mapping[str, Any]) -> bytes:
    """The body of a web hook: `type`, `timestamp` and `data` as Standard Webhooks names them, `id` and `subject`."""
    timestamp = time.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return _encode({"type": type_, "timestamp": timestamp, "id": id_, "subject": subject, "data": payload})


def narrowed(body: bytes, sees: Sees) -> bytes:
    """A stored body with what a subscription sees by now, where that has become less."""
    whole = msgspec.json.decode(body)
    return _encode({**whole, "data": visible(whole["type"], whole["data"], sees)})


def _subscribers(enabled: Sequence[Subscription]) -> dict[str, list[Subscription]]:
    """By event type."""
    found: dict[str, list[Subscription]] = {}
    for subscription in enabled:
        for type_ in meant(subscription.types, CONTRACTS):
            found.setdefault(type_, []).append(subscription)
    return found


def _customer_of(event: Event[Any]) -> str | None:
    """Whom the event tells of; what tells that somebody was erased has to be told after that."""
    if isinstance(event.payload, CustomerErased):
        return None
    customer_id: str | None = getattr(event.payload, "customer_id", None)
    return customer_id
