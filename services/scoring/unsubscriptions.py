"""What unsubscriptions at survey vendors change: consents are withdrawn, and profiles say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import structlog

from libs.events.event import Event
from services.scoring.domain.contact_changes import withdrawn
from services.scoring.domain.customers import LONGEST_ID, changed, erasure_mark, without_consent
from services.scoring.store import accounts, consents, contact_histories, customers, locks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from libs.events.contracts.responses import CustomerUnsubscribed
    from libs.events.database import Tx
    from services.scoring.domain.contact_changes import ContactChange
    from services.scoring.domain.customers import Customer

log: Final = structlog.get_logger()

_SOURCE: Final = "/scoring"


async def withdraw_consents(tx: Tx, events: Sequence[Event[CustomerUnsubscribed]]) -> None:
    """Whoever unsubscribed is not written to any more, whether they are known already or become known later.

    What somebody said before they were erased is forgotten with them. Before any row of the batch: it takes locks.
    """
    by_mail = [event for event in events if event.payload.channel == "email"]
    if len(by_mail) < len(events):
        log.info("unsubscription.of_another_channel", events=len(events) - len(by_mail))
    if not by_mail:
        return
    await locks.withdrawing_consents(tx)
    by_id = {event.payload.customer_id: event for event in _oldest_first(by_mail) if _is_id(event.payload.customer_id)}
    by_mark = {mark: event for event in _oldest_first(by_mail) if (mark := _mark_of(event.payload)) is not None}
    forgotten = await consents.erased_at(tx, [id_ for id_ in by_id if id_ is not None])
    told: dict[bytes, datetime] = {mark: event.payload.unsubscribed_at for mark, event in by_mark.items()}
    for id_, event in by_id.items():
        assert id_ is not None  # noqa: S101 - it is an id
        erased_at = forgotten.get(id_)
        if erased_at is None or event.payload.unsubscribed_at > erased_at:
            told[erasure_mark(id_)] = event.payload.unsubscribed_at
    if not told:
        return
    await consents.unsubscribe(tx, told)
    causes: dict[bytes, Event[Any]] = {erasure_mark(id_): event for id_, event in by_id.items() if id_} | by_mark
    await _tell(tx, causes, {id_ for id_ in by_id if id_} | await consents.customers_at(tx, by_mark.keys()))


async def _tell(tx: Tx, causes: dict[bytes, Event[Any]], concerned: set[str]) -> None:
    """Change and announce the profiles of those who are known and had consented."""
    held = await customers.lock(tx, sorted(concerned))
    said = await consents.said(tx, ((id_, customer.profile.email) for id_, customer in held.items()))
    silenced = [
        without_consent(customer)
        for id_, customer in held.items()
        if customer.profile.email_consent and not said[id_].allows(profile_consents=True)
    ]
    if not silenced:
        return
    await customers.replace(tx, silenced)
    known = await accounts.known(tx, (each.profile.account_id for each in silenced))
    await contact_histories.note(tx, [_withdrawn(customer, causes) for customer in silenced])
    for customer in silenced:
        id_, cause = customer.profile.id, _cause(customer, causes)
        account = known.get(customer.profile.account_id or "")
        payload = changed(customer, None if account is None else account.name)
        event = Event.caused_by(cause, payload, subject=id_, time=tx.now, source=_SOURCE, part=id_)
        tx.emit(event, key=id_)


def _cause(customer: Customer, causes: dict[bytes, Event[Any]]) -> Event[Any]:
    """What silenced a customer, told by their id or by their address."""
    address = consents.mark_of_address(customer.profile.email)
    return causes.get(erasure_mark(customer.profile.id)) or causes[address or b""]


def _withdrawn(customer: Customer, causes: dict[bytes, Event[Any]]) -> ContactChange:
    told = _cause(customer, causes).payload
    return withdrawn(customer.profile.id, told.source, told.unsubscribed_at)


def _oldest_first(events: Sequence[Event[CustomerUnsubscribed]]) -> list[Event[CustomerUnsubscribed]]:
    return sorted(events, key=lambda event: event.payload.unsubscribed_at)


def _is_id(customer_id: str | None) -> bool:
    return customer_id is not None and 0 < len(customer_id) <= LONGEST_ID and "\0" not in customer_id


def _mark_of(said: CustomerUnsubscribed) -> bytes | None:
    """The address's mark, where there is one that can be."""
    try:
        mark = bytes.fromhex(said.address_mark or "")
    except ValueError:
        return None
    return mark if len(mark) == len(erasure_mark("")) else None
