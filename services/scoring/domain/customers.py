"""The customer as the company knows them, and the profile that the other services are told."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from libs.events.contracts.customers import AccountRole, CustomerProfileChanged, Language
from services.scoring.domain.segments import Worth, valued

if TYPE_CHECKING:
    from collections.abc import Mapping

    from libs.events.contracts.scores import Tier
    from services.scoring.domain.segments import Attribute, Rules, Valuation

LONGEST_ID: Final = 200
"""In characters: two of them, four bytes each, still fit an index entry of PostgreSQL."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What the company's own systems say about a customer."""

    id: str
    name: str
    email: str | None
    phone: str | None
    language: Language
    time_zone: str
    account_id: str | None
    account_role: AccountRole | None
    current_value: float | None
    potential_value: float | None
    attributes: Mapping[str, Attribute]
    email_consent: bool

    @property
    def worth(self) -> Worth:
        """What the segment rules look at."""
        return Worth(self.current_value, self.potential_value, self.account_role, self.attributes)


@dataclass(frozen=True, slots=True)
class Customer:
    """A profile with its version and the tier that the rules gave it."""

    profile: Profile
    version: int
    tier: Tier
    tier_reason: str
    rules_version: int

    def says(self, profile: Profile, valuation: Valuation) -> bool:
        """Whether a change to these would change anything that others can see."""
        return (
            (self.profile, self.tier, self.tier_reason) == (profile, valuation.tier, valuation.reason)
            # The rules tell true from 1, which are equal in Python.
            and {name: repr(value) for name, value in self.profile.attributes.items()}
            == {name: repr(value) for name, value in profile.attributes.items()}
        )


def arrived(profile: Profile, rules: Rules, rules_version: int, *, last_version: int = 0) -> Customer:
    """A customer seen for the first time, or for the first time after they were erased at `last_version`."""
    valuation = valued(profile.worth, rules)
    return Customer(profile, last_version + 1, valuation.tier, valuation.reason, rules_version)


def updated(customer: Customer, profile: Profile, rules: Rules, rules_version: int) -> Customer:
    """The customer with this profile: a version more, unless nothing that others can see is new."""
    valuation = valued(profile.worth, rules)
    version = customer.version if customer.says(profile, valuation) else customer.version + 1
    return Customer(profile, version, valuation.tier, valuation.reason, rules_version)


def revalued(customer: Customer, rules: Rules, rules_version: int) -> Customer:
    """The same customer by other rules."""
    return updated(customer, customer.profile, rules, rules_version)


def renamed(customer: Customer) -> Customer:
    """A version more, because the account has another name."""
    return replace(customer, version=customer.version + 1)


def without_consent(customer: Customer) -> Customer:
    """A version more, because they are not to be written to any more."""
    return replace(customer, profile=replace(customer.profile, email_consent=False), version=customer.version + 1)


def changed(customer: Customer, account_name: str | None) -> CustomerProfileChanged:
    """The event that carries the whole profile."""
    profile = customer.profile
    return CustomerProfileChanged(
        customer_id=profile.id,
        version=customer.version,
        name=profile.name,
        email=profile.email,
        phone=profile.phone,
        language=profile.language,
        time_zone=profile.time_zone,
        account_id=profile.account_id,
        account_name=account_name,
        account_role=profile.account_role,
        tier=customer.tier,
        tier_reason=customer.tier_reason,
        email_consent=profile.email_consent,
    )


def erasure_mark(customer_id: str) -> bytes:
    """What is kept of somebody who asked to be forgotten, so that what arrives late is forgotten too."""
    return hashlib.sha256(customer_id.encode("utf-8", "surrogatepass")).digest()
