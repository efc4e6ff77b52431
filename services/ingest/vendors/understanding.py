"""One delivery's bytes to a verdict: a response, an unsubscription, nothing of effect, or not understood, and why."""

from __future__ import annotations

from dataclasses import dataclass
from traceback import extract_tb
from typing import TYPE_CHECKING, Final, TypeVar, assert_never
from zoneinfo import ZoneInfo

import structlog

from libs.events.contracts.responses import address_mark
from libs.events.ids import parse
from services.ingest.domain.deliveries import Announced, Ignored, NotUnderstood, Understood
from services.ingest.domain.reasons import Named, because
from services.ingest.domain.responses import Response, content_hash, namespace_of, response_id_in
from services.ingest.domain.unsubscriptions import Unsubscribed
from services.ingest.domain.values import (
    Unclear,
    comment_of,
    id_of,
    kind_of,
    language_of,
    plausible,
    score_of,
    time_of,
)
from services.ingest.vendors.description import at

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from services.ingest.domain.deliveries import Verdict
    from services.ingest.domain.fields import Reference
    from services.ingest.domain.reasons import Where
    from services.ingest.domain.sources import Source
    from services.ingest.vendors.description import Path, Payload, Unsubscription, Vendor

log: Final = structlog.get_logger()

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of ours: where the source has it, and how that is told to operators."""

    name: str
    find: Callable[[Payload], object]
    where: Named


class Reader:
    """Understands the deliveries of one source: the vendor's shape with the source's field map over it.

    With `needs_score` nothing is understood until somebody has said which question is the score.
    """

    def __init__(self, vendor: Vendor, source: Source, *, needs_score: bool = False) -> None:
        self._vendor = vendor
        self._source = source
        self._namespace = parse(str(namespace_of(source.name)))  # as the driver has it: see libs.events.ids
        self._zone = ZoneInfo(source.time_zone)
        fields = source.fields.over(vendor.fields)
        self._score = self._field("score", "the score", fields.score)
        if needs_score and fields.score is None:
            self._score = _Field("score", _not_chosen, Named("score", "the score"))
        self._comment = self._field("comment", "the comment", fields.comment)
        self._customer = self._field("customer_id", "the customer", fields.customer)
        self._touchpoint = self._field("touchpoint", "the touchpoint", fields.touchpoint)
        self._language = self._field("language", "the language", fields.language)
        self._claimed_class = self._field("claimed_class", "the claimed class", fields.claimed_class)
        self._answered_at = [(path, ".".join(path)) for path in vendor.answered_at]
        self._revised_at = [(path, ".".join(path)) for path in vendor.revised_at]
        self._id_place = ".".join(vendor.response_id)

    def read(
        self, body: bytes, received_at: datetime, content_type: str = "application/json"
    ) -> tuple[object, Verdict]:
        """The vendor's id of the delivery, if the payload has one, and the verdict. Raises nothing, whatever comes."""
        delivery_id: object = None
        try:
            payload = self._vendor.payload(self._vendor.decode(body, content_type))
            if self._vendor.delivery_id is not None:
                delivery_id = at(payload, self._vendor.delivery_id)
            return delivery_id, self._understand(payload, received_at)
        except Unclear as error:
            return delivery_id, NotUnderstood(error.reason, error.field)
        except Exception as error:  # noqa: BLE001 - authentic: what no code of ours foresaw is kept and not refused
            # Only the place is logged: a whole traceback could show what the customer wrote.
            place = extract_tb(error.__traceback__)[-1]
            where = f"{place.filename}:{place.lineno}"
            log.error("delivery.reading_failed", source=self._source.name, error=type(error).__name__, where=where)  # noqa: TRY400
            return delivery_id, NotUnderstood(because("reading-failed", error=type(error).__name__))

    def _understand(self, payload: Payload, received_at: datetime) -> Verdict:
        vendor = self._vendor
        if vendor.event_type is not None:
            type_ = at(payload, vendor.event_type)
            if isinstance(type_, str) and type_ in vendor.withdrawals:
                return self._understood(self._withdrawal(payload, received_at))
            if isinstance(type_, str) and type_ in vendor.unsubscriptions:
                return self._unsubscribed(payload, vendor.unsubscriptions[type_], received_at)
            if not isinstance(type_, str) or type_ not in vendor.event_types:
                return self._other_type(type_)
        if vendor.fetched is not None:
            return Announced(self._response_id(payload))
        if vendor.survey_type is not None:
            self._same_metric(at(payload, vendor.survey_type))
        return self._understood(self._response(payload, received_at))

    def _unsubscribed(self, payload: Payload, places: Unsubscription, received_at: datetime) -> Unsubscribed:
        unsubscribed_at = self._time(payload, [(path, ".".join(path)) for path in places.at]) or received_at
        plausible(unsubscribed_at, received_at)
        customer = _value(self._customer, payload, id_of)
        address = next(filter(None, (id_of(at(payload, path), ".".join(path)) for path in places.addresses)), None)
        if customer is None and address is None:
            raise Unclear(because("nobody", where=(self._customer.where, *_places(places.addresses))), "customer_id")
        return Unsubscribed(
            customer_id=customer,
            address_mark=address_mark(address) if customer is None and address is not None else None,
            channel=places.channel,
            unsubscribed_at=unsubscribed_at,
        )

    def _understood(self, response: Response) -> Understood:
        id_ = response_id_in(self._namespace, response.vendor_response_id)
        return Understood(response, id_, content_hash(response), self._vendor.partial)

    def _other_type(self, type_: object) -> Verdict:
        place = ".".join(self._vendor.event_type or ())
        if not isinstance(type_, str):
            return NotUnderstood(because("no-text", where=place, kind=kind_of(type_)))
        reason = self._vendor.ignored.get(type_)
        if reason is None:
            return NotUnderstood(because("unknown-event", where=place, name=repr(type_[:80])))
        return Ignored(reason)

    def _same_metric(self, survey_type: object) -> None:
        """Refuse the answers of another kind of survey: two metrics in one series mean nothing."""
        metric = self._vendor.metrics.get(survey_type) if isinstance(survey_type, str) else None
        if metric != self._source.instrument.metric:
            place = ".".join(self._vendor.survey_type or ())
            ours = self._source.instrument.metric
            if not isinstance(survey_type, str):
                raise Unclear(because("no-survey-type", where=place, kind=kind_of(survey_type), metric=ours))
            raise Unclear(because("other-survey", where=place, name=repr(survey_type[:80]), metric=ours))

    def _withdrawal(self, payload: Payload, received_at: datetime) -> Response:
        """The response as the one that is no more."""
        withdrawn_at = self._time(payload, self._revised_at)
        return Response(
            vendor_response_id=self._response_id(payload),
            score=None,
            comment=None,
            customer_id=None,
            touchpoint=None,
            language=None,
            answered_at=withdrawn_at or received_at,
            revised_at=withdrawn_at,
            withdrawn=True,
        )

    def _response_id(self, payload: Payload) -> str:
        found = id_of(at(payload, self._vendor.response_id), self._id_place)
        if found is None:
            raise Unclear(because("no-response-id", where=self._id_place), "response_id")
        return found

    def _response(self, payload: Payload, received_at: datetime) -> Response:
        vendor, source = self._vendor, self._source
        vendor_response_id = self._response_id(payload)
        answered_at = self._time(payload, self._answered_at) if vendor.answered_at else received_at
        if answered_at is None:
            raise Unclear(because("no-answer-time", where=_places(vendor.answered_at)), "answered_at")
        plausible(answered_at, received_at)
        same_time = vendor.revised_at == vendor.answered_at
        return Response(
            vendor_response_id=vendor_response_id,
            score=_value(self._score, payload, self._on_scale),
            comment=_value(self._comment, payload, comment_of),
            customer_id=_value(self._customer, payload, id_of),
            touchpoint=_value(self._touchpoint, payload, id_of) or source.touchpoint,
            language=_value(self._language, payload, language_of) or source.language,
            answered_at=answered_at,
            revised_at=answered_at if same_time else self._time(payload, self._revised_at),
            claimed_class=_value(self._claimed_class, payload, id_of),
        )

    def _on_scale(self, value: object, where: Where) -> int | None:
        instrument = self._source.instrument
        return score_of(
            value,
            where,
            lowest=instrument.scale_min,
            highest=instrument.scale_max,
            as_text=self._vendor.numbers_as_text,
        )

    def _time(self, payload: Payload, places: Sequence[tuple[Path, str]]) -> datetime | None:
        for path, place in places:
            value = at(payload, path)
            if value is not None:
                try:
                    time = time_of(value, place, self._zone)
                except Unclear as error:
                    raise Unclear(error.reason, path[-1]) from error
                if time is not None:
                    return time
        return None

    def _field(self, name: str, word: str, reference: Reference | None) -> _Field:
        if reference is None:
            return _Field(name, _nothing, Named(name, word))
        return _Field(name, self._finder(reference), Named(name, word, reference))

    def _finder(self, reference: Reference) -> Callable[[Payload], object]:
        vendor, name = self._vendor, reference.name
        match reference.place:
            case "question":
                question = vendor.question
                return lambda payload: question(payload, name)
            case "hidden":
                path: Path = (*vendor.hidden, name)
            case "path":
                path = tuple(name.split("."))
            case _:
                assert_never(reference.place)
        if len(path) == 1:
            [key] = path
            return lambda payload: payload.get(key)
        return lambda payload: at(payload, path)


def _nothing(_payload: Payload) -> object:
    return None


def _not_chosen(_payload: Payload) -> object:
    raise Unclear(because("score-unknown"))


def _value(field: _Field, payload: Payload, read: Callable[[object, Where], T]) -> T:
    try:
        return read(field.find(payload), field.where)
    except Unclear as error:
        raise Unclear(error.reason, error.field or field.name) from error


def _places(paths: tuple[Path, ...]) -> tuple[str, ...]:
    return tuple(".".join(path) for path in paths)
