"""The registry of instruments: every way of asking that an answer came by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import text

from libs.events.contracts.responses import Instrument
from services.scoring.domain.instruments import InstrumentVersion, fingerprint, instrument_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Row

    from libs.events.database import Tx

    Key = tuple[UUID, bytes]
    """An instrument and the fingerprint of a way of asking."""

_FIND: Final = text("""
    SELECT known.instrument_id, known.fingerprint, known.version, known.first_answered_at
      FROM instrument_versions AS known
      JOIN unnest(CAST(:instrument_ids AS uuid[]), CAST(:fingerprints AS bytea[]))
           AS wanted (instrument_id, fingerprint) USING (instrument_id, fingerprint)
""")
# Two batches that meet a new way of asking must not both count one up, nor hold rows in other orders.
_ONE_AT_A_TIME: Final = text("SELECT pg_advisory_xact_lock(hashtextextended('scoring.instruments', 0))")
_REGISTER: Final = text("""
    INSERT INTO instrument_versions (instrument_id, version, fingerprint, program, touchpoint, metric, question,
                                     scale_min, scale_max, kind, channel, sampling, branded, first_answered_at,
                                     registered_at)
    SELECT new.instrument_id,
           coalesce((SELECT max(version) FROM instrument_versions AS known
                      WHERE known.instrument_id = new.instrument_id), 0)
             + row_number() OVER (PARTITION BY new.instrument_id ORDER BY new.first_answered_at, new.fingerprint),
           new.fingerprint, program, touchpoint, metric, question, scale_min, scale_max, kind, channel, sampling,
           branded, first_answered_at, :now
      FROM unnest(CAST(:instrument_ids AS uuid[]), CAST(:fingerprints AS bytea[]), CAST(:programs AS text[]),
                  CAST(:touchpoints AS text[]), CAST(:metrics AS text[]), CAST(:questions AS text[]),
                  CAST(:scale_mins AS integer[]), CAST(:scale_maxs AS integer[]), CAST(:kinds AS text[]),
                  CAST(:channels AS text[]), CAST(:samplings AS text[]), CAST(:brandeds AS boolean[]),
                  CAST(:answered_ats AS timestamptz[]))
           AS new (instrument_id, fingerprint, program, touchpoint, metric, question, scale_min, scale_max, kind,
                   channel, sampling, branded, first_answered_at)
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
           sampling, branded, first_answered_at
      FROM instrument_versions
     WHERE (program, coalesce(touchpoint, ''), instrument_id, version)
           > (CAST(:program AS text), CAST(:touchpoint AS text), CAST(:instrument_id AS uuid), CAST(:version AS bigint))
     ORDER BY program, coalesce(touchpoint, ''), instrument_id, version
     LIMIT :limit
""")
_OF_SERIES: Final = text("""
    SELECT instrument_id, version, program, touchpoint, metric, question, scale_min, scale_max, kind, channel,
           sampling, branded, first_answered_at
      FROM instrument_versions
     WHERE metric = :metric
       AND (CAST(:program AS text) IS NULL OR program = :program)
       AND (CAST(:touchpoint AS text) IS NULL OR touchpoint = :touchpoint)
       AND (CAST(:kind AS text) IS NULL OR kind = :kind)
""")


class Asking(NamedTuple):
    """How one answer was asked for."""

    program: str
    touchpoint: str | None
    asked: Instrument


@dataclass(frozen=True, slots=True)
class Registered:
    """An instrument's place in the registry."""

    instrument_id: UUID
    version: int


async def register(tx: Tx, first_answers: Mapping[Asking, datetime]) -> dict[Asking, Registered]:
    """Find each way of asking, or make it the next version of its instrument.

    `first_answers` says when each was first answered, as far as the caller knows; the earliest ever is kept, so that
    answers that arrive late move the beginning of a version and not its number.
    """
    keys = {
        asking: (instrument_id(asking.program, asking.touchpoint), fingerprint(asking.asked))
        for asking in first_answers
    }
    known = await _find(tx, keys.values())
    missing = {asking: key for asking, key in keys.items() if key not in known}
    if missing:
        await tx.execute(_ONE_AT_A_TIME)
        await tx.execute(_REGISTER, _columns(missing, first_answers) | {"now": tx.now})
        known = await _find(tx, keys.values())
    earlier = {asking: key for asking, key in keys.items() if first_answers[asking] < known[key].first_answered_at}
    if earlier:
        await tx.execute(_ONE_AT_A_TIME)
        await tx.execute(
            _BEGAN_EARLIER,
            {
                "instrument_ids": [key[0] for key in earlier.values()],
                "fingerprints": [key[1] for key in earlier.values()],
                "answered_ats": [first_answers[asking] for asking in earlier],
            },
        )
    return {asking: Registered(key[0], known[key].version) for asking, key in keys.items()}


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


async def _find(tx: Tx, keys: Iterable[Key]) -> dict[Key, Row[Any]]:
    wanted = list(keys)
    rows = await tx.fetch(
        _FIND, {"instrument_ids": [key[0] for key in wanted], "fingerprints": [key[1] for key in wanted]}
    )
    return {(row.instrument_id, row.fingerprint): row for row in rows}


def _columns(missing: Mapping[Asking, Key], first_answers: Mapping[Asking, datetime]) -> dict[str, Any]:
    return {
        "instrument_ids": [key[0] for key in missing.values()],
        "fingerprints": [key[1] for key in missing.values()],
        "programs": [asking.program for asking in missing],
        "touchpoints": [asking.touchpoint for asking in missing],
        "metrics": [asking.asked.metric for asking in missing],
        "questions": [asking.asked.question for asking in missing],
        "scale_mins": [asking.asked.scale_min for asking in missing],
        "scale_maxs": [asking.asked.scale_max for asking in missing],
        "kinds": [asking.asked.kind for asking in missing],
        "channels": [asking.asked.channel for asking in missing],
        "samplings": [asking.asked.sampling for asking in missing],
        "brandeds": [asking.asked.branded for asking in missing],
        "answered_ats": [first_answers[asking] for asking in missing],
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
        ),
        first_answered_at=row.first_answered_at,
    )
