"""Customers' answers at their latest revisions, read and written set-wise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

from services.casework.domain.answers import Answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Row

    from libs.events.database import Tx
    from services.casework.domain.names import CustomerId, ResponseId

_KNOWN: Final = text("""
    SELECT response_id, revision, customer_id, program, touchpoint, kind, metric, score, nps_class, comment, tier,
           language, themes, answered_at, cause_id, traceparent, case_id, waits_for_owner
      FROM answers
     WHERE response_id = ANY(CAST(:ids AS text[]))
     ORDER BY response_id
       FOR UPDATE
""")

_SAVE: Final = text("""
    INSERT INTO answers (
           response_id, revision, customer_id, program, touchpoint, kind, metric, score, nps_class, comment, tier,
           language, themes, answered_at, cause_id, traceparent, case_id, waits_for_owner)
    SELECT response_id, revision, customer_id, program, touchpoint, kind, metric, score, nps_class, comment, tier,
           language, themes, answered_at, cause_id, traceparent, case_id, waits_for_owner
      FROM unnest(CAST(:rows AS themed_answer_row[]))
        ON CONFLICT (response_id) DO UPDATE
       SET revision = excluded.revision, customer_id = excluded.customer_id, program = excluded.program,
           touchpoint = excluded.touchpoint, kind = excluded.kind, metric = excluded.metric, score = excluded.score,
           nps_class = excluded.nps_class, comment = excluded.comment, tier = excluded.tier,
           language = excluded.language, themes = excluded.themes, answered_at = excluded.answered_at,
           cause_id = excluded.cause_id, traceparent = excluded.traceparent, case_id = excluded.case_id,
           waits_for_owner = excluded.waits_for_owner
     WHERE answers.revision <= excluded.revision
""")

_WAITING: Final = text("""
    SELECT response_id, customer_id
      FROM answers
     WHERE waits_for_owner
     ORDER BY answered_at, response_id
     LIMIT :limit
""")

_CLAIM_WAITING: Final = text("""
    SELECT response_id, revision, customer_id, program, touchpoint, kind, metric, score, nps_class, comment, tier,
           language, themes, answered_at, cause_id, traceparent, case_id, waits_for_owner
      FROM answers
     WHERE response_id = ANY(CAST(:ids AS text[])) AND waits_for_owner
     ORDER BY answered_at, response_id
       FOR UPDATE SKIP LOCKED
""")

_COUNT_WAITING: Final = text("SELECT count(*) AS waiting FROM answers WHERE waits_for_owner")


async def known(tx: Tx, ids: Iterable[ResponseId]) -> list[Answer]:
    """What is stored of these responses, locked."""
    return [answer_of(row) for row in await tx.fetch(_KNOWN, {"ids": list(ids)})]


async def save(tx: Tx, answers: Sequence[Answer]) -> None:
    """Store answers at their new revisions."""
    if not answers:
        return
    # Sorted, so that two transactions with the same answers cannot wait for each other.
    answers = sorted(answers, key=lambda answer: answer.response_id)
    await tx.execute(_SAVE, {"rows": [_row(answer) for answer in answers]})


async def waiting(tx: Tx, limit: int) -> list[tuple[ResponseId, CustomerId | None]]:
    """Answers that wait for somebody who can own their cases, the earliest first; not locked."""
    return [(row.response_id, row.customer_id) for row in await tx.fetch(_WAITING, {"limit": limit})]


async def claim_waiting(tx: Tx, ids: Iterable[ResponseId]) -> list[Answer]:
    """Those of them that still wait and are in no other hands, locked, the earliest first."""
    return [answer_of(row) for row in await tx.fetch(_CLAIM_WAITING, {"ids": list(ids)})]


async def count_waiting(tx: Tx) -> int:
    """How many answers wait for somebody who can own their cases."""
    row = await tx.fetch_one(_COUNT_WAITING)
    return 0 if row is None else int(row.waiting)


def answer_of(row: Row[Any]) -> Answer:
    """The answer in a row of the table."""
    return Answer(
        response_id=row.response_id,
        revision=row.revision,
        customer_id=row.customer_id,
        program=row.program,
        touchpoint=row.touchpoint,
        kind=row.kind,
        metric=row.metric,
        score=row.score,
        nps_class=row.nps_class,
        comment=row.comment,
        tier=row.tier,
        language=row.language,
        themes=tuple(row.themes),
        answered_at=row.answered_at,
        cause_id=row.cause_id,
        traceparent=row.traceparent,
        case_id=row.case_id,
        waits_for_owner=row.waits_for_owner,
    )


def _row(answer: Answer) -> tuple[object, ...]:
    """The answer in the order of `themed_answer_row`."""
    return (
        answer.response_id,
        answer.revision,
        answer.customer_id,
        answer.program,
        answer.touchpoint,
        answer.kind,
        answer.metric,
        answer.score,
        answer.nps_class,
        answer.comment,
        answer.tier,
        answer.language,
        answer.themes,
        answer.answered_at,
        answer.cause_id,
        answer.traceparent,
        answer.case_id,
        answer.waits_for_owner,
    )
