"""What customers said to mails of ours: by the link, by one click, by a complaint, or to somebody who noted it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import structlog

from libs.events.contracts.messages import CustomerOptedIn, CustomerOptedOut
from libs.events.event import Event
from services.scoring.domain.consents import Choice, chosen, refused
from services.scoring.domain.contact_changes import OF_PURPOSE, of_choices, withdrawn
from services.scoring.domain.customers import changed, erasure_mark, with_choices, without_consent
from services.scoring.store import accounts, consents, contact_histories, customers, locks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from libs.events.database import Tx
    from services.scoring.domain.contact_changes import CameBy, ContactChange
    from services.scoring.domain.customers import Customer

    Told = CustomerOptedOut | CustomerOptedIn

log: Final = structlog.get_logger()

_SOURCE: Final = "/scoring"
_WANTED: Final = frozenset({CustomerOptedOut.TYPE, CustomerOptedIn.TYPE})
_CAME_BY: Final[dict[str, CameBy]] = {"customer": "link", "complaint": "complaint", "operator": "operator"}


async def wanted_choices(_tx: Tx) -> frozenset[str]:
    """Of all that is told about messages, what customers chose."""
    return _WANTED


async def handle_choices(tx: Tx, events: Sequence[Event[Any]]) -> None:
    """Keep what customers chose, once and in whatever order it comes; tell it with their profiles where it is news.

    Notify, which told it, takes from such a profile only a later consent: nothing goes round.
    """
    told = [event for event in events if event.payload.channel == "email" and event.payload.purpose in OF_PURPOSE]
    if len(told) < len(events):
        log.info("choice.of_another_channel", events=len(events) - len(told))
    if not told:
        return
    await locks.withdrawing_consents(tx)
    by_customer: dict[str, list[Event[Told]]] = {}
    for event in sorted(told, key=lambda event: _at(event.payload)):
        by_customer.setdefault(event.payload.customer_id, []).append(event)
    await _complaints(tx, by_customer)
    held = await customers.lock(tx, sorted(by_customer))
    said = await consents.said(tx, ((id_, customer.profile.email) for id_, customer in held.items()))
    known = await accounts.known(tx, (customer.profile.account_id for customer in held.values()))
    kept: list[Customer] = []
    noted: list[ContactChange] = []
    for id_, before in held.items():
        after = before
        for event in by_customer[id_]:
            earlier, after = after, _after(after, event.payload, may=said[id_].allows(profile_consents=True))
            noted.extend(_noted(earlier, after, event.payload))
        if after == before:
            continue
        kept.append(after)
        if after.version > before.version:
            account = known.get(after.profile.account_id or "")
            payload = changed(after, None if account is None else account.name)
            cause = by_customer[id_][-1]
            tx.emit(Event.caused_by(cause, payload, subject=id_, time=tx.now, source=_SOURCE, part=id_), key=id_)
    if kept:
        await customers.replace(tx, kept)
        await contact_histories.note(tx, noted)


async def _complaints(tx: Tx, by_customer: dict[str, list[Event[Told]]]) -> None:
    """Whoever calls a mail unwanted unsubscribed; what was said before an erasure is forgotten with it."""
    latest = {
        id_: _at(event.payload) for id_, told in by_customer.items() for event in told if _is_complaint(event.payload)
    }
    if not latest:
        return
    forgotten = await consents.erased_at(tx, latest)
    remembered = {erasure_mark(id_): at for id_, at in latest.items() if id_ not in forgotten or at > forgotten[id_]}
    if remembered:
        await consents.unsubscribe(tx, remembered)


def _after(customer: Customer, told: Told, *, may: bool) -> Customer:
    """The customer after one choice. `may`: whether they may be written to, by all that is known now."""
    choice = Choice(isinstance(told, CustomerOptedIn), _at(told))
    choices = chosen(customer.choices, told.purpose, choice)
    after = customer if choices is customer.choices else with_choices(customer, choices)
    if _is_complaint(told) and after.profile.email_consent and not may:
        return without_consent(after)
    return after


def _noted(before: Customer, after: Customer, told: Told) -> list[ContactChange]:
    id_, came_by, at = before.profile.id, _CAME_BY[told.told_by], _at(told)
    consented_at = before.profile.email_consented_at
    of = list(of_choices(id_, refused(before.choices, consented_at), refused(after.choices, consented_at), came_by, at))
    if before.profile.email_consent and not after.profile.email_consent:
        of.append(withdrawn(id_, "notify", at, came_by))
    return of


def _at(told: Told) -> datetime:
    return told.subscribed_at if isinstance(told, CustomerOptedIn) else told.unsubscribed_at


def _is_complaint(told: Told) -> bool:
    return told.told_by == "complaint"
