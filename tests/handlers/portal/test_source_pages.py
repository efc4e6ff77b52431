"""The pages of sources: set up step by step, mapped with a dry run, changed unseen by nobody, replayed in batches."""

import base64
import hashlib
import hmac
import json
import re
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.portal_company import Company
from tests.portal_visitor import Visitor, text_of

SURVEY = {
    "program": "retail",
    "question": "How likely are you to recommend us?",
    "metric": "nps",
    "scale_min": "0",
    "scale_max": "10",
    "kind": "transactional",
    "channel": "email",
    "branded": "yes",
    "time_zone": "Europe/Moscow",
    "language": "ru",
}
INSTRUMENT = {
    "metric": "nps",
    "question": "How likely are you to recommend us?",
    "scale_min": 0,
    "scale_max": 10,
    "kind": "transactional",
    "channel": "email",
}
TALLY_SECRET = "a signing secret of tally"


async def a_source(company: Company, name: str = "shop", vendor: str = "tally", **changes: object) -> dict[str, Any]:
    body = {
        "vendor": vendor,
        "program": "retail",
        "instrument": INSTRUMENT,
        "secret": TALLY_SECRET,
        "field_map": {"score": None},
    }
    found: dict[str, Any] = await company.ingest("PUT", f"/v1/sources/{name}", json=body | changes)
    return found


def a_form(response: str = "r-1", score: int = 3, comment: str = "The courier came twice") -> bytes:
    asked = [
        {"key": "q1", "label": "How likely are you to recommend us?", "type": "LINEAR_SCALE", "value": score},
        {"key": "q2", "label": "Why?", "type": "TEXTAREA", "value": comment},
        {"key": "q3", "label": "customer_id", "type": "HIDDEN_FIELDS", "value": "c-21"},
    ]
    told = {"responseId": response, "createdAt": "2026-01-05T10:00:00.000Z", "fields": asked}
    return json.dumps({"eventId": str(uuid4()), "eventType": "FORM_RESPONSE", "data": told}).encode()


async def deliver(company: Company, body: bytes, source: str = "shop") -> dict[str, Any]:
    signature = base64.b64encode(hmac.digest(TALLY_SECRET.encode(), body, hashlib.sha256)).decode()
    found: dict[str, Any] = await company.deliver(f"/v1/webhooks/{source}", body, tally_signature=signature)
    return found


@pytest.mark.parametrize("login", ["irina", "olga", "viktor", "anna"])
async def test_the_pages_are_for_operators_and_administrators_alone(company: Company, login: str) -> None:
    await a_source(company)
    delivery = (await deliver(company, a_form()))["delivery_id"]
    visitor = await company.visitor().log_in(login)
    assert 'href="/sources"' not in visitor.page.text
    paths = ("", "/new", "/new/tally", "/shop", "/shop/edit", "/shop/test", "/shop/map", "/shop/replay")
    for path in (*(f"/sources{path}" for path in paths), "/deliveries", f"/deliveries/{delivery}"):
        assert (await visitor.get(path)).status_code == 403, path
    for path in ("edit", "secrets", "switch", "delete", "account", "account/delete", "map", "replay"):
        assert (await visitor.post(f"/sources/shop/{path}", {})).status_code == 403, path
    assert (await visitor.post(f"/deliveries/{delivery}/replay", {})).status_code == 403
    await visitor.close()


async def test_a_source_is_set_up_from_its_vendor_to_its_first_accepted_answer(company: Company, oleg: Visitor) -> None:
    await oleg.get("/sources")
    assert "No source yet" in oleg.page.text
    await oleg.get("/sources/new")
    assert oleg.page.text.count('class="vendor"') >= 19
    await oleg.get("/sources/new/tally")
    made = await oleg.post("/sources/new/tally", SURVEY | {"name": "shop", "secret": TALLY_SECRET})
    assert made.status_code == 200
    assert "https://hooks.example.org/v1/webhooks/shop<" in made.text
    assert "signing secret" in text_of(made)

    waiting = await oleg.get("/sources/shop/test")
    assert '<noscript><meta http-equiv="refresh" content="2; url=/sources/shop/test?after=&amp;n=1">' in waiting.text
    assert (await deliver(company, a_form()))["status"] == "quarantined"
    arrived = await oleg.get("/sources/shop/test?after=&n=1")
    assert "http-equiv" not in arrived.text
    assert "in quarantine" in text_of(arrived)

    await oleg.get(re.findall(r'href="(/sources/shop/map\?delivery=[^"]+)"', arrived.text)[0])
    assert re.search(r'value="question:q1" selected>How likely are you to recommend us\? = 3', oleg.page.text)
    assert text_of(oleg.page).count("a guess") == 2  # the vendor itself says who the customer is
    tried = await oleg.post(
        "/sources/shop/map",
        {"score": "question:q2", "comment": "question:q2", "delivery": delivery_of(oleg.page), "do": "try"},
    )
    assert "What fails: Score" in text_of(tried)
    chosen = {"score": "question:q1", "comment": "question:q2", "delivery": delivery_of(oleg.page)}
    tried = await oleg.post("/sources/shop/map", chosen | {"do": "try"})
    assert "The delivery is understood." in text_of(tried)
    assert await company.ingest("GET", "/v1/deliveries?status=accepted") == {"items": [], "next_cursor": None}

    saved = await oleg.post("/sources/shop/map", chosen | {"do": "save"})
    assert str(saved.url).endswith("/sources/shop/replay?done=map")
    assert "1 delivery waits in quarantine" in text_of(saved)
    done = await oleg.post("/sources/shop/replay", {})
    assert "1 delivery looked at: 1 is understood now, 0 still wait" in text_of(done)
    [accepted] = (await company.ingest("GET", "/v1/deliveries?source=shop"))["items"]
    assert accepted["status"] == "accepted"
    assert "Last delivery" in text_of(await oleg.get("/sources"))


def delivery_of(page: httpx.Response) -> str:
    found: list[str] = re.findall(r'<option value="([0-9a-f-]{36})" selected>', page.text)
    return found[0]


async def test_a_token_is_made_shown_once_and_opens_the_door_at_the_end_of_the_address(
    company: Company, ada: Visitor
) -> None:
    await ada.get("/sources/new/jotform")
    made = await ada.post("/sources/new/jotform", SURVEY | {"name": "forms", "secret_from": "us"})
    [token] = re.findall(r"<code>https://hooks\.example\.org/v1/webhooks/forms/([^<]{40,})</code>", made.text)
    assert made.text.count(token) == 2
    assert made.headers["Cache-Control"] == "no-store"
    taken = await company.deliver(f"/v1/webhooks/forms/{token}", b"x", content_type="multipart/form-data; boundary=b")
    assert taken["status"] == "quarantined"
    for path in ("/sources", "/sources/forms", "/sources/forms/test", "/deliveries"):
        assert token not in (await ada.get(path)).text

    await ada.get("/sources/forms")
    again = await ada.post("/sources/forms/secrets", {})
    [other] = re.findall(r"<code>https://hooks\.example\.org/v1/webhooks/forms/([^<]{40,})</code>", again.text)
    assert other != token
    assert "valid until" in text_of(await ada.get("/sources/forms"))
    assert "Two secrets are valid already" in (await ada.post("/sources/forms/secrets", {})).text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": "Мой магазин"}, "Lower-case Latin letters"),
        ({"name": "taken"}, "There is a source of this name already"),
        ({"question": ""}, "Write the question"),
        ({"scale_max": "5"}, "NPS runs from 0 to 10"),
        ({"scale_max": "ten"}, "Whole numbers"),
        ({"time_zone": "Mars/Olympus"}, "A name like Europe/Moscow"),
        ({"language": "русский"}, "A code like ru or en"),
        ({"keep_days": "7"}, "From 30 to 3,650 days"),
        ({"networks": "192.0.2.0/24\n10.0.0.1/8"}, "Networks like 192.0.2.0/24"),
        ({"secret": ""}, "It is missing"),
        ({"secret": "short"}, "It is missing, too short"),
    ],
)
async def test_what_is_wrong_is_said_at_its_field_and_what_was_entered_stays(
    company: Company, oleg: Visitor, change: dict[str, str], says: str
) -> None:
    await a_source(company, "taken")
    await oleg.get("/sources/new/tally")
    entered = {**SURVEY, "name": "shop", "secret": TALLY_SECRET, "program": "my program", **change}
    refused = await oleg.post("/sources/new/tally", entered)
    assert refused.status_code in (409, 422)
    assert says in text_of(refused)
    assert 'aria-invalid="true"' in refused.text
    assert 'value="my program"' in refused.text
    assert [source["name"] for source in (await company.ingest("GET", "/v1/sources"))["items"]] == ["taken"]


async def test_a_change_holds_only_for_what_was_seen(company: Company, oleg: Visitor, ada: Visitor) -> None:
    await a_source(company, field_map={"score": {"question": "q1"}})
    await oleg.get("/sources/shop/edit")
    await ada.get("/sources/shop/edit")
    change = SURVEY | {"program": "new", "enabled": "yes", "networks": "192.0.2.0/24\r\n2001:db8::/32, 198.51.100.7"}
    assert (await ada.post("/sources/shop/edit", change)).status_code == 200
    late = await oleg.post("/sources/shop/edit", SURVEY | {"program": "late"})
    assert late.status_code == 409
    assert "Somebody changed the source meanwhile" in late.text
    source = await company.ingest("GET", "/v1/sources/shop")
    assert (source["program"], source["enabled"]) == ("new", True)
    assert source["networks"] == ["192.0.2.0/24", "2001:db8::/32", "198.51.100.7/32"]
    assert "192.0.2.0/24, 2001:db8::/32" in (await ada.get("/sources/shop")).text
    assert source["field_map"]["score"]["question"] == "q1"

    await oleg.get("/sources/shop/map")
    await ada.get("/sources/shop")
    await ada.post("/sources/shop/switch", {})
    assert not (await company.ingest("GET", "/v1/sources/shop"))["enabled"]
    late = await oleg.post("/sources/shop/map", {"score": "question:q2", "do": "save"})
    assert late.status_code == 412
    assert "Nothing was saved" in late.text


async def test_a_map_without_the_score_that_the_vendor_needs_is_not_saved(company: Company, oleg: Visitor) -> None:
    await a_source(company)
    await oleg.get("/sources/shop/map")
    refused = await oleg.post("/sources/shop/map", {"comment": "question:q2", "do": "save"})
    assert refused.status_code == 422
    assert "Say which question is the score" in refused.text


async def test_a_pasted_delivery_is_tried_and_kept_nowhere(company: Company, oleg: Visitor) -> None:
    await a_source(company)
    await oleg.get("/sources/shop/map")
    assert "Nothing to choose from yet" in oleg.page.text
    pasted = {"pasted": a_form(comment="Жду неделю").decode(), "content_type": "application/json", "do": "look"}
    looked = await oleg.post("/sources/shop/map", pasted)
    assert 'value="question:q1" selected' in looked.text
    assert "Жду неделю" in looked.text
    tried = await oleg.post("/sources/shop/map", pasted | {"score": "question:q1", "do": "try"})
    assert "The delivery is understood." in text_of(tried)
    assert (await company.ingest("GET", "/v1/deliveries"))["items"] == []


async def test_what_customers_wrote_is_for_administrators(company: Company, oleg: Visitor, ada: Visitor) -> None:
    await a_source(company, field_map={"score": {"question": "q1"}, "comment": {"question": "q2"}})
    delivery = (await deliver(company, a_form(comment="My phone is +7 900")))["delivery_id"]
    for path in (f"/deliveries/{delivery}", f"/sources/shop/map?delivery={delivery}", "/sources/shop"):
        assert "My phone" not in (await oleg.get(path)).text
    for path in (f"/deliveries/{delivery}", f"/sources/shop/map?delivery={delivery}"):
        assert "My phone" in (await ada.get(path)).text
    await oleg.get("/sources/shop/map")
    disguised = {"score": "question:q1", "delivery": delivery, "do": "try"}
    for field in ("touchpoint", "customer", "claimed_class", "comment"):
        assert "My phone" not in (await oleg.post("/sources/shop/map", disguised | {field: "question:q2"})).text, field
    assert "How likely are you to recommend us? = 3" in (await oleg.get(f"/sources/shop/map?delivery={delivery}")).text


async def test_a_source_is_taken_out_of_use_only_if_its_name_is_typed(company: Company, oleg: Visitor) -> None:
    await a_source(company)
    await oleg.get("/sources/shop")
    await oleg.post("/sources/shop/delete", {"typed": "shap"})
    assert (await company.ingest("GET", "/v1/sources"))["items"]
    gone = await oleg.post("/sources/shop/delete", {"typed": "shop"})
    assert "taken out of use" in gone.text
    assert (await company.ingest("GET", "/v1/sources"))["items"] == []
    assert (await oleg.get("/sources/shop")).status_code == 404


async def test_the_account_at_the_vendor_goes_in_and_its_token_never_comes_out(company: Company, oleg: Visitor) -> None:
    await a_source(company, "forms", "typeform")
    await oleg.get("/sources/forms")
    refused = await oleg.post("/sources/forms/account", {"token": "tfp_a long token", "survey": "abc"})
    assert "The account was not saved" in refused.text
    account = {"token": "tfp_0123456789", "survey": "abc", "poll_minutes": "15"}
    saved = await oleg.post("/sources/forms/account", account)
    assert "every 15 minutes" in text_of(saved)
    assert "tfp_" not in saved.text
    assert "Webhooks had lost 0 answers" in text_of(await oleg.get("/sources"))
    await oleg.get("/sources/forms")
    assert "None yet" in (await oleg.post("/sources/forms/account/delete", {})).text
    await a_source(company, "tally-one")
    assert "Account at the vendor" not in (await oleg.get("/sources/tally-one")).text


async def test_hundreds_of_quarantined_deliveries_are_understood_again_in_batches(
    company: Company, oleg: Visitor
) -> None:
    await a_source(company)
    for number in range(230):
        await deliver(company, a_form(f"r-{number}", comment="x"))
    assert "More than 50 deliveries wait" in text_of(await oleg.get("/sources/shop/replay"))
    await company.ingest(
        "PUT",
        "/v1/sources/shop",
        json={
            "vendor": "tally",
            "program": "retail",
            "instrument": INSTRUMENT,
            "field_map": {"score": {"question": "q1"}},
        },
    )
    done = await oleg.post("/sources/shop/replay", {})
    while "data-go-on" in done.text:
        done = await oleg.post("/sources/shop/replay", {})
    assert "230 deliveries looked at: 230 are understood now, 0 still wait" in text_of(done)


@pytest.mark.parametrize("path", ["/sources", "/deliveries"])
async def test_when_ingest_is_away_the_lists_say_so(company: Company, oleg: Visitor, path: str) -> None:
    company.lines["ingest"].state.error = httpx.ConnectError("away")
    away = await oleg.get(path)
    assert away.status_code == 503
    assert "cannot be reached just now" in text_of(away)


async def test_ingest_is_asked_in_the_name_of_the_person(company: Company, oleg: Visitor) -> None:
    await oleg.get("/sources")
    assert {request.headers["Otklik-Person"] for request in company.lines["ingest"].state.seen} == {"oleg"}


@pytest.mark.parametrize(
    "path",
    [
        "/sources/UPPER",
        "/sources/none",
        "/sources/none/map",
        "/sources/none/test",
        "/sources/new/nobody",
        "/sources/a%2Fb",
    ],
)
async def test_what_is_not_there_is_not_found(oleg: Visitor, path: str) -> None:
    assert (await oleg.get(path)).status_code == 404
