"""Which addresses may be connected to: public ones, and the networks that operators have allowed."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable
    from ipaddress import IPv4Network

    Network: TypeAlias = IPv4Network | IPv6Network

_NAT64: Final = IPv6Network("64:ff9b::/96")
"""Its last four bytes are an IPv4 address (RFC 6052): a gateway would take us there."""


@dataclass(frozen=True, slots=True)
class Networks:
    """The private networks that are allowed nevertheless."""

    allowed: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, written: Iterable[str]) -> Networks:
        """Of `10.0.0.0/8`, `fd00::/8` or single addresses; ValueError where one is none."""
        return cls(tuple(ip_network(each) for each in written))

    def allows(self, address: str) -> bool:
        """Whether a connection to this address, as a resolver or the system writes it, may be made."""
        try:
            found = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        meant = _meant(found)
        if any(each in network for each in (found, meant) for network in self.allowed):
            return True
        return all(each.is_global and not each.is_multicast for each in (found, meant))


def _meant(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 address stands for, where it does; itself otherwise."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
