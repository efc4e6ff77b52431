"""The rules of light cases and of contact in the portal, over the real casework."""

import re

import httpx
import pytest

from services.casework.handlers import handle_scores
from tests.portal_company import Company
from tests.portal_visitor import Visitor, text_of

RULES = "/v1/outreach-rules"
FIRST = {
    "0.id": "passive_key",
    "0.then": "case",
    "0.nps_classes": "passive",
    "0.score_from": "7",
    "0.score_to": "8",
    "otherwise": "nothing",
    "thank_after_minutes": "30",
}


async def answered(company: Company, customer: str, score: int) -> None:
    async with company.databases["casework"].transaction() as tx:
        await handle_scores(tx, [company.scored(customer, score=score)])


async def test_rules_are_written_in_rows_tried_on_what_came_and_put_into_force(company: Company, olga: Visitor) -> None:
    case_id = await company.unhappy("customer-1", "Мария Кузнецова")
    await answered(company, "customer-1", 7)
    await answered(company, "customer-2", 8)
    await answered(company, "customer-3", 10)
    shown = text_of(await olga.get("/light-cases"))
    assert "лёгкое обращение ответил нейтральный; ценность: ключевой клиент" in shown
    assert "промоутер; пишет о теме «Готовы рекомендовать нас другим»" in shown
    assert re.search(r'name="1.themes" value="praise">Похвала', olga.page.text)

    longer = await olga.post("/light-cases", FIRST | {"do": "add-rule:"})
    assert longer.text.count('<fieldset class="rule">') == 2
    wrong = await olga.post("/light-cases", FIRST | {"0.score_from": "9", "thank_after_minutes": "soon"})
    assert wrong.status_code == 422
    assert re.search(r'id="0.score_to"[^>]*aria-invalid="true" aria-describedby="0.score_to-error"', wrong.text)
    assert 'value="soon" aria-invalid="true"' in wrong.text
    assert "такого ответа не бывает" in wrong.text

    tried = text_of(await olga.post("/light-cases", FIRST | {"do": "try"}))
    assert "Лёгких обращений: 2, благодарностей: 0, без ответа: 1" in tried
    assert "Правило 1 (лёгкое обращение): 2 ответа" in tried
    assert re.search(r"Мария Кузнецова обычный оценка 7, Аренда · отделение, .*сейчас есть открытое обращение", tried)
    assert (await company.casework("GET", RULES))["version"] == 1

    await olga.post("/light-cases", FIRST | {"do": "save"})
    assert "Правила действуют для ответов" in text_of(olga.page)
    assert "Ольга Лебедева" in text_of(olga.page)
    assert "оценка от 7 до 8" in text_of(olga.page)
    await answered(company, "customer-4", 7)
    (light,) = (await company.casework("GET", "/v1/cases", params={"customer": "customer-4"}))["items"]
    assert light["kind"] == "light"
    assert re.search(r"открыто лёгкое", text_of(await olga.get(f"/cases/{light['id']}")))
    assert "лёгкое" not in text_of(await olga.get(f"/cases/{case_id}")).partition("История")[0]


async def test_rules_that_somebody_else_changed_meanwhile_are_not_overwritten(company: Company, olga: Visitor) -> None:
    await olga.get("/light-cases")
    await company.casework("PUT", RULES, json={"rules": [], "otherwise": "thanks"})
    refused = await olga.post("/light-cases", FIRST | {"do": "save"})
    assert refused.status_code == 409
    assert "правила изменил кто-то другой" in refused.text
    assert re.search(r'name="0.nps_classes" value="passive" checked', refused.text)
    await olga.post("/light-cases", FIRST | {"do": "save"})
    assert (await company.casework("GET", RULES))["otherwise"] == "nothing"


async def test_deadlines_of_light_cases_are_found_by_a_name(olga: Visitor) -> None:
    page = await olga.get("/policies?program=~light")
    assert "~light" not in text_of(page)
    assert text_of(page).count("свои у программы") == 4
    form = await olga.get("/policies/key?program=~light")
    assert "Для лёгких обращений" in text_of(form)
    assert 'value="delete"' not in form.text
    assert 'name="unanswered_attempts" value="3"' in form.text


async def test_when_customers_may_be_called_is_said_and_changed(company: Company, olga: Visitor) -> None:
    page = await olga.get("/contact-rules")
    assert 'name="saturday" value="10:00-17:00"' in page.text
    entered = dict(re.findall(r'<input id="contact-[a-z_]+" name="([a-z_]+)" value="([^"]*)"', page.text))
    assert len(entered) == 12
    wrong = await olga.post("/contact-rules", entered | {"monday": "nine", "zone": "Moscow", "pause_minutes": "x"})
    assert wrong.status_code == 422
    for name in ("monday", "zone", "pause_minutes"):
        assert re.search(rf'name="{name}"[^>]*aria-invalid="true"', wrong.text)

    await olga.post("/contact-rules", entered | {"sunday": "12:00-15:00", "pause_minutes": "240"})
    assert "Сохранено: действует для новых договорённостей." in text_of(olga.page)
    rules = await company.casework("GET", "/v1/contact-rules")
    assert (rules["week"]["sunday"], rules["pause_minutes"]) == ([{"start": "12:00", "end": "15:00"}], 240)

    stale = await olga.get("/contact-rules")
    await olga.get("/contact-rules")
    await olga.post("/contact-rules", entered)
    olga.page = stale
    assert (await olga.post("/contact-rules", entered)).status_code == 412


@pytest.mark.parametrize("path", ["/light-cases", "/contact-rules"])
async def test_who_runs_the_system_reads_the_rules_and_their_absence_is_told(
    company: Company, olga: Visitor, irina: Visitor, path: str
) -> None:
    oleg = await company.visitor().log_in("oleg")
    page = await oleg.get(path)
    assert page.status_code == 200
    assert "button-main" not in page.text
    await oleg.close()
    assert (await irina.get(path)).status_code == 403
    company.lines["casework"].state.error = httpx.ConnectError("refused")
    page = await olga.get(path)
    assert page.status_code == 503
    assert "Обращения сейчас недоступны." in page.text
