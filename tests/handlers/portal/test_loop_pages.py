"""How the loop is doing, what is behind it, and who has how much to do: over the real casework."""

import re

import httpx
import pytest
from sqlalchemy import text

from tests.handlers.portal.test_case_pages import rows
from tests.portal_company import Company
from tests.portal_visitor import Visitor, text_of


async def solved(company: Company, customer: str, *, hours_ago: float = 3, cause: str = "service.waiting") -> str:
    """Somebody was called and their problem solved."""
    case_id = await company.unhappy(customer, customer, hours_ago=hours_ago)
    for action, body in (("contact-attempts", {"outcome": "reached"}), ("resolve", {"root_cause_id": cause})):
        await company.casework("POST", f"/v1/cases/{case_id}/{action}", json=body)
    await company.carry()
    return case_id


async def organised(company: Company) -> None:
    """A department with a team in it."""
    body: dict[str, object] = {"name": "Обслуживание", "manager_id": "olga"}
    await company.casework("PUT", "/v1/departments/service", json=body)
    await company.casework("PUT", "/v1/teams/first", json={"name": "Первая линия", "department_id": "service"})
    for id_ in ("irina", "pavel"):
        agent = await company.casework("GET", f"/v1/agents/{id_}")
        kept = {name: agent[name] for name in ("name", "email", "language", "role", "seniority")}
        await company.casework("PUT", f"/v1/agents/{id_}", json=kept | {"team_id": "first", "capacity": 2})


async def test_the_health_of_the_loop_has_shares_with_intervals_medians_and_groups(
    company: Company, olga: Visitor
) -> None:
    await organised(company)
    await solved(company, "customer-1")
    await solved(company, "customer-2", hours_ago=30)
    await company.unhappy("customer-3", "Late", hours_ago=60)

    page = await olga.get("/loop?by=team")

    shown = text_of(page)
    assert "3 обращения, в работе: 1" in shown
    assert re.search(r"Контакт за 48 часов 67 %.* 2 из 3 · 95 %: от 21 до 94", shown)
    assert "Первая линия" in shown
    assert re.search(r"за 4 ч 1 ", shown)
    assert re.search(r"от 24 до 48 ч 1 ", shown)
    assert '<option value="service">Обслуживание</option>' in page.text
    assert "За этот период обращений нет" in text_of(await olga.get("/loop?tier=low&period=week&program=none"))
    assert (await olga.get("/loop?by=x&period=never&share=x&tier=%3Cb%3E")).status_code == 200


async def test_a_share_over_time_has_a_picture_and_a_table(company: Company, olga: Visitor) -> None:
    await solved(company, "customer-1", hours_ago=1)
    async with company.databases["casework"].transaction() as tx:
        await tx.execute(text("UPDATE cases SET opened_at = opened_at - interval '15 days'"))
    await solved(company, "customer-2", hours_ago=1)
    page = await olga.get("/loop?period=quarter")
    assert page.text.count('class="trend-point"') == 2
    assert "Контакт за 48 часов: во времени" in page.text
    assert "100 %" in text_of(page)


async def test_everybody_sees_how_the_loop_is_doing_and_no_customer_in_it(company: Company) -> None:
    await organised(company)
    await solved(company, "customer-1")
    for login in ("anna", "oleg", "irina", "viktor"):
        visitor = await company.visitor().log_in(login)
        page = await visitor.get("/loop?by=team")
        assert page.status_code == 200
        assert "customer-1" not in page.text
        assert re.search(r'<th scope="row">Первая линия</th>', page.text)
        await visitor.close()


async def test_root_causes_show_how_many_they_concern_and_lead_to_a_proposal(
    company: Company, olga: Visitor, irina: Visitor
) -> None:
    await solved(company, "customer-1")
    await solved(company, "customer-2")
    shown = text_of(await olga.get("/causes"))
    assert re.search(r"Долгое ожидание Обслуживание 2 обращения , 2 клиента", shown)
    assert 'name="cause" value="service.waiting"' in olga.page.text
    assert 'name="cause"' not in (await irina.get("/causes")).text
    form = await olga.get("/initiatives/new?cause=service.waiting&since=2026-01-01")
    assert re.search(r'value="service.waiting" checked', form.text)
    assert 'value="2026-01-01"' in form.text


async def test_the_load_of_a_team_leads_to_the_cases_of_its_people(company: Company, olga: Visitor) -> None:
    await organised(company)
    for number in range(3):
        await company.unhappy(f"customer-{number}", f"Customer {number}")
    shown = text_of(await olga.get("/people"))
    assert "Первая линия Обслуживание · в работе 3 из 4" in shown
    assert "Вне команд" in shown
    owners = re.findall(r'href="/cases\?whose=([a-z]+)"', olga.page.text)
    assert {"irina", "pavel"} < set(owners)
    found = [name for owner in ("irina", "pavel") for name in rows(await olga.get(f"/cases?whose={owner}"))]
    assert sorted(found) == ["Customer 0", "Customer 1", "Customer 2"]


async def test_a_list_can_be_narrowed_to_what_is_overdue(company: Company, olga: Visitor) -> None:
    await company.unhappy("customer-1", "Later", hours_ago=1)
    await company.unhappy("customer-2", "Overdue", hours_ago=51)
    await company.unhappy("customer-3", "Soon", hours_ago=46)
    assert rows(await olga.get("/cases?due=overdue")) == ["Overdue"]
    assert rows(await olga.get("/cases?due=soon")) == ["Overdue", "Soon"]
    assert len(rows(await olga.get("/cases?due=never"))) == 3


@pytest.mark.parametrize("path", ["/loop", "/causes", "/initiatives", "/people"])
async def test_when_casework_is_away_the_pages_of_the_loop_say_so(company: Company, olga: Visitor, path: str) -> None:
    company.lines["casework"].state.error = httpx.ConnectError("refused")
    page = await olga.get(path)
    assert page.status_code == 503
    assert "Обращения сейчас недоступны." in page.text
