"""Topic `customers` (compacted): the latest profile of each customer. Key: customer.

The only place for contact details. A tombstone is an erasure and nothing else.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from libs.events.contracts.messages import Purpose
from libs.events.contracts.scores import Tier
from libs.events.event import Contract, Instant

Language = Literal["ru", "en"]
AccountRole = Literal["decision_maker", "end_user"]


class TierFact(msgspec.Struct, frozen=True, kw_only=True):
    """One condition that a customer met, to be put into words where it is shown."""

    field: str
    """`current_value`, `potential_value`, `account_role`, `account_id`, `product`, `attributes.…` or `account.…`."""
    op: Literal[">=", ">", "<=", "<", "=", "in", "top", "bottom"]
    value: str | bool | int | float | tuple[str | bool | int | float, ...]
    """Of `top` and `bottom` a share: 0.1 is a tenth of all customers."""
    cut: float | None = None
    """The value that the highest or lowest share began at when it was counted."""


class CustomerProfileChanged(Contract, frozen=True, kw_only=True):
    """The whole profile after a change; a lower `version` never overwrites a higher one."""

    TYPE: ClassVar[str] = "customer.profile.changed.v1"

    customer_id: str
    version: int
    name: str
    email: str | None
    phone: str | None
    language: Language
    time_zone: str
    """IANA name, for example Europe/Moscow."""
    account_id: str | None
    account_name: str | None
    account_role: AccountRole | None
    tier: Tier
    tier_reason: str
    email_consent: bool = True
    tier_facts: tuple[TierFact, ...] = ()
    """What `tier_reason` says, for other languages; none: no rule matched."""
    current_value: float | None = None
    """What the customer is worth by now, in the company's currency; None where nobody has said it."""
    email_consented_at: Instant | None = None
    """When they last consented to mails, as far as was told: what they refused before is outweighed."""
    email_refused: tuple[Purpose, ...] = ()
    """What they want no mails of, although they consent to others."""


class CustomerErased(Contract, frozen=True, kw_only=True):
    """The customer asked to be forgotten. On the topic: a null value (tombstone) under the customer's key."""

    TYPE: ClassVar[str] = "customer.erased.v1"

    customer_id: str
