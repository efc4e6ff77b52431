"""Campaigns and messages: written down, approved by a second person, followed; over plain forms and the real notify."""

import re

import httpx
from sqlalchemy import text

from services.notify import campaigns
from tests.portal_company import Company
from tests.portal_visitor import Visitor, text_of

ENGLISH = {
    "en_subject": "A second counter at noon",
    "en_learned": "You waited forty minutes.",
    "en_changed": "There are two counters now.",
}
_IN_DOUBT = text("UPDATE messages SET status = 'doubtful', reason = 'timeout' WHERE status = 'queued'")


def filled(page: str) -> dict[str, str]:
    """What a form begins with, as a browser would send it."""
    fields = dict(re.findall(r'<input id="campaign-[a-z_]+" name="([a-z_]+)" value="([^"]*)"', page))
    fields |= dict(re.findall(r'<textarea id="campaign-[a-z_]+" name="([a-z_]+)"[^>]*>\n?([^<]*)<', page))
    ticked = re.findall(r'<input type="(?:checkbox|radio)" name="([a-z_]+)" value="([^"]*)"[^>]* checked', page)
    return fields | dict(ticked)


async def written(company: Company, visitor: Visitor) -> str:
    """A campaign for who raised the change's theme; its address."""
    await company.shipped()
    await company.told_customers("customer-1", "customer-2")
    await company.told_customers("customer-3", consent=False)
    await visitor.get("/campaigns/new?initiative=second-counter")
    page = await visitor.post("/campaigns/new", filled(visitor.page.text) | ENGLISH)
    assert page.status_code == 200, text_of(page)
    return page.url.path


async def test_a_campaign_goes_from_the_change_to_its_last_recipient(
    company: Company, olga: Visitor, viktor: Visitor
) -> None:
    await company.shipped()
    await company.shipped("later", "Чат", communicate_by=None)
    assert "2 изменения действуют, но о них ещё не рассказано." in text_of(await olga.get("/campaigns"))
    assert re.search("Второе окно.*Чат", (await olga.get("/campaigns/new")).text, re.DOTALL)

    await olga.get("/campaigns/new?initiative=second-counter")
    form = filled(olga.page.text)
    assert form["ru_changed"] == "Открыли второе окно."
    assert form["en_changed"] == ""
    assert (form["which"], form["themes"], form["initiative"]) == ("raised", "waiting", "second-counter")
    wrong = await olga.post("/campaigns/new", form | {"per_minute": "fast", "ru_about": "ожидание"})
    assert wrong.status_code == 422
    for name in ("per_minute", "en_subject"):
        assert re.search(rf'name="{name}"[^>]*aria-invalid="true"', wrong.text)
    assert 'value="ожидание"' in wrong.text

    address = await written(company, olga)
    shown = text_of(olga.page)
    assert "Сохранено как черновик." in shown
    assert "3 человека , сейчас написали бы 2 из них" in shown
    assert "удержано нет согласия" in shown
    assert "Нынешний текст написали вы" in shown
    assert f"{address}/approve" not in olga.page.text
    await olga.post(f"{address}/approve", {})
    assert olga.page.status_code == 409
    assert "Кто написал, тот не утверждает." in text_of(olga.page)

    await viktor.get(address)
    await viktor.post(f"{address}/approve", {})
    assert "approved by Victor Gromov" in text_of(viktor.page)
    await viktor.post(f"{address}/start", {})
    await campaigns.step(company.databases["notify"])
    await viktor.get(address)
    assert "going out" in text_of(viktor.page)
    await viktor.post(f"{address}/pause", {})
    assert "Paused. Nobody more is told." in text_of(viktor.page)
    await viktor.post(f"{address}/resume", {})
    await campaigns.step(company.databases["notify"])
    await campaigns.step(company.databases["notify"])
    await olga.get(f"{address}/recipients")
    assert "customer-1" in olga.page.text
    await olga.get(address)
    assert re.search(r'<progress value="\d" max="3"', olga.page.text)
    await olga.post(f"{address}/cancel", {"reason": ""})
    assert olga.page.status_code == 422
    await olga.post(f"{address}/cancel", {"reason": "Окно снова закрыто"})
    assert "Окно снова закрыто" in text_of(olga.page)
    assert "Рассылка отменена." in text_of(olga.page)


async def test_an_edit_keeps_what_is_stored_and_asks_for_approval_anew(
    company: Company, olga: Visitor, viktor: Visitor
) -> None:
    address = await written(company, olga)
    await olga.get(f"{address}/edit")
    form = filled(olga.page.text)
    await viktor.get(f"{address}/edit")
    same = filled(viktor.page.text)
    assert same == form
    period = {"since": "2026-01-01", "until": "2026-03-31"}
    await viktor.post(f"{address}/edit", same | period | {"name": "At noon"})
    assert "It has to be approved anew." in text_of(viktor.page)
    assert filled((await viktor.get(f"{address}/edit")).text) == same | period | {"name": "At noon"}
    refused = await olga.post(f"{address}/edit", form | {"name": "В обед"})
    assert refused.status_code == 412
    assert 'value="В обед"' in refused.text
    await olga.get(address)
    await olga.post(f"{address}/approve", {})
    assert "Утверждено." in text_of(olga.page)


async def test_a_trial_goes_to_an_address_and_stands_in_the_ledger(company: Company, olga: Visitor) -> None:
    address = await written(company, olga)
    wrong = await olga.post(f"{address}/test", {"email": "nobody", "language": "ru", "side": "customers"})
    assert wrong.status_code == 422
    assert 'value="nobody"' in wrong.text
    await olga.post(f"{address}/test", {"email": "olga@example.org", "language": "ru", "side": "customers"})
    assert "Проба отправлена." in text_of(olga.page)
    assert "что мы изменили" in text_of(await olga.get("/messages?kind=changes_for_customers&status=queued")).lower()
    assert "Сообщений нет" in text_of(await olga.get("/messages?status=sent"))


async def test_operators_read_campaigns_and_settle_doubts_and_managers_do_not(
    company: Company, olga: Visitor, oleg: Visitor, irina: Visitor
) -> None:
    address = await written(company, olga)
    await olga.post(f"{address}/test", {"email": "olga@example.org", "language": "ru", "side": "customers"})
    async with company.databases["notify"].transaction() as tx:
        await tx.execute(_IN_DOUBT)
    page = await oleg.get(address)
    assert page.status_code == 200
    assert f"{address}/start" not in page.text
    assert (await oleg.post(f"{address}/cancel", {"reason": "no"})).status_code == 403
    assert (await irina.get("/campaigns")).status_code == 403

    listed = await oleg.get("/messages?status=doubtful")
    (message,) = re.findall(r'data-row href="(/messages/[0-9a-f-]{36})"', listed.text)
    assert "timeout" in listed.text
    await olga.get(message)
    assert 'name="outcome"' not in olga.page.text
    assert (await olga.post(message, {"outcome": "sent"})).status_code == 403
    await oleg.get(message)
    assert (await oleg.post(message, {})).status_code == 422
    await oleg.post(message, {"outcome": "sent"})
    assert "Noted." in text_of(oleg.page)
    assert 'name="outcome"' not in oleg.page.text


async def test_what_was_held_back_is_told_with_its_reason(company: Company, olga: Visitor, viktor: Visitor) -> None:
    address = await written(company, olga)
    await viktor.get(address)
    await viktor.post(f"{address}/approve", {})
    await viktor.post(f"{address}/start", {})
    for _ in range(3):
        await campaigns.step(company.databases["notify"])
    await viktor.get(address)
    await viktor.post(f"{address}/cancel", {"reason": "Wrong text"})
    held = text_of(await viktor.get("/messages/held?reason=cancelled"))
    assert "the campaign was cancelled" in held
    assert "customer-1" in held


async def test_without_notify_the_pages_say_so(company: Company, olga: Visitor) -> None:
    company.lines["notify"].state.error = httpx.ConnectError("away")
    for path in ("/campaigns", "/messages", "/messages/held"):
        page = await olga.get(path)
        assert page.status_code == 503
        assert "Сообщения сейчас недоступны." in text_of(page)
