"""Customers and what is left of those who asked to be forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from pydantic_core import to_json
from sqlalchemy import text

from libs.events.contracts.messages import Purpose
from services.scoring.domain.conditions import Condition
from services.scoring.domain.consents import Choice
from services.scoring.domain.customers import Customer, Profile, erasure_mark
from services.scoring.domain.told import Told
from services.scoring.domain.worth import Worth
from services.scoring.store import account_scores, consents, contact_histories

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import Row

    from libs.events.contracts.scores import Tier
    from libs.events.database import Tx

_FIND: Final = text("""
    SELECT customers.id, customers.version, customers.name, email, phone, language, time_zone, account_id, account_role,
           current_value, potential_value, CAST(customers.attributes AS text) AS attributes, email_consent,
           email_consented_at, CAST(email_choices AS text) AS email_choices,
           CAST(products AS text) AS products, tier, tier_reason, rules_version, CAST(tier_facts AS text) AS tier_facts,
           customers.source_version, customers.source_updated_at, customers.updated_at, accounts.name AS account_name
      FROM customers LEFT JOIN accounts ON accounts.id = customers.account_id
     WHERE customers.id = :id
""")
_LOCK: Final = text("""
    SELECT id, version, name, email, phone, language, time_zone, account_id, account_role,
           current_value, potential_value, CAST(attributes AS text) AS attributes, email_consent,
           email_consented_at, CAST(email_choices AS text) AS email_choices,
           CAST(products AS text) AS products, tier, tier_reason, rules_version, CAST(tier_facts AS text) AS tier_facts,
           source_version, source_updated_at
      FROM customers
     WHERE id = ANY(CAST(:ids AS text[]))
     ORDER BY id
       FOR UPDATE
""")
_LOCK_OF_ACCOUNTS: Final = text("""
    SELECT id, version, name, email, phone, language, time_zone, account_id, account_role,
           current_value, potential_value, CAST(attributes AS text) AS attributes, email_consent,
           email_consented_at, CAST(email_choices AS text) AS email_choices,
           CAST(products AS text) AS products, tier, tier_reason, rules_version, CAST(tier_facts AS text) AS tier_facts,
           source_version, source_updated_at
      FROM customers
     WHERE account_id = ANY(CAST(:ids AS text[]))
     ORDER BY id
       FOR UPDATE
""")
# A row that somebody holds is being written with the present rules, or is outdated still when they are done.
_CLAIM_OUTDATED: Final = text("""
    SELECT id, version, name, email, phone, language, time_zone, account_id, account_role,
           current_value, potential_value, CAST(attributes AS text) AS attributes, email_consent,
           email_consented_at, CAST(email_choices AS text) AS email_choices,
           CAST(products AS text) AS products, tier, tier_reason, rules_version, CAST(tier_facts AS text) AS tier_facts,
           source_version, source_updated_at
      FROM customers
     WHERE rules_version < :rules_version
     ORDER BY rules_version, id
     LIMIT :limit
       FOR UPDATE SKIP LOCKED
""")
_AFTER: Final = text("""
    SELECT id, version, name, email, phone, language, time_zone, account_id, account_role,
           current_value, potential_value, CAST(attributes AS text) AS attributes, email_consent,
           email_consented_at, CAST(email_choices AS text) AS email_choices,
           CAST(products AS text) AS products, tier, tier_reason, rules_version, CAST(tier_facts AS text) AS tier_facts,
           source_version, source_updated_at
      FROM customers
     WHERE id > :after
     ORDER BY id
     LIMIT :limit
""")
# What no rule looks at is not read: most of what reading costs is JSON, and the accounts.
_WORTHS: Final = text("""
    SELECT id, tier, current_value, potential_value, account_role, account_id,
           CASE WHEN CAST(:attributes AS boolean) THEN CAST(attributes AS text) END,
           CASE WHEN CAST(:products AS boolean) THEN CAST(products AS text) END, NULL
      FROM customers
     WHERE id > :after
     ORDER BY id
     LIMIT :limit
""")
_WORTHS_WITH_ACCOUNTS: Final = text("""
    SELECT customers.id, tier, current_value, potential_value, account_role, account_id,
           CASE WHEN CAST(:attributes AS boolean) THEN CAST(customers.attributes AS text) END,
           CASE WHEN CAST(:products AS boolean) THEN CAST(products AS text) END, CAST(accounts.attributes AS text)
      FROM customers LEFT JOIN accounts ON accounts.id = customers.account_id
     WHERE customers.id > :after
     ORDER BY customers.id
     LIMIT :limit
""")
# One statement for each kind of list, so that each is read from its own index.
_OF_TIER: Final = text("""
    SELECT id, version, name, email, phone, language, time_zone, account_id, account_role,
           current_value, potential_value, CAST(attributes AS text) AS attributes, email_consent,
           email_consented_at, CAST(email_choices AS text) AS email_choices,
           CAST(products AS text) AS products, tier, tier_reason, rules_version, CAST(tier_facts AS text) AS tier_facts,
           source_version, source_updated_at
      FROM customers
     WHERE tier = :tier AND id > :after
     ORDER BY id
     LIMIT :limit
""")
_OF_ACCOUNT: Final = text("""
    SELECT id, version, name, email, phone, language, time_zone, account_id, account_role,
           current_value, potential_value, CAST(attributes AS text) AS attributes, email_consent,
           email_consented_at, CAST(email_choices AS text) AS email_choices,
           CAST(products AS text) AS products, tier, tier_reason, rules_version, CAST(tier_facts AS text) AS tier_facts,
           source_version, source_updated_at
      FROM customers
     WHERE account_id = :account_id AND id > :after AND (CAST(:tier AS text) IS NULL OR tier = :tier)
     ORDER BY id
     LIMIT :limit
""")
_NO_MORE_THAN: Final = text("""
    SELECT count(*) <= :most AS few FROM (SELECT FROM customers LIMIT CAST(:most AS bigint) + 1) AS first
""")
_COUNT_OUTDATED: Final = text("SELECT count(*) AS customers FROM customers WHERE rules_version < :rules_version")
_ANY_OUTDATED: Final = text("""
    SELECT EXISTS (SELECT FROM customers
                    WHERE rules_version < (SELECT max(version) FROM segment_valuations)) AS outdated
""")
_CREATE: Final = text("""
    INSERT INTO customers (id, version, name, email, phone, language, time_zone, account_id, account_role,
                           current_value, potential_value, attributes, email_consent,
                           tier, tier_reason, rules_version, created_at, updated_at,
                           products, tier_facts, source_version, source_updated_at, email_consented_at, email_choices)
    SELECT id, version, name, email, phone, language, time_zone, account_id, account_role,
           current_value, potential_value, CAST(attributes AS jsonb), email_consent,
           tier, tier_reason, rules_version, :now, :now,
           CAST(products AS jsonb), CAST(tier_facts AS jsonb), source_version, source_updated_at, email_consented_at,
           CAST(email_choices AS jsonb)
      FROM unnest(CAST(:id AS text[]), CAST(:version AS bigint[]), CAST(:name AS text[]), CAST(:email AS text[]),
                  CAST(:phone AS text[]), CAST(:language AS text[]), CAST(:time_zone AS text[]),
                  CAST(:account_id AS text[]), CAST(:account_role AS text[]), CAST(:current_value AS float8[]),
                  CAST(:potential_value AS float8[]), CAST(:attributes AS text[]), CAST(:email_consent AS boolean[]),
                  CAST(:tier AS text[]), CAST(:tier_reason AS text[]), CAST(:rules_version AS integer[]),
                  CAST(:products AS text[]), CAST(:tier_facts AS text[]), CAST(:source_version AS bigint[]),
                  CAST(:source_updated_at AS timestamptz[]), CAST(:email_consented_at AS timestamptz[]),
                  CAST(:email_choices AS text[]))
           AS given (id, version, name, email, phone, language, time_zone, account_id, account_role,
                     current_value, potential_value, attributes, email_consent, tier, tier_reason, rules_version,
                     products, tier_facts, source_version, source_updated_at, email_consented_at, email_choices)
     ORDER BY id
        ON CONFLICT (id) DO NOTHING
    RETURNING id
""")
_REPLACE: Final = text("""
    UPDATE customers
       SET version = given.version, name = given.name, email = given.email, phone = given.phone,
           language = given.language, time_zone = given.time_zone, account_id = given.account_id,
           account_role = given.account_role, current_value = given.current_value,
           potential_value = given.potential_value, attributes = CAST(given.attributes AS jsonb),
           email_consent = given.email_consent, tier = given.tier, tier_reason = given.tier_reason,
           rules_version = given.rules_version, updated_at = :now, products = CAST(given.products AS jsonb),
           tier_facts = CAST(given.tier_facts AS jsonb), source_version = given.source_version,
           source_updated_at = given.source_updated_at, email_consented_at = given.email_consented_at,
           email_choices = CAST(given.email_choices AS jsonb)
      FROM unnest(CAST(:id AS text[]), CAST(:version AS bigint[]), CAST(:name AS text[]), CAST(:email AS text[]),
                  CAST(:phone AS text[]), CAST(:language AS text[]), CAST(:time_zone AS text[]),
                  CAST(:account_id AS text[]), CAST(:account_role AS text[]), CAST(:current_value AS float8[]),
                  CAST(:potential_value AS float8[]), CAST(:attributes AS text[]), CAST(:email_consent AS boolean[]),
                  CAST(:tier AS text[]), CAST(:tier_reason AS text[]), CAST(:rules_version AS integer[]),
                  CAST(:products AS text[]), CAST(:tier_facts AS text[]), CAST(:source_version AS bigint[]),
                  CAST(:source_updated_at AS timestamptz[]), CAST(:email_consented_at AS timestamptz[]),
                  CAST(:email_choices AS text[]))
           AS given (id, version, name, email, phone, language, time_zone, account_id, account_role,
                     current_value, potential_value, attributes, email_consent, tier, tier_reason, rules_version,
                     products, tier_facts, source_version, source_updated_at, email_consented_at, email_choices)
     WHERE customers.id = given.id
""")
# Nothing that anybody sees is new: the narrow way, for the many whom new rules leave where they are.
_KEEP: Final = text("""
    UPDATE customers
       SET rules_version = given.rules_version, source_version = given.source_version,
           source_updated_at = given.source_updated_at
      FROM unnest(CAST(:id AS text[]), CAST(:rules_version AS integer[]), CAST(:source_version AS bigint[]),
                  CAST(:source_updated_at AS timestamptz[]))
           AS given (id, rules_version, source_version, source_updated_at)
     WHERE customers.id = given.id
""")
_VALUE_AGAIN: Final = text("UPDATE customers SET rules_version = 0 WHERE account_id = ANY(CAST(:ids AS text[]))")
_ERASED_VERSIONS: Final = text("""
    SELECT mark, last_version, erased_at FROM erasures WHERE mark = ANY(CAST(:marks AS bytea[]))
""")
_FORGET_MOVES: Final = text("DELETE FROM segment_dry_run_movers WHERE customer_id = :id")
_DELETE: Final = text("DELETE FROM customers WHERE id = :id RETURNING version, email")
_FORGET_ANSWERS: Final = text("""
    UPDATE responses
       SET customer_id = NULL, comment = NULL, vendor_response_id = NULL, language = NULL, urgent = '{}', erased = true
     WHERE customer_id = :id
""")
_FORGET_INVITATIONS: Final = text("""
    UPDATE invitations SET id = 'erased-' || gen_random_uuid(), customer_id = NULL, response_id = NULL
     WHERE customer_id = :id
""")
# What a PUT once answered is kept for its repetition and names the customer. The row stays, or the repetition of an
# old request would bring the customer back.
_FORGET_COMMANDS: Final = text("""
    UPDATE idempotency_keys SET body = NULL WHERE position(CAST(:named AS bytea) IN body) > 0
""")
_MARK: Final = text("""
    INSERT INTO erasures (mark, last_version, erased_at) VALUES (:mark, :last_version, :now)
        ON CONFLICT (mark) DO UPDATE
       SET last_version = greatest(erasures.last_version, excluded.last_version), erased_at = excluded.erased_at
    RETURNING last_version
""")
_WAS_ERASED: Final = text("SELECT last_version FROM erasures WHERE mark = :mark")

_attributes: Final = msgspec.json.Decoder(dict[str, str | bool | int | float]).decode
_products: Final = msgspec.json.Decoder(tuple[str, ...]).decode
_choices: Final = msgspec.json.Decoder(dict[Purpose, Choice]).decode
_facts: Final = msgspec.json.Decoder(tuple[Condition, ...]).decode


@dataclass(frozen=True, slots=True)
class Known:
    """A customer with what a reader wants beside."""

    customer: Customer
    account_name: str | None
    updated_at: datetime


class Valued(NamedTuple):
    """A customer's tier, and what it follows from."""

    id: str
    tier: Tier
    worth: Worth


class Erasure(NamedTuple):
    """That somebody was erased: one who comes back goes on counting after `last_version`."""

    last_version: int
    erased_at: datetime


async def find(tx: Tx, customer_id: str) -> Known | None:
    """The customer, if known and not erased."""
    row = await tx.fetch_one(_FIND, {"id": customer_id})
    return None if row is None else Known(_customer(row), row.account_name, row.updated_at)


async def lock(tx: Tx, ids: Iterable[str]) -> dict[str, Customer]:
    """Those of `ids` that are known, held until the end of `tx`; in one order, so that two batches cannot deadlock."""
    return {row.id: _customer(row) for row in await tx.fetch(_LOCK, {"ids": list(ids)})}


async def lock_of_accounts(tx: Tx, ids: Iterable[str]) -> list[Customer]:
    """All customers of these accounts, held until the end of `tx`."""
    return [_customer(row) for row in await tx.fetch(_LOCK_OF_ACCOUNTS, {"ids": list(ids)})]


async def claim_outdated(tx: Tx, rules_version: int, limit: int) -> list[Customer]:
    """Some whose tier was given by older rules, held until the end of `tx`; nobody else gets them meanwhile."""
    rows = await tx.fetch(_CLAIM_OUTDATED, {"rules_version": rules_version, "limit": limit})
    return [_customer(row) for row in rows]


async def any_outdated(tx: Tx) -> bool:
    """Whether somebody's tier was given by older rules than those in force."""
    row = await tx.fetch_one(_ANY_OUTDATED)
    return row is not None and bool(row.outdated)


async def count_outdated(tx: Tx, rules_version: int) -> int:
    """How many customers still have a tier by older rules."""
    row = await tx.fetch_one(_COUNT_OUTDATED, {"rules_version": rules_version})
    return 0 if row is None else int(row.customers)


async def no_more_than(tx: Tx, most: int) -> bool:
    """Whether there are so few customers."""
    row = await tx.fetch_one(_NO_MORE_THAN, {"most": most})
    return row is not None and bool(row.few)


async def worths(tx: Tx, after: str, limit: int, fields: Collection[str]) -> list[Valued]:
    """What the next customers are worth, in the order of their ids; "" begins. Only these fields are read for sure."""
    asked = {
        "after": after,
        "limit": limit,
        "attributes": any(each.startswith("attributes.") for each in fields),
        "products": "product" in fields,
    }
    with_accounts = any(each.startswith("account.") for each in fields)
    found = await tx.fetch(_WORTHS_WITH_ACCOUNTS if with_accounts else _WORTHS, asked)
    rows: Sequence[Any] = found  # nothing says how many columns a row has
    return [
        Valued(
            id_,
            tier,
            Worth(
                current_value,
                potential_value,
                account_role,
                _attributes(attributes) if attributes else {},
                _products(products) if products else (),
                account_id,
                _attributes(of_account) if of_account else {},
            ),
        )
        for (
            id_,
            tier,
            current_value,
            potential_value,
            account_role,
            account_id,
            attributes,
            products,
            of_account,
        ) in rows
    ]


async def page(
    tx: Tx, *, after: str, limit: int, tier: Tier | None = None, account_id: str | None = None
) -> list[Customer]:
    """The next customers of a tier, of an account, of both, or of all, in the order of their ids; "" begins."""
    asked = {"after": after, "limit": limit}
    if account_id is not None:
        rows = await tx.fetch(_OF_ACCOUNT, {**asked, "account_id": account_id, "tier": tier})
    elif tier is not None:
        rows = await tx.fetch(_OF_TIER, {**asked, "tier": tier})
    else:
        rows = await tx.fetch(_AFTER, asked)
    return [_customer(row) for row in rows]


async def create(tx: Tx, customers: Sequence[Customer]) -> set[str]:
    """Store those that are new; their ids. Waits for whoever creates the same one at this moment."""
    return {row.id for row in await tx.fetch(_CREATE, _columns(customers) | {"now": tx.now})}


async def replace(tx: Tx, customers: Sequence[Customer]) -> None:
    """Store these over what they were; the caller holds them."""
    await tx.execute(_REPLACE, _columns(customers) | {"now": tx.now})


async def keep(tx: Tx, customers: Sequence[Customer]) -> None:
    """Note that these are as they were, by other rules or said anew; the caller holds them."""
    await tx.execute(
        _KEEP,
        {
            "id": [each.profile.id for each in customers],
            "rules_version": [each.rules_version for each in customers],
            "source_version": [each.told.version for each in customers],
            "source_updated_at": [each.told.at for each in customers],
        },
    )


async def value_again(tx: Tx, account_ids: Iterable[str]) -> None:
    """Let the customers of these accounts be valued anew; under the lock `changing_account`."""
    await tx.execute(_VALUE_AGAIN, {"ids": list(account_ids)})


async def erasures(tx: Tx, ids: Iterable[str]) -> dict[str, Erasure]:
    """Those of `ids` who were erased before."""
    marks = {erasure_mark(id_): id_ for id_ in ids}
    rows = await tx.fetch(_ERASED_VERSIONS, {"marks": list(marks)})
    return {marks[row.mark]: Erasure(row.last_version, row.erased_at) for row in rows}


async def erase(tx: Tx, customer_id: str) -> bool:
    """Remove all that is known of a person; whether there was anything that others have to be told.

    Answers stay, without the person and the comment: they were counted and still count. So do invitations.
    """
    mark = erasure_mark(customer_id)
    known_mark = await tx.fetch_one(_WAS_ERASED, {"mark": mark})
    await account_scores.due_of_customer(tx, customer_id)
    customer = await tx.fetch_one(_DELETE, {"id": customer_id})
    await consents.forget(tx, customer_id, None if customer is None else customer.email)
    await contact_histories.forget(tx, customer_id)
    await tx.execute(_FORGET_MOVES, {"id": customer_id})
    answers = await tx.execute(_FORGET_ANSWERS, {"id": customer_id})
    answers += await tx.execute(_FORGET_INVITATIONS, {"id": customer_id})
    await tx.execute(_FORGET_COMMANDS, {"named": to_json(customer_id)})
    last_version = 0 if customer is None else customer.version
    await tx.execute(_MARK, {"mark": mark, "last_version": last_version, "now": tx.now})
    return known_mark is None or customer is not None or answers > 0


def worth_of(row: Row[Any]) -> Worth:
    """What the customer in `row` is worth."""
    return Worth(
        row.current_value,
        row.potential_value,
        row.account_role,
        _attributes(row.attributes),
        _products(row.products),
        row.account_id,
        {} if row.of_account is None else _attributes(row.of_account),
    )


def _customer(row: Row[Any]) -> Customer:
    return Customer(
        profile=Profile(
            id=row.id,
            name=row.name,
            email=row.email,
            phone=row.phone,
            language=row.language,
            time_zone=row.time_zone,
            account_id=row.account_id,
            account_role=row.account_role,
            current_value=row.current_value,
            potential_value=row.potential_value,
            attributes=_attributes(row.attributes),
            email_consent=row.email_consent,
            products=_products(row.products),
            email_consented_at=row.email_consented_at,
        ),
        version=row.version,
        tier=row.tier,
        tier_reason=row.tier_reason,
        rules_version=row.rules_version,
        facts=_facts(row.tier_facts),
        told=Told(row.source_version, row.source_updated_at),
        choices=_choices(row.email_choices),
    )


def _columns(customers: Sequence[Customer]) -> dict[str, Any]:
    profiles = [customer.profile for customer in customers]
    return {
        "id": [profile.id for profile in profiles],
        "version": [customer.version for customer in customers],
        "name": [profile.name for profile in profiles],
        "email": [profile.email for profile in profiles],
        "phone": [profile.phone for profile in profiles],
        "language": [profile.language for profile in profiles],
        "time_zone": [profile.time_zone for profile in profiles],
        "account_id": [profile.account_id for profile in profiles],
        "account_role": [profile.account_role for profile in profiles],
        "current_value": [profile.current_value for profile in profiles],
        "potential_value": [profile.potential_value for profile in profiles],
        "attributes": [msgspec.json.encode(profile.attributes).decode() for profile in profiles],
        "email_consent": [profile.email_consent for profile in profiles],
        "tier": [customer.tier for customer in customers],
        "tier_reason": [customer.tier_reason for customer in customers],
        "rules_version": [customer.rules_version for customer in customers],
        "products": [msgspec.json.encode(profile.products).decode() for profile in profiles],
        "tier_facts": [msgspec.json.encode(customer.facts).decode() for customer in customers],
        "source_version": [customer.told.version for customer in customers],
        "source_updated_at": [customer.told.at for customer in customers],
        "email_consented_at": [profile.email_consented_at for profile in profiles],
        "email_choices": [msgspec.json.encode(customer.choices).decode() for customer in customers],
    }
