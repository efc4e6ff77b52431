"""What a survey vendor sends, as data: how it signs, and where in its payload each thing is."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from services.ingest.domain.fields import FieldMap
from services.ingest.domain.reasons import because
from services.ingest.domain.values import Unclear, kind_of
from services.ingest.vendors.reading import read_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from libs.events.contracts.responses import Channel, Metric
    from services.ingest.domain.reasons import Reason
    from services.ingest.domain.signature import Authentication

Payload = dict[str, Any]
"""A JSON object as it was read."""

Path = tuple[str, ...]
JSON: Final = frozenset({"application/json"})
FORM: Final = frozenset({"application/x-www-form-urlencoded"})


def an_object(payload: object) -> Payload:
    """The payload, which has to be a JSON object."""
    if not isinstance(payload, dict):
        raise Unclear(because("payload-kind", kind=kind_of(payload)))
    return payload


def alone(payload: object) -> Payload:
    """The payload, which may stand in a list of one."""
    if isinstance(payload, list):
        if len(payload) != 1:
            raise Unclear(because("payload-list", n=len(payload)))
        payload = payload[0]
    return an_object(payload)


def at(payload: Payload, path: Path) -> object:
    """The value at `path`, or None where there is nothing."""
    value: object = payload
    for depth, key in enumerate(path):
        if value is None:
            return None
        if not isinstance(value, dict):
            raise Unclear(because("no-object", where=".".join(path[:depth]), kind=kind_of(value)))
        value = value.get(key)
    return value


def json_body(body: bytes, _content_type: str) -> object:
    """The JSON value in `body`, whatever the content type says."""
    return read_json(body)


def no_list(_payload: Payload) -> Sequence[Question]:
    """For vendors whose payload does not list its questions."""
    return ()


def no_questions(_payload: Payload, name: str) -> object:
    """For vendors whose payload has no questions besides its own fields."""
    raise Unclear(because("payload-questions", name=repr(name)))


@dataclass(frozen=True, slots=True)
class Question:
    """A question that a payload shows: the name that a field map gives it, its words, and the answer."""

    name: str
    title: str
    answer: object


@dataclass(frozen=True, slots=True)
class Unsubscription:
    """Where an event by which somebody unsubscribes says who it is, and when; the first place that holds something.

    The customer that the source's field map finds goes before the address: other events name customers so.
    """

    addresses: tuple[Path, ...]
    at: tuple[Path, ...]
    channel: Channel = "email"


@dataclass(frozen=True, slots=True)
class Vendor:
    """One vendor's deliveries.

    `answered_at` and `revised_at` name several places: the first that holds something counts. `question` finds the
    answer to a question, None where it was not answered, and raises `Unclear` where there is no such question at all;
    `questions` lists those that a payload shows, for whoever makes a field map.
    `fields` says where the vendor's own shape has a field; a source's field map goes before it. An event type that is
    in none of `event_types`, `withdrawals` (which take a response back), `unsubscriptions` and `ignored` is not
    understood: it may carry answers.

    `decode` turns the body into a value, knowing its content type; `payload` brings that value into one shape, where a
    vendor has several. With `numbers_as_text` the vendor sends whole numbers as text. With `partial` no delivery tells
    the whole response: what a later one does not tell stays as it was, the time of the answer first of all. Without
    `answered_at` the vendor does not say when the customer answered, and the time of the first receipt has to do.

    Where `fetched` is set the delivery only announces: the answers are asked for at the vendor's API, which tells them
    in that shape. What a poll of the API brings has that shape too, or else the delivery's own.
    """

    name: str
    title: str
    authentication: Authentication
    response_id: Path
    answered_at: tuple[Path, ...]
    revised_at: tuple[Path, ...] = ()
    content_types: frozenset[str] = JSON
    decode: Callable[[bytes, str], object] = json_body
    delivery_id: Path | None = None
    delivery_id_header: str | None = None
    event_type: Path | None = None
    event_types: frozenset[str] = frozenset()
    withdrawals: frozenset[str] = frozenset()
    unsubscriptions: Mapping[str, Unsubscription] = field(default_factory=dict)
    ignored: Mapping[str, Reason] = field(default_factory=dict)
    survey_type: Path | None = None
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    fields: FieldMap = field(default_factory=FieldMap)
    hidden: Path = ()
    numbers_as_text: bool = False
    partial: bool = False
    question: Callable[[Payload, str], object] = no_questions
    questions: Callable[[Payload], Sequence[Question]] = no_list
    payload: Callable[[object], Payload] = an_object
    fetched: Vendor | None = None

    def takes(self, media_type: str) -> bool:
        """Whether the vendor sends bodies of this type; "*" in `content_types` stands for anything."""
        return any(fnmatchcase(media_type, pattern) for pattern in self.content_types)
