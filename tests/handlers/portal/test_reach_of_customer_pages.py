"""How one customer may be reached, and who carries messages: in the portal, over the real scoring and notify."""

import re

import httpx
import pytest

from tests.portal_company import Company
from tests.portal_visitor import Visitor, text_of

PROFILE = {"name": "Мария Кузнецова", "email": "maria@example.org", "language": "ru", "time_zone": "Europe/Moscow"}
SECRET = "Bearer secret-of-the-provider"


@pytest.fixture
async def viktor(company: Company, viktor: Visitor) -> Visitor:
    """The executive, where a customer is known everywhere."""
    await company.scoring("PUT", "/v1/customers/customer-1", json=PROFILE)
    await company.told_customers("customer-1")
    return viktor


async def test_it_is_told_for_what_a_customer_is_written_to_and_over_which_channels(viktor: Visitor) -> None:
    page = text_of(await viktor.get("/reach/customer-1"))

    assert "maria@example.org" in page
    assert re.search(r"What we changed e-mail would go out now E-mail open SMS not used for this", page)
    assert "6 messages in 30 days 0 sent" in page or "6 messages within 30 days 0 sent" in page
    assert "None of their addresses is on the list." in page
    assert "They chose nothing of their own." in page


async def test_who_changed_how_they_are_reached_is_told_with_the_way_it_came(company: Company, viktor: Visitor) -> None:
    changed = PROFILE | {"time_zone": "Asia/Omsk", "language": "en", "email_consent": False}
    await company.scoring("PUT", "/v1/customers/customer-1", json=changed)

    page = text_of(await viktor.get("/reach/customer-1"))

    assert re.search(r"Consent to e-mail: yes → no \d+ \w+, [\d:]+ · from the company&#39;s systems · tests", page)
    assert "Time zone: Europe/Moscow → Asia/Omsk" in page
    assert re.search(r"Language: \w+ → English", page)
    assert "there it is" in page


async def test_what_a_customer_said_is_noted_and_holds(viktor: Visitor) -> None:
    await viktor.get("/reach/customer-1")
    said = {"channel": "email", "purpose": "news", "granted": "no", "why": ""}
    unsaid = await viktor.post("/reach/customer-1", said)
    assert (unsaid.status_code, "aria-invalid" in unsaid.text) == (422, True)

    page = text_of(await viktor.post("/reach/customer-1", said | {"why": "Said so on the phone"}))

    assert "Noted. It holds from the next message on." in page
    assert "What we changed not written to unsubscribed E-mail unsubscribed" in page
    assert re.search(r"E-mail, what we changed: does not want it [\w ,:]+ · Victor Gromov: Said so on the phone", page)


async def test_an_address_on_the_list_and_what_was_held_back_are_told(company: Company, viktor: Visitor) -> None:
    listed = {"address": "customer-1@example.org", "reason": "undeliverable", "why": "550 no such user"}
    await company.notify("oleg", "operator", "POST", "/v1/suppressions", json=listed)
    page = text_of(await viktor.get("/reach/customer-1"))
    assert page.count("not written to mail to the address came back") == 3
    assert "550 no such user" in page
    assert "for good" in page


async def test_without_notify_the_page_says_what_scoring_knows(company: Company, viktor: Visitor) -> None:
    company.lines["notify"].state.error = httpx.ConnectError("refused")
    page = await viktor.get("/reach/customer-1")
    assert (page.status_code, "maria@example.org" in page.text, 'role="alert"' in page.text) == (200, True, True)
    assert (await viktor.get("/reach/nobody")).status_code == 404


async def test_a_provider_is_tried_and_its_answer_shown(company: Company, oleg: Visitor, olga: Visitor) -> None:
    # Nothing listens there.
    provider = {
        "channel": "sms",
        "url": "http://127.0.0.1:9/send",
        "headers": {"X-Key": SECRET},
        "body": {"to": "{to}"},
    }
    await company.notify("oleg", "operator", "PUT", "/v1/providers/gateway", json=provider | {"enabled": False})
    assert 'href="/providers/gateway/test"' in (await oleg.get("/providers")).text
    form = await oleg.get("/providers/gateway/test")
    assert 'value="A test: the portal sent this message."' in form.text
    missing = await oleg.post("/providers/gateway/test", {"to": " ", "text": "Hello"})
    assert (missing.status_code, "Please fill this in." in missing.text) == (422, True)
    short = await oleg.post("/providers/gateway/test", {"to": "7", "text": "Hello"})
    assert (short.status_code, 'aria-invalid="true"' in short.text) == (422, True)
    tried = await oleg.post("/providers/gateway/test", {"to": "+79990001122", "text": "Hello"})
    said = "asks to come again later HTTP status no answer How it is understood ConnectError before gateway was asked"
    assert said in text_of(tried)
    assert SECRET not in tried.text
    for missing_name in ("nobody", "new"):
        assert (await oleg.get(f"/providers/{missing_name}/test")).status_code == 404
    assert (await olga.get("/providers/gateway/test")).status_code == 403
    company.lines["notify"].state.error = httpx.ConnectError("refused")
    assert (await oleg.get("/providers/gateway/test")).status_code == 503


async def test_a_provider_is_set_up_and_its_secret_is_never_shown_again(company: Company, oleg: Visitor) -> None:
    assert "SMS Nobody carries this." in text_of(await oleg.get("/providers"))
    await oleg.get("/providers/new")
    fields = {
        "name": "gateway",
        "channel": "sms",
        "url": "https://sms.example/send",
        "sender": "Romashka",
        "enabled": "yes",
        "body": '{"to": "{to}", "text": "{text}"}',
        "headers": f"Authorization: {SECRET}\nX-Tenant: 7",
        "idempotency_header": "X-Key",
        "repeat_hours": "24",
        "pointer": "/status",
        "accepted": "ok\nqueued",
        "later": "busy",
    }
    for name, wrong, told in (
        ("name", "New One", "Small letters, digits and hyphens"),
        ("body", "{", "This is no JSON document."),
        ("body", '{"to": "{nobody}"}', "Nothing is known for what stands in braces there."),
        ("headers", "secret", "Line 1 is not of the form"),
        ("repeat_hours", "0", "A whole number from 1 to 720."),
        ("accepted", "", "Which answers mean yes?"),
    ):
        page = await oleg.post("/providers/new", fields | {name: wrong})
        assert (page.status_code, told in page.text) == (422, True), (name, page.text)

    kept = await oleg.post("/providers/new", fields)

    assert "Kept. It holds from the next message on." in kept.text
    assert re.search(r"gateway SMS in use https://sms.example/send delivered 0", text_of(kept))
    form = await oleg.get("/providers/gateway")
    assert SECRET not in form.text
    assert "There are: Authorization, X-Tenant" in form.text
    changed = await oleg.post("/providers/gateway", fields | {"headers": "", "enabled": ""})
    assert "gateway SMS switched off" in text_of(changed)
    assert "secret-of-the-provider" not in changed.text
    (stored,) = await company.notify("oleg", "operator", "GET", "/v1/providers")
    assert stored["headers"] == ["Authorization", "X-Tenant"], "left out, they stay"
    await oleg.get("/providers/gateway")
    late = await oleg.post("/providers/gateway", fields | {"version": "1"})
    assert (late.status_code, "Somebody else changed this meanwhile" in late.text) == (412, True)
    await oleg.get("/providers/new")
    again = await oleg.post("/providers/new", fields)
    assert (again.status_code, "There is one of this name already." in again.text) == (422, True)
    company.lines["notify"].state.error = httpx.ConnectError("refused")
    assert (await oleg.get("/providers")).status_code == 503
