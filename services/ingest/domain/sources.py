"""Sources: what an operator says once about a survey at a vendor, and all its deliveries inherit."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from libs.events.contracts.responses import Instrument
    from services.ingest.domain.fields import FieldMap

Network = IPv4Network | IPv6Network
MOST_NETWORKS: Final = 100
MOST_SECRETS: Final = 2
"""Active at once: the one in use, and while it is being replaced, the next."""


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """A vendor's secret as it was given to us. `valid_until` None: until it is replaced."""

    text: str = field(repr=False)
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """One survey at one vendor. `touchpoint` and `language` are taken where the payload does not say."""

    name: str
    vendor: str
    program: str
    instrument: Instrument
    touchpoint: str | None
    language: str | None
    time_zone: str
    fields: FieldMap
    enabled: bool
    version: int
    secrets: tuple[StoredSecret, ...] = ()
    keep_days: int | None = None
    """How long the contents of deliveries are kept; None: as long as everywhere."""
    networks: tuple[Network, ...] = ()
    """Where its deliveries come from; none: from anywhere."""

    def admits(self, address: str | None) -> bool:
        """Whether deliveries may come from this address; what is no address is outside of every network."""
        if not self.networks:
            return True
        try:
            told = ip_address(address or "")
        except ValueError:
            return False
        # An IPv4 client of a socket that speaks IPv6.
        told = getattr(told, "ipv4_mapped", None) or told
        return any(told in network for network in self.networks)


def network_of(written: str) -> Network:
    """`192.0.2.0/24`, `2001:db8::/32`, or one address; a ValueError where it is none, bits beyond the mask too."""
    return ip_network(written.strip())
