"""What a colleague handles, when they are away, and handing over what they have: forms over the real casework."""

import re

from tests.handlers.portal.test_loop_pages import organised
from tests.portal_company import Company
from tests.portal_visitor import Visitor, text_of

PAVEL = {
    "name": "Pavel Orlov",
    "email": "pavel@example.org",
    "role": "agent",
    "language": "en",
    "team_id": "first",
    "department_id": "",
    "seniority": "2",
    "capacity": "7",
    "languages": "ru, de",
    "programs": "Аренда",
    "touchpoints": "",
    "themes": "",
    "calendar_id": "",
    "absences": "2090-01-11 .. 2090-01-25",
}


async def test_a_colleague_is_described_and_planned_to_be_away(company: Company, olga: Visitor, irina: Visitor) -> None:
    await organised(company)
    await olga.get("/people/pavel")
    wrong = await olga.post("/people/pavel", PAVEL | {"absences": "next week", "capacity": "many"})
    assert wrong.status_code == 422
    assert ">\nnext week</textarea>" in wrong.text
    assert re.search(r'name="capacity" value="many"[^>]*aria-invalid="true"', wrong.text)

    await olga.post("/people/pavel", PAVEL)
    assert "Сохранено." in olga.page.text
    assert ">\n2090-01-11 .. 2090-01-25</textarea>" in olga.page.text
    assert re.search(r'name="languages" value="[a-z]+, [a-z]+', olga.page.text)
    assert "не будет с 11 янв. 2090" in text_of(await olga.get("/people"))
    agent = await company.casework("GET", "/v1/agents/pavel")
    assert (agent["capacity"], agent["programs"]) == (7, ["Аренда"])

    await olga.get("/people/pavel")
    await olga.post("/people/pavel", PAVEL | {"absences": "2026-01-11 .."})
    assert ">\n2026-01-11 ..</textarea>" in olga.page.text
    agent = await company.casework("GET", "/v1/agents/pavel")
    assert (agent["absent_from"][:10], agent["absent_until"], agent["absences"]) == ("2026-01-10", None, [])

    stale = await olga.get("/people/pavel")
    await olga.get("/people/pavel")
    await olga.post("/people/pavel", PAVEL | {"capacity": "8"})
    olga.page = stale
    assert (await olga.post("/people/pavel", PAVEL | {"capacity": "9"})).status_code == 412
    assert (await irina.get("/people/pavel")).status_code == 403
    assert (await olga.get("/people/nobody")).status_code == 404


async def test_what_somebody_has_is_handed_over_after_a_look_at_each_case(company: Company, olga: Visitor) -> None:
    case_id = await company.unhappy(score=5)
    owner = (await company.casework("GET", f"/v1/cases/{case_id}"))["owner_id"]
    address = f"/people/{owner}"
    await olga.get(address)
    assert (await olga.post(f"{address}/hand-over", {"reason": "", "do": "try"})).status_code == 422
    await olga.post(f"{address}/hand-over", {"reason": "leaves", "to_id": "olga", "do": "try"})
    assert "Перейдут другим: 1, останутся: 0, не получится: 0" in text_of(olga.page)
    assert f'href="/cases/{case_id}"' in olga.page.text
    assert (await company.casework("GET", f"/v1/cases/{case_id}"))["owner_id"] == owner

    await olga.post(f"{address}/hand-over", {"do": "hand"})
    assert "Передано: 1" in text_of(olga.page)
    assert (await company.casework("GET", f"/v1/cases/{case_id}"))["owner_id"] == "olga"
