"""Events to other systems: subscribed, tried, paused, signed anew and sent again, over the real notify."""

import html
import re

import httpx
from sqlalchemy import text

from tests.portal_company import Company
from tests.portal_visitor import Visitor, text_of

FIELDS = {
    "name": "Склад",
    "url": "https://hooks.example.org/otklik",
    "type": "case.*",
    "contact_name": "Oleg Sidorov",
    "contact_email": "oleg@example.org",
    "contact_language": "en",
}
_GONE = text("UPDATE subscriptions SET disabled = 'gone'")
_FAILED = text("""
    UPDATE hook_deliveries
       SET status = 'failed', attempt = 2, status_code = 500, trouble = 'status', took_ms = 31, history =
           '[{"at": "2026-01-05T10:00:00Z", "status_code": null, "trouble": "timeout", "took_ms": 9000},
             {"at": "2026-01-05T10:05:00Z", "status_code": 500, "trouble": "status", "took_ms": 31}]'
""")
_WRITTEN = text("SELECT status FROM hook_deliveries")


async def subscribed(visitor: Visitor) -> str:
    """A subscription to all that happens to cases; its address."""
    await visitor.get("/subscriptions/new")
    page = await visitor.post("/subscriptions/new", FIELDS)
    assert page.status_code == 201, text_of(page)
    found: list[str] = re.findall(r'href="(/subscriptions/[0-9a-f-]{36})"', page.text)
    return found[0]


async def test_a_subscription_is_made_and_its_secret_is_told_once(oleg: Visitor) -> None:
    form = await oleg.get("/subscriptions/new")
    assert 'value="oleg@example.org"' in form.text
    wrong = await oleg.post("/subscriptions/new", FIELDS | {"url": "http://10.0.0.1/x", "type": ""})
    assert wrong.status_code == 422
    wrong = await oleg.post("/subscriptions/new", FIELDS | {"url": "http://hooks.example.org/x"})
    assert wrong.status_code == 422
    assert "The address has to begin with https." in text_of(wrong)
    assert 'value="Склад"' in html.unescape(wrong.text)

    address = await subscribed(oleg)
    secret = re.findall(r'value="(whsec_[^"]+)"', oleg.page.text)[0]
    page = await oleg.get(address)
    assert secret not in page.text
    assert "all of “cases”" in text_of(page)
    assert "Склад" in (await oleg.get("/subscriptions")).text
    await oleg.get("/subscriptions/new")
    again = await oleg.post("/subscriptions/new", FIELDS)
    assert again.status_code == 409
    assert "There is a subscription of that name already." in text_of(again)

    await oleg.get(address)
    rotated = await oleg.post(f"{address}/secret", {})
    assert secret not in rotated.text
    assert "whsec_" in rotated.text
    assert "The previous secret signs, too, until" in text_of(rotated)


async def test_it_is_changed_paused_and_goes_on_after_the_receiver_was_gone(company: Company, oleg: Visitor) -> None:
    address = await subscribed(oleg)
    await oleg.get(f"{address}/edit")
    fields = {name: said for name, said in FIELDS.items() if name != "type"}
    page = await oleg.post(f"{address}/edit", fields | {"type": "survey.*", "name": "Warehouse"})
    assert "Saved." in text_of(page)
    assert "all of “answers of customers”" in text_of(page)
    await oleg.get(f"{address}/edit")
    refused = await oleg.post(f"{address}/edit", fields | {"type": "survey.*", "sees": "comments"})
    assert refused.status_code == 403
    assert "Only an administrator may have texts or names sent." in text_of(refused)

    await oleg.get(address)
    assert "Paused." in text_of(await oleg.post(f"{address}/disable", {}))
    assert f'action="{address}/test"' not in oleg.page.text
    assert "It goes on." in text_of(await oleg.post(f"{address}/enable", {}))
    async with company.databases["notify"].transaction() as tx:
        await tx.execute(_GONE)
    gone = text_of(await oleg.get(address))
    assert "gone for good (410)" in gone
    await oleg.post(f"{address}/enable", {})
    assert "gone for good (410)" not in text_of(oleg.page)

    assert (await oleg.post(f"{address}/delete", {})).status_code == 422
    deleted = await oleg.post(f"{address}/delete", {"sure": "yes"})
    assert "Deleted." in text_of(deleted)
    assert (await oleg.get(address)).status_code == 404


async def test_each_attempt_stands_in_the_log_and_what_failed_is_sent_again(company: Company, oleg: Visitor) -> None:
    address = await subscribed(oleg)
    await oleg.get(address)
    tested = await oleg.post(f"{address}/test", {})
    assert "The test is on its way." in text_of(tested)
    delivery = tested.url.path
    async with company.databases["notify"].transaction() as tx:
        await tx.execute(_FAILED)
    shown = text_of(await oleg.get(delivery))
    assert "no answer in time 9,000 ms" in shown
    assert "answered 500 31 ms" in shown
    assert '"subscription_id"' in html.unescape(oleg.page.text)
    assert delivery in (await oleg.get(f"{address}/deliveries?status=failed")).text
    assert delivery not in (await oleg.get(f"{address}/deliveries?status=delivered")).text

    await oleg.get(f"{address}/deliveries")
    assert (await oleg.post(f"{address}/deliveries", {"since": "", "until": "x"})).status_code == 422
    span = {"since": "2020-01-01T00:00", "until": "2099-01-01T00:00", "statuses": "failed"}
    assert "1 delivery is sent again." in text_of(await oleg.post(f"{address}/deliveries", span))
    async with company.databases["notify"].transaction() as tx:
        assert [row.status for row in await tx.fetch(_WRITTEN, {})] == ["pending"]
        await tx.execute(_FAILED)
    await oleg.get(delivery)
    assert "It is being sent again." in text_of(await oleg.post(delivery, {}))


async def test_only_who_runs_the_system_sees_subscriptions(company: Company, olga: Visitor, oleg: Visitor) -> None:
    assert (await olga.get("/subscriptions")).status_code == 403
    company.lines["notify"].state.error = httpx.ConnectError("away")
    assert (await oleg.get("/subscriptions")).status_code == 503
