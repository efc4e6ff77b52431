"""Whether a customer may be written to: what their profile says, against what they told a survey vendor, or us.

    profile says no                                       no
    profile says yes, nobody unsubscribed                 yes
    profile says yes, with a consent later than           yes
        the last unsubscription
    profile says yes otherwise                            no

A yes that tells no time is no newer consent: it stands in every profile that another system repeats night by night, and
knows nothing of what the customer told the survey vendor meanwhile. Who calls a mail unwanted withdraws their consent
as who unsubscribes at a survey vendor does. Who wants no more mails of one kind (the link in mails about changes) goes
on being told what they asked about: the kind is refused until they want it again, or consent later.
"""

from __future__ import annotations

# Choices are kept as JSON, and read back by their annotations.
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime  # noqa: TC003
from typing import TypeAlias

from libs.events.contracts.messages import Purpose


@dataclass(frozen=True, slots=True)
class Said:
    """When somebody last unsubscribed, and when they last consented; None: never, as far as is known."""

    unsubscribed_at: datetime | None = None
    consented_at: datetime | None = None

    def with_consent(self, at: datetime | None) -> Said:
        """After a consent at that time, if there was one."""
        return Said(self.unsubscribed_at, _later(self.consented_at, at))

    def with_unsubscription(self, at: datetime | None) -> Said:
        """After an unsubscription at that time, if there was one."""
        return Said(_later(self.unsubscribed_at, at), self.consented_at)

    def allows(self, *, profile_consents: bool) -> bool:
        """Whether the customer may be written to, by the table above."""
        if not profile_consents or self.unsubscribed_at is None:
            return profile_consents
        return self.consented_at is not None and self.consented_at > self.unsubscribed_at


@dataclass(frozen=True, slots=True)
class Choice:
    """What a customer said last about one kind of mails."""

    granted: bool
    at: datetime


Choices: TypeAlias = Mapping[Purpose, Choice]
"""By kind."""


def chosen(choices: Choices, purpose: Purpose, choice: Choice) -> Choices:
    """After this choice: the later one counts, of two at the same instant the refusal."""
    known = choices.get(purpose)
    if known is not None and (known.at, not known.granted) >= (choice.at, not choice.granted):
        return choices
    return {**choices, purpose: choice}


def refused(choices: Choices, consented_at: datetime | None) -> tuple[Purpose, ...]:
    """The kinds that they want no mails of, in one order."""
    return tuple(
        purpose
        for purpose, choice in sorted(choices.items())
        if not choice.granted and (consented_at is None or choice.at >= consented_at)
    )


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((time for time in (one, other) if time is not None), default=None)
