"""What it took customers until their problems were solved, as the portal shows it."""

import re

import httpx

from tests.portal_company import Company
from tests.portal_visitor import Visitor, text_of


async def solved(company: Company, customer: str, cause: str, **effort: object) -> None:
    case_id = await company.unhappy(customer, customer.title())
    await company.casework("POST", f"/v1/cases/{case_id}/contact-attempts", json={"outcome": "reached"})
    await company.casework("POST", f"/v1/cases/{case_id}/resolve", json={"root_cause_id": cause, **effort})


async def test_effort_is_told_with_how_many_answered_and_where_it_is_hardest(company: Company, irina: Visitor) -> None:
    assert "За этот период ничего не решено" in text_of(await irina.get("/loop/effort"))
    await solved(company, "first", "service.waiting", customer_contacts=1, passed_on=False)
    await solved(company, "second", "service.waiting", customer_contacts=2, passed_on=False)
    await solved(company, "third", "service", customer_contacts=6, passed_on=True)
    await solved(company, "fourth", "service")

    shown = text_of(await irina.get("/loop/effort"))

    assert "Решено 4 обращения" in shown
    assert re.search(r"в среднем 3,0 95 %: от .{1,9} до \d+,\d · по ответам: 3", shown)
    assert re.search(r"Решили с первого раза 33 % .* 1 из 3 · 95 %: от 6 до 79", shown)
    assert re.search(r"Передавали от одного к другому 33 % .* 1 из 3", shown)
    rows = re.findall(r'<th scope="row">([^<]+)</th>', irina.page.text)
    assert rows == ["Обслуживание", "Долгое ожидание"]
    assert "Аренда" in text_of(await irina.get("/loop/effort?by=program&period=month&tier=standard"))
    assert "За этот период ничего не решено" in text_of(await irina.get("/loop/effort?tier=key"))


async def test_everybody_sees_effort_and_nobody_sees_codes(company: Company) -> None:
    await solved(company, "first", "service.waiting", customer_contacts=1)
    anna = await company.visitor().log_in("anna")
    page = await anna.get("/loop/effort?by=root_cause")
    assert page.status_code == 200
    assert "service.waiting" not in page.text
    assert re.findall(r'<th scope="row">([^<]+)</th>', page.text) == ["отделение"]
    await anna.close()


async def test_when_casework_is_away_effort_says_so(company: Company, irina: Visitor) -> None:
    company.lines["casework"].state.error = httpx.ConnectError("refused")
    page = await irina.get("/loop/effort")
    assert page.status_code == 503
    assert "Обращения сейчас недоступны." in page.text
