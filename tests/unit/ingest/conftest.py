"""Sources and deliveries as factories, for everything that ingest decides without a database."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from libs.events.contracts.responses import Instrument
from services.ingest.domain.deliveries import Arrival, Understood, Verdict, delivery_key, hash_of, new_delivery_id
from services.ingest.domain.fields import Field, FieldMap
from services.ingest.domain.responses import Response
from services.ingest.domain.sources import Source
from services.ingest.vendors import VENDORS
from services.ingest.vendors.understanding import Reader

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
SAMPLES = Path(__file__).parent / "samples"
CONTENT_TYPES = {
    "jotform": "multipart/form-data; boundary=------------------------9c8e7f",
    "qualtrics": "application/x-www-form-urlencoded",
    "wootric": "application/x-www-form-urlencoded",
}


@pytest.fixture(scope="session")
def sample() -> Callable[[str], bytes]:
    """A vendor's documented payload."""

    def read(vendor: str) -> bytes:
        [file] = SAMPLES.glob(f"{vendor}.*")
        return file.read_bytes()

    return read


@pytest.fixture(scope="session")
def content_types() -> Mapping[str, str]:
    """Of the samples that are no JSON."""
    return CONTENT_TYPES


@pytest.fixture(scope="session")
def a_source() -> Callable[..., Source]:
    def make(
        vendor: str = "typeform",
        *,
        asked: dict[str, Any] | None = None,
        fields: Mapping[Field, Any] | None = None,
        **changes: object,
    ) -> Source:
        instrument: dict[str, Any] = {
            "metric": "nps",
            "question": "How likely are you to recommend us?",
            "scale_min": 0,
            "scale_max": 10,
            "kind": "transactional",
            "channel": "email",
        }
        members: dict[str, Any] = {
            "name": f"{vendor}-main",
            "vendor": vendor,
            "program": "retail",
            "instrument": Instrument(**(instrument | (asked or {}))),
            "touchpoint": None,
            "language": None,
            "time_zone": "UTC",
            "fields": FieldMap.from_json(fields or {}),
            "enabled": True,
            "version": 1,
        }
        return Source(**(members | changes))

    return make


@pytest.fixture(scope="session")
def understood(a_source: Callable[..., Source]) -> Callable[..., Any]:
    """The verdict on a payload (bytes, or what becomes JSON) of a source."""

    def read(payload: object, vendor: str = "typeform", **source: object) -> Verdict:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        content_type = CONTENT_TYPES.get(vendor, "application/json")
        _, verdict = Reader(VENDORS[vendor], a_source(vendor, **source)).read(body, MONDAY, content_type)
        return verdict

    return read


@pytest.fixture(scope="session")
def fetched(a_source: Callable[..., Source]) -> Callable[..., Any]:
    """The verdict on what a thin vendor's API told."""

    def read(body: bytes, vendor: str, **source: object) -> Verdict:
        shape = VENDORS[vendor].fetched
        assert shape is not None
        _, verdict = Reader(shape, a_source(vendor, **source)).read(body, MONDAY)
        return verdict

    return read


@pytest.fixture(scope="session")
def a_response() -> Callable[..., Response]:
    def make(id_: str = "r-1", **changes: object) -> Response:
        members: dict[str, Any] = {
            "vendor_response_id": id_,
            "score": 3,
            "comment": None,
            "customer_id": "c-1",
            "touchpoint": None,
            "language": "ru",
            "answered_at": MONDAY,
            "revised_at": None,
        }
        return Response(**(members | changes))

    return make


@pytest.fixture(scope="session")
def an_arrival(a_source: Callable[..., Source], a_response: Callable[..., Response]) -> Callable[..., Arrival]:
    """A delivery: `key` None takes the body's hash, `verdict` None an understood response."""
    source = a_source()

    def make(
        body: bytes = b"{}",
        *,
        key: str | None = None,
        minute: int = 0,
        verdict: Verdict | None = None,
        **response: object,
    ) -> Arrival:
        received_at = MONDAY + timedelta(minutes=minute)
        return Arrival(
            id=new_delivery_id(received_at, abs(hash((body, key, minute)))),
            source=source,
            via="webhook",
            key=delivery_key(key, hash_of(body)),
            body=body,
            body_hash=hash_of(body),
            headers="{}",
            content_type="application/json",
            received_at=received_at,
            verdict=verdict or Understood.of(source.name, a_response(**response)),
            traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )

    return make
