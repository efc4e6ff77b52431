"""A field map is tried on a delivery before it is used: nothing is kept, nothing published."""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import httpx
import pytest

from libs.events.event import Event

Put = Callable[..., Awaitable[dict[str, Any]]]
Signed = Callable[..., Any]
Deliver = Callable[..., Awaitable[httpx.Response]]
Rows = Callable[[], Awaitable[Sequence[Any]]]
Published = Callable[[], Awaitable[list[Event[Any]]]]
Body = Callable[..., dict[str, Any]]
MAP = {"score": {"question": "readable_ref_opinion_scale"}, "comment": {"question": "DlXFaesGBpoF"}}


async def test_a_pasted_delivery_is_shown_as_it_would_be_understood(
    client: httpx.AsyncClient,
    a_source_body: Body,
    sample: Callable[[str], bytes],
    deliveries: Rows,
    published: Published,
) -> None:
    tried = a_source_body("typeform", field_map=MAP) | {"body": sample("typeform").decode()}
    answer = await client.post("/v1/dry-runs", json=tried)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["status"] == "understood"
    assert told["response"]["score"] == 5
    assert told["response"]["customer_id"] == "abc123456"
    places = {place["reference"]["question"]: place for place in told["places"] if place["reference"]["question"]}
    assert places["readable_ref_opinion_scale"]["value"] == "5"
    assert await deliveries() == []
    assert await published() == []


async def test_without_a_map_the_score_is_guessed_with_its_words(
    client: httpx.AsyncClient, a_source_body: Body, sample: Callable[[str], bytes]
) -> None:
    answer = await client.post("/v1/dry-runs", json=a_source_body("tally") | {"body": sample("tally").decode()})
    told = answer.json()
    assert told["guessed"]["score"]["question"] == "question_3EKz4n"
    assert told["guessed_question"] == "How likely are you to recommend us?"
    assert told["response"]["score"] is None


async def test_a_map_that_does_not_fit_names_the_question(
    client: httpx.AsyncClient, a_source_body: Body, sample: Callable[[str], bytes]
) -> None:
    fields = {"score": {"question": "nps"}}
    answer = await client.post(
        "/v1/dry-runs", json=a_source_body("tally", field_map=fields) | {"body": sample("tally").decode()}
    )
    told = answer.json()
    assert (told["status"], told["field"]) == ("not_understood", "score")
    assert "'nps'" in told["reason"]
    assert told["places"]


async def test_a_quarantined_delivery_is_tried_with_another_map(
    client: httpx.AsyncClient, a_source: Put, a_source_body: Body, signed: Signed, deliver: Deliver
) -> None:
    await a_source(field_map={"score": {"path": "rating"}})
    kept = await deliver(
        signed(body=json.dumps({"response_id": "r", "rating": "3", "answered_at": "2026-03-02T08:55:00Z"}).encode())
    )
    assert kept.json()["status"] == "quarantined"
    id_ = kept.json()["delivery_id"]
    still = await client.post(
        "/v1/dry-runs", json=a_source_body(field_map={"score": {"path": "rating"}}) | {"delivery_id": id_}
    )
    assert still.json()["status"] == "not_understood"
    mended = await client.post(
        "/v1/dry-runs", json=a_source_body("alchemer", field_map={"score": {"path": "rating"}}) | {"delivery_id": id_}
    )
    assert mended.json()["response"]["score"] == 3


@pytest.mark.parametrize("body", ["", "no JSON", "[]", "\u0000"])
async def test_what_is_no_delivery_is_said_to_be_none(
    client: httpx.AsyncClient, a_source_body: Body, body: str
) -> None:
    answer = await client.post("/v1/dry-runs", json=a_source_body() | {"body": body})
    assert answer.status_code in {200, 400}
    if answer.status_code == 200:
        assert answer.json()["status"] == "not_understood"
        assert answer.json()["reason"]


async def test_exactly_one_delivery_is_named(client: httpx.AsyncClient, a_source_body: Body) -> None:
    assert (await client.post("/v1/dry-runs", json=a_source_body())).status_code == 422
    gone = await client.post(
        "/v1/dry-runs", json=a_source_body() | {"delivery_id": "00000000-0000-7000-8000-000000000000"}
    )
    assert gone.status_code == 404


async def test_deliveries_of_a_source_whose_score_is_not_known_yet_wait_until_it_is(
    client: httpx.AsyncClient, a_source: Put, sample: Callable[[str], bytes], published: Published
) -> None:
    token = "a token of a test that is long"
    await a_source("forms", "limesurvey", secret=token, field_map={"score": None})
    sent = await client.post(
        f"/v1/webhooks/forms/{token}",
        content=sample("limesurvey"),
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert sent.json()["status"] == "quarantined"
    kept = await client.get(f"/v1/deliveries/{sent.json()['delivery_id']}")
    assert "nobody has said yet which question is the score" in kept.json()["reason"]
    assert await published() == []

    await a_source("forms", "limesurvey", secret=token, field_map={"score": {"question": "NPS"}})
    replayed = await client.post("/v1/deliveries/replay", json={"source": "forms"})
    assert [item["status"] for item in replayed.json()["items"]] == ["accepted"]
    assert len(await published()) == 1


async def test_vendors_are_listed_with_what_setting_them_up_takes(client: httpx.AsyncClient) -> None:
    vendors = {vendor["name"]: vendor for vendor in (await client.get("/v1/vendors")).json()}
    assert vendors["typeform"] == {
        "name": "typeform",
        "title": "Typeform",
        "authentication": "signature",
        "header": "typeform-signature",
        "secret": "text",
        "needs_score": True,
        "content_types": ["application/json"],
        "api": True,
        "api_needs_survey": True,
    }
    assert {name for name, vendor in vendors.items() if vendor["api"]} == {
        "delighted",
        "qualtrics",
        "surveymonkey",
        "typeform",
    }
    assert not vendors["delighted"]["api_needs_survey"]
    assert (vendors["zenloop"]["authentication"], vendors["zenloop"]["secret"]) == ("token", "token")
    assert vendors["formbricks"]["secret"] == "whsec"
