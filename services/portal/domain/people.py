"""The people who use the portal: their roles, and what each role may see and do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, NewType

PersonId = NewType("PersonId", str)
Language = Literal["ru", "en"]


class Role(StrEnum):
    """What somebody is in the company, as far as the loop is concerned."""

    AGENT = "agent"
    MANAGER = "manager"
    EXECUTIVE = "executive"
    EMPLOYEE = "employee"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"


class Right(StrEnum):
    """What a page or an action asks for."""

    CASES = "cases"
    """See cases with their customers, and act on them; what exactly, casework decides by the role."""
    EVENTS = "events"
    """See the stream of events, each role its own part of it."""
    METRICS = "metrics"
    """See the aggregated feedback."""
    CUSTOMERS = "customers"
    """See customers and accounts with what they are worth, and by which rules and themes feedback is read."""
    RULES = "rules"
    """Decide by which rules customers are valued and what drivers are looked for."""
    LEAD = "lead"
    """See to changes, to colleagues and to the rules of the loop."""
    DECIDE = "decide"
    """Decide which changes are made."""
    MESSAGES = "messages"
    """See what was written to whom, what was held back, and what is told to many."""
    DOUBTS = "doubts"
    """Say what became of a message of which nobody knows."""
    SETUP = "setup"
    """See how the loop is set up: deadlines, calendars, people."""
    THEMES = "themes"
    """Decide what comments are about, and by which words it is told."""
    DEAD_LETTERS = "dead_letters"
    """See what services set aside, and decide about it."""
    ACCOUNTS = "accounts"
    """Decide who may log in, and as what."""
    HOOKS = "hooks"
    """Set up which other systems have events sent to them, and see how that goes."""
    SENDING = "sending"
    """Decide over which channels, at which hours and how often people may be written to."""
    PROVIDERS = "providers"
    """Set up who carries SMS and messengers, and see how sending goes."""
    SOURCES = "sources"
    """Set up where answers come from, see what was delivered, and have it understood again."""


_OF_EVERYBODY: Final = frozenset({Right.EVENTS, Right.METRICS})
_OF_WHO_LEADS: Final = _OF_EVERYBODY | {
    Right.CASES,
    Right.CUSTOMERS,
    Right.THEMES,
    Right.LEAD,
    Right.SETUP,
    Right.MESSAGES,
}
RIGHTS: Final[dict[Role, frozenset[Right]]] = {
    Role.AGENT: _OF_EVERYBODY | {Right.CASES},
    Role.MANAGER: _OF_WHO_LEADS,
    Role.EXECUTIVE: _OF_WHO_LEADS | {Right.RULES, Right.DECIDE, Right.SENDING},
    Role.EMPLOYEE: _OF_EVERYBODY,
    Role.OPERATOR: _OF_EVERYBODY
    | {
        Right.DEAD_LETTERS,
        Right.SOURCES,
        Right.HOOKS,
        Right.SETUP,
        Right.MESSAGES,
        Right.DOUBTS,
        Right.PROVIDERS,
    },
    Role.ADMINISTRATOR: frozenset(Right),
}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account. `id` is also the id by which casework knows its agents."""

    id: PersonId
    login: str
    name: str
    email: str
    role: Role
    language: Language

    def may(self, right: Right) -> bool:
        """Whether the role has this right."""
        return right in RIGHTS[self.role]


def normal_login(typed: str) -> str:
    """The form in which a log-in is stored and compared: without space around it, without case."""
    return typed.strip().casefold()
