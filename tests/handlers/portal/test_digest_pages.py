"""The digest in the portal, and whom to name: for everybody, by those who lead, and not against anybody's will."""

import re
from datetime import date
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from services.notify.domain.digests import Thanked
from services.notify.sample_digests import FULL
from services.notify.store import digests
from tests.portal_company import Company
from tests.portal_visitor import Visitor, text_of

FEBRUARY = date(2026, 2, 1)


async def frozen(company: Company, **changes: Any) -> None:  # noqa: ANN401 - members of the content
    """A digest of a week."""
    content = type(FULL.content)(**{name: getattr(FULL.content, name) for name in FULL.content.__slots__} | changes)
    async with company.databases["notify"].transaction() as tx:
        assert await digests.freeze(tx, FULL.period, FULL.zone, content, FULL.quotes[1:])


async def fields_of(visitor: Visitor, action: str) -> dict[str, str]:
    """What the form with this action sends by itself."""
    (form,) = re.findall(rf'<form[^>]*action="{re.escape(action)}"[^>]*>(.*?)</form>', visitor.page.text, re.DOTALL)
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form))


async def test_everybody_reads_the_latest_digest_in_their_language_and_turns_theirs_off(
    company: Company, irina: Visitor
) -> None:
    assert "Дайджеста ещё нет" in text_of(await irina.get("/digest"))
    await frozen(company)
    shown = text_of(await irina.get("/digest"))
    assert "23 февраля – 1 марта" in shown
    assert "+31 (n 240; 95 %: +22…+40)" in shown
    assert "Всё решили за один звонок, спасибо! оценка 10 из 10" in shown
    assert "Анна Петрова" not in shown, "casework names nobody"
    assert "Понятные счета" not in shown
    english = text_of(await irina.get("/digest?lang=en"))
    assert "Reached within 48 hours 93% (42 of 45; 95 %: 82–98%)" in english
    await irina.get("/digest?lang=ru")

    turned_off = await irina.post("/digest/weekly", await fields_of(irina, "/digest/weekly"))
    assert turned_off.status_code == 200
    assert "Дайджест приходить не будет." in text_of(turned_off)
    assert "Присылать недельный" in text_of(turned_off)
    async with company.databases["notify"].reading() as tx:
        assert await digests.refused(tx, "irina") == {"weekly"}
    for login in ("anna", "oleg", "viktor"):
        visitor = await company.visitor().log_in(login)
        assert (await visitor.get("/digest")).status_code == 200
        await visitor.close()


async def test_what_is_late_is_shown_to_those_who_lead(company: Company, olga: Visitor) -> None:
    await frozen(company)
    assert "Понятные счета" in text_of(await olga.get("/digest"))


async def test_a_manager_names_others_with_the_numbers_before_their_eyes(
    company: Company, olga: Visitor, irina: Visitor
) -> None:
    await company.proposed(FEBRUARY, "irina", "olga")
    assert (await irina.get("/recognition")).status_code == 403
    shown = text_of(await olga.get("/recognition"))
    assert "19 из 20 · 95 %: от 76 до 99 %" in shown
    assert "О себе решает кто-то другой." in shown
    ids = re.findall(r'action="/recognition/([0-9a-f-]+)/approve"', olga.page.text)
    assert len(ids) == 1, "not about herself"
    fields = await fields_of(olga, f"/recognition/{ids[0]}/decline")
    missing = await olga.post(f"/recognition/{ids[0]}/decline", fields | {"reason": ""})
    assert missing.status_code == 422
    assert re.search(r'name="reason"[^>]*aria-invalid="true"', missing.text)
    assert "Заполните это поле." in missing.text
    fields = await fields_of(olga, f"/recognition/{ids[0]}/approve")
    approved = await olga.post(f"/recognition/{ids[0]}/approve", fields)
    assert "Имя появится в ближайших дайджестах." in text_of(approved)
    again = await olga.post(f"/recognition/{ids[0]}/approve", fields | {"command_id": ids[0], "version": "2"})
    assert (again.status_code, "Решение уже принято." in text_of(again)) == (409, True)


async def test_who_is_named_may_say_no_afterwards_and_stands_on_the_page_no_more(
    company: Company, olga: Visitor, irina: Visitor
) -> None:
    await company.proposed(FEBRUARY, "irina")
    async with company.databases["casework"].transaction() as tx:
        await tx.execute(
            text("UPDATE recognitions SET status = 'approved', decided_by = 'olga', decided_at = :now"), {"now": tx.now}
        )
    await frozen(company, thanked=(Thanked(agent_id="irina", name="Ирина Смирнова", place=None, cases=20, well=19),))
    assert "Ирина Смирнова 19 из 20 обращений" in text_of(await olga.get("/digest"))
    await irina.get("/digest")
    said = await irina.post("/digest/naming", await fields_of(irina, "/digest/naming"))
    assert "Вас не будут называть." in text_of(said)
    assert "Ирина Смирнова 19 из 20" not in text_of(await olga.get("/digest"))
    assert "не хочет, чтобы называли" in text_of(await olga.get("/recognition"))


@pytest.mark.parametrize(("service", "path"), [("notify", "/digest"), ("casework", "/recognition")])
async def test_when_a_service_is_away_the_page_says_so(
    company: Company, olga: Visitor, service: str, path: str
) -> None:
    company.lines[service].state.error = httpx.ConnectError("refused")
    page = await olga.get(path)
    assert page.status_code == 503
    assert "сейчас недоступны" in page.text


async def test_who_leads_sees_beforehand_what_the_next_digest_says_in_both_languages_and_for_both_kinds_of_readers(
    company: Company, olga: Visitor, irina: Visitor
) -> None:
    assert "В это время пока ничего не произошло" in text_of(await olga.get("/digest/preview?kind=monthly"))
    await company.told_customers("customer-1")
    await company.unhappy()
    await company.measured(2, comment="Ждала сорок минут, Мария Кузнецова, 8 900 123-45-67", customer="customer-1")
    await company.measured(*[9] * 12)
    assert 'href="/digest/preview?kind=weekly"' in (await olga.get("/digest")).text
    proposal = {"title": "Второе окно", "problem": "Очередь", "root_causes": ["service.waiting"], "owner_id": "olga"}
    await company.casework("PUT", "/v1/departments/service", json={"name": "Обслуживание", "manager_id": "olga"})
    made = await company.casework("POST", "/v1/initiatives", json=proposal | {"department_id": "service"})
    approved = {"due_on": "2020-01-01", "reason": "Пора"}
    await company.casework("POST", f"/v1/initiatives/{made['id']}/approve", json=approved)

    shown = text_of(await olga.get("/digest/preview"))

    assert "n 13" in shown
    assert "Ждала сорок минут, •••" in shown
    assert "123-45-67" not in shown
    assert "Что ждёт решения руководителей" in shown
    english = await olga.get("/digest/preview?said=en&reader=everybody")
    assert '<div lang="en">' in english.text
    assert "What the numbers say" in text_of(english)
    assert "What waits for those who lead" not in text_of(english)
    for_leads = text_of(await olga.get("/digest/preview?said=en&reader=lead"))
    assert "What waits for those who lead" in for_leads
    assert (await irina.get("/digest/preview")).status_code == 403
    listed = await company.notify("olga", "manager", "GET", "/v1/digests")
    assert listed == [], "nothing is kept of a look"
    company.lines["notify"].state.answer = httpx.Response(503)
    assert (await olga.get("/digest/preview")).status_code == 503
