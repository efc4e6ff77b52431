"""The registry of instruments: every way of asking that an answer came by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import text

from libs.events.contracts.responses import Instrument
from libs.events.ids import of_bytes
from services.scoring.domain.instruments import InstrumentVersion, fingerprint, instrument_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date, datetime
    from uuid import UUID

    from sqlalchemy import Row

    from libs.events.database import Tx

    Key = tuple[UUID, bytes]
    """An instrument and the fingerprint of a way of asking."""

_FIND: Final = text("""
    SELECT known.instrument_id, known.fingerprint, known.version, known.first_answered_at,
           coalesce(map.document #>> ARRAY[known.touchpoint, known.program],
                    map.document #>> ARRAY[known.touchpoint, '']) AS department
      FROM instrument_versions AS known
      JOIN unnest(CAST(:instrument_ids AS uuid[]), CAST(:fingerprints AS bytea[]))
           AS wanted (instrument_id, fingerprint) USING (instrument_id, fingerprint)
     CROSS JOIN (SELECT document FROM touchpoint_maps ORDER BY version DESC LIMIT 1) AS map
""")
# Two batches that meet a new way of asking must not both count one up, nor hold rows in other orders.
_ONE_AT_A_TIME: Final = text("SELECT pg_advisory_xact_lock(hashtextextended('scoring.instruments', 0))")
_REGISTER: Final = text("""
    INSERT INTO instrument_versions (instrument_id, version, fingerprint, program, touchpoint, metric, question,
                                     scale_min, scale_max, kind, channel, sampling, branded, higher_is_worse,
                                     first_answered_at, registered_at)
    SELECT new.instrument_id,
           coalesce((SELECT max(version) FROM instrument_versions AS known
                      WHERE known.instrument_id = new.instrument_id), 0)
             + row_number() OVER (PARTITION BY new.instrument_id ORDER BY new.first_answered_at, new.fingerprint),
           new.fingerprint, program, touchpoint, metric, question, scale_min, scale_max, kind, channel, sampling,
           branded, higher_is_worse, first_answered_at, :now
      FROM unnest(CAST(:instrument_ids AS uuid[]), CAST(:fingerprints AS bytea[]), CAST(:programs AS text[]),
                  CAST(:touchpoints AS text[]), CAST(:metrics AS text[]), CAST(:questions AS text[]),
                  CAST(:scale_mins AS integer[]), CAST(:scale_maxs AS integer[]), CAST(:kinds AS text[]),
                  CAST(:channels AS text[]), CAST(:samplings AS text[]), CAST(:brandeds AS boolean[]),
                  CAST(:higher_is_worses AS boolean[]), CAST(:answered_ats AS timestamptz[]))
           AS new (instrument_id, fingerprint, program, touchpoint, metric, question, scale_min, scale_max, kind,
                   channel, sampling, branded, higher_is_worse, first_answered_at)
     WHERE NOT EXISTS (SELECT FROM instrument_versions AS known
                        WHERE known.instrument_id = new.instrument_id AND known.fingerprint = new.fingerprint)
""")
_BEGAN_EARLIER: Final = text("""
    UPDATE instrument_versions AS known
       SET first_answered_at = earlier.answered_at
      FROM unnest(CAST(:instrument_ids AS uuid[]), CAST(:fingerprints AS bytea[]),
                  CAST(:answered_ats AS timestamptz[])) AS earlier (instrument_id, fingerprint, answered_at)
     WHERE known.instrument_id = earlier.instrument_id AND known.fingerprint = earlier.fingerprint
       AND known.first_answered_at > earlier.answered_at
""")
_LIST: Final = text("""
    SELECT instrument_id, version, program, touchpoint, metric, question, scale_min, scale_max, kind, channel,
           sampling, branded, higher_is_worse, first_answered_at, same_as, revision
      FROM instrument_versions
     WHERE (program, coalesce(touchpoint, ''), instrument_id, version)
           > (CAST(:program AS text), CAST(:touchpoint AS text), CAST(:instrument_id AS uuid), CAST(:version AS bigint))
     ORDER BY program, coalesce(touchpoint, ''), instrument_id, version
     LIMIT :limit
""")
_OF_SERIES: Final = text("""
    SELECT instrument_id, version, program, touchpoint, metric, question, scale_min, scale_max, kind, channel,
           sampling, branded, higher_is_worse, first_answered_at, same_as, revision
      FROM instrument_versions
     WHERE metric = :metric
       AND (CAST(:program AS text) IS NULL OR program = :program)
       AND (CAST(:touchpoint AS text) IS NULL OR touchpoint = :touchpoint)
       AND (CAST(:kind AS text) IS NULL OR kind = :kind)
""")
_VERSIONS: Final = text("""
    SELECT instrument_id, version, program, touchpoint, metric, question, scale_min, scale_max, kind, channel,
           sampling, branded, higher_is_worse, first_answered_at, same_as, revision
      FROM instrument_versions
     WHERE instrument_id = :instrument_id
     ORDER BY version
""")
_JOIN: Final = text("""
    UPDATE instrument_versions
       SET same_as = :same_as, revision = revision + 1
     WHERE instrument_id = :instrument_id AND (version = :version OR same_as = :version)
""")
_PART: Final = text("""
    UPDATE instrument_versions
       SET same_as = NULL, revision = revision + 1
     WHERE instrument_id = :instrument_id AND version = :version
""")


# Of the cells that tell neither tier nor region apart, in which each answer is once.
_ANSWERED: Final = text("""
    SELECT instrument_id, instrument_version AS version, sum(counted.n) AS n, max(counted.last_day) AS last_day
      FROM cells
     CROSS JOIN LATERAL (SELECT sum(s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7 + s8 + s9 + s10) AS n,
                                max(day) FILTER (WHERE s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7 + s8 + s9 + s10 > 0)
                                    AS last_day
                           FROM day_counts
                          WHERE cell = cells.id) AS counted
     WHERE detail = 'neither' AND instrument_id = ANY(CAST(:instrument_ids AS uuid[]))
     GROUP BY instrument_id, instrument_version
""")


class Asking(NamedTuple):
    """How one answer was asked for."""

    program: str
    touchpoint: str | None
    asked: Instrument


@dataclass(frozen=True, slots=True)
class Registered:
    """An instrument's place in the registry, and who answers for what it asks about."""

    instrument_id: UUID
    version: int
    department: str | None


async def register(tx: Tx, first_answers: Mapping[Asking, datetime]) -> dict[Asking, Registered]:
    """Find each way of asking, or make it the next version of its instrument.

    `first_answers` says when each was first answered, as far as the caller knows; the earliest ever is kept, so that
    answers that arrive late move the beginning of a version and not its number.
    """
    # Of the driver's class: each is written into as many rows and events as there are answers.
    keys = {
        asking: (of_bytes(instrument_id(asking.program, asking.touchpoint).bytes), fingerprint(asking.asked))
        for asking in first_answers
    }
    first: dict[Key, Asking] = {}
    for asking, key in keys.items():
        # Two wordings of one question may come in one batch.
        if key not in first or first_answers[asking] < first_answers[first[key]]:
            first[key] = asking
    known = await _find(tx, first)
    missing = {key: asking for key, asking in first.items() if key not in known}
    if missing:
        await tx.execute(_ONE_AT_A_TIME)
        await tx.execute(_REGISTER, _columns(missing, first_answers) | {"now": tx.now})
        known = await _find(tx, first)
    earlier = {key: at for key, asking in first.items() if (at := first_answers[asking]) < known[key].first_answered_at}
    if earlier:
        await tx.execute(_ONE_AT_A_TIME)
        await tx.execute(
            _BEGAN_EARLIER,
            {
                "instrument_ids": [key[0] for key in earlier],
                "fingerprints": [key[1] for key in earlier],
                "answered_ats": list(earlier.values()),
            },
        )
    return {asking: Registered(key[0], known[key].version, known[key].department) for asking, key in keys.items()}


async def page(tx: Tx, *, after: tuple[str, str, UUID, int], limit: int) -> list[InstrumentVersion]:
    """The next versions in the order of program, touchpoint, instrument and version."""
    program, touchpoint, id_, version = after
    rows = await tx.fetch(
        _LIST,
        {"program": program, "touchpoint": touchpoint, "instrument_id": id_, "version": version, "limit": limit},
    )
    return [_version(row) for row in rows]


async def of_series(
    tx: Tx, *, metric: str, program: str | None, touchpoint: str | None, kind: str | None
) -> list[InstrumentVersion]:
    """All versions that the answers of these series came by; None means any."""
    rows = await tx.fetch(_OF_SERIES, {"metric": metric, "program": program, "touchpoint": touchpoint, "kind": kind})
    return [_version(row) for row in rows]


class Answered(NamedTuple):
    """How many answers with a score came by a version, and on which day (UTC) the last of them was given."""

    n: int
    last_day: date | None


async def answered(tx: Tx, instrument_ids: Iterable[UUID]) -> dict[tuple[UUID, int], Answered]:
    """Of all versions of these instruments that were answered; without what the last moments brought."""
    rows = await tx.fetch(_ANSWERED, {"instrument_ids": list(set(instrument_ids))})
    return {(row.instrument_id, row.version): Answered(int(row.n or 0), row.last_day) for row in rows}


async def find(tx: Tx, instrument_id: UUID, version: int) -> InstrumentVersion | None:
    """One version of an instrument."""
    rows = await tx.fetch(_VERSIONS, {"instrument_id": instrument_id})
    return next((_version(row) for row in rows if row.version == version), None)


async def versions_to_join(tx: Tx, instrument_id: UUID) -> dict[int, InstrumentVersion]:
    """All versions of an instrument; nobody else joins any until the end of `tx`."""
    await tx.execute(_ONE_AT_A_TIME)
    rows = await tx.fetch(_VERSIONS, {"instrument_id": instrument_id})
    return {row.version: _version(row) for row in rows}


async def join(tx: Tx, instrument_id: UUID, version: int, same_as: int | None) -> None:
    """Say that `version`, and those that were joined to it, are the same question as `same_as`; None parts it."""
    parameters: dict[str, Any] = {"instrument_id": instrument_id, "version": version}
    if same_as is None:
        await tx.execute(_PART, parameters)
    else:
        await tx.execute(_JOIN, parameters | {"same_as": same_as})


async def _find(tx: Tx, keys: Iterable[Key]) -> dict[Key, Row[Any]]:
    wanted = list(keys)
    rows = await tx.fetch(
        _FIND, {"instrument_ids": [key[0] for key in wanted], "fingerprints": [key[1] for key in wanted]}
    )
    return {(row.instrument_id, row.fingerprint): row for row in rows}


def _columns(missing: Mapping[Key, Asking], first_answers: Mapping[Asking, datetime]) -> dict[str, Any]:
    return {
        "instrument_ids": [key[0] for key in missing],
        "fingerprints": [key[1] for key in missing],
        "programs": [asking.program for asking in missing.values()],
        "touchpoints": [asking.touchpoint for asking in missing.values()],
        "metrics": [asking.asked.metric for asking in missing.values()],
        "questions": [asking.asked.question for asking in missing.values()],
        "scale_mins": [asking.asked.scale_min for asking in missing.values()],
        "scale_maxs": [asking.asked.scale_max for asking in missing.values()],
        "kinds": [asking.asked.kind for asking in missing.values()],
        "channels": [asking.asked.channel for asking in missing.values()],
        "samplings": [asking.asked.sampling for asking in missing.values()],
        "brandeds": [asking.asked.branded for asking in missing.values()],
        "higher_is_worses": [asking.asked.higher_is_worse for asking in missing.values()],
        "answered_ats": [first_answers[asking] for asking in missing.values()],
    }


def _version(row: Row[Any]) -> InstrumentVersion:
    return InstrumentVersion(
        instrument_id=row.instrument_id,
        version=row.version,
        program=row.program,
        touchpoint=row.touchpoint,
        asked=Instrument(
            metric=row.metric,
            question=row.question,
            scale_min=row.scale_min,
            scale_max=row.scale_max,
            kind=row.kind,
            channel=row.channel,
            sampling=row.sampling,
            branded=row.branded,
            higher_is_worse=row.higher_is_worse,
        ),
        first_answered_at=row.first_answered_at,
        same_as=row.same_as,
        revision=row.revision,
    )
