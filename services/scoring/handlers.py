"""Scores what customers answered: class, tier and instrument of each response, told once per revision that counts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog
from msgspec import structs

from libs.events.contracts.responses import CustomerUnsubscribed, ResponseWithdrawn
from libs.events.contracts.scores import ResponseRescored, ResponseRetracted, ResponseScored
from libs.events.event import Event
from services.scoring.answers import Scoring, checked, first_answers, without_person
from services.scoring.domain.cells import Tally
from services.scoring.domain.priority import Detraction, prioritized
from services.scoring.store import (
    account_scores,
    counts,
    histories,
    instruments,
    invitations,
    locks,
    responses,
    standards,
)
from services.scoring.store.histories import NOTHING
from services.scoring.store.responses import Standing
from services.scoring.telemetry import CLASS_MISMATCHES
from services.scoring.unsubscriptions import withdraw_consents

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from libs.events.contracts.scores import PriorityPart
    from libs.events.database import Tx
    from libs.events.event import Contract
    from services.scoring.answers import Answer, Asked, Scored
    from services.scoring.domain.cells import Cell
    from services.scoring.store.histories import History
    from services.scoring.store.responses import Place, ResponseRow

log: Final = structlog.get_logger()

SOURCE: Final = "/scoring"
_HOUR: Final = timedelta(hours=1)


async def score_responses(tx: Tx, events: Sequence[Event[Contract]]) -> None:
    """Store each response with its latest revision; announce it when it is new, and whenever it changed.

    An older revision never overwrites a newer one, and announces nothing. What comes as `revised` first is new all
    the same: a response whose customer became known with a later revision travels on two partitions.
    """
    unsubscriptions = [event for event in events if isinstance(event.payload, CustomerUnsubscribed)]
    if unsubscriptions:
        await withdraw_consents(tx, unsubscriptions)  # type: ignore[arg-type]  # by their payloads
    told = [event for event in events if not isinstance(event.payload, CustomerUnsubscribed)]
    answers = checked(event for event in told if not isinstance(event.payload, ResponseWithdrawn))
    tally = Tally()
    if answers:
        await _score(tx, answers, tally)
    withdrawals = [event for event in told if isinstance(event.payload, ResponseWithdrawn)]
    if withdrawals:
        await _take_back(tx, withdrawals, tally)
    await counts.note(tx, tally)


async def _score(tx: Tx, answers: Sequence[Asked], tally: Tally) -> None:
    in_force = await standards.for_answers(tx)
    said = [event.payload for event, _ in answers]
    customer_ids = {each.customer_id for each in said if each.customer_id}
    valued_by_program = any(in_force.rules.of(each.program) for each in said)
    scoring = Scoring(
        respondents=await responses.respondents(tx, customer_ids, with_worth=valued_by_program),
        registered=await instruments.register(tx, first_answers(answers)),
        rules=in_force.rules,
        reader=in_force.reader,
    )
    scored = [scoring.score(answer) for answer in answers]
    stored, standings = await _store(tx, scored, tally)
    if in_force.anybody_invited:
        # As they stand now: what one said before, perhaps with another time, would answer an invitation of its own.
        await invitations.answer(tx, stored)
    await account_scores.due(tx, (each.account_id for each in scored))
    unhappy = {each.row.id: each.row for each in scored if each.row.nps_class == "detractor" and each.row.customer_id}
    before = await histories.before(tx, list(unhappy.values())) if unhappy else {}
    for answer, each in zip(answers, scored, strict=True):
        _announce(tx, answer.event, each, standings, before)


async def _take_back(tx: Tx, withdrawals: Sequence[Event[Any]], tally: Tally) -> None:
    """Withdrawn responses count no longer. After the batch's answers, and so after what is taken back, if it is here.

    One of which nothing is known has nothing to take back: what comes of it later is older, and ingest keeps it.
    """
    await locks.storing_answers(tx)
    rows = await responses.standing(tx, {event.payload.response_id for event in withdrawals})
    said: dict[str, Event[Any]] = {}
    for event in withdrawals:
        row = rows.get(event.payload.response_id)
        if row is not None and row.revision < event.payload.revision:
            latest = said.get(row.id)
            if latest is None or latest.payload.revision < event.payload.revision:
                said[row.id] = event
    if not said:
        return
    await responses.withdraw(tx, {id_: event.payload.revision for id_, event in said.items()})
    for id_ in said:
        row = rows[id_]
        tally.remove(row.cell, row.answered_at, row.score)
        tally.mention(row.themes, row.cell, row.answered_at, row.nps_class, -1)
    # The cell of an answer in this batch may be a new one, which is not stored yet.
    stored = await responses.places(tx, {rows[id_].cell for id_ in said} - tally.cells.keys())
    await invitations.take_back(tx, said)
    known = await responses.respondents(tx, {row.customer_id for row in rows.values() if row.customer_id})
    await account_scores.due(tx, (each.account_id for each in known.values()))
    for id_, event in said.items():
        row = rows[id_]
        respondent = known.get(row.customer_id or "")
        taken_back = row._replace(revision=event.payload.revision, score=None, nps_class=None, comment=None)
        taken_back = taken_back._replace(themes=(), urgent=())
        place = tally.cells.get(row.cell) or stored[row.cell]
        told = _told(taken_back, None if respondent is None else respondent.account_id, place)
        payload = ResponseRetracted(**structs.asdict(told), previous_score=row.score, previous_class=row.nps_class)
        retracted = Event.caused_by(event, payload, subject=id_, time=tx.now, source=SOURCE)
        tx.emit(retracted, key=row.customer_id or id_)


async def _store(tx: Tx, scored: Sequence[Scored], tally: Tally) -> tuple[list[ResponseRow], dict[str, Standing]]:
    """Leave each response with the latest revision there is, counted.

    The rows that were stored, and what those that are not new said before.
    """
    latest: dict[str, ResponseRow] = {}
    for row, _, cell in scored:
        tally.know(row.cell, cell)
        if row.id not in latest or latest[row.id].revision < row.revision:
            latest[row.id] = row
    created = await responses.create(tx, list(latest.values()))
    stored = [latest[id_] for id_ in created]
    standings: dict[str, Standing] = {}
    if len(created) < len(latest):
        standings = await responses.lock(tx, latest.keys() - created)
        newer = [
            without_person(latest[id_]) if standing.erased else latest[id_]
            for id_, standing in standings.items()
            if standing.revision < latest[id_].revision
        ]
        if newer:
            await responses.replace(tx, newer)
            stored += newer
        for row in newer:
            before = standings[row.id]
            tally.remove(before.cell, before.answered_at, before.score)
            tally.mention(before.themes, before.cell, before.answered_at, before.nps_class, -1)
            tally.add(row.cell, row.answered_at, row.score)
            tally.mention(row.themes, row.cell, row.answered_at, row.nps_class)
    for id_ in created:
        row = latest[id_]
        tally.add(row.cell, row.answered_at, row.score)
        tally.mention(row.themes, row.cell, row.answered_at, row.nps_class)
    return stored, standings


def _announce(
    tx: Tx, answer: Answer, scored: Scored, standings: dict[str, Standing], history_of: Mapping[str, History]
) -> None:
    """Say what `answer` changed, and note in `standings` that it is said."""
    before = standings.get(scored.row.id)
    if before is not None and before.revision >= scored.row.revision:
        return
    erased = scored.row.erased or (before is not None and before.erased)
    row = without_person(scored.row) if erased else scored.row
    standings[row.id] = Standing(
        row.revision, row.score, row.nps_class, row.erased, row.cell, row.answered_at, row.themes
    )
    priority: int | None = None
    parts: tuple[PriorityPart, ...] = ()
    if row.nps_class == "detractor" and row.score is not None:
        history = NOTHING if erased else history_of.get(row.id, NOTHING)
        hours = (tx.now - row.answered_at) // _HOUR
        known = Detraction(row.tier, row.score, tuple(row.urgent), history.effort, history.earlier, hours)
        priority, parts = prioritized(known)
    told = _told(row, None if erased else scored.account_id, scored.cell, priority, parts)
    payload = (
        told
        if before is None
        else ResponseRescored(**structs.asdict(told), previous_score=before.score, previous_class=before.nps_class)
    )
    if row.class_contradicted:
        CLASS_MISMATCHES.labels(row.source).inc()
        log.warning("response.class_contradicted", response_id=row.id, revision=row.revision, source=row.source)
    event = Event.caused_by(answer, payload, subject=row.id, time=tx.now, source=SOURCE)
    tx.emit(event, key=row.customer_id or row.id)


def _told(
    row: ResponseRow,
    account_id: str | None,
    place: Cell | Place,
    priority: int | None = None,
    parts: tuple[PriorityPart, ...] = (),
) -> ResponseScored:
    """What every event about a scored response tells, as its first one."""
    return ResponseScored(
        response_id=row.id,
        revision=row.revision,
        program=row.program,
        touchpoint=row.touchpoint,
        kind=row.kind,
        metric=row.metric,
        score=row.score,
        nps_class=row.nps_class,
        comment=row.comment,
        customer_id=row.customer_id,
        account_id=account_id,
        tier=row.tier,
        tier_reason=row.tier_reason,
        language=row.language,
        instrument_id=str(row.instrument_id),
        instrument_version=row.instrument_version,
        answered_at=row.answered_at,
        channel=place.channel,
        department=place.department,
        region=place.region,
        themes=tuple(row.themes),
        urgent=tuple(row.urgent),
        priority=priority,
        priority_parts=parts,
    )
