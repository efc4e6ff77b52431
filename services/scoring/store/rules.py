"""The segment rules in all their versions, and the cut points that were counted for them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec
from sqlalchemy import text

from services.scoring.domain.conditions import Quantile
from services.scoring.domain.segment_documents import as_document, parse
from services.scoring.domain.segments import Cuts, Rules, cuts_of, quantiles, with_cuts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from libs.events.database import Tx

_CURRENT: Final = text("""
    SELECT rules.version, CAST(document AS text) AS document, created_at, created_by,
           valuations.version AS valuation, CAST(cuts AS text) AS cuts, customers, computed_at, checked_at
      FROM segment_valuations AS valuations JOIN segment_rules AS rules ON rules.version = valuations.rules_version
     ORDER BY valuations.version DESC
     LIMIT 1
""")
_ADD: Final = text("""
    INSERT INTO segment_rules (version, document, created_at, created_by)
    VALUES (:version, CAST(:document AS jsonb), :now, :created_by)
""")
_VALUE: Final = text("""
    INSERT INTO segment_valuations (version, rules_version, cuts, customers, computed_at, checked_at)
    VALUES (:valuation, :version, CAST(:cuts AS jsonb), :customers, :now, :now)
""")
_CHECKED: Final = text("UPDATE segment_valuations SET checked_at = :now WHERE version = :valuation")
# Sorted outwards, so that of the highest share the last is the lowest: the value at the place of ceil(share * n), as
# PostgreSQL counts `percentile_disc`. A large sort goes to disk.
_CUTS: Final = text("""
    SELECT percentile_disc(CAST(:shares AS float8[])) WITHIN GROUP (ORDER BY value * CAST(:outwards AS float8)) AS cuts
      FROM (SELECT CASE CAST(:field AS text)
                       WHEN 'current_value' THEN current_value
                       WHEN 'potential_value' THEN potential_value
                       ELSE CASE WHEN jsonb_typeof(attributes -> CAST(:attribute AS text)) = 'number'
                                 THEN CAST(attributes ->> CAST(:attribute AS text) AS float8) END
                   END AS value
              FROM customers) AS known
     WHERE value IS NOT NULL
""")
_CUTS_OF_ACCOUNTS: Final = text("""
    SELECT percentile_disc(CAST(:shares AS float8[])) WITHIN GROUP (ORDER BY value * CAST(:outwards AS float8)) AS cuts
      FROM (SELECT CASE WHEN jsonb_typeof(accounts.attributes -> CAST(:attribute AS text)) = 'number'
                        THEN CAST(accounts.attributes ->> CAST(:attribute AS text) AS float8) END AS value
              FROM customers JOIN accounts ON accounts.id = customers.account_id) AS known
     WHERE value IS NOT NULL
""")
_COUNT: Final = text("SELECT count(*) AS customers FROM customers")

_read_cuts: Final = msgspec.json.Decoder(list[tuple[Quantile, float | None]]).decode


@dataclass(frozen=True, slots=True)
class InForce:
    """A rule set as it was put into force, with the cut points that were counted last.

    `valuation` counts up with either; `customers` are those whom the cut points were counted over, at `computed_at`.
    """

    version: int
    rules: Rules
    created_at: datetime
    created_by: str
    valuation: int
    customers: int
    computed_at: datetime
    checked_at: datetime


async def current(tx: Tx) -> InForce:
    """The rules in force; the first migration laid down the first ones."""
    (row,) = await tx.fetch(_CURRENT)
    return InForce(
        row.version,
        read(row.document, row.cuts),
        row.created_at,
        row.created_by,
        row.valuation,
        row.customers,
        row.computed_at,
        row.checked_at,
    )


async def put_into_force(tx: Tx, new: Rules, before: InForce, created_by: str) -> InForce:
    """Put the next version into force, with cut points counted now; under the lock `changing_rules`."""
    version = before.version + 1
    document = msgspec.json.encode(as_document(new)).decode()
    await tx.execute(_ADD, {"version": version, "document": document, "now": tx.now, "created_by": created_by})
    cuts = await cut_points(tx, quantiles(new))
    return await _value(tx, InForce(version, new, tx.now, created_by, before.valuation, 0, tx.now, tx.now), cuts)


async def count_again(tx: Tx, before: InForce) -> InForce:
    """The rules with cut points counted now: another valuation, where any moved; under the lock `changing_rules`."""
    wanted = quantiles(before.rules)
    cuts = await cut_points(tx, wanted)
    if cuts == cuts_of(before.rules):
        await tx.execute(_CHECKED, {"valuation": before.valuation, "now": tx.now})
        return before
    return await _value(tx, before, cuts)


async def cut_points(tx: Tx, wanted: Sequence[Quantile]) -> Cuts:
    """Where these quantiles begin, over the present customers; None where none of them has the value."""
    found: dict[Quantile, float | None] = {}
    for field, op in dict.fromkeys((each.field, each.op) for each in wanted):
        alike = [each for each in wanted if (each.field, each.op) == (field, op)]
        outwards = -1.0 if op == "top" else 1.0
        of_accounts = field.startswith("account.")
        attribute = field.removeprefix("account.").removeprefix("attributes.")
        asked = {"shares": [each.share for each in alike], "outwards": outwards, "attribute": attribute}
        row = await tx.fetch_one(
            _CUTS_OF_ACCOUNTS if of_accounts else _CUTS, asked if of_accounts else {**asked, "field": field}
        )
        cuts = [None] * len(alike) if row is None or row.cuts is None else [each * outwards for each in row.cuts]
        found |= dict(zip(alike, cuts, strict=True))
    return found


async def _value(tx: Tx, rules: InForce, cuts: Cuts) -> InForce:
    row = await tx.fetch_one(_COUNT) if cuts else None
    customers = 0 if row is None else row.customers
    valuation = rules.valuation + 1
    await tx.execute(
        _VALUE,
        {
            "valuation": valuation,
            "version": rules.version,
            "cuts": msgspec.json.encode(list(cuts.items())).decode(),
            "customers": customers,
            "now": tx.now,
        },
    )
    known = with_cuts(rules.rules, cuts)
    return InForce(rules.version, known, rules.created_at, rules.created_by, valuation, customers, tx.now, tx.now)


@lru_cache(maxsize=8)
def read(document: str, cuts: str) -> Rules:
    """Read once for all batches: what is in force, or tried, never changes; another version is another text."""
    return with_cuts(parse(msgspec.json.decode(document)), dict(_read_cuts(cuts)))
