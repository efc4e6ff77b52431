"""Changes: proposed from evidence, decided, done, over plain forms and the real casework."""

import re

import pytest

from tests.handlers.portal.test_loop_pages import organised, solved
from tests.portal_company import Company
from tests.portal_visitor import Visitor, text_of

PROPOSAL = {
    "title": "Второе окно в обед",
    "problem": "Люди ждут сорок минут",
    "cause": "service.waiting",
    "themes": "waiting, queue",
    "department_id": "service",
    "owner_id": "olga",
    "since": "2020-01-01",
}


async def proposed(company: Company, visitor: Visitor) -> str:
    """Two cases, and a proposal that they are behind; its address."""
    await organised(company)
    await solved(company, "customer-1")
    await solved(company, "customer-2")
    await visitor.get("/initiatives/new")
    page = await visitor.post("/initiatives/new", PROPOSAL)
    assert page.status_code == 200, text_of(page)
    return page.url.path


async def test_a_change_goes_all_its_way_by_plain_forms(company: Company, olga: Visitor, viktor: Visitor) -> None:
    address = await proposed(company, olga)
    shown = text_of(olga.page)
    assert "Предложение ждёт решения директоров." in shown
    assert "2 обращения, 2 клиента" in shown
    assert f"{address}/approve" not in olga.page.text
    assert "Рассказать клиентам осталось" in shown

    await viktor.get("/initiatives")
    assert "Второе окно в обед" in viktor.page.text
    await viktor.get(address)
    wrong = await viktor.post(f"{address}/approve", {"due_on": "2027-03-01", "budget": "much", "currency": "RUB"})
    assert wrong.status_code == 422
    assert re.search(r'name="budget" value="much".*?aria-invalid="true"', wrong.text, re.DOTALL)
    await viktor.post(f"{address}/approve", {"due_on": "2027-03-01", "budget": "1 200 000,50", "currency": "RUB"})
    assert "Approved." in viktor.page.text
    assert "1,200,001 RUB" in text_of(viktor.page)

    await olga.get(address)
    await olga.post(f"{address}/start", {})
    assert "Работа началась." in olga.page.text
    await olga.post(f"{address}/ship", {"learned": "", "changed": "Второе окно"})
    assert olga.page.status_code == 422
    assert ">\nВторое окно</textarea>" in olga.page.text
    await olga.post(f"{address}/ship", {"learned": "Ждут в обед", "changed": "Второе окно", "next_steps": ""})
    shown = text_of(olga.page)
    assert "Изменение действует. Осталось рассказать о нём." in shown
    assert "Что изменилось после" in shown
    assert "Доля этих причин среди всех известных" in shown


async def test_a_proposal_is_declined_with_its_reason(company: Company, olga: Visitor, viktor: Visitor) -> None:
    address = await proposed(company, olga)
    await viktor.get(address)
    assert (await viktor.post(f"{address}/decline", {"reason": ""})).status_code == 422
    await viktor.post(f"{address}/decline", {"reason": "Too dear for one branch"})
    assert "Declined, with its reason." in viktor.page.text
    shown = text_of(await olga.get(address))
    assert "Too dear for one branch" in shown
    assert "Сейчас от вас ничего не нужно." in shown
    assert "Второе окно" in (await olga.get("/initiatives?status=declined")).text


async def test_only_executives_decide_and_agents_only_read(company: Company, olga: Visitor, irina: Visitor) -> None:
    address = await proposed(company, olga)
    assert (await olga.post(f"{address}/approve", {"due_on": "2027-03-01"})).status_code == 403
    page = await irina.get(address)
    assert page.status_code == 200
    assert "<textarea" not in page.text
    assert (await irina.post(f"{address}/start", {})).status_code == 403
    assert (await irina.get("/initiatives/new")).status_code == 403


async def test_what_is_missing_in_a_proposal_is_marked_and_the_rest_is_kept(company: Company, olga: Visitor) -> None:
    await organised(company)
    await olga.get("/initiatives/new")
    page = await olga.post("/initiatives/new", {**PROPOSAL, "title": " ", "since": "soon"})
    assert page.status_code == 422
    for name in ("title", "since"):
        assert re.search(rf'name="{name}"[^>]*aria-invalid="true"', page.text)
    assert 'value="service.waiting" checked' in page.text
    assert "Люди ждут сорок минут</textarea>" in page.text
    without = {name: value for name, value in PROPOSAL.items() if name != "cause"}
    assert "Отметьте хотя бы одну причину." in (await olga.post("/initiatives/new", without)).text


async def test_two_who_edit_at_once_do_not_overwrite_each_other(
    company: Company, olga: Visitor, viktor: Visitor
) -> None:
    address = await proposed(company, olga)
    await olga.get(f"{address}/edit")
    await viktor.get(f"{address}/edit")
    changed = {name: value for name, value in PROPOSAL.items() if name != "since"}
    await viktor.post(f"{address}/edit", changed | {"title": "A second counter"})
    assert "Saved." in viktor.page.text
    refused = await olga.post(f"{address}/edit", changed | {"title": "Третье окно"})
    assert refused.status_code == 412
    assert 'value="Третье окно"' in refused.text
    assert "это изменил кто-то другой" in refused.text


@pytest.mark.parametrize("path", ["/initiatives/nothing", "/initiatives/00000000-0000-0000-0000-000000000007"])
async def test_a_change_that_there_is_not_is_404(olga: Visitor, path: str) -> None:
    assert (await olga.get(path)).status_code == 404
