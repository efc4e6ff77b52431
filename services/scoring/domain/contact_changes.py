"""How a customer may be reached – whether by mail, in which language, in which time zone – and what changed in that.

profile                    the company's own systems said so
survey_vendor              the customer unsubscribed at a survey vendor's
link                       the customer pressed the link in a mail, or their mail client's one click did
complaint                  the customer called a mail unwanted
operator                   somebody of the company noted what the customer said
earlier_unsubscription     a profile said yes, and the customer had unsubscribed later than they consented
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime

    from libs.events.contracts.messages import Purpose
    from services.scoring.domain.customers import Profile

What = Literal["email_consent", "email_service", "email_courtesy", "email_news", "language", "time_zone"]
CameBy = Literal["profile", "survey_vendor", "link", "complaint", "operator", "earlier_unsubscription"]

OF_PURPOSE: Final[Mapping[Purpose, What]] = {
    "service": "email_service",
    "courtesy": "email_courtesy",
    "news": "email_news",
}
"""What a choice about one kind of mails changes; customers are sent no others."""


@dataclass(frozen=True, slots=True)
class ContactChange:
    """One change. Consents are "yes" and "no"; `before` is None for the first that is known.

    `told_by` is who told us: a key and the person it spoke for, or the source of answers. `said_at` is when the
    customer said so, as far as is told; else when we noted it.
    """

    customer_id: str
    what: What
    before: str | None
    after: str
    came_by: CameBy
    told_by: str
    said_at: datetime


@dataclass(frozen=True, slots=True)
class Telling:
    """Who tells of a profile and when, and what of its consent was told with it."""

    told_by: str
    now: datetime
    consented_at: datetime | None = None
    """When the customer consented, where that is news."""
    held_back_since: datetime | None = None
    """The unsubscription that a yes does not outweigh."""


def contact_changes(before: Profile | None, after: Profile, telling: Telling) -> Iterator[ContactChange]:
    """What a profile changes. Of a new customer, their first consent; nobody asks who first told their language."""
    consent = _consent(before, after, telling)
    if consent is not None:
        yield consent
    if before is None:
        return
    settings: tuple[tuple[What, str, str], ...] = (
        ("language", before.language, after.language),
        ("time_zone", before.time_zone, after.time_zone),
    )
    for what, old, new in settings:
        if old != new:
            yield ContactChange(after.id, what, old, new, "profile", telling.told_by, telling.now)


def withdrawn(customer_id: str, source: str, at: datetime, came_by: CameBy = "survey_vendor") -> ContactChange:
    """The end of a consent by an unsubscription."""
    return ContactChange(customer_id, "email_consent", "yes", "no", came_by, source, at)


def of_choices(
    customer_id: str, before: Collection[Purpose], after: Collection[Purpose], came_by: CameBy, at: datetime
) -> Iterator[ContactChange]:
    """What differs between the kinds of mails that were refused before and after, as the service of mails told."""
    for purpose, what in OF_PURPOSE.items():
        old, new = _word(purpose not in before), _word(purpose not in after)
        if old != new:
            yield ContactChange(customer_id, what, old, new, came_by, "notify", at)


def _consent(before: Profile | None, after: Profile, telling: Telling) -> ContactChange | None:
    old = None if before is None else _word(before.email_consent)
    new = _word(after.email_consent)
    if old == new and telling.consented_at is None:
        return None
    if new == "no" and telling.held_back_since is not None:
        if old == "no":
            return None  # a yes that is repeated every night, and still means nothing
        by: CameBy = "earlier_unsubscription"
        return ContactChange(after.id, "email_consent", old, new, by, telling.told_by, telling.held_back_since)
    at = telling.consented_at or telling.now
    return ContactChange(after.id, "email_consent", old, new, "profile", telling.told_by, at)


def _word(consents: bool) -> str:  # noqa: FBT001 - the word for it
    return "yes" if consents else "no"
