"""Templates: looked at in both languages, written, tried, put into force and taken back, over the real notify."""

import html
import re
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from services.notify.shipping import release
from services.notify.store import templates
from tests.portal_company import Company
from tests.portal_visitor import Visitor, text_of

_EMPTY = text("TRUNCATE templates, templates_in_use")


@pytest.fixture(autouse=True)
async def shipped(company: Company) -> None:
    """The templates of this release are in use and there are no others, as after the first migration."""
    async with company.databases["notify"].transaction() as tx:
        await tx.execute(_EMPTY)
        await templates.ship(tx, release())


def filled(page: str) -> dict[str, str]:
    """What the form of a template begins with, as a browser would send it."""
    fields = dict(re.findall(r'<input id="template-[a-z]+" name="([a-z]+)" value="([^"]*)"', page))
    fields |= dict(re.findall(r'<textarea id="template-[a-z]+" name="([a-z]+)"[^>]*>\n?([^<]*)<', page))
    return {name: html.unescape(value) for name, value in fields.items()}


async def test_a_new_version_is_written_tried_used_and_taken_back(olga: Visitor) -> None:
    listed = text_of(await olga.get("/templates"))
    assert "Клиентам" in listed
    assert "по-русски: как поставлен" in listed
    kind = await olga.get("/templates/thanks")
    assert kind.text.count("<iframe") == 2
    assert "Спасибо за Ваш ответ" in text_of(kind)
    assert "Thank you for your answer" in text_of(kind)

    await olga.get("/templates/thanks/ru/new")
    form = filled(olga.page.text)
    assert form["subject"] == "Спасибо за Ваш ответ"
    assert '{% extends "mail.html" %}' in form["html"]
    page = await olga.post("/templates/thanks/ru/new", form | {"subject": "Спасибо!", "note": "Короче"})
    assert "Черновик сохранён и проверен" in text_of(page)
    address = page.url.path
    assert address == "/templates/thanks/ru/2"
    assert 'sandbox title="' in page.text
    frame = await olga.http.get(f"{address}/samples/0")
    assert "sandbox" in frame.headers["Content-Security-Policy"]
    assert "frame-ancestors 'self'" in frame.headers["Content-Security-Policy"]
    assert "<h1" in frame.text
    assert (await olga.http.get(f"{address}/samples/99")).status_code == 404

    assert "Действует с этой минуты." in text_of(await olga.post(address, {}))
    assert "по-русски: версия 2" in text_of(await olga.get("/templates"))
    before = "/templates/thanks/ru/1"
    assert "Вернуться к этой версии" in text_of(await olga.get(before))
    await olga.post(before, {})
    assert "Действует с этой минуты." in text_of(olga.page)
    assert "по-русски: как поставлен" in text_of(await olga.get("/templates"))
    assert (await olga.get(f"{before}/edit")).url.path == before


async def test_mistakes_are_said_where_they_are_and_what_has_them_is_not_used(olga: Visitor) -> None:
    await olga.get("/templates/confirmation_request/ru/new")
    form = filled(olga.page.text)
    missing = await olga.post("/templates/confirmation_request/ru/new", form | {"text": " "})
    assert missing.status_code == 422
    assert re.search(r'name="text"[^>]*aria-invalid="true"', missing.text)
    wrong = form | {"text": "Здравствуйте!\n{{ name.secret }}\n{{ link }}", "subject": "Решено?"}
    page = await olga.post("/templates/confirmation_request/ru/new", wrong)
    assert page.url.path == "/templates/confirmation_request/ru/2/edit"
    assert "Черновик сохранён, но ввести его в действие пока нельзя" in text_of(page)
    assert "Строка 2: шаблоны такого не знают." in text_of(page)
    assert "<code>{{ name.secret }}</code>" in page.text
    assert re.search(r'name="text"[^>]*aria-invalid="true"', page.text)
    looked = await olga.get("/templates/confirmation_request/ru/2")
    assert "1 ошибка: ввести в действие пока нельзя." in text_of(looked)
    assert "Ввести в действие" not in looked.text
    await olga.post("/templates/confirmation_request/ru/2", {"version": "1", "command_id": str(uuid4())})
    assert olga.page.status_code == 422
    assert "В версии есть ошибки" in text_of(olga.page)
    await olga.get("/templates/confirmation_request/ru/2/edit")
    stale = dict(form)
    await olga.post("/templates/confirmation_request/ru/2/edit", form)
    assert "Черновик сохранён и проверен" in text_of(olga.page)
    again = await olga.post("/templates/confirmation_request/ru/2/edit", stale | {"version": "1"})
    assert again.status_code == 412
    assert "Пока вы смотрели" in text_of(again)


async def test_operators_read_templates_and_agents_do_not(company: Company, irina: Visitor) -> None:
    oleg = await company.visitor().log_in("oleg")
    page = await oleg.get("/templates/callback/en/1")
    assert page.status_code == 200
    assert "/edit" not in page.text
    assert "Managers write templates." in text_of(page)
    assert (await oleg.get("/templates/callback/en/new")).status_code == 403
    assert (await irina.get("/templates")).status_code == 403
    for nothing in ("/templates/gossip", "/templates/thanks/de/1", "/templates/thanks/en/99", "/templates/thanks/en/x"):
        assert (await oleg.get(nothing)).status_code == 404
    company.lines["notify"].state.error = httpx.ConnectError("away")
    assert (await oleg.get("/templates")).status_code == 503
    await oleg.close()
