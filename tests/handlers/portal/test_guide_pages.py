"""Conversation guides in the portal, over the real casework and scoring."""

import re

import httpx
import pytest

from tests.portal_company import Company
from tests.portal_visitor import Visitor, text_of

GUIDE = {
    "title_ru": "Очередь в отделении",
    "title_en": "Own queue",
    "opening_ru": "Спасибо, что рассказали.",
    "opening_en": "Thank you for telling us.",
    "questions_ru": "Как это было?\nЧто было труднее всего?",
    "questions_en": "How was it?\nWhat was hardest?",
    "closing_ru": "Я напишу завтра.",
    "closing_en": "I will write tomorrow.",
    "theme": "waiting",
}


async def test_a_guide_is_looked_at_saved_read_and_shown_on_a_case(
    company: Company, irina: Visitor, olga: Visitor
) -> None:
    case_id = await company.unhappy(themes=("waiting",))
    await olga.get("/guides/new")
    uneven = await olga.post("/guides/new", GUIDE | {"questions_en": "How was it?"})
    assert uneven.status_code == 422
    assert re.search(r'name="questions_en"[^>]*aria-invalid="true"', uneven.text)
    looked = await olga.post("/guides/new", GUIDE)
    assert "Так её прочтут Очередь в отделении Спасибо, что рассказали." in text_of(looked)
    assert "<h3>Own queue</h3>" in looked.text
    assert "own-queue" not in str(await company.casework("GET", "/v1/conversation-guides"))
    await olga.post("/guides/new", GUIDE | {"do": "save"})
    shown = text_of(olga.page)
    assert "Подсказка сохранена" in shown
    assert "Ожидание" in shown
    assert "Как это было? Что было труднее всего? Я напишу завтра." in shown

    listed = await irina.get("/guides")
    assert "/guides/new" not in listed.text
    assert text_of(listed).count("Очередь в отделении") == 1
    assert text_of(listed).index("Для любого разговора") < text_of(listed).index("Очередь в отделении")
    address = re.search(r'href="(/guides/own-queue-[0-9a-f]{8})"', listed.text)
    assert address is not None
    english = text_of(await irina.get(f"{address[1]}?lang=en"))
    assert "How was it? What was hardest? I will write tomorrow." in english
    assert (await irina.get(f"{address[1]}/edit")).status_code == 403
    assert "Очередь в отделении" in text_of(await irina.get(f"/cases/{case_id}?lang=ru"))

    await olga.get(f"{address[1]}/edit")
    await olga.post(f"{address[1]}/edit", GUIDE | {"theme": "", "retired": "yes", "do": "save"})
    shown = text_of(olga.page)
    assert "больше не используется Для любого разговора" in shown
    assert re.search(r"Версия 2 : темы, используется ли [\d\w .,:]+ · Ольга Лебедева Версия 1", shown)
    earlier = await olga.get(f"{address[1]}/edit?from=1")
    assert "Так звучала версия 1." in earlier.text
    assert 'name="retired" value="yes">' in earlier.text
    assert 'name="version" value="2"' in earlier.text
    assert "edit?from=" not in (await irina.get(address[1])).text
    assert (await olga.get(f"{address[1]}/edit?from=7")).status_code == 404
    assert "Очередь в отделении" not in text_of(await irina.get(f"/cases/{case_id}"))
    assert "Больше не используются Очередь в отделении" in text_of(await irina.get("/guides"))


async def test_what_somebody_changed_meanwhile_is_not_overwritten(company: Company, olga: Visitor) -> None:
    body = {name: GUIDE[name] for name in GUIDE if "_" in name and not name.startswith("questions")}
    stored = body | {"themes": [], "questions": [{"ru": "Как?", "en": "How?"}]}
    await company.casework("PUT", "/v1/conversation-guides/own-till", json=stored)
    await olga.get("/guides/own-till/edit")
    await company.casework("PUT", "/v1/conversation-guides/own-till", json=stored | {"title_en": "Cash desk"})
    mine = GUIDE | {"title_en": "Tills", "theme": "", "do": "save"}
    refused = await olga.post("/guides/own-till/edit", mine)
    assert refused.status_code == 412
    assert 'value="Tills"' in refused.text
    await olga.post("/guides/own-till/edit", mine)
    assert (await company.casework("GET", "/v1/conversation-guides/own-till"))["title_en"] == "Tills"


async def test_guides_can_be_read_and_edited_while_nobody_knows_what_themes_are_called(
    company: Company, olga: Visitor
) -> None:
    company.lines["scoring"].state.error = httpx.ConnectError("refused")
    assert (await olga.get("/guides")).status_code == 200
    page = await olga.get("/guides/new")
    assert "Список тем сейчас недоступен" in page.text


@pytest.mark.parametrize(("path", "status"), [("/guides/nowhere", 404), ("/guides/%2e%2e%20", 404)])
async def test_a_guide_that_is_not_there_is_not_found(olga: Visitor, path: str, status: int) -> None:
    assert (await olga.get(path)).status_code == status


async def test_when_casework_is_away_the_guides_say_so(company: Company, irina: Visitor) -> None:
    company.lines["casework"].state.error = httpx.ConnectError("refused")
    page = await irina.get("/guides")
    assert page.status_code == 503
    assert "Обращения сейчас недоступны." in page.text
