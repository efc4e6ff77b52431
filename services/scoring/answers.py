"""Answers of a batch: checked, and scored by what the batch knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from libs.events.contracts.responses import ResponseReceived, ResponseRevised
from libs.events.errors import PermanentError
from services.scoring.domain.cells import Cell
from services.scoring.domain.comments.reading import NOTHING
from services.scoring.domain.customers import LONGEST_ID
from services.scoring.domain.nps import contradicts, nps_class
from services.scoring.domain.segments import unknown, valued
from services.scoring.store.instruments import Asking
from services.scoring.store.responses import ResponseRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from libs.events.contracts.responses import Instrument
    from libs.events.contracts.scores import Tier
    from libs.events.event import Contract, Event
    from services.scoring.domain.comments.reading import Reader
    from services.scoring.domain.segments import Rules
    from services.scoring.store.instruments import Registered
    from services.scoring.store.responses import Respondent

    Answer = Event[ResponseReceived] | Event[ResponseRevised]

_LARGEST: Final = 2**31 - 1


class Way:
    """One way of asking, and what all answers of a batch that came by it have in common."""

    __slots__ = ("asking", "cells", "first_answered_at")

    def __init__(self, asking: Asking, answered_at: datetime) -> None:
        """Raises PermanentError where no answer can come by it."""
        asked = asking.asked
        if max(abs(asked.scale_min), abs(asked.scale_max)) > _LARGEST:
            raise PermanentError("a number that no scale has")
        if max(len(asking.program), len(asking.touchpoint or "")) > LONGEST_ID:
            raise PermanentError(f"a program or a touchpoint whose name has more than {LONGEST_ID} letters")
        if "\0" in f"{asking.program}{asking.touchpoint}{asked.question}{asked.sampling}":
            raise PermanentError("a NUL character, which no column can hold")
        self.asking: Final = asking
        self.first_answered_at = answered_at
        self.cells: Final[dict[tuple[Tier, str | None], tuple[Cell, int]]] = {}
        """By tier and region, each with its id."""


class Asked(NamedTuple):
    """An answer with the way by which it came."""

    event: Answer
    way: Way


class Scored(NamedTuple):
    """An answer as it is stored, and what else is told of it."""

    row: ResponseRow
    account_id: str | None
    cell: Cell


def checked(events: Iterable[Event[Contract]]) -> list[Asked]:
    """`events` as answers that can be stored; raises PermanentError, so that one bad answer costs no other."""
    ways: dict[Asking, Way] = {}
    answers = []
    for event in events:
        said = event.payload
        if not isinstance(said, (ResponseReceived, ResponseRevised)):
            raise PermanentError(f"scoring does not know {event.type}")
        asked = said.instrument
        score = said.score
        if score is not None and not asked.scale_min <= score <= asked.scale_max:
            scale = f"{asked.scale_min} to {asked.scale_max}"
            raise PermanentError(f"response {said.response_id}: its score is not on its scale, {scale}")
        if not -_LARGEST <= said.revision <= _LARGEST:
            raise PermanentError(f"response {said.response_id}: a number that no revision has")
        if len(said.response_id) > LONGEST_ID or len(said.customer_id or "") > LONGEST_ID:
            raise PermanentError(f"a response whose id or customer has more than {LONGEST_ID} letters")
        if "\0" in (
            f"{said.response_id}{said.customer_id}{said.source}{said.vendor_response_id}{said.comment}{said.language}"
            f"{said.claimed_class}"
        ):
            raise PermanentError("a NUL character, which no column can hold")
        asking = Asking(said.program, said.touchpoint, asked)
        way = ways.get(asking)
        if way is None:
            way = ways[asking] = Way(asking, said.answered_at)
        elif said.answered_at < way.first_answered_at:
            way.first_answered_at = said.answered_at
        answers.append(Asked(event, way))  # type: ignore[arg-type]  # by its payload
    return answers


class Scoring:
    """What a batch needs to know to score its answers."""

    __slots__ = ("_of_unknown", "_reader", "_registered", "_respondents", "_rules")

    def __init__(
        self,
        *,
        respondents: Mapping[str, Respondent],
        registered: Mapping[Asking, Registered],
        rules: Rules,
        reader: Reader,
    ) -> None:
        self._respondents = respondents
        self._registered = registered
        self._rules = rules
        self._of_unknown = unknown(rules)
        self._reader = reader

    def score(self, answer: Asked) -> Scored:
        """Its class, tier, cell, and what its comment says; without the person where they were erased since."""
        said = answer.event.payload
        way = answer.way
        asked = said.instrument
        respondent = self._respondents.get(said.customer_id) if said.customer_id else None
        class_ = nps_class(asked, said.score)
        tier, reason = self._tier(said.program, respondent)
        cell, cell_id = self._cell(way, tier, None if respondent is None else respondent.region)
        understood = self._reader.read(said.comment, said.language) if said.comment else NOTHING
        # By place and not by name: of 25 that costs half.
        row = ResponseRow(
            said.response_id,
            said.revision,
            said.source,
            said.vendor_response_id,
            said.program,
            said.touchpoint,
            asked.kind,
            asked.metric,
            said.score,
            class_,
            said.claimed_class,
            said.claimed_class is not None and contradicts(said.claimed_class, asked, class_),
            said.comment,
            said.customer_id or None,
            tier,
            reason,
            said.language or understood.language,
            cell.instrument_id,
            cell.instrument_version,
            said.answered_at,
            said.received_at,
            False,
            cell_id,
            understood.themes,
            understood.urgent,
        )
        if respondent is None:
            return Scored(row, None, cell)
        # Whoever was erased is forgotten with all that they had said; what they say afterwards is a new beginning.
        if respondent.erased_at is not None and said.answered_at <= respondent.erased_at:
            return Scored(without_person(row), None, cell)
        return Scored(row, respondent.account_id, cell)

    def _cell(self, way: Way, tier: Tier, region: str | None) -> tuple[Cell, int]:
        known = way.cells.get((tier, region))
        if known is None:
            place = self._registered[way.asking]
            cell = _cell_of(way.asking.program, way.asking.touchpoint, way.asking.asked, place, tier, region)
            known = way.cells[tier, region] = (cell, cell.id)
        return known

    def _tier(self, program: str, respondent: Respondent | None) -> tuple[Tier, str]:
        """By the program's own rules where it has any, else as the profile says; with the reason."""
        own = self._rules.of(program)
        if respondent is None or respondent.tier is None:
            valuation = self._of_unknown if own is None else unknown(own)
        elif own is None or respondent.worth is None:
            return respondent.tier, respondent.tier_reason or ""
        else:
            valuation = valued(respondent.worth, own)
        return valuation.tier, valuation.reason


def without_person(row: ResponseRow) -> ResponseRow:
    """The answer as it counts on when its customer is erased."""
    return row._replace(
        vendor_response_id=None, comment=None, customer_id=None, language=None, erased=True, themes=(), urgent=()
    )


def first_answers(answers: Sequence[Asked]) -> dict[Asking, datetime]:
    """By each way of asking, when it was first answered in this batch."""
    return {way.asking: way.first_answered_at for way in {id(way): way for _, way in answers}.values()}


def _cell_of(
    program: str, touchpoint: str | None, asked: Instrument, place: Registered, tier: Tier, region: str | None
) -> Cell:
    return Cell(
        program=program,
        touchpoint=touchpoint,
        kind=asked.kind,
        metric=asked.metric,
        scale_min=asked.scale_min,
        scale_max=asked.scale_max,
        higher_is_worse=asked.higher_is_worse,
        instrument_id=place.instrument_id,
        instrument_version=place.version,
        channel=asked.channel,
        department=place.department,
        tier=tier,
        region=region,
    )
