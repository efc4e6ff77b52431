"""Deadlines, calendars and counting anew in the portal's pages, over the real casework."""

import re

import httpx
import pytest

from services.casework.jobs import Recomputing
from tests.portal_company import Company
from tests.portal_visitor import Visitor, text_of

WEEK = {"name": "Москва", "zone": "Europe/Moscow", "monday": "09:00-13:00, 14:00-18:00", "tuesday": "10:00-18:00"}


@pytest.fixture
async def ivan(olga: Visitor) -> Visitor:
    """The manager, once the company has a calendar."""
    await olga.get("/calendars/new")
    await olga.post("/calendars/new", {**WEEK, "id": "moscow", "holidays": "2090-01-01..2090-01-08"})
    return olga


async def test_a_program_gets_deadlines_of_its_own_and_loses_them_again(company: Company, ivan: Visitor) -> None:
    await company.unhappy()
    page = await ivan.get("/policies?program=%D0%90%D1%80%D0%B5%D0%BD%D0%B4%D0%B0")
    assert "<option selected>Аренда</option>" in page.text
    assert page.text.count("как у всей компании") == 4
    form = await ivan.get("/policies/standard?program=Аренда")
    hidden = dict(re.findall(r'name="([a-z_]+)" value="([^"]*)"', form.text))
    entered = {name: value for name, value in hidden.items() if name.endswith(("_hours", "_days", "_attempts"))}

    wrong = await ivan.post(
        "/policies/standard", {**entered, "first_contact_hours": "0", "warnings": "soon", "calendar_id": ""}
    )
    assert wrong.status_code == 422
    for name in ("first_contact_hours", "warnings"):
        assert re.search(rf'name="{name}"[^>]*aria-invalid="true"', wrong.text)
    await ivan.post(
        "/policies/standard",
        {**entered, "first_contact_hours": "8", "warnings": "50, 75", "calendar_id": "moscow", "program": "Аренда"},
    )
    shown = text_of(ivan.page)
    assert "Сроки сохранены." in shown
    assert re.search(r"свои у программы Первый контакт 8 ч ", shown)
    assert re.search(r"50 %\s?, 75 % Календарь Москва", shown)

    refused = await ivan.get("/calendars/moscow")
    refused = await ivan.post("/calendars/moscow", {"do": "delete"})
    assert refused.status_code == 409
    assert "По этому календарю считаются чьи-то сроки" in refused.text

    await ivan.get("/policies/standard?program=Аренда")
    await ivan.post("/policies/standard", {"do": "delete"})
    assert text_of(ivan.page).count("как у всей компании") == 4


async def test_a_calendar_is_made_shown_changed_and_taken_away(ivan: Visitor) -> None:
    shown = text_of(ivan.page)
    assert "Календарь сохранён." in shown
    assert "понедельник 09:00-13:00, 14:00-18:00" in shown
    assert "среда выходной" in shown
    assert "1 янв. 2090" in shown

    form = await ivan.get("/calendars/moscow")
    assert "2090-01-01..2090-01-08</textarea>" in form.text
    wrong = await ivan.post("/calendars/moscow", {**WEEK, "friday": "всегда", "holidays": "завтра"})
    assert wrong.status_code == 422
    assert re.search(r'name="friday" value="всегда"[^>]*aria-invalid="true"', wrong.text)
    unknown = await ivan.post("/calendars/moscow", {**WEEK, "zone": "Europe/Nowhere"})
    assert unknown.status_code == 422
    assert re.search(r'name="zone"[^>]*aria-invalid="true"', unknown.text)
    await ivan.post("/calendars/moscow", {**WEEK, "wednesday": "09:00-12:00"})
    assert "среда 09:00-12:00" in text_of(ivan.page)

    await ivan.get("/calendars/new")
    taken = await ivan.post("/calendars/new", {**WEEK, "id": "moscow"})
    assert taken.status_code == 409
    assert "Такой код уже есть." in taken.text
    await ivan.get("/calendars/moscow")
    await ivan.post("/calendars/moscow", {"do": "delete"})
    assert "Календарей нет" in text_of(ivan.page)


async def test_deadlines_are_counted_anew_after_a_look_at_what_that_would_do(company: Company, ivan: Visitor) -> None:
    case_id = await company.unhappy(hours_ago=30)
    policy = await company.casework("GET", "/v1/sla-policies/standard")
    body = {name: value for name, value in policy.items() if name not in ("tier", "version", "warn_after")}
    await company.casework("PUT", "/v1/programs/Аренда/sla-policies/standard", json=body | {"first_contact_hours": 24})

    async def counted() -> str:
        while await Recomputing(company.databases["casework"], batch=100).step():
            pass
        return text_of(await ivan.get(ivan.page.url.path))

    await ivan.get("/recomputations")
    await ivan.post("/recomputations", {"program": "Аренда", "tier": "", "level": "", "do": "try"})
    assert "Считаем…" in ivan.page.text
    assert f'data-poll="{ivan.page.url.path}"' in ivan.page.text
    shown = await counted()
    assert "Сдвинулся бы срок 1 Было бы сразу просрочено 1" in shown
    assert f'href="/cases/{case_id}"' in ivan.page.text
    before = await company.casework("GET", f"/v1/cases/{case_id}")
    assert not before["first_contact_breached"]

    await ivan.post("/recomputations", {"do": "count"})
    assert "Сдвинулся срок 1 Сразу просрочено 1" in await counted()
    after = await company.casework("GET", f"/v1/cases/{case_id}")
    assert after["first_contact_breached"]
    log = text_of(await ivan.get("/recomputations"))
    assert re.search(r"Сроки пересчитаны Аренда .*Ольга Лебедева .*Проба: что изменилось бы Аренда", log)


@pytest.mark.usefixtures("ivan")
async def test_who_runs_the_system_sees_the_rules_and_changes_none(company: Company) -> None:
    oleg = await company.visitor().log_in("oleg")
    for path in ("/policies", "/calendars", "/recomputations", "/people"):
        page = await oleg.get(path)
        assert page.status_code == 200
        assert "button-main" not in page.text
    assert (await oleg.post("/recomputations", {"do": "count"})).status_code == 403
    assert (await oleg.get("/calendars/moscow")).status_code == 403
    await oleg.close()


@pytest.mark.parametrize("path", ["/policies/golden", "/calendars/nowhere", "/recomputations/x", "/calendars/%D1%8F"])
async def test_a_rule_that_there_is_not_is_404(olga: Visitor, path: str) -> None:
    assert (await olga.get(path)).status_code == 404


@pytest.mark.parametrize("path", ["/policies", "/calendars", "/recomputations"])
async def test_when_casework_is_away_the_pages_of_rules_say_so(company: Company, olga: Visitor, path: str) -> None:
    company.lines["casework"].state.error = httpx.ConnectError("refused")
    page = await olga.get(path)
    assert page.status_code == 503
    assert "Обращения сейчас недоступны." in page.text
