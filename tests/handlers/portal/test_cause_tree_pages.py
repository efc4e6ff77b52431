"""The tree of root causes in the portal, over the real casework."""

import re

import httpx
import pytest

from tests.portal_company import Company
from tests.portal_visitor import Visitor, text_of


async def test_a_cause_is_made_renamed_moved_and_retired_after_a_look_at_what_it_touches(
    company: Company, olga: Visitor
) -> None:
    case_id = await company.unhappy()
    new = {"id": "service.queue", "name_ru": "Очередь", "name_en": "Queue", "parent_id": "service", "retired": ""}
    await olga.get("/root-causes/new")
    wrong = await olga.post("/root-causes/new", new | {"id": "очередь", "name_en": ""})
    assert wrong.status_code == 422
    for name in ("id", "name_en"):
        assert re.search(rf'name="{name}"[^>]*aria-invalid="true"', wrong.text)
    taken = await olga.post("/root-causes/new", new | {"id": "service.waiting"})
    assert taken.status_code == 409
    assert "Такой код уже есть." in taken.text
    await olga.get("/root-causes/new")
    looked = text_of(await olga.post("/root-causes/new", new))
    assert "Чего это коснётся" in looked
    assert "service.queue" not in str(await company.casework("GET", "/v1/root-causes", params={"limit": "200"}))
    await olga.post("/root-causes/new", {"do": "save"})
    assert "Дерево изменено." in text_of(olga.page)
    assert 'href="/root-causes/service.queue">Очередь</a>' in olga.page.text

    await company.casework("POST", f"/v1/cases/{case_id}/contact-attempts", json={"outcome": "reached"})
    await company.casework("POST", f"/v1/cases/{case_id}/resolve", json={"root_cause_id": "service.queue"})
    form = await olga.get("/root-causes/service.queue")
    offered = re.findall(r'<option value="([^"]+)"', form.text)
    assert "service" in offered
    assert "service.queue" not in offered
    changed = new | {"name_ru": "Очереди", "parent_id": "", "retired": "yes"}
    looked = text_of(await olga.post("/root-causes/service.queue", changed))
    assert "Больше не выбирают: Очередь" in looked
    assert "ждут слова клиента — 1, закрыто — 0" in looked
    await olga.post("/root-causes/service.queue", {"do": "save"})
    assert re.search(r"Очереди Queue выведена", text_of(olga.page))
    stored = await company.casework("GET", "/v1/root-causes/service.queue")
    assert (stored["parent_id"], stored["retired"], stored["version"]) == (None, True, 2)
    assert (await company.casework("GET", f"/v1/cases/{case_id}"))["root_cause_id"] == "service.queue"


async def test_what_somebody_changed_meanwhile_is_not_overwritten(company: Company, olga: Visitor) -> None:
    body = {"name_ru": "Касса", "name_en": "Till"}
    await company.casework("PUT", "/v1/root-causes/till", json=body)
    version = (await company.casework("GET", "/v1/root-causes/till"))["version"]
    await olga.get("/root-causes/till")
    await company.casework("PUT", "/v1/root-causes/till", json=body | {"name_en": "Cash desk"})
    mine = {"name_ru": "Кассы", "name_en": "Tills", "parent_id": "", "retired": ""}
    await olga.post("/root-causes/till", mine)
    assert f'name="version" value="{version}"' in olga.page.text
    refused = await olga.post("/root-causes/till", {"do": "save"})
    assert refused.status_code == 412
    assert 'value="Кассы"' in refused.text
    assert "изменил" in text_of(refused)
    await olga.post("/root-causes/till", mine)
    await olga.post("/root-causes/till", {"do": "save"})
    assert (await company.casework("GET", "/v1/root-causes/till"))["name_en"] == "Tills"


async def test_who_runs_the_system_sees_the_tree_and_a_missing_cause_is_404(company: Company, olga: Visitor) -> None:
    oleg = await company.visitor().log_in("oleg")
    page = await oleg.get("/root-causes")
    assert page.status_code == 200
    assert "button-main" not in page.text
    assert (await oleg.get("/root-causes/service")).status_code == 403
    await oleg.close()
    assert (await olga.get("/root-causes/nowhere")).status_code == 404


@pytest.mark.parametrize(("path", "told"), [("/root-causes", "Обращения сейчас недоступны."), ("/root-causes/new", "")])
async def test_when_casework_is_away_the_tree_says_so(company: Company, olga: Visitor, path: str, told: str) -> None:
    company.lines["casework"].state.error = httpx.ConnectError("refused")
    page = await olga.get(path)
    assert page.status_code == 503
    assert told in page.text
