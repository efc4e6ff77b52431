"""Where colleagues ask somebody to look, over the real casework."""

import re

import httpx

from tests.portal_company import Company
from tests.portal_visitor import Visitor, text_of


async def test_mentions_are_counted_listed_and_read_one_by_one_or_all(
    company: Company, irina: Visitor, olga: Visitor
) -> None:
    cases = [await company.unhappy(f"customer-{n}", f"Клиент {n}") for n in range(4)]
    for number, case_id in enumerate(cases):
        await irina.get(f"/cases/{case_id}")
        await irina.post(f"/cases/{case_id}/comments", {"text": f"Посмотри {number}", "mention": "olga"})
    assert "Всё прочитано" in text_of(await irina.get("/mentions"))
    for path in ("/cases", "/tasks", "/callbacks", "/queues/management", "/guides"):
        assert "Упоминания 4 не прочитано" in text_of(await olga.get(path)), path
    assert "Упоминания: 4" in text_of(await olga.get("/"))

    shown = await olga.get("/mentions")
    assert re.findall(r"Посмотри \d", text_of(shown)) == [f"Посмотри {n}" for n in (3, 2, 1, 0)]
    place = re.search(rf'href="(/cases/{cases[3]}#(entry-\d+))"', shown.text)
    assert place is not None
    await olga.post("/mentions", {"case_id": cases[1], "show": "unread"})
    assert "Отмечено прочитанным." in text_of(olga.page)
    assert re.findall(r"Посмотри \d", text_of(olga.page)) == ["Посмотри 3", "Посмотри 2", "Посмотри 0"]

    opened = await olga.get(place[1])
    assert f'id="{place[2]}"' in opened.text
    assert "Посмотри 3" not in text_of(await olga.get("/mentions"))
    await olga.post("/mentions", {"case_id": "", "show": "all"})
    assert text_of(olga.page).count("Посмотри") == 4
    assert "не прочитано" not in text_of(olga.page)
    assert "Всё прочитано" in text_of(await olga.get("/mentions"))


async def test_when_casework_is_away_the_mentions_say_so(company: Company, irina: Visitor) -> None:
    company.lines["casework"].state.error = httpx.ConnectError("refused")
    page = await irina.get("/mentions")
    assert page.status_code == 503
    assert "Обращения сейчас недоступны." in page.text
