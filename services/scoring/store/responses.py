"""Responses: one row each, with its latest revision, however often and in whatever order the revisions come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import text

from services.scoring.domain.customers import erasure_mark
from services.scoring.store.customers import worth_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from uuid import UUID

    from sqlalchemy import Row

    from libs.events.contracts.responses import Channel, Metric, SurveyKind
    from libs.events.contracts.scores import NpsClass, Tier, UrgentSignal
    from libs.events.database import Tx
    from services.scoring.domain.worth import Worth
    from services.scoring.store.metrics import Series

_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2200, 1, 1, tzinfo=UTC)
_CLOCKS_DIFFER: Final = timedelta(days=1)

# Ids go back as one array: as a row of its own each of them costs the driver more than twice as much.
_CREATE: Final = text("""
  WITH created AS (
    INSERT INTO responses (id, revision, source, vendor_response_id, program, touchpoint, kind, metric, score,
                           nps_class, claimed_class, class_contradicted, comment, customer_id, tier, tier_reason,
                           language, instrument_id, instrument_version, answered_at, received_at, erased, cell,
                           themes, urgent, scored_at)
    SELECT id, revision, source, vendor_response_id, program, touchpoint, kind, metric, score,
           nps_class, claimed_class, class_contradicted, comment, customer_id, tier, tier_reason,
           language, instrument_id, instrument_version, answered_at, received_at, erased, cell,
           string_to_array(themes, ','), string_to_array(urgent, ','), :now
      FROM unnest(CAST(:rows AS response_row[]))
     ORDER BY id
        ON CONFLICT (id) DO NOTHING
    RETURNING id
  )
  SELECT array_agg(id) AS ids FROM created
""")
_LOCK: Final = text("""
    SELECT id, revision, score, nps_class, erased, cell, answered_at, themes
      FROM responses
     WHERE id = ANY(CAST(:ids AS text[]))
     ORDER BY id
       FOR UPDATE
""")
_REPLACE: Final = text("""
    UPDATE responses
       SET revision = given.revision, source = given.source, vendor_response_id = given.vendor_response_id,
           program = given.program, touchpoint = given.touchpoint, kind = given.kind, metric = given.metric,
           score = given.score, nps_class = given.nps_class, claimed_class = given.claimed_class,
           class_contradicted = given.class_contradicted, comment = given.comment, customer_id = given.customer_id,
           tier = given.tier, tier_reason = given.tier_reason, language = given.language,
           instrument_id = given.instrument_id, instrument_version = given.instrument_version,
           answered_at = given.answered_at, received_at = given.received_at, erased = given.erased, cell = given.cell,
           themes = string_to_array(given.themes, ','), urgent = string_to_array(given.urgent, ','), scored_at = :now,
           withdrawn = false
      FROM unnest(CAST(:rows AS response_row[])) AS given
     WHERE responses.id = given.id
""")
_STANDING: Final = text("""
    SELECT id, revision, source, vendor_response_id, program, touchpoint, kind, metric, score, nps_class,
           claimed_class, class_contradicted, comment, customer_id, tier, tier_reason, language, instrument_id,
           instrument_version, answered_at, received_at, erased, cell, themes, urgent
      FROM responses
     WHERE id = ANY(CAST(:ids AS text[]))
     ORDER BY id
       FOR UPDATE
""")
# The words go with the score: whoever takes an answer back takes back what it says.
_WITHDRAW: Final = text("""
    UPDATE responses
       SET revision = given.revision, score = NULL, nps_class = NULL, claimed_class = NULL, class_contradicted = false,
           comment = NULL, themes = '{}', urgent = '{}', withdrawn = true, scored_at = :now
      FROM unnest(CAST(:ids AS text[]), CAST(:revisions AS integer[])) AS given (id, revision)
     WHERE responses.id = given.id
""")
# Each by its index, whatever the planner knows of the tables: for a batch of 500 it would rather hash 25,000 customers,
# which takes eight times as long.
_RESPONDENTS: Final = text("""
    SELECT given.id, tier, tier_reason, account_id, region, erased_at
      FROM unnest(CAST(:ids AS text[]), CAST(:marks AS bytea[])) AS given (id, mark)
      LEFT JOIN LATERAL (
               SELECT id, tier, tier_reason, account_id, attributes ->> 'region' AS region
                 FROM customers WHERE id = given.id OFFSET 0
           ) AS customer ON true
      LEFT JOIN LATERAL (SELECT erased_at FROM erasures WHERE mark = given.mark OFFSET 0) AS erasure ON true
     WHERE customer.id IS NOT NULL OR erased_at IS NOT NULL
""")
# Only where a program of the batch has rules of its own: the profiles' worth costs as much again as all the rest.
_RESPONDENTS_WITH_WORTH: Final = text("""
    SELECT given.id, tier, tier_reason, account_id, customer.attributes ->> 'region' AS region, erased_at,
           current_value, potential_value, account_role, CAST(customer.attributes AS text) AS attributes,
           CAST(products AS text) AS products, CAST(account.attributes AS text) AS of_account
      FROM unnest(CAST(:ids AS text[]), CAST(:marks AS bytea[])) AS given (id, mark)
      LEFT JOIN LATERAL (SELECT * FROM customers WHERE id = given.id OFFSET 0) AS customer ON true
      LEFT JOIN LATERAL (SELECT attributes FROM accounts WHERE id = customer.account_id OFFSET 0) AS account ON true
      LEFT JOIN LATERAL (SELECT erased_at FROM erasures WHERE mark = given.mark OFFSET 0) AS erasure ON true
     WHERE customer.id IS NOT NULL OR erased_at IS NOT NULL
""")
_PLACES: Final = text("""
    SELECT id, channel, department, region FROM cells WHERE id = ANY(CAST(:cells AS bigint[]))
""")
_FIND: Final = text("""
    SELECT responses.id, revision, source, vendor_response_id, responses.program, responses.touchpoint, responses.kind,
           responses.metric, score, nps_class, claimed_class, class_contradicted, comment, customer_id, responses.tier,
           tier_reason, language, responses.instrument_id, responses.instrument_version, answered_at, received_at,
           erased, themes, urgent, scored_at, cells.channel, cells.department, cells.region
      FROM responses JOIN cells ON cells.id = responses.cell
     WHERE responses.id = :id
""")


_OF_CUSTOMER: Final = text("""
    SELECT responses.id, revision, source, vendor_response_id, responses.program, responses.touchpoint, responses.kind,
           responses.metric, score, nps_class, claimed_class, class_contradicted, comment, customer_id, responses.tier,
           tier_reason, language, responses.instrument_id, responses.instrument_version, answered_at, received_at,
           erased, themes, urgent, scored_at, cells.channel, cells.department, cells.region
      FROM responses JOIN cells ON cells.id = responses.cell
     WHERE customer_id = :customer_id AND (answered_at, responses.id) < (:before, CAST(:before_id AS text))
     ORDER BY answered_at DESC, responses.id DESC
     LIMIT :limit
""")
# The comments are looked at one after another: `looked_at` says how many were, and where the next page begins.
_COMMENTED: Final = text("""
    WITH looked AS (
        SELECT *
          FROM responses
         WHERE comment IS NOT NULL AND scored_at > :scored_since
           AND (scored_at, id) < (:before, CAST(:before_id AS text))
         ORDER BY scored_at DESC, id DESC
         LIMIT :looked_at
    ), fitting AS (
        SELECT looked.*, cells.channel, cells.department, cells.region
          FROM looked JOIN cells ON cells.id = looked.cell
         WHERE answered_at >= :since AND answered_at < :until
           AND (CAST(:theme AS text) IS NULL OR CAST(:theme AS text) = ANY(themes))
           AND (CAST(:metric AS text) IS NULL OR looked.metric = :metric)
           AND (CAST(:kind AS text) IS NULL OR looked.kind = :kind)
           AND (CAST(:program AS text) IS NULL OR looked.program = :program)
           AND (CAST(:touchpoint AS text) IS NULL OR looked.touchpoint = :touchpoint)
           AND (CAST(:tier AS text) IS NULL OR looked.tier = :tier)
           AND (CAST(:department AS text) IS NULL OR cells.department = :department)
           AND (CAST(:region AS text) IS NULL OR cells.region = :region)
           AND (CAST(:channel AS text) IS NULL OR cells.channel = :channel)
         ORDER BY looked.scored_at DESC, looked.id DESC
         LIMIT :limit
    )
    SELECT edge.looked, edge.scored_at AS edge_at, edge.id AS edge_id, fitting.*
      FROM (SELECT count(*) OVER () AS looked, scored_at, id FROM looked ORDER BY scored_at, id LIMIT 1) AS edge
      LEFT JOIN fitting ON true
     ORDER BY fitting.scored_at DESC, fitting.id DESC
""")


class ResponseRow(NamedTuple):
    """A response as it is stored."""

    id: str
    revision: int
    source: str
    vendor_response_id: str | None
    program: str
    touchpoint: str | None
    kind: SurveyKind
    metric: Metric
    score: int | None
    nps_class: NpsClass | None
    claimed_class: str | None
    class_contradicted: bool
    comment: str | None
    customer_id: str | None
    tier: Tier
    tier_reason: str
    language: str | None
    instrument_id: UUID
    instrument_version: int
    answered_at: datetime
    received_at: datetime
    erased: bool
    cell: int
    """Where it is counted, and what else numbers are asked by."""
    themes: Sequence[str] = ()
    urgent: Sequence[UrgentSignal] = ()


class Standing(NamedTuple):
    """What a response says so far."""

    revision: int
    score: int | None
    nps_class: NpsClass | None
    erased: bool
    cell: int
    answered_at: datetime
    themes: Sequence[str]


class Place(NamedTuple):
    """Where an answer came from, as far as its cell says it."""

    channel: Channel
    department: str | None
    region: str | None


class Respondent(NamedTuple):
    """A customer as far as scoring an answer needs them. `tier` is None where nobody told us about them.

    `worth` is there where it was asked for.
    """

    tier: Tier | None
    tier_reason: str | None
    account_id: str | None
    region: str | None
    erased_at: datetime | None
    worth: Worth | None = None


async def respondents(tx: Tx, customer_ids: Iterable[str], *, with_worth: bool = False) -> dict[str, Respondent]:
    """Those customers whom we know, or know to have been erased."""
    ids = list(customer_ids)
    asked = {"ids": ids, "marks": [erasure_mark(id_) for id_ in ids]}
    if with_worth:
        rows = await tx.fetch(_RESPONDENTS_WITH_WORTH, asked)
        return {
            row.id: Respondent(
                row.tier,
                row.tier_reason,
                row.account_id,
                row.region,
                row.erased_at,
                None if row.tier is None else worth_of(row),
            )
            for row in rows
        }
    rows = await tx.fetch(_RESPONDENTS, asked)
    # By place: by name a row costs six times as much.
    return {row[0]: Respondent(*row[1:]) for row in rows}  # type: ignore[call-arg]  # how many it has, nobody knows


async def create(tx: Tx, rows: Sequence[ResponseRow]) -> set[str]:
    """Store those that are new; their ids. Waits for whoever stores the same one at this moment."""
    (created,) = await tx.fetch(_CREATE, {"rows": [_row(row) for row in rows], "now": tx.now})
    return set(created.ids or ())


async def lock(tx: Tx, ids: Iterable[str]) -> dict[str, Standing]:
    """What these say so far; held until the end of `tx`, in one order, so that two batches cannot deadlock."""
    rows = await tx.fetch(_LOCK, {"ids": list(ids)})
    return {
        row.id: Standing(row.revision, row.score, row.nps_class, row.erased, row.cell, row.answered_at, row.themes)
        for row in rows
    }


async def replace(tx: Tx, rows: Sequence[ResponseRow]) -> None:
    """Store these over what they were; the caller holds them."""
    await tx.execute(_REPLACE, {"rows": [_row(row) for row in rows], "now": tx.now})


async def standing(tx: Tx, ids: Iterable[str]) -> dict[str, ResponseRow]:
    """These as they are stored; held until the end of `tx`."""
    rows = await tx.fetch(_STANDING, {"ids": list(ids)})
    return {row.id: ResponseRow._make(row) for row in rows}


async def places(tx: Tx, cells: Iterable[int]) -> dict[int, Place]:
    """Where the answers of these cells came from."""
    rows = await tx.fetch(_PLACES, {"cells": list(cells)})
    return {row.id: Place(row.channel, row.department, row.region) for row in rows}


async def withdraw(tx: Tx, revisions: Mapping[str, int]) -> None:
    """Take these back, with the revision that says so; the caller holds them."""
    ids = list(revisions)
    await tx.execute(_WITHDRAW, {"ids": ids, "revisions": [revisions[id_] for id_ in ids], "now": tx.now})


async def find(tx: Tx, response_id: str) -> Row[Any] | None:
    """The whole row."""
    return await tx.fetch_one(_FIND, {"id": response_id})


class Position(NamedTuple):
    """A place in a list that is newest first: what follows is older."""

    at: datetime
    id: str


async def of_customer(tx: Tx, customer_id: str, *, before: Position, limit: int) -> Sequence[Row[Any]]:
    """A customer's answers, the latest answered first."""
    asked = {"customer_id": customer_id, "before": before.at, "before_id": before.id, "limit": limit}
    return await tx.fetch(_OF_CUSTOMER, asked)


async def commented(
    tx: Tx, series: Series, *, theme: str | None, any_metric: bool, before: Position, limit: int, looked_at: int
) -> tuple[Sequence[Row[Any]], Position | None]:
    """Answers with a comment that mentions the theme (None: any), the last that came first; and where to go on.

    At most `looked_at` comments are looked at, so that a theme that nobody mentions costs no more than another; fewer
    than `limit`, or none, do not mean the end.
    """
    since = series.since or _FIRST
    rows = await tx.fetch(
        _COMMENTED,
        {
            # What was answered later was not scored earlier, but for a wrong clock at the vendor's.
            "scored_since": max(since, _FIRST + _CLOCKS_DIFFER) - _CLOCKS_DIFFER,
            "since": since,
            "until": series.until or _LAST,
            "theme": theme,
            "metric": None if any_metric else series.metric,
            "kind": series.kind,
            "program": series.program,
            "touchpoint": series.touchpoint,
            "tier": series.segment,
            "department": series.department,
            "region": series.region,
            "channel": series.channel,
            "before": before.at,
            "before_id": before.id,
            "limit": limit + 1,
            "looked_at": looked_at,
        },
    )
    found = [row for row in rows if row.id is not None]
    if len(found) > limit:
        last = found[limit - 1]
        return found[:limit], Position(last.scored_at, last.id)
    if rows and rows[0].looked == looked_at:
        return found, Position(rows[0].edge_at, rows[0].edge_id)
    return found, None


def _row(row: ResponseRow) -> tuple[object, ...]:
    """The response in the order of `response_row`. No id has a comma; a text costs the driver less than an array."""
    return (*row[:-2], ",".join(row.themes), ",".join(row.urgent))
