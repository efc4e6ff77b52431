"""Customers, accounts and silences, as the portal asks scoring for them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from services.portal.clients.segments import Condition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.portal.clients.service import Service
    from services.portal.domain.people import Person


class CustomerLine(msgspec.Struct, frozen=True):
    """A customer in a list."""

    id: str
    name: str
    account_id: str | None
    account_role: str | None
    current_value: float | None
    potential_value: float | None
    tier: str


class CustomerLines(msgspec.Struct, frozen=True):
    """A page of customers."""

    items: list[CustomerLine]
    next_cursor: str | None = None


class Customer(msgspec.Struct, frozen=True):
    """A customer with what they are worth and why."""

    id: str
    name: str
    email: str | None
    phone: str | None
    language: str
    time_zone: str
    account_id: str | None
    account_name: str | None
    account_role: str | None
    current_value: float | None
    potential_value: float | None
    attributes: dict[str, Any]
    products: list[str]
    email_consent: bool
    tier: str
    tier_facts: list[Condition]
    updated_at: datetime
    email_refused: list[str] = msgspec.field(default_factory=list)


class AccountLine(msgspec.Struct, frozen=True):
    """An account in the list of scores."""

    account_id: str
    account_name: str | None
    kind: str
    score: float
    ci_low: float | None
    ci_high: float | None
    n: int
    contacts: int
    flagged: bool


class AccountLines(msgspec.Struct, frozen=True):
    """A page of accounts, the worst first."""

    items: list[AccountLine]
    next_cursor: str | None = None


class ContactAnswer(msgspec.Struct, frozen=True):
    """The latest answer of one contact."""

    customer_id: str
    name: str
    role: str
    program: str
    score: int
    nps_class: str
    answered_at: datetime


class OfRole(msgspec.Struct, frozen=True):
    """What the contacts in one role say."""

    role: str
    weight: float
    contacts: int
    n: int
    mean: float | None
    worst: int | None


class ScoreOfKind(msgspec.Struct, frozen=True):
    """An account's score in one kind of survey."""

    kind: str
    score: float
    ci_low: float
    ci_high: float
    n: int
    contacts: int
    flagged: bool
    unhappy_decision_makers: list[ContactAnswer]
    roles: list[OfRole]
    answers: list[ContactAnswer]


class AccountScores(msgspec.Struct, frozen=True):
    """What an account says as a whole."""

    account_id: str
    account_name: str | None
    days: int
    scores: list[ScoreOfKind]


class Silent(msgspec.Struct, frozen=True):
    """Somebody important who was invited and says nothing."""

    invitation_id: str
    reason: str
    customer_id: str
    customer_name: str | None
    account_id: str | None
    account_name: str | None
    account_role: str | None
    tier: str | None
    program: str
    invited_at: datetime


class Silences(msgspec.Struct, frozen=True):
    """A page of them."""

    items: list[Silent]
    next_cursor: str | None = None


class ContactChange(msgspec.Struct, frozen=True):
    """Who changed how a customer may be reached; consents are "yes" and "no"."""

    what: str
    before: str | None
    after: str
    came_by: str
    told_by: str
    said_at: datetime


class ContactChanges(msgspec.Struct, frozen=True):
    """The latest of them first."""

    items: list[ContactChange]
    next_cursor: str | None = None


class Customers:
    """`/v1/customers`, `/v1/account-scores` and `/v1/silences` of scoring."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def page(self, person: Person, params: Mapping[str, str]) -> CustomerLines:
        """Customers in the order of their ids."""
        return await self._service.get("/v1/customers", CustomerLines, person=person, params=params)

    async def find(self, person: Person, customer_id: str) -> Customer | None:
        """A customer; None where nobody has this id."""
        return await self._service.find(f"/v1/customers/{quote(customer_id, safe='')}", Customer, person=person)

    async def contact_changes(self, person: Person, customer_id: str, cursor: str | None) -> ContactChanges:
        """How a customer may be reached, and who changed it; the latest first, fifty on a page."""
        params = {"customer_id": customer_id} | ({"cursor": cursor} if cursor else {})
        return await self._service.get("/v1/contact-changes", ContactChanges, person=person, params=params)

    async def accounts(self, person: Person, params: Mapping[str, str]) -> AccountLines:
        """Accounts by their score, the worst first."""
        return await self._service.get("/v1/account-scores", AccountLines, person=person, params=params)

    async def account(self, person: Person, account_id: str) -> AccountScores | None:
        """An account's scores; None where there is no such account."""
        path = f"/v1/account-scores/{quote(account_id, safe='')}"
        return await self._service.find(path, AccountScores, person=person)

    async def silences(self, person: Person, params: Mapping[str, str]) -> Silences:
        """Important ones who were invited and say nothing."""
        return await self._service.get("/v1/silences", Silences, person=person, params=params)
