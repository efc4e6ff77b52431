"""Many profiles at once into the store: tiers given, versions counted up, changes announced; set-wise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from libs.events.event import Event
from services.scoring.domain.customers import arrived, changed, renamed, updated
from services.scoring.store import accounts, consents, customers, locks, rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from libs.events.database import Tx
    from services.scoring.domain.customers import Customer, Profile

SOURCE: Final = "/scoring"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A profile as it shall be; `seen` is the version that the sender knows of, None where they do not mind.

    `consented_at` is when the customer consented, where the sender says so; see `domain.consents`.
    """

    profile: Profile
    seen: int | None = None
    consented_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it. On a conflict, `customer` is what is there instead."""

    status: Literal["created", "updated", "unchanged", "conflict"]
    customer: Customer | None


async def put(tx: Tx, command_id: UUID, wanted: Sequence[Wanted]) -> list[Outcome]:
    """Store the profiles, each id at most once, and announce what changed."""
    await locks.publishing_profiles(tx)
    in_force = await rules.current(tx)
    wanted = await _by_consent(tx, wanted)
    last_versions = await customers.versions_before_erasure(tx, (each.profile.id for each in wanted))
    arriving = {
        each.profile.id: arrived(
            each.profile, in_force.rules, in_force.version, last_version=last_versions.get(each.profile.id, 0)
        )
        for each in wanted
        if each.seen is None  # whoever has seen a version does not mean a new customer
    }
    created = await customers.create(tx, list(arriving.values())) if arriving else set()
    others = {each.profile.id for each in wanted} - created
    present = await customers.lock(tx, others) if others else {}

    outcomes: list[Outcome] = []
    for each in wanted:
        before = present.get(each.profile.id)
        if each.profile.id in created:
            outcomes.append(Outcome("created", arriving[each.profile.id]))
        elif before is None or each.seen not in {None, before.version}:
            outcomes.append(Outcome("conflict", before))
        else:
            after = updated(before, each.profile, in_force.rules, in_force.version)
            outcomes.append(Outcome("updated" if after.version > before.version else "unchanged", after))
    revised = [each.customer for each in outcomes if each.status == "updated" and each.customer is not None]
    if revised:
        await customers.replace(tx, revised)
    consented = {
        each.profile.id: each.consented_at
        for each, outcome in zip(wanted, outcomes, strict=True)
        if each.consented_at is not None and outcome.status != "conflict"
    }
    if consented:
        await consents.consent(tx, consented)
    told = [each.customer for each in outcomes if each.status in {"created", "updated"} and each.customer is not None]
    await _announce(tx, command_id, told)
    return outcomes


async def _by_consent(tx: Tx, wanted: Sequence[Wanted]) -> list[Wanted]:
    """The profiles with the consent that there is; nobody consents at a time that has not come yet."""
    said = await consents.said(tx, ((each.profile.id, each.profile.email) for each in wanted))
    found: list[Wanted] = []
    for each in wanted:
        at = None if each.consented_at is None else min(each.consented_at, tx.now)
        allowed = said[each.profile.id].with_consent(at).allows(profile_consents=each.profile.email_consent)
        found.append(replace(each, profile=replace(each.profile, email_consent=allowed), consented_at=at))
    return found


async def rename_account(tx: Tx, command_id: UUID, account_id: str, name: str) -> None:
    """Announce the customers of an account again, because it has another name; under the lock `changing_account`."""
    concerned = [renamed(customer) for customer in await customers.lock_of_account(tx, account_id)]
    if concerned:
        await customers.replace(tx, concerned)
    for customer in concerned:
        _emit(tx, command_id, customer, name)


async def _announce(tx: Tx, command_id: UUID, told: Iterable[Customer]) -> None:
    told = list(told)
    names = await accounts.names(tx, (each.profile.account_id for each in told if each.profile.account_id))
    for customer in told:
        _emit(tx, command_id, customer, names.get(customer.profile.account_id or ""))


def _emit(tx: Tx, command_id: UUID, customer: Customer, account_name: str | None) -> None:
    id_ = customer.profile.id
    event = Event.caused_by_command(
        command_id, changed(customer, account_name), subject=id_, time=tx.now, source=SOURCE, part=id_
    )
    tx.emit(event, key=id_)
