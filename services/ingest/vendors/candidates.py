"""What a delivery holds, place by place, as whoever makes a field map wants to see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.ingest.domain.fields import Reference
from services.ingest.domain.guesses import Candidate
from services.ingest.vendors.description import at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.ingest.vendors.description import Payload, Vendor

_MOST: Final = 300
_DEEPEST: Final = 6


def payload_of(vendor: Vendor, body: bytes, content_type: str) -> Payload:
    """The delivery in the vendor's one shape; raises `Unclear`."""
    return vendor.payload(vendor.decode(body, content_type))


def candidates(vendor: Vendor, payload: Payload) -> list[Candidate]:
    """Questions, hidden fields, then every other place that holds a single value; at most 300, raises `Unclear`."""
    found = [Candidate(Reference("question", one.name), one.title, one.answer) for one in vendor.questions(payload)]
    hidden = at(payload, vendor.hidden) if vendor.hidden else None
    if isinstance(hidden, dict):
        found += [Candidate(Reference("hidden", str(name)), str(name), value) for name, value in hidden.items()]
    for path, value in _leaves(payload, ()):
        if len(found) >= _MOST:
            break
        found.append(Candidate(Reference("path", ".".join(path)), path[-1], value))
    return found[:_MOST]


def _leaves(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    if not isinstance(value, dict):
        if path and not isinstance(value, list):
            yield path, value
        return
    if len(path) < _DEEPEST:
        for key, inner in value.items():
            # A key with a dot in it cannot be named by a path.
            if isinstance(key, str) and "." not in key:
                yield from _leaves(inner, (*path, key))
