"""Subscriptions: internal services that have events sent to end points of their own.

    enabled ──a person, 410, or days of failure──▶ disabled ──a person──▶ enabled

While it is disabled, no event is written down for it; what was written before waits, and goes out when it is enabled.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, NewType
from urllib.parse import urlsplit
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from libs.events.contracts.cases import Employee
    from services.notify.domain.addresses import Networks
    from services.notify.domain.visibility import Sees

SubscriptionId = NewType("SubscriptionId", UUID)

TEST_TYPE: Final = "subscription.test"
"""The type of a test delivery; no event of the streams."""
FAILING_FOR: Final = timedelta(days=5)
"""So long nothing may be delivered before the subscription is disabled: longer than a delivery's own schedule."""
LONGEST_URL: Final = 2_048


class Disabled(StrEnum):
    """Why a subscription is disabled."""

    BY_HAND = "by_hand"
    GONE = "gone"
    """The receiver answered 410."""
    FAILING = "failing"
    """Nothing could be delivered for days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What somebody has sent where, as it stands."""

    id: SubscriptionId
    owner: str
    """The key that made it: it sees no others."""
    name: str
    url: str
    types: tuple[str, ...]
    """Event types, `case.*` for all that begin so, `*` for all."""
    sees: Sees
    contact: Employee
    """Who is told when it is disabled."""
    disabled: Disabled | None
    failing_since: datetime | None
    paused_until: datetime | None
    """The receiver asked to be left alone until then."""
    secret: str
    previous_secret: str | None
    previous_until: datetime | None
    """Until then everything is signed by both secrets."""
    version: int
    created_at: datetime
    changed_at: datetime

    def secrets(self, now: datetime) -> tuple[str, ...]:
        """What signs at this moment, the newest first."""
        if self.previous_secret is None or self.previous_until is None or self.previous_until <= now:
            return (self.secret,)
        return self.secret, self.previous_secret


def matches(pattern: str, type_: str) -> bool:
    """Whether a type is meant by a pattern."""
    return type_ == pattern or (pattern.endswith("*") and type_.startswith(pattern[:-1]))


def meant(patterns: Iterable[str], known: Collection[str]) -> frozenset[str]:
    """The known types that any of these patterns means."""
    return frozenset(type_ for pattern in patterns for type_ in known if matches(pattern, type_))


def url_trouble(url: str, *, allow_http: bool, networks: Networks) -> str | None:
    """What is wrong with the address of an end point; None where it may be tried.

    What a name resolves to is looked at when a connection is made, each time: it may change.
    """
    trouble = None
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not an address"
    if len(url) > LONGEST_URL or not url.isascii() or any(character <= " " for character in url):
        trouble = f"has at most {LONGEST_URL} visible ASCII characters"
    elif parts.scheme not in ("https", "http") or not host:
        trouble = "is no https address"
    elif parts.scheme == "http" and not allow_http:
        trouble = "is not https"
    elif parts.username is not None or parts.password is not None:
        trouble = "holds a user or a password: the receiver knows us by the signature"
    elif parts.fragment:
        trouble = "has a fragment"
    elif host.rstrip(".") == "localhost" and not networks.allows("127.0.0.1"):
        trouble = "leads to this machine"
    elif _is_literal(host) and not networks.allows(host):
        trouble = "leads into a network that is not allowed"
    return trouble


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
