"""Scores what customers answered: class, tier and instrument of each response, told once per revision that counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import structlog

from libs.events.contracts.responses import (
    CustomerUnsubscribed,
    ResponseReceived,
    ResponseRevised,
    ResponseWithdrawn,
)
from libs.events.contracts.scores import ResponseRescored, ResponseRetracted, ResponseScored
from libs.events.errors import PermanentError
from libs.events.event import Event
from services.scoring.domain.cells import Cell, Tally
from services.scoring.domain.comments.reading import NOTHING as NO_COMMENT
from services.scoring.domain.customers import LONGEST_ID
from services.scoring.domain.nps import contradicts, nps_class
from services.scoring.domain.priority import Detraction, prioritized
from services.scoring.domain.scales import in_scale
from services.scoring.domain.segments import Valuation, unknown, valued
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
from services.scoring.store.instruments import Asking
from services.scoring.store.responses import ResponseRow, Standing
from services.scoring.telemetry import CLASS_MISMATCHES
from services.scoring.unsubscriptions import withdraw_consents

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from libs.events.database import Tx
    from libs.events.event import Contract
    from services.scoring.domain.comments.reading import Reader
    from services.scoring.domain.segments import Rules
    from services.scoring.store.histories import History
    from services.scoring.store.instruments import Registered
    from services.scoring.store.responses import Place, Respondent

    Answer = Event[ResponseReceived] | Event[ResponseRevised]

log: Final = structlog.get_logger()

SOURCE: Final = "/scoring"
_HOUR: Final = timedelta(hours=1)
_LARGEST: Final = 2**31 - 1


async def score_responses(tx: Tx, events: Sequence[Event[Contract]]) -> None:
    """Store each response with its latest revision; announce it when it is new, and whenever it changed.

    An older revision never overwrites a newer one, and announces nothing. What comes as `revised` first is new all
    the same: a response whose customer became known with a later revision travels on two partitions.
    """
    unsubscriptions = [event for event in events if isinstance(event.payload, CustomerUnsubscribed)]
    if unsubscriptions:
        await withdraw_consents(tx, unsubscriptions)  # type: ignore[arg-type]  # by their payloads
    told = [event for event in events if not isinstance(event.payload, CustomerUnsubscribed)]
    answers = [_checked(event) for event in told if not isinstance(event.payload, ResponseWithdrawn)]
    tally = Tally()
    if answers:
        await _score(tx, answers, tally)
    withdrawals = [event for event in told if isinstance(event.payload, ResponseWithdrawn)]
    if withdrawals:
        await _take_back(tx, withdrawals, tally)
    await counts.note(tx, tally)


async def _score(tx: Tx, answers: Sequence[Answer], tally: Tally) -> None:
    askings = [Asking(said.program, said.touchpoint, said.instrument) for said in (each.payload for each in answers)]
    in_force = await standards.for_answers(tx)
    customer_ids = {answer.payload.customer_id for answer in answers if answer.payload.customer_id}
    valued_by_program = any(in_force.rules.of(answer.payload.program) for answer in answers)
    scoring = _Scoring(
        respondents=await responses.respondents(tx, customer_ids, with_worth=valued_by_program),
        registered=await instruments.register(tx, _first_answers(answers, askings)),
        rules=in_force.rules,
        of_unknown=unknown(in_force.rules),
        reader=in_force.reader,
    )
    scored = [scoring.score(answer, asking) for answer, asking in zip(answers, askings, strict=True)]
    standings = await _store(tx, scored, tally)
    if in_force.anybody_invited:
        await invitations.answer(tx, (each.row for each in scored))
    await account_scores.due(tx, (each.account_id for each in scored))
    unhappy = {each.row.id: each.row for each in scored if each.row.nps_class == "detractor" and each.row.customer_id}
    before = await histories.before(tx, list(unhappy.values())) if unhappy else {}
    for answer, each in zip(answers, scored, strict=True):
        _announce(tx, answer, each, standings, before)


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
        members = _members(taken_back, None if respondent is None else respondent.account_id, place)
        payload = ResponseRetracted(**members, previous_score=row.score, previous_class=row.nps_class)
        retracted = Event.caused_by(event, payload, subject=id_, time=tx.now, source=SOURCE)
        tx.emit(retracted, key=row.customer_id or id_)


async def _store(tx: Tx, scored: Sequence[_Scored], tally: Tally) -> dict[str, Standing]:
    """Leave each response with the latest revision there is, counted; what those that are not new said before."""
    latest: dict[str, ResponseRow] = {}
    for row, _, cell in scored:
        tally.know(row.cell, cell)
        if row.id not in latest or latest[row.id].revision < row.revision:
            latest[row.id] = row
    created = await responses.create(tx, list(latest.values()))
    standings: dict[str, Standing] = {}
    if len(created) < len(latest):
        standings = await responses.lock(tx, latest.keys() - created)
        newer = [
            _without_person(latest[id_]) if standing.erased else latest[id_]
            for id_, standing in standings.items()
            if standing.revision < latest[id_].revision
        ]
        if newer:
            await responses.replace(tx, newer)
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
    return standings


def _announce(
    tx: Tx, answer: Answer, scored: _Scored, standings: dict[str, Standing], history_of: Mapping[str, History]
) -> None:
    """Say what `answer` changed, and note in `standings` that it is said."""
    before = standings.get(scored.row.id)
    if before is not None and before.revision >= scored.row.revision:
        return
    erased = scored.row.erased or (before is not None and before.erased)
    row = _without_person(scored.row) if erased else scored.row
    standings[row.id] = Standing(
        row.revision, row.score, row.nps_class, row.erased, row.cell, row.answered_at, row.themes
    )
    members = _members(row, None if erased else scored.account_id, scored.cell)
    if row.nps_class == "detractor" and row.score is not None:
        history = NOTHING if erased else history_of.get(row.id, NOTHING)
        hours = (tx.now - row.answered_at) // _HOUR
        known = Detraction(row.tier, row.score, tuple(row.urgent), history.effort, history.earlier, hours)
        members["priority"], members["priority_parts"] = prioritized(known)
    payload = (
        ResponseScored(**members)
        if before is None
        else ResponseRescored(**members, previous_score=before.score, previous_class=before.nps_class)
    )
    if row.class_contradicted:
        CLASS_MISMATCHES.labels(row.source).inc()
        log.warning("response.class_contradicted", response_id=row.id, revision=row.revision, source=row.source)
    event = Event.caused_by(answer, payload, subject=row.id, time=tx.now, source=SOURCE)
    tx.emit(event, key=row.customer_id or row.id)


def _members(row: ResponseRow, account_id: str | None, place: Cell | Place) -> dict[str, Any]:
    """What every event about a scored response tells."""
    return {
        "response_id": row.id,
        "revision": row.revision,
        "program": row.program,
        "touchpoint": row.touchpoint,
        "kind": row.kind,
        "metric": row.metric,
        "score": row.score,
        "nps_class": row.nps_class,
        "comment": row.comment,
        "customer_id": row.customer_id,
        "account_id": account_id,
        "tier": row.tier,
        "tier_reason": row.tier_reason,
        "language": row.language,
        "instrument_id": str(row.instrument_id),
        "instrument_version": row.instrument_version,
        "answered_at": row.answered_at,
        "channel": place.channel,
        "department": place.department,
        "region": place.region,
        "themes": tuple(row.themes),
        "urgent": tuple(row.urgent),
    }


class _Scored(NamedTuple):
    row: ResponseRow
    account_id: str | None
    cell: Cell


@dataclass(frozen=True, slots=True)
class _Scoring:
    """What a batch needs to know to score its answers."""

    respondents: Mapping[str, Respondent]
    registered: Mapping[Asking, Registered]
    rules: Rules
    of_unknown: Valuation
    reader: Reader

    def score(self, answer: Answer, asking: Asking) -> _Scored:
        said = answer.payload
        respondent = self.respondents.get(said.customer_id) if said.customer_id else None
        class_ = nps_class(said.instrument, said.score)
        place = self.registered[asking]
        valuation = self._valuation(said.program, respondent)
        asked = said.instrument
        cell = Cell(
            said.program,
            said.touchpoint,
            asked.kind,
            asked.metric,
            asked.scale_min,
            asked.scale_max,
            asked.higher_is_worse,
            place.instrument_id,
            place.version,
            asked.channel,
            place.department,
            valuation.tier,
            None if respondent is None else respondent.region,
        )
        understood = self.reader.read(said.comment, said.language) if said.comment else NO_COMMENT
        row = ResponseRow(
            id=said.response_id,
            revision=said.revision,
            source=said.source,
            vendor_response_id=said.vendor_response_id,
            program=said.program,
            touchpoint=said.touchpoint,
            kind=asked.kind,
            metric=asked.metric,
            score=said.score,
            nps_class=class_,
            claimed_class=said.claimed_class,
            class_contradicted=contradicts(said.claimed_class, said.instrument, class_),
            comment=said.comment,
            customer_id=said.customer_id or None,
            tier=valuation.tier,
            tier_reason=valuation.reason,
            language=said.language or understood.language,
            instrument_id=place.instrument_id,
            instrument_version=place.version,
            answered_at=said.answered_at,
            received_at=said.received_at,
            erased=False,
            cell=cell.id,
            themes=understood.themes,
            urgent=understood.urgent,
        )
        # Whoever was erased is forgotten with all that they had said; what they say afterwards is a new beginning.
        if respondent is not None and respondent.erased_at is not None and said.answered_at <= respondent.erased_at:
            return _Scored(_without_person(row), None, cell)
        return _Scored(row, None if respondent is None else respondent.account_id, cell)

    def _valuation(self, program: str, respondent: Respondent | None) -> Valuation:
        """By the program's own rules where it has any, else as the profile says."""
        own = self.rules.of(program)
        if respondent is None or respondent.tier is None:
            return self.of_unknown if own is None else unknown(own)
        if own is None or respondent.worth is None:
            return Valuation(respondent.tier, respondent.tier_reason or "")
        return valued(respondent.worth, own)


def _checked(event: Event[Contract]) -> Answer:
    """`event` as an answer that can be stored; raises PermanentError, so that one bad answer costs no other."""
    said = event.payload
    if not isinstance(said, (ResponseReceived, ResponseRevised)):
        raise PermanentError(f"scoring does not know {event.type}")
    asked = said.instrument
    if not in_scale(asked, said.score):
        scale = f"{asked.scale_min} to {asked.scale_max}"
        raise PermanentError(f"response {said.response_id}: its score is not on its scale, {scale}")
    numbers = (said.revision, asked.scale_min, asked.scale_max)
    if min(numbers) < -_LARGEST or max(numbers) > _LARGEST:
        raise PermanentError(f"response {said.response_id}: a number that no revision and no scale has")
    names = (said.response_id, said.program, said.touchpoint or "", said.customer_id or "")
    if max(map(len, names)) > LONGEST_ID:
        raise PermanentError(f"a response whose id, program, touchpoint or customer has more than {LONGEST_ID} letters")
    others = (said.source, said.vendor_response_id, said.comment, said.language, said.claimed_class)
    if "\0" in "".join(filter(None, (*names, *others, asked.question, asked.sampling))):
        raise PermanentError("a NUL character, which no column can hold")
    return event  # type: ignore[return-value]  # by its payload


def _first_answers(answers: Iterable[Answer], askings: Iterable[Asking]) -> dict[Asking, datetime]:
    first: dict[Asking, datetime] = {}
    for answer, asking in zip(answers, askings, strict=True):
        answered_at = answer.payload.answered_at
        known = first.get(asking)
        if known is None or answered_at < known:
            first[asking] = answered_at
    return first


def _without_person(row: ResponseRow) -> ResponseRow:
    return row._replace(
        vendor_response_id=None, comment=None, customer_id=None, language=None, erased=True, themes=(), urgent=()
    )
