"""What a customer is worth, as far as rules may look at it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from libs.events.contracts.customers import AccountRole

Attribute = str | bool | int | float
"""A value of an attribute of a customer or an account, or in a condition."""


_NONE: Final[Mapping[str, Attribute]] = MappingProxyType({})


class Worth(NamedTuple):
    """What the rules look at. `account` holds the attributes of the customer's account.

    A tuple, because it is made for each of a million customers: a frozen dataclass takes four times as long.
    """

    current_value: float | None = None
    potential_value: float | None = None
    account_role: AccountRole | None = None
    attributes: Mapping[str, Attribute] = _NONE
    products: tuple[str, ...] = ()
    account_id: str | None = None
    account: Mapping[str, Attribute] = _NONE

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
