"""Each vendor's documented sample goes in as that vendor signs it, and comes out as the right response."""

import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import httpx
import pytest

from libs.events.event import Event
from services.ingest.vendors import VENDORS
from tests.vendor_signing import CONTENT_TYPE, CSAT, JSON, MAPS, SECRET, SIGNED, TOKEN, secret_of, token

Put = Callable[..., Awaitable[dict[str, Any]]]
Published = Callable[[], Awaitable[list[Event[Any]]]]
Rows = Callable[[], Awaitable[Sequence[Any]]]

EXPECTED = {
    "alchemer": ("r-17", 3, "c-8", "Никто не перезвонил."),
    "asknicely": ("5512", 2, "c-9", "Nobody answers the phone"),
    "chatwoot": ("1402", 2, None, "Waited for an hour"),
    "delighted": ("5435", 9, None, "Your service is fast and flawless!"),
    "formbricks": ("responseId", 2, "c-77", "Just browsing"),
    "generic": ("r-17", 3, "c-8", "Никто не перезвонил."),
    "google-forms": ("2_ABaOnue", 3, None, "Nobody called back"),
    "jotform": ("4791133489169827307", 5, None, "The app is slow"),
    "limesurvey": ("42", 1, "abc123", "Долго ждал ответа"),
    "smartsurvey": ("123456789", 6, None, "Wednesday, What a lovely day."),
    "survicate": ("4f1c2b9e-7d55-4f0e-8a3d-0a55b6d1a9c1", 3, "c-5", None),
    "tally": ("2wgx4n", 4, "c-21", "The courier came twice for nothing."),
    "typeform": (
        "a3a12ec67a1365927098a606107fac15",
        5,
        "abc123456",
        "It's cold right now! I live in an older medium-sized city with a university.",
    ),
    "wootric": ("1128", 7, "123abc", None),
    "zendesk": ("r-17", 3, "c-8", "Никто не перезвонил."),
    "zenloop": ("QWNGbzdkdlF5RU94SnhkMjRkU3RST0QwZ29EaU43dmJ6eUNPSUc0eVd1Yz0=", 10, "c-31", "Gran producto!"),
}


@pytest.mark.parametrize("vendor", sorted(SIGNED))
async def test_each_vendor_s_documented_sample_goes_in_signed_and_comes_out_as_its_response(
    a_source: Put,
    client: httpx.AsyncClient,
    clock: Callable[[], datetime],
    published: Published,
    sample: Callable[[str], bytes],
    vendor: str,
) -> None:
    asked = CSAT if vendor == "chatwoot" else {}
    await a_source(vendor=vendor, secret=secret_of(vendor), field_map=MAPS.get(vendor, {}), asked=asked)
    body = sample(vendor)
    headers = {"content-type": CONTENT_TYPE.get(vendor, JSON)} | SIGNED[vendor](body, clock())
    if SIGNED[vendor] is not token:
        forged = await client.post("/v1/webhooks/shop", content=body + b" ", headers=headers)
        assert forged.status_code == 401
    answer = await client.post("/v1/webhooks/shop", content=body, headers=headers)
    assert answer.json()["status"] == "accepted", answer.text
    payload = (await published())[-1].payload
    assert (payload.vendor_response_id, payload.score, payload.customer_id, payload.comment) == EXPECTED[vendor]


def test_no_vendor_is_left_out() -> None:
    thin = {name for name, vendor in VENDORS.items() if vendor.fetched is not None}  # see test_vendor_apis.py
    assert set(SIGNED) == set(VENDORS) - thin - {"generic-token"}


async def test_a_token_may_end_the_address_and_is_kept_nowhere(
    a_source: Put,
    client: httpx.AsyncClient,
    deliveries: Rows,
    sample: Callable[[str], bytes],
    caplog: pytest.LogCaptureFixture,
) -> None:
    await a_source(vendor="zenloop", secret=TOKEN)
    body, headers = sample("zenloop"), {"content-type": JSON}
    assert (await client.post(f"/v1/webhooks/shop/{TOKEN}", content=body, headers=headers)).status_code == 202
    assert (await client.post(f"/v1/webhooks/shop/{TOKEN}.", content=body, headers=headers)).status_code == 401
    assert (await client.post("/v1/webhooks/shop/", content=body, headers=headers)).status_code == 401
    wrong = headers | {"otklik-token": "not the token that was issued"}
    assert (await client.post(f"/v1/webhooks/shop/{TOKEN}", content=body, headers=wrong)).status_code == 401
    [row] = await deliveries()
    assert TOKEN not in json.dumps({name: str(value) for name, value in row._mapping.items()})
    assert TOKEN not in caplog.text


async def test_a_token_at_the_end_of_the_address_opens_nothing_that_is_signed(
    a_source: Put, client: httpx.AsyncClient, sample: Callable[[str], bytes]
) -> None:
    await a_source(vendor="typeform", secret=SECRET, field_map=MAPS["typeform"])
    answer = await client.post(
        f"/v1/webhooks/shop/{SECRET}", content=sample("typeform"), headers={"content-type": JSON}
    )
    assert answer.status_code == 401
