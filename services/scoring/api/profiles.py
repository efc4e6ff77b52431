"""Many profiles at once into the store: tiers given, versions counted up, changes announced; set-wise."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from libs.events.event import Event
from services.scoring.domain import contact_changes
from services.scoring.domain.customers import arrived, changed, renamed, updated
from services.scoring.domain.told import UNTOLD, Told
from services.scoring.store import account_scores, accounts, consents, contact_histories, customers, locks, rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from libs.events.database import Tx
    from services.scoring.domain.customers import Attributes, Customer, Profile
    from services.scoring.store.accounts import Account

SOURCE: Final = "/scoring"
BREATH: Final = 250
"""How many of a batch are worked through before other requests get a turn."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A profile as it shall be; `seen` is the version that the sender knows of, None where they do not mind.

    `consented_at` is when the customer consented, where the sender says so; see `domain.consents`.
    """

    profile: Profile
    seen: int | None = None
    told: Told = UNTOLD
    consented_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it. On a conflict, and where it is stale, `customer` is what is there instead."""

    status: Literal["created", "updated", "unchanged", "stale", "conflict"]
    customer: Customer | None


async def put(tx: Tx, command_id: UUID, wanted: Sequence[Wanted], *, told_by: str) -> list[Outcome]:
    """Store the profiles, each id at most once, announce what changed, and note who changed how people are reached."""
    await locks.publishing_profiles(tx)
    in_force = await rules.current(tx)
    wanted, tellings = await _by_consent(tx, wanted, told_by)
    known = await accounts.known(tx, (each.profile.account_id for each in wanted))
    erased = await customers.erasures(tx, (each.profile.id for each in wanted))
    arriving: dict[str, Customer] = {}
    for index, each in enumerate(wanted):
        erasure = erased.get(each.profile.id)
        # Whoever has seen a version does not mean a new customer; what is older than an erasure brings nobody back.
        if each.seen is None and not (erasure is not None and each.told.before(erasure.erased_at)):
            arriving[each.profile.id] = arrived(
                each.profile,
                _attributes(known, each.profile),
                in_force.rules,
                in_force.valuation,
                last_version=0 if erasure is None else erasure.last_version,
                told=each.told,
            )
        await _breathe(index)
    created = await customers.create(tx, list(arriving.values())) if arriving else set()
    others = {each.profile.id for each in wanted} - created
    present = await customers.lock(tx, others) if others else {}

    outcomes: list[Outcome] = []
    for index, each in enumerate(wanted):
        before = present.get(each.profile.id)
        if each.profile.id in created:
            outcomes.append(Outcome("created", arriving[each.profile.id]))
        elif before is None and each.seen is None:
            outcomes.append(Outcome("stale", None))
        elif before is None or each.seen not in {None, before.version}:
            outcomes.append(Outcome("conflict", before))
        elif each.told.older_than(before.told):
            outcomes.append(Outcome("stale", before))
        else:
            account = _attributes(known, each.profile)
            after = updated(before, each.profile, account, in_force.rules, in_force.valuation, each.told)
            outcomes.append(Outcome("updated" if after.version > before.version else "unchanged", after))
        await _breathe(index)
    await _store(tx, outcomes, present)
    consented = {
        each.profile.id: each.consented_at
        for each, outcome in zip(wanted, outcomes, strict=True)
        if each.consented_at is not None and outcome.status not in {"conflict", "stale"}
    }
    if consented:
        await consents.consent(tx, consented)
    await contact_histories.note(tx, list(_contact_changes(outcomes, present, tellings)))
    await account_scores.due(tx, _accounts_of(outcomes, present))
    told = [each.customer for each in outcomes if each.status in {"created", "updated"} and each.customer is not None]
    for index, customer in enumerate(told):
        _emit(tx, command_id, customer, known.get(customer.profile.account_id or ""))
        await _breathe(index)
    return outcomes


async def _by_consent(
    tx: Tx, wanted: Sequence[Wanted], told_by: str
) -> tuple[list[Wanted], dict[str, contact_changes.Telling]]:
    """The profiles with the consent that there is; nobody consents at a time that has not come yet."""
    said = await consents.said(tx, ((each.profile.id, each.profile.email) for each in wanted))
    found: list[Wanted] = []
    tellings: dict[str, contact_changes.Telling] = {}
    for index, each in enumerate(wanted):
        at = None if each.consented_at is None else min(each.consented_at, tx.now)
        known = said[each.profile.id]
        allowed = known.with_consent(at).allows(profile_consents=each.profile.email_consent)
        tellings[each.profile.id] = contact_changes.Telling(
            told_by,
            tx.now,
            consented_at=at if at is not None and (known.consented_at is None or at > known.consented_at) else None,
            held_back_since=known.unsubscribed_at if each.profile.email_consent and not allowed else None,
        )
        latest = known.with_consent(at).consented_at
        if allowed != each.profile.email_consent or at != each.consented_at or latest is not None:
            profile = replace(each.profile, email_consent=allowed, email_consented_at=latest)
            each = replace(each, profile=profile, consented_at=at)  # noqa: PLW2901
        found.append(each)
        await _breathe(index)
    return found, tellings


def _contact_changes(
    outcomes: Iterable[Outcome], present: dict[str, Customer], tellings: dict[str, contact_changes.Telling]
) -> Iterable[contact_changes.ContactChange]:
    for each in outcomes:
        if each.customer is None or each.status in {"conflict", "stale"}:
            continue
        profile = each.customer.profile
        before = None if each.status == "created" else present[profile.id].profile
        yield from contact_changes.contact_changes(before, profile, tellings[profile.id])


async def rename_accounts(tx: Tx, command_id: UUID, renamed_: Sequence[Account]) -> None:
    """Announce the customers of these again, because they have other names; under the lock `changing_account`."""
    names = {each.id: each for each in renamed_}
    concerned = [renamed(customer) for customer in await customers.lock_of_accounts(tx, names)]
    if concerned:
        await customers.replace(tx, concerned)
    for customer in concerned:
        _emit(tx, command_id, customer, names[customer.profile.account_id or ""])


async def _store(tx: Tx, outcomes: Iterable[Outcome], present: dict[str, Customer]) -> None:
    revised, kept = [], []
    for each in outcomes:
        if each.customer is None:
            continue
        if each.status == "updated":
            revised.append(each.customer)
        elif each.status == "unchanged" and each.customer != present[each.customer.profile.id]:
            kept.append(each.customer)
    if revised:
        await customers.replace(tx, revised)
    if kept:
        await customers.keep(tx, kept)


def _accounts_of(outcomes: Iterable[Outcome], present: dict[str, Customer]) -> Iterable[str | None]:
    """The accounts that somebody came to, left, or has another role in."""
    for each in outcomes:
        if each.customer is None or each.status not in {"created", "updated"}:
            continue
        after, known = each.customer.profile, present.get(each.customer.profile.id)
        before = None if known is None else known.profile
        if before is None or (before.account_id, before.account_role) != (after.account_id, after.account_role):
            yield after.account_id
            yield None if before is None else before.account_id


async def _breathe(index: int) -> None:
    """Let others have a turn now and then: a batch of thousands takes this process the better part of a second."""
    if index % BREATH == BREATH - 1:
        await asyncio.sleep(0)


def _attributes(known: dict[str, Account], profile: Profile) -> Attributes:
    account = known.get(profile.account_id or "")
    return {} if account is None else account.attributes


def _emit(tx: Tx, command_id: UUID, customer: Customer, account: Account | None) -> None:
    id_ = customer.profile.id
    payload = changed(customer, None if account is None else account.name)
    event = Event.caused_by_command(command_id, payload, subject=id_, time=tx.now, source=SOURCE, part=id_)
    tx.emit(event, key=id_)
