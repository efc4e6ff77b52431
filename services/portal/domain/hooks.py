"""Subscriptions of other systems as the pages show them: what can be chosen, and what the form says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from services.portal.domain.people import Person

STATUSES: Final = ("pending", "delivered", "failed", "erased")
REPLAYED: Final = ("failed", "delivered")
"""What a span of time is asked for anew by: what failed, or what arrived too."""
SEEN: Final = ("comments", "people")
"""What may be sent beside the facts, which always are."""
STEPS: Final = ("enable", "disable", "test", "secret", "delete")
FIELDS: Final = ("name", "url", "contact_name", "contact_email", "contact_language")
EVERYTHING: Final = "*"
URL_TROUBLES: Final[Mapping[str, str]] = {
    "is not an address": "no_address",
    "is no https address": "no_address",
    "is not https": "not_https",
    "has a fragment": "fragment",
    "leads to this machine": "forbidden",
    "leads into a network that is not allowed": "forbidden",
}
"""What notify has against an address, as a code of ours."""
_CREDENTIALS: Final = "holds a user or a password"


def url_trouble(detail: str) -> str:
    """What is wrong with an address, as a code; `no_address` where nobody has named it yet."""
    return "credentials" if detail.startswith(_CREDENTIALS) else URL_TROUBLES.get(detail, "no_address")


def families(types: Iterable[str]) -> dict[str, list[str]]:
    """Event types by the word that they begin with."""
    found: dict[str, list[str]] = {}
    for each in types:
        found.setdefault(each.partition(".")[0], []).append(each)
    return found


def chosen_types(ticked: Sequence[str], known: Iterable[str]) -> list[str]:
    """The patterns without those that a wider one says already."""
    if EVERYTHING in ticked:
        return [EVERYTHING]
    whole = {family for family in families(known) if f"{family}.*" in ticked}
    return [each for each in dict.fromkeys(ticked) if each.endswith(".*") or each.partition(".")[0] not in whole]


def first_contact(person: Person) -> dict[str, str]:
    """Whoever makes a subscription answers for it, until they say otherwise."""
    return {"contact_name": person.name, "contact_email": person.email, "contact_language": person.language}
