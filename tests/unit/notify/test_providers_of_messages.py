"""What providers are asked, and what their answers mean for a message that must not go out twice."""

import json
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.domain.messages import MessageId
from services.notify.domain.outcomes import Accepted, Deferred, Refused, Unanswered
from services.notify.domain.providers import Provider, Reading, Short, meaning, request_of, unclear, unknown_places

ID = MessageId(UUID("6f1d3f5e-9c1b-4c57-9f57-0a4c1c3f2b11"))
BODY: dict[str, Any] = {"messages": [{"recipient": "{to}", "content": {"short_text": "{text}"}, "id": "{id}", "n": 1}]}


def a_provider(**changes: Any) -> Provider:  # noqa: ANN401
    members: dict[str, Any] = {"name": "sms", "channel": "sms", "url": "https://sms.example/send", "body": BODY}
    return Provider(**(members | changes))


def a_short(text: str = "Ромашка: спасибо") -> Short:
    return Short(id=ID, to="+79000000000", text=text, subject="Спасибо", language="ru")


@given(st.text(max_size=60))
def test_whatever_stands_in_a_text_stays_in_its_place(text: str) -> None:
    request = request_of(a_provider(), a_short(text))
    (message,) = json.loads(request.content)["messages"]
    assert message == {
        "recipient": "+79000000000",
        "content": {"short_text": text.encode("utf-8", "replace").decode()},
        "id": ID.hex,
        "n": 1,
    }


def test_the_key_is_the_messages_own_and_goes_where_the_provider_wants_it() -> None:
    request = request_of(a_provider(headers={"Authorization": "Bearer x"}, idempotency_header="X-Key"), a_short())
    assert (request.headers["X-Key"], request.headers["Authorization"]) == (ID.hex, "Bearer x")
    assert ID.hex not in request_of(a_provider(), a_short()).headers.values()
    assert unknown_places({"a": ["{to}", {"b": "{nobody}"}], "c": 1}) == {"nobody"}


def test_a_provider_survives_the_database() -> None:
    provider = a_provider(reading=Reading(pointer="/status", accepted=("ok",)), headers={"A": "b"})
    assert msgspec.json.decode(msgspec.json.encode(provider), type=Provider) == provider


@pytest.mark.parametrize(
    ("status", "without_key", "with_key"),
    [
        (200, Accepted, Accepted),
        (202, Accepted, Accepted),
        (400, Refused, Refused),
        (404, Refused, Refused),
        (301, Refused, Refused),
        (401, Deferred, Deferred),
        (408, Deferred, Deferred),
        (429, Deferred, Deferred),
        (503, Deferred, Deferred),
        (409, Refused, Deferred),
        (500, Unanswered, Deferred),
        (502, Unanswered, Deferred),
        (504, Unanswered, Deferred),
    ],
)
def test_what_a_status_means(status: int, without_key: type, with_key: type) -> None:
    assert type(meaning(a_provider(), status, b"", repeatable=False)) is without_key
    assert type(meaning(a_provider(), status, b"", repeatable=True)) is with_key


@pytest.mark.parametrize(
    ("body", "without_key", "with_key"),
    [
        (b'{"messages": [{"status": "queued"}]}', Accepted, Accepted),
        (b'{"messages": [{"status": 0}]}', Accepted, Accepted),
        (b'{"messages": [{"status": "busy"}]}', Deferred, Deferred),
        (b'{"messages": [{"status": "bad number"}]}', Refused, Refused),
        (b'{"messages": []}', Unanswered, Deferred),
        (b"<html>", Unanswered, Deferred),
        (b"", Unanswered, Deferred),
    ],
)
def test_a_yes_in_the_status_may_be_a_no_in_the_body(body: bytes, without_key: type, with_key: type) -> None:
    provider = a_provider(reading=Reading(pointer="/messages/0/status", accepted=("queued", "0"), later=("busy",)))
    assert type(meaning(provider, 200, body, repeatable=False)) is without_key
    assert type(meaning(provider, 200, body, repeatable=True)) is with_key


@given(status=st.integers(100, 599), body=st.binary(max_size=60), repeatable=st.booleans())
def test_no_answer_is_an_error_and_only_what_a_key_protects_is_asked_again_in_doubt(
    status: int,
    body: bytes,
    *,
    repeatable: bool,
) -> None:
    provider = a_provider(reading=Reading(pointer="/a", accepted=("b",)))
    outcome = meaning(provider, status, body, repeatable=repeatable)
    assert isinstance(outcome, (Accepted, Deferred, Refused, Unanswered))
    assert not (repeatable and isinstance(outcome, Unanswered))
    assert isinstance(unclear("x", repeatable=repeatable), Deferred) == repeatable
