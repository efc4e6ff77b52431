"""Announced answers are fetched, and lost ones found, at a local server that behaves as vendors document theirs."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import Response

from deploy.local.ports import free_ports
from deploy.local.vendor_apis import VendorApis
from libs.events.contracts.responses import ResponseReceived, ResponseWithdrawn
from libs.events.database import Database
from libs.events.event import Event
from services.ingest.api import build_app
from services.ingest.arrivals import DeliveryIds
from services.ingest.clients.api import new_client
from services.ingest.fetching import Fetcher
from services.ingest.sources import SourceBook

Put = Callable[..., Awaitable[dict[str, Any]]]
Published = Callable[[], Awaitable[list[Event[Any]]]]
Rows = Callable[[], Awaitable[Sequence[Any]]]
Advance = Callable[[timedelta], None]
TOKEN = "the-vendor-s-token"
SECRET = "client&api-secret"
SM_MAP = {"score": {"question": "319352786"}, "comment": {"question": "319352787"}}
Q_MAP = {"score": {"question": "QID1"}, "comment": {"question": "QID2_TEXT"}}


@pytest.fixture
async def vendor() -> AsyncIterator[VendorApis]:
    [port] = free_ports(1)
    vendor = VendorApis(port=port, token=TOKEN)
    await vendor.start()
    yield vendor
    await vendor.stop()


@pytest.fixture
async def fetcher(database: Database) -> AsyncIterator[Fetcher]:
    client = new_client()
    yield Fetcher(database, SourceBook(database), DeliveryIds(), client)
    await client.aclose()


@pytest.fixture
def app(database: Database) -> FastAPI:
    return build_app(database, plain_http=True)


@pytest.fixture
def a_thin_source(client: httpx.AsyncClient, a_source: Put, vendor: VendorApis) -> Put:
    """A source (`shop`) of a vendor with an API, with its account."""

    async def put(name: str = "surveymonkey", *, token: str = TOKEN, poll_minutes: int | None = None) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "surveymonkey": SM_MAP,
            "qualtrics": Q_MAP,
            "typeform": {"score": {"question": "nps"}},
        }
        await a_source(vendor=name, secret=SECRET, field_map=fields.get(name, {}))
        account = {"token": token, "survey": "105724755", "base_url": vendor.address, "poll_minutes": poll_minutes}
        answer = await client.put("/v1/sources/shop/account", json=account)
        assert answer.status_code == 200, answer.text
        assert TOKEN not in answer.text
        found: dict[str, Any] = answer.json()
        return found

    return put


@pytest.fixture
def announce(client: httpx.AsyncClient, sample: Callable[[str], bytes]) -> Callable[..., Awaitable[dict[str, Any]]]:
    """SurveyMonkey announces a response."""

    async def post(**changes: object) -> dict[str, Any]:
        body = json.dumps(json.loads(sample("surveymonkey")) | changes).encode()
        signature = base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha1).digest()).decode()
        headers = {"content-type": "application/vnd.surveymonkey.response.v1+json", "sm-signature": signature}
        answer = await client.post("/v1/webhooks/shop", content=body, headers=headers)
        assert answer.status_code == 202, answer.text
        told: dict[str, Any] = answer.json()
        return told

    return post


@pytest.fixture
def there(vendor: VendorApis, sample: Callable[[str], bytes]) -> dict[str, Any]:
    """The response that SurveyMonkey has."""
    told: dict[str, Any] = json.loads(sample("fetched-surveymonkey"))
    vendor.responses[told["id"]] = told
    return told


@pytest.mark.usefixtures("there")
async def test_an_announced_response_is_fetched_and_its_clock_starts_when_the_customer_answered(
    a_thin_source: Put, announce: Put, fetcher: Fetcher, published: Published, deliveries: Rows
) -> None:
    await a_thin_source()
    told = await announce()
    assert (told["status"], told["event_ids"]) == ("accepted", [])
    assert await published() == []
    assert await fetcher.fetch_some() is False
    [event] = await published()
    assert isinstance(event.payload, ResponseReceived)
    assert (event.payload.score, event.payload.comment) == (4, "Nobody called back")
    assert event.payload.answered_at == datetime(2026, 3, 2, 8, 49, 38, tzinfo=UTC)
    assert {row.via for row in await deliveries()} == {"webhook", "api"}


@pytest.mark.usefixtures("there")
async def test_what_is_announced_twice_is_one_response(
    a_thin_source: Put, announce: Put, fetcher: Fetcher, vendor: VendorApis, published: Published
) -> None:
    await a_thin_source()
    await announce(event_type="response_created", event_id="1")
    await announce(event_type="response_completed", event_id="2")
    await fetcher.fetch_some()
    assert vendor.asked.total() == 1
    await announce(event_type="response_updated", event_id="3")
    await fetcher.fetch_some()
    assert vendor.asked.total() == 2
    assert len(await published()) == 1


async def test_a_changed_response_is_its_next_revision_and_a_deleted_one_is_withdrawn(
    a_thin_source: Put, announce: Put, fetcher: Fetcher, there: dict[str, Any], published: Published
) -> None:
    await a_thin_source()
    await announce(event_id="1")
    await fetcher.fetch_some()
    there["pages"][0]["questions"][1]["answers"][0]["text"] = "They called back"
    there["date_modified"] = "2026-03-02T08:49:50+00:00"
    await announce(event_type="response_updated", event_id="2")
    await fetcher.fetch_some()
    await announce(event_type="response_deleted", event_id="3")
    await fetcher.fetch_some()
    payloads = [event.payload for event in await published()]
    assert [payload.revision for payload in payloads] == [1, 2, 3]
    assert payloads[1].comment == "They called back"
    assert isinstance(payloads[2], ResponseWithdrawn)


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize(
    ("fault", "wait"),
    [
        (Response(status_code=503), timedelta(seconds=2)),
        (Response(status_code=500), timedelta(seconds=2)),
        (Response(status_code=429, headers={"retry-after": "90"}), timedelta(seconds=90)),
        (Response("no JSON", 200), timedelta(seconds=5)),
        (Response("[]", 200), timedelta(seconds=5)),
        (Response(status_code=302, headers={"location": "http://127.0.0.1:1/"}), timedelta(seconds=5)),
    ],
)
async def test_a_failure_is_tried_again_and_not_before_its_time(
    a_thin_source: Put,
    announce: Put,
    fetcher: Fetcher,
    vendor: VendorApis,
    advance: Advance,
    published: Published,
    fault: Response,
    wait: timedelta,
) -> None:
    await a_thin_source()
    await announce()
    vendor.faults.append(fault)
    await fetcher.fetch_some()
    assert vendor.asked.total() == 1
    advance(wait * 0.49)
    await fetcher.fetch_some()
    assert vendor.asked.total() == 1
    advance(wait * 0.52)
    await fetcher.fetch_some()
    assert len(await published()) == 1


async def test_no_answer_at_all_is_a_failure_that_passes(
    a_thin_source: Put,
    announce: Put,
    fetcher: Fetcher,
    client: httpx.AsyncClient,
    published: Published,
    vendor: VendorApis,
) -> None:
    await a_thin_source()
    await client.put(
        "/v1/sources/shop/account",
        json={"token": TOKEN, "survey": "1", "base_url": f"http://127.0.0.1:{free_ports(1)[0]}"},
    )
    await announce()
    await fetcher.fetch_some()
    assert await published() == []
    assert vendor.asked.total() == 0


async def test_after_the_last_attempt_the_announcement_is_quarantined_and_a_replay_asks_anew(
    a_thin_source: Put,
    announce: Put,
    fetcher: Fetcher,
    vendor: VendorApis,
    advance: Advance,
    client: httpx.AsyncClient,
    sample: Callable[[str], bytes],
    published: Published,
) -> None:
    await a_thin_source()
    told = await announce()
    for _ in range(8):
        await fetcher.fetch_some()
        advance(timedelta(minutes=11))
    delivery = (await client.get(f"/v1/deliveries/{told['delivery_id']}")).json()
    assert delivery["status"] == "quarantined"
    assert "404" in delivery["reason"]
    asked = vendor.asked.total()
    await fetcher.fetch_some()
    assert vendor.asked.total() == asked == 8
    vendor.responses["5007154402"] = json.loads(sample("fetched-surveymonkey"))
    replayed = await client.post(f"/v1/deliveries/{told['delivery_id']}/replay")
    assert replayed.json()["status"] == "accepted"
    await fetcher.fetch_some()
    assert len(await published()) == 1


@pytest.mark.usefixtures("vendor", "there")
async def test_a_refused_token_stops_the_whole_source_for_a_while(
    a_thin_source: Put,
    announce: Put,
    fetcher: Fetcher,
    advance: Advance,
    published: Published,
) -> None:
    await a_thin_source(token="another-token")
    await announce(object_id="1", event_id="1")
    await fetcher.fetch_some()
    await announce(object_id="5007154402", event_id="2")
    await a_thin_source()
    advance(timedelta(minutes=16))
    await fetcher.fetch_some()
    assert len(await published()) == 1


async def test_five_failures_in_a_row_break_the_circuit(
    a_thin_source: Put, announce: Put, fetcher: Fetcher, vendor: VendorApis, advance: Advance
) -> None:
    await a_thin_source()
    vendor.faults.extend(Response(status_code=500) for _ in range(10))
    for number in range(5):
        await announce(object_id=str(number), event_id=str(number))
    await fetcher.fetch_some()
    assert vendor.asked.total() == 5
    advance(timedelta(seconds=20))
    await fetcher.fetch_some()
    assert vendor.asked.total() == 5  # though each by itself would be due


async def test_an_outage_that_many_requests_meet_at_once_is_one_outage(
    a_thin_source: Put, announce: Put, fetcher: Fetcher, vendor: VendorApis, advance: Advance
) -> None:
    await a_thin_source()
    vendor.faults.extend(Response(status_code=500) for _ in range(7))
    for number in range(7):
        await announce(object_id=str(number), event_id=str(number))
    await fetcher.fetch_some()
    assert vendor.asked.total() == 7
    advance(timedelta(seconds=61))
    await fetcher.fetch_some()
    assert vendor.asked.total() == 14


async def test_what_is_gone_because_it_was_withdrawn_is_asked_for_no_more(
    a_thin_source: Put, announce: Put, fetcher: Fetcher, vendor: VendorApis, advance: Advance, deliveries: Rows
) -> None:
    await a_thin_source()
    await announce(event_type="response_deleted", event_id="2")
    await announce(event_type="response_completed", event_id="1")
    await fetcher.fetch_some()
    assert vendor.asked.total() == 1
    advance(timedelta(hours=1))
    await fetcher.fetch_some()
    assert vendor.asked.total() == 1
    assert {row.status for row in await deliveries()} == {"accepted"}


async def test_a_source_without_an_account_says_so(
    a_source: Put, announce: Put, fetcher: Fetcher, client: httpx.AsyncClient
) -> None:
    await a_source(vendor="surveymonkey", secret=SECRET, field_map=SM_MAP)
    told = await announce()
    await fetcher.fetch_some()
    delivery = (await client.get(f"/v1/deliveries/{told['delivery_id']}")).json()
    assert delivery["status"] == "quarantined"
    assert "account" in delivery["reason"]


@pytest.mark.usefixtures("there")
async def test_what_a_dead_process_had_claimed_is_fetched_by_the_next(
    a_thin_source: Put,
    announce: Put,
    database: Database,
    fetcher: Fetcher,
    advance: Advance,
    published: Published,
) -> None:
    from services.ingest.store import fetching  # noqa: PLC0415 - what the dead process had done

    await a_thin_source()
    await announce()
    async with database.transaction() as tx:
        assert len(await fetching.claim(tx, limit=10, loan=timedelta(minutes=10))) == 1
    await fetcher.fetch_some()
    assert await published() == []
    advance(timedelta(minutes=11))
    await fetcher.fetch_some()
    assert len(await published()) == 1


async def test_qualtrics_announces_by_a_signed_form(
    a_thin_source: Put,
    client: httpx.AsyncClient,
    fetcher: Fetcher,
    vendor: VendorApis,
    sample: Callable[[str], bytes],
    published: Published,
) -> None:
    await a_thin_source("qualtrics")
    vendor.responses["R_1hzHbd"] = json.loads(sample("fetched-qualtrics"))
    message = json.dumps({"Status": "Complete", "ResponseID": "R_1hzHbd", "CompletedDate": "2026-03-02 08:28:11"})
    signature = hmac.new(SECRET.encode(), message.encode(), hashlib.sha512).hexdigest()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    forged = f"HMAC={signature}&MSG={quote(message.replace('R_1', 'R_2'))}&Topic=t"
    assert (await client.post("/v1/webhooks/shop", content=forged, headers=headers)).status_code == 401
    body = f"HMAC={signature}&MSG={quote(message)}&Topic=acme.surveyengine.completedResponse.SV_abc&undefined="
    assert (await client.post("/v1/webhooks/shop", content=body, headers=headers)).status_code == 202
    await fetcher.fetch_some()
    [event] = await published()
    assert (event.payload.score, event.payload.customer_id) == (3, "c-42")


# Reconciliation


async def test_a_poll_finds_what_webhooks_lost_and_says_how_many(
    a_thin_source: Put,
    announce: Put,
    fetcher: Fetcher,
    there: dict[str, Any],
    vendor: VendorApis,
    advance: Advance,
    client: httpx.AsyncClient,
    published: Published,
) -> None:
    await a_thin_source(poll_minutes=30)
    await announce()
    await fetcher.fetch_some()
    for number in range(120):
        vendor.responses[f"lost-{number}"] = there | {"id": f"lost-{number}"}
    advance(timedelta(minutes=5))
    assert await fetcher.poll_one() is True
    assert len(await published()) == 121
    poll = (await client.get("/v1/sources/shop/account")).json()["poll"]
    assert (poll["seen"], poll["missed"], poll["error"]) == (121, 120, None)
    assert await fetcher.poll_one() is False  # not due
    advance(timedelta(minutes=31))
    await fetcher.poll_one()
    assert len(await published()) == 121
    assert (await client.get("/v1/sources/shop/account")).json()["poll"]["missed"] == 120


async def test_a_poll_leaves_what_may_still_come_as_a_webhook(
    a_thin_source: Put, fetcher: Fetcher, there: dict[str, Any], advance: Advance, published: Published
) -> None:
    await a_thin_source(poll_minutes=5)
    there["date_modified"] = "2026-03-02T08:58:00+00:00"  # two minutes ago
    await fetcher.poll_one()
    assert await published() == []
    advance(timedelta(minutes=10))
    await fetcher.poll_one()
    assert len(await published()) == 1


@pytest.mark.parametrize("name", ["typeform", "delighted", "qualtrics"])
async def test_every_vendor_with_an_api_is_reconciled(
    a_thin_source: Put,
    fetcher: Fetcher,
    vendor: VendorApis,
    sample: Callable[[str], bytes],
    published: Published,
    clock: Callable[[], datetime],
    name: str,
) -> None:
    await a_thin_source(name, poll_minutes=30)
    minutes_ago = clock() - timedelta(minutes=20)
    match name:
        case "typeform":
            told = {
                "token": "t-1",
                "submitted_at": minutes_ago.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "hidden": {"customer_id": "c-1"},
                "answers": [{"type": "number", "number": 6, "field": {"id": "1", "ref": "nps"}}],
            }
        case "delighted":
            seconds = int(minutes_ago.timestamp())
            told = json.loads(sample("delighted"))["event_data"] | {"created_at": seconds, "updated_at": seconds}
        case _:
            told = json.loads(sample("fetched-qualtrics"))
    vendor.responses["1"] = told
    await fetcher.poll_one()
    [event] = await published()
    assert event.payload.score == {"typeform": 6, "delighted": 9, "qualtrics": 3}[name]


async def test_a_webhook_and_a_poll_of_the_same_response_are_one_response(
    a_thin_source: Put, fetcher: Fetcher, client: httpx.AsyncClient, vendor: VendorApis, published: Published
) -> None:
    await a_thin_source("typeform", poll_minutes=30)
    response = {
        "form_id": "f",
        "token": "t-1",
        "submitted_at": "2026-03-02T08:30:00Z",
        "hidden": {"customer_id": "c-1"},
        "answers": [{"type": "number", "number": 6, "field": {"id": "1", "ref": "nps"}}],
    }
    body = json.dumps({"event_id": "e", "event_type": "form_response", "form_response": response}).encode()
    signature = "sha256=" + base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha256).digest()).decode()
    headers = {"content-type": "application/json", "typeform-signature": signature}
    assert (await client.post("/v1/webhooks/shop", content=body, headers=headers)).status_code == 202
    vendor.responses["t-1"] = {name: value for name, value in response.items() if name != "form_id"}
    await fetcher.poll_one()
    assert len(await published()) == 1
    assert (await client.get("/v1/sources/shop/account")).json()["poll"]["missed"] == 0


@pytest.mark.usefixtures("there")
async def test_a_poll_that_fails_tells_why_and_goes_on_later(
    a_thin_source: Put,
    fetcher: Fetcher,
    vendor: VendorApis,
    advance: Advance,
    client: httpx.AsyncClient,
    published: Published,
) -> None:
    await a_thin_source(poll_minutes=30)
    vendor.faults.append(Response(status_code=503, headers={"retry-after": "120"}))
    await fetcher.poll_one()
    assert "503" in (await client.get("/v1/sources/shop/account")).json()["poll"]["error"]
    advance(timedelta(seconds=100))
    assert await fetcher.poll_one() is False
    advance(timedelta(seconds=30))
    await fetcher.poll_one()
    assert len(await published()) == 1
    assert (await client.get("/v1/sources/shop/account")).json()["poll"]["error"] is None


async def test_accounts_are_checked(client: httpx.AsyncClient, a_source: Put) -> None:
    await a_source()
    wrong = await client.put("/v1/sources/shop/account", json={"token": TOKEN})
    assert wrong.status_code == 422  # our own shape has no API
    await a_source("monkey", vendor="surveymonkey", secret=SECRET, field_map=SM_MAP)
    for account in (
        {"token": TOKEN},
        {"token": "two words", "survey": "1"},
        {"token": TOKEN, "survey": "../1"},
        {"token": TOKEN, "survey": "1", "base_url": "ftp://example.com"},
        {"token": TOKEN, "survey": "1", "base_url": "http://user:password@example.com"},
    ):
        answer = await client.put("/v1/sources/monkey/account", json=account)
        assert answer.status_code == 422, account
        assert "password" not in answer.text
    assert (await client.get("/v1/sources/monkey/account")).status_code == 404
    await client.put("/v1/sources/monkey/account", json={"token": TOKEN, "survey": "1"})
    assert (await client.get("/v1/sources/monkey/account")).json()["base_url"] == "https://api.surveymonkey.com"
    assert (await client.delete("/v1/sources/monkey/account")).status_code == 204
    assert (await client.get("/v1/sources/monkey/account")).status_code == 404


async def test_without_leave_no_token_travels_in_the_clear(
    database: Database, a_client: Callable[[FastAPI], Any], a_source: Put
) -> None:
    await a_source(vendor="surveymonkey", secret=SECRET, field_map=SM_MAP)
    async with a_client(build_app(database)) as strict:
        account = {"token": TOKEN, "survey": "1", "base_url": "http://127.0.0.1:1"}
        assert (await strict.put("/v1/sources/shop/account", json=account)).status_code == 422
