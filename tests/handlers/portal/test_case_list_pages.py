"""The list of cases as people work with it: filters under names, many cases at once, the list as a file."""

import csv
import io
import re

import httpx
from sqlalchemy import text

from tests.handlers.portal.test_case_pages import rows
from tests.portal_company import Company
from tests.portal_visitor import Visitor, text_of

IN_TEAM = text("UPDATE agents SET team_id = 'front' WHERE id = 'irina'")


def boxes(page: httpx.Response) -> dict[str, str]:
    """What ticking the box of each customer sends."""
    return {
        name: value
        for value, name in re.findall(r'name="case" value="([^"]+)"><span class="sr">Отметить: ([^<]+)<', page.text)
    }


async def test_a_filter_is_saved_chosen_shared_and_taken_away(company: Company, irina: Visitor, olga: Visitor) -> None:
    await company.casework("PUT", "/v1/teams/front", json={"name": "Первая линия"})
    async with company.databases["casework"].transaction() as tx:
        await tx.execute(IN_TEAM)
    await company.unhappy("customer-1", "Key Customer", tier="key")
    await company.unhappy("customer-2", "Low Customer", tier="low")

    await olga.get("/cases?tier=key&due=day&whose=all")
    wrong = await olga.post("/cases/filters", {"name": " ", "team_id": ""})
    assert wrong.status_code == 422
    assert re.search(r'name="name"[^>]*aria-invalid="true"', wrong.text)
    await olga.post("/cases/filters", {"name": "Ключевые", "team_id": "front"})
    assert "Фильтр сохранён." in text_of(olga.page)
    assert re.search(r'href="/cases\?[^"]*tier=key[^"]*" aria-current="true">Ключевые · Первая линия<', olga.page.text)

    page = await irina.get("/cases?whose=mine")
    chosen = re.search(r'href="(/cases\?[^"]+)">Ключевые · Ольга Лебедева<', page.text)
    assert chosen is not None
    assert "Ваши фильтры" not in page.text
    assert "selected>в ближайшие сутки" in (await irina.get(chosen[1].replace("&amp;", "&"))).text
    saved = (await company.casework_as("olga", "manager", "GET", "/v1/filters"))["items"][0]
    assert saved["filter"]["due_within_hours"] == 24
    foreign = await irina.post(f"/cases/filters/{saved['id']}", {"version": "1", "query": ""})
    assert foreign.status_code == 403

    await olga.get("/cases")
    await olga.post(f"/cases/filters/{saved['id']}", {})
    assert "Фильтр удалён" in text_of(olga.page)
    assert "Ключевые" not in (await irina.get("/cases")).text


async def test_many_cases_are_looked_at_then_changed_and_each_is_reported(company: Company, olga: Visitor) -> None:
    for number in (1, 2, 3):
        await company.unhappy(f"customer-{number}", f"Клиент {number}")
    ticked = boxes(await olga.get("/cases"))
    moved = ticked["Клиент 2"].partition(":")[0]
    await company.casework_as("olga", "manager", "POST", f"/v1/cases/{moved}/escalate", json={"reason": "no_authority"})

    act = {"kind": "priority", "priority": "90", "owner_id": "", "reason": "no_authority", "note": ""}
    wrong = await olga.post("/cases/bulk", act | {"of": "ticked"})
    assert wrong.status_code == 422
    assert "Отметьте хотя бы одно обращение" in wrong.text
    await olga.get("/cases")
    wrong = await olga.post("/cases/bulk", act | {"priority": "101", "cases": ticked["Клиент 1"]})
    assert wrong.status_code == 422
    assert re.search(r'name="priority" value="101"[^>]*aria-invalid="true"', wrong.text)

    await olga.get("/cases")
    preview = await olga.post("/cases/bulk", act | {"cases": f"{ticked['Клиент 1']} {ticked['Клиент 2']}"})
    shown = text_of(preview)
    assert "Пока ничего не изменено." in shown
    assert re.search(r"Клиент 1 – → 90 изменится", shown)
    assert re.search(r"Клиент 2 . отказано Кто-то изменил обращение", shown.replace("–", "-"))
    first = ticked["Клиент 1"].partition(":")[0]
    assert (await company.casework("GET", f"/v1/cases/{first}"))["priority"] is None

    done = await olga.post("/cases/bulk", {"do": "act"})
    assert re.search(r"Клиент 1 – → 90 изменено", text_of(done))
    assert (await company.casework("GET", f"/v1/cases/{first}"))["priority"] == 90
    assert (await company.casework("GET", f"/v1/cases/{moved}"))["priority"] is None


async def test_all_cases_of_a_filter_go_to_one_person_and_only_those_that_were_looked_at(
    company: Company, olga: Visitor
) -> None:
    await company.unhappy("customer-1", "Клиент 1", tier="key")
    await company.unhappy("customer-2", "Клиент 2", tier="low")
    await olga.get("/cases?tier=key")
    act = {"kind": "assign", "owner_id": "viktor", "reason": "no_authority", "priority": "", "note": "Смена"}
    preview = await olga.post("/cases/bulk", act | {"of": "filter"})
    assert "→ Victor Gromov изменится" in text_of(preview)
    assert "Клиент 2" not in preview.text
    late = await company.unhappy("customer-3", "Клиент 3", tier="key")
    done = await olga.post("/cases/bulk", {"do": "act"})
    assert "→ Victor Gromov изменено" in text_of(done)
    assert rows(await olga.get("/cases?whose=viktor")) == ["Клиент 1"]
    assert (await company.casework("GET", f"/v1/cases/{late}"))["owner_id"] != "viktor"

    await olga.get("/cases")
    gone = await olga.post("/cases/bulk", act | {"of": "filter", "owner_id": "nobody"})
    assert gone.status_code == 422
    assert re.search(r'name="owner_id"[^>]*aria-invalid="true"', gone.text)


async def test_agents_work_case_by_case(company: Company, irina: Visitor) -> None:
    await company.unhappy()
    page = await irina.get("/cases?whose=all")
    assert 'name="case"' not in page.text
    assert (await irina.post("/cases/bulk", {"of": "filter", "kind": "assign"})).status_code == 403


async def test_the_list_is_taken_away_as_a_file(company: Company, irina: Visitor, olga: Visitor) -> None:
    await company.unhappy("customer-1", "=Key", tier="key")
    await company.unhappy("customer-2", "Low", tier="low")
    page = await irina.get("/cases?whose=all&tier=key&sort=priority")
    link = re.search(r'href="(/cases\.csv\?[^"]*)" download', page.text)
    assert link is not None
    file = await irina.get(link[1].replace("&amp;", "&"))
    assert file.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in file.headers["content-disposition"]
    lines = list(csv.DictReader(io.StringIO(file.text.removeprefix("\ufeff"))))
    assert [line["tier"] for line in lines] == ["key"]
    assert not lines[0]["customer_name"].startswith("=")

    company.lines["casework"].state.error = httpx.ConnectError("refused")
    assert (await olga.get("/cases.csv")).status_code == 503
    company.lines["casework"].state.error = None
    company.lines["casework"].state.answer = httpx.Response(403, json={"type": "urn:otklik:problem:role-not-allowed"})
    assert (await olga.get("/cases.csv")).status_code == 403
