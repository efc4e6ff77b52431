"""Providers of SMS and messengers as data: what is asked of them over HTTP, and what their answers mean.

The rule of once over HTTP. A request whose connection was never made was certainly not taken; so was one that is
answered with 408, 425, 429 or 503. Anything else that is no clear answer leaves a doubt. A provider that remembers an
idempotency key may be asked again under the same key for as long as it remembers it, and then tells what it did. One
that does not is never asked again by itself: the message is listed as doubtful.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping  # noqa: TC003 - read back from JSON by its annotations
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from libs.events.contracts.messages import MessageChannel  # noqa: TC001 - likewise
from services.notify.domain.outcomes import Accepted, Deferred, Outcome, Refused, Unanswered

if TYPE_CHECKING:
    from services.notify.domain.messages import MessageId

PLACES: Final = frozenset(("to", "text", "subject", "id", "sender", "language"))
"""What may stand in braces in the strings of a body or an address."""
_PLACE: Final = re.compile(r"\{([a-z]+)\}")
_LATER: Final = frozenset((408, 425, 429, 503))
_ABOUT_US: Final = frozenset((401, 402, 403, 407))
_CONFLICT: Final = 409


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a 2xx answer in JSON says what was done: the value at `pointer` (RFC 6901) is one of these."""

    pointer: str
    accepted: tuple[str, ...]
    later: tuple[str, ...] = ()
    """Every other value is a refusal for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One provider."""

    name: str
    channel: MessageChannel
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any
    """A JSON document; `{to}`, `{text}` and so on in its strings are filled in."""
    idempotency_header: str | None = None
    """Where the key goes; it is the message's id. None: the provider does not know keys."""
    repeat_hours: int = 24
    """How long it remembers a key."""
    sender: str = ""
    reading: Reading | None = None
    """None: a 2xx answer is a yes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Short:
    """A message in few words."""

    id: MessageId
    to: str
    text: str
    subject: str
    language: str


@dataclass(frozen=True, slots=True)
class Request:
    """What goes over the line."""

    url: str
    headers: Mapping[str, str]
    content: bytes


def unknown_places(body: object) -> set[str]:
    """Names in braces that nothing is known for."""
    found: set[str] = set()
    match body:
        case str():
            found = set(_PLACE.findall(body)) - PLACES
        case list():
            found = set().union(*(unknown_places(each) for each in body)) if body else set()
        case dict():
            found = set().union(*(unknown_places(each) for each in body.values())) if body else set()
    return found


def request_of(provider: Provider, short: Short) -> Request:
    """What to ask of the provider; values become JSON strings, whatever stands in them."""
    values = {
        "to": short.to,
        "text": short.text,
        "subject": short.subject,
        "id": short.id.hex,
        "sender": provider.sender,
        "language": short.language,
    }
    headers = {"Content-Type": "application/json", "Accept": "application/json", **provider.headers}
    if provider.idempotency_header is not None:
        headers[provider.idempotency_header] = short.id.hex
    content = json.dumps(_filled(provider.body, values), ensure_ascii=False).encode("utf-8", "replace")
    return Request(provider.url, headers, content)


def _filled(body: Any, values: Mapping[str, str]) -> Any:  # noqa: ANN401 - any JSON value
    match body:
        case str():
            return _PLACE.sub(lambda place: values.get(place[1], place[0]), body)
        case list():
            return [_filled(each, values) for each in body]
        case dict():
            return {name: _filled(each, values) for name, each in body.items()}
    return body


def unclear(what: str, *, repeatable: bool) -> Outcome:
    """What it means that nobody knows whether a request was taken."""
    return Deferred(f"{what}; it is asked again under the same key") if repeatable else Unanswered(what)


def meaning(provider: Provider, status: int, body: bytes, *, repeatable: bool) -> Outcome:
    """What an answer means. `repeatable`: the provider still remembers this message's key."""
    said = f"{status} by {provider.name}"
    if 200 <= status < 300:  # noqa: PLR2004 - RFC 9110: 2xx is success
        return _read(provider, said, body, repeatable=repeatable)
    if status in _LATER or status in _ABOUT_US:
        # That our key or contract is not in order is no message's fault: all wait.
        return Deferred(said)
    if status >= 500 or (status == _CONFLICT and repeatable):  # noqa: PLR2004 - RFC 9110: 5xx is the server's fault
        return unclear(said, repeatable=repeatable)
    return Refused(said)


def _read(provider: Provider, said: str, body: bytes, *, repeatable: bool) -> Outcome:
    reading = provider.reading
    if reading is None:
        return Accepted(said)
    try:
        found = value_at(json.loads(body), reading.pointer)
    except (ValueError, LookupError, RecursionError):
        return unclear(f"an unreadable answer, {said}", repeatable=repeatable)
    value = found if isinstance(found, str) else json.dumps(found)
    if value in reading.accepted:
        return Accepted(f"{value}, {said}")
    return Deferred(f"{value[:80]}, {said}") if value in reading.later else Refused(f"{value[:80]}, {said}")


def value_at(document: Any, pointer: str) -> Any:  # noqa: ANN401 - any JSON value
    """The value at a JSON pointer; raises LookupError."""
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(document, list) and name.isdecimal():
            document = document[int(name)]
        elif isinstance(document, dict):
            document = document[name]
        else:
            raise LookupError(pointer)
    return document
