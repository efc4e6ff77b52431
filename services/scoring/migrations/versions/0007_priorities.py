"""Instruments have a direction and may be joined; contradicted classes are found; what moves the score is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from alembic import op
from sqlalchemy import text

from libs.events.contracts.responses import Instrument
from services.scoring.domain.instruments import fingerprint

if TYPE_CHECKING:
    from uuid import UUID

revision = "0007"
down_revision = "0006"

_STATEMENTS: Final[tuple[str, ...]] = (
    """
    ALTER TABLE instrument_versions
        ADD COLUMN higher_is_worse boolean NOT NULL DEFAULT false,
        ADD COLUMN same_as integer
    """,
    # The shape in which a batch of responses is handed over: one array of rows instead of an array for each column,
    # of each element of which the driver would ask what it is.
    """
    CREATE TYPE response_row AS (
        id text,
        revision integer,
        source text,
        vendor_response_id text,
        program text,
        touchpoint text,
        kind text,
        metric text,
        score integer,
        nps_class text,
        claimed_class text,
        class_contradicted boolean,
        comment text,
        customer_id text,
        tier text,
        tier_reason text,
        language text,
        instrument_id uuid,
        instrument_version integer,
        answered_at timestamptz,
        received_at timestamptz,
        erased boolean,
        cell bigint,
        themes text,
        urgent text
    )
    """,
    # The newest answers of a customer are asked for.
    "DROP INDEX responses_by_customer",
    """
    CREATE INDEX responses_by_customer ON responses (customer_id, answered_at) WHERE customer_id IS NOT NULL
    """,
    "CREATE INDEX responses_contradicted ON responses (source, answered_at) WHERE class_contradicted",
    """
    CREATE TABLE driver_runs (
        id uuid PRIMARY KEY,
        program text NOT NULL,
        kind text NOT NULL,
        since timestamptz NOT NULL,
        until timestamptz NOT NULL,
        asked_at timestamptz NOT NULL,
        asked_by text NOT NULL,
        attempts integer NOT NULL DEFAULT 0,
        not_before timestamptz NOT NULL,
        finished_at timestamptz,
        findings bytea,
        CHECK (since < until),
        CHECK ((finished_at IS NULL) = (findings IS NULL))
    )
    """,
    "CREATE INDEX driver_runs_waiting ON driver_runs (not_before) WHERE finished_at IS NULL",
    "CREATE INDEX driver_runs_by_program ON driver_runs (program, kind, finished_at)",
)
_READ: Final = text("""
    SELECT instrument_id, version, metric, question, scale_min, scale_max, kind, channel, sampling, branded
      FROM instrument_versions
     ORDER BY instrument_id, version
""")
_KNOW: Final = text("""
    UPDATE instrument_versions
       SET fingerprint = given.fingerprint
      FROM unnest(CAST(:instrument_ids AS uuid[]), CAST(:versions AS integer[]), CAST(:fingerprints AS bytea[]))
           AS given (instrument_id, version, fingerprint)
     WHERE instrument_versions.instrument_id = given.instrument_id AND instrument_versions.version = given.version
""")
_JOIN: Final = text("""
    UPDATE instrument_versions
       SET same_as = given.same_as
      FROM unnest(CAST(:instrument_ids AS uuid[]), CAST(:versions AS integer[]), CAST(:same_as AS integer[]))
           AS given (instrument_id, version, same_as)
     WHERE instrument_versions.instrument_id = given.instrument_id AND instrument_versions.version = given.version
""")


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
    know_by_wording()


def know_by_wording() -> None:
    """Instruments are compared by what a customer reads; those that differed in nothing else become one question."""
    firsts: dict[tuple[UUID, bytes], int] = {}
    joined: list[tuple[UUID, int, int]] = []
    for row in op.get_bind().execute(_READ).all():
        asked = Instrument(
            metric=row.metric,
            question=row.question,
            scale_min=row.scale_min,
            scale_max=row.scale_max,
            kind=row.kind,
            channel=row.channel,
            sampling=row.sampling,
            branded=row.branded,
        )
        first = firsts.setdefault((row.instrument_id, fingerprint(asked)), row.version)
        if first != row.version:
            joined.append((row.instrument_id, row.version, first))
    if firsts:
        op.get_bind().execute(
            _KNOW,
            {
                "instrument_ids": [id_ for id_, _ in firsts],
                "versions": list(firsts.values()),
                "fingerprints": [mark for _, mark in firsts],
            },
        )
    if joined:
        ids, versions, same_as = (list(column) for column in zip(*joined, strict=True))
        op.get_bind().execute(_JOIN, {"instrument_ids": ids, "versions": versions, "same_as": same_as})
