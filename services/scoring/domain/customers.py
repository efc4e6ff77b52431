"""The customer as the company knows them, and the profile that the other services are told."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from libs.events.contracts.customers import AccountRole, CustomerProfileChanged, Language, TierFact
from services.scoring.domain.consents import refused
from services.scoring.domain.segments import valued
from services.scoring.domain.told import UNTOLD
from services.scoring.domain.worth import Worth

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from libs.events.contracts.scores import Tier
    from services.scoring.domain.conditions import Condition
    from services.scoring.domain.consents import Choices
    from services.scoring.domain.segments import RuleSet, Valuation
    from services.scoring.domain.told import Told
    from services.scoring.domain.worth import Attribute

    Attributes = Mapping[str, Attribute]

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
    products: tuple[str, ...] = ()
    email_consented_at: datetime | None = None
    """When they last consented to mails, where that was told."""

    def worth(self, account: Attributes) -> Worth:
        """What the segment rules look at; `account` are the attributes of the customer's account."""
        return Worth(
            self.current_value,
            self.potential_value,
            self.account_role,
            self.attributes,
            self.products,
            self.account_id,
            account,
        )


@dataclass(frozen=True, slots=True)
class Customer:
    """A profile with its version and the tier that the rules gave it.

    `rules_version` is the valuation by which they did, `facts` the conditions that were met, `told` how new the
    profile is by the count or the clock of where it comes from, `choices` what the customer said to kinds of mails.
    """

    profile: Profile
    version: int
    tier: Tier
    tier_reason: str
    rules_version: int
    facts: tuple[Condition, ...] = ()
    told: Told = UNTOLD
    choices: Choices = field(default_factory=dict)

    def says(self, profile: Profile, valuation: Valuation) -> bool:
        """Whether a change to these would change anything that others can see."""
        return (
            (self.profile, self.tier, self.tier_reason) == (profile, valuation.tier, valuation.reason)
            # The rules tell true from 1, which are equal in Python.
            and {name: repr(value) for name, value in self.profile.attributes.items()}
            == {name: repr(value) for name, value in profile.attributes.items()}
        )


def arrived(
    profile: Profile,
    account: Attributes,
    rules: RuleSet,
    rules_version: int,
    *,
    last_version: int = 0,
    told: Told = UNTOLD,
) -> Customer:
    """A customer seen for the first time, or for the first time after they were erased at `last_version`."""
    value = valued(profile.worth(account), rules)
    return Customer(profile, last_version + 1, value.tier, value.reason, rules_version, value.facts, told)


def updated(
    customer: Customer,
    profile: Profile,
    account: Attributes,
    rules: RuleSet,
    rules_version: int,
    told: Told = UNTOLD,
) -> Customer:
    """The customer with this profile: a version more, unless nothing that others can see is new."""
    value = valued(profile.worth(account), rules)
    version = customer.version if customer.says(profile, value) else customer.version + 1
    newest = told.after(customer.told)
    return Customer(profile, version, value.tier, value.reason, rules_version, value.facts, newest, customer.choices)


def revalued(customer: Customer, account: Attributes, rules: RuleSet, rules_version: int) -> Customer:
    """The same customer by other rules."""
    return updated(customer, customer.profile, account, rules, rules_version)


def renamed(customer: Customer) -> Customer:
    """A version more, because the account has another name."""
    return replace(customer, version=customer.version + 1)


def without_consent(customer: Customer) -> Customer:
    """A version more, because they are not to be written to any more."""
    return replace(customer, profile=replace(customer.profile, email_consent=False), version=customer.version + 1)


def with_choices(customer: Customer, choices: Choices) -> Customer:
    """A version more, where what they said changes what they are not to be told."""
    at = customer.profile.email_consented_at
    version = customer.version + (refused(choices, at) != refused(customer.choices, at))
    return replace(customer, choices=choices, version=version)


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
        tier_facts=tuple(
            TierFact(field=each.field, op=each.op, value=each.value, cut=each.cut) for each in customer.facts
        ),
        current_value=profile.current_value,
        email_consented_at=profile.email_consented_at,
        email_refused=refused(customer.choices, profile.email_consented_at),
    )


def erasure_mark(customer_id: str) -> bytes:
    """What is kept of somebody who asked to be forgotten, so that what arrives late is forgotten too."""
    return hashlib.sha256(customer_id.encode("utf-8", "surrogatepass")).digest()
