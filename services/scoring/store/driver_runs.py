"""Runs that tell what moves the NPS: asked for, claimed on loan by one worker, and kept with what they found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from sqlalchemy import text

from services.scoring.domain.drivers import Findings, Scope

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from sqlalchemy import Row

    from libs.events.contracts.responses import SurveyKind
    from libs.events.database import Tx

_ASK: Final = text("""
    INSERT INTO driver_runs (id, program, kind, since, until, asked_at, asked_by, not_before)
    SELECT id, program, kind, since, until, :now, :asked_by, :now
      FROM unnest(CAST(:ids AS uuid[]), CAST(:programs AS text[]), CAST(:kinds AS text[]),
                  CAST(:sinces AS timestamptz[]), CAST(:untils AS timestamptz[]))
           AS given (id, program, kind, since, until)
        ON CONFLICT (id) DO NOTHING
""")
# Until `not_before` nobody else takes it; a worker that dies leaves it to the next one then.
_CLAIM: Final = text("""
    UPDATE driver_runs
       SET attempts = attempts + 1, not_before = :now + CAST(:loan AS interval)
     WHERE id = (SELECT id FROM driver_runs
                  WHERE finished_at IS NULL AND not_before <= :now
                  ORDER BY not_before, id
                  LIMIT 1
                    FOR UPDATE SKIP LOCKED)
    RETURNING id, attempts
""")
_ANY_WAITING: Final = text("""
    SELECT EXISTS (SELECT FROM driver_runs WHERE finished_at IS NULL AND not_before <= :now) AS waiting
""")
_FINISH: Final = text("""
    UPDATE driver_runs SET finished_at = :now, findings = :findings WHERE id = :id AND finished_at IS NULL
""")
_PUT_OFF: Final = text("""
    UPDATE driver_runs SET not_before = :not_before WHERE id = :id AND finished_at IS NULL
""")
_FIND: Final = text("""
    SELECT id, program, kind, since, until, asked_at, asked_by, finished_at, findings
      FROM driver_runs
     WHERE id = :id
""")
_NEWEST: Final = text("""
    SELECT id, program, kind, since, until, asked_at, asked_by, finished_at, findings
      FROM driver_runs
     WHERE program = :program AND kind = :kind AND finished_at IS NOT NULL
       AND (CAST(:since AS timestamptz) IS NULL OR since = :since)
       AND (CAST(:until AS timestamptz) IS NULL OR until = :until)
     ORDER BY finished_at DESC, id
     LIMIT 1
""")
_PROGRAMS: Final = text("""
    SELECT DISTINCT program, kind FROM instrument_versions WHERE metric = 'nps' ORDER BY program, kind
""")
_ANY_OF: Final = text("""
    SELECT EXISTS (SELECT FROM driver_runs WHERE asked_by = :asked_by AND until = :until) AS asked
""")
_FORGET: Final = text("DELETE FROM driver_runs WHERE finished_at < :before")

_decode: Final = msgspec.json.Decoder(Findings).decode


class Run(NamedTuple):
    """A run; `findings` is None until it is finished."""

    id: UUID
    scope: Scope
    asked_at: datetime
    asked_by: str
    finished_at: datetime | None
    findings: Findings | None


class Claimed(NamedTuple):
    """A run that is this worker's to do, for the how-manieth time."""

    id: UUID
    attempts: int


async def ask(tx: Tx, scopes: Sequence[tuple[UUID, Scope]], asked_by: str) -> None:
    """Ask for runs; those whose id is there already are not asked for again."""
    await tx.execute(
        _ASK,
        {
            "ids": [id_ for id_, _ in scopes],
            "programs": [scope.program for _, scope in scopes],
            "kinds": [scope.kind for _, scope in scopes],
            "sinces": [scope.since for _, scope in scopes],
            "untils": [scope.until for _, scope in scopes],
            "asked_by": asked_by,
            "now": tx.now,
        },
    )


async def any_waiting(tx: Tx) -> bool:
    """Whether a run may be claimed."""
    row = await tx.fetch_one(_ANY_WAITING, {"now": tx.now})
    return row is not None and bool(row.waiting)


async def claim(tx: Tx, loan: timedelta) -> Claimed | None:
    """The run that waits longest, lent for so long."""
    row = await tx.fetch_one(_CLAIM, {"now": tx.now, "loan": loan})
    return None if row is None else Claimed(row.id, row.attempts)


async def finish(tx: Tx, id_: UUID, findings: bytes) -> None:
    """Keep what a run found: a `Findings` as JSON."""
    await tx.execute(_FINISH, {"id": id_, "findings": findings, "now": tx.now})


async def put_off(tx: Tx, id_: UUID, until: datetime) -> None:
    """Let nobody take it before then."""
    await tx.execute(_PUT_OFF, {"id": id_, "not_before": until})


async def find(tx: Tx, id_: UUID) -> Run | None:
    """The run with this id."""
    row = await tx.fetch_one(_FIND, {"id": id_})
    return None if row is None else _run(row)


async def newest(
    tx: Tx, program: str, kind: SurveyKind, *, since: datetime | None, until: datetime | None
) -> Run | None:
    """The run that was finished last, of this very period if one is given."""
    row = await tx.fetch_one(_NEWEST, {"program": program, "kind": kind, "since": since, "until": until})
    return None if row is None else _run(row)


async def programs(tx: Tx) -> list[tuple[str, SurveyKind]]:
    """Programs that ever asked for a recommendation, by survey kind."""
    return [(row.program, row.kind) for row in await tx.fetch(_PROGRAMS)]


async def were_asked(tx: Tx, asked_by: str, until: datetime) -> bool:
    """Whether somebody asked for runs that end at this moment."""
    row = await tx.fetch_one(_ANY_OF, {"asked_by": asked_by, "until": until})
    return row is not None and bool(row.asked)


async def forget(tx: Tx, before: datetime) -> int:
    """Delete runs that were finished before; how many."""
    return await tx.execute(_FORGET, {"before": before})


def _run(row: Row[Any]) -> Run:
    return Run(
        row.id,
        Scope(row.program, row.kind, row.since, row.until),
        row.asked_at,
        row.asked_by,
        row.finished_at,
        None if row.findings is None else _decode(row.findings),
    )
