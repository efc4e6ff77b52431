"""What a customer is worth, as far as rules may look at it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from libs.events.contracts.customers import AccountRole

Attribute = str | bool | int | float
"""A value of an attribute of a customer or an account, or in a condition."""


@dataclass(frozen=True, slots=True)
class Worth:
    """What the rules look at. `account` holds the attributes of the customer's account."""

    current_value: float | None = None
    potential_value: float | None = None
    account_role: AccountRole | None = None
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    products: tuple[str, ...] = ()
    account_id: str | None = None
    account: Mapping[str, Attribute] = field(default_factory=dict)

    def of(self, name: str) -> tuple[Attribute, ...]:
        """The values of a field as the rules name it: none, one, or several products."""
        value: Attribute | None
        match name:
            case "current_value":
                value = self.current_value
            case "potential_value":
                value = self.potential_value
            case "account_role":
                value = self.account_role
            case "account_id":
                value = self.account_id
            case "product":
                return self.products
            case _ if name.startswith("account."):
                value = self.account.get(name.removeprefix("account."))
            case _:
                value = self.attributes.get(name.removeprefix("attributes."))
        return () if value is None else (value,)
