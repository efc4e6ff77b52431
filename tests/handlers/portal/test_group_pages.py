"""Teams, departments and new colleagues in the portal, over the real casework."""

import re

import httpx

from tests.handlers.portal.test_colleague_pages import PAVEL
from tests.handlers.portal.test_loop_pages import organised
from tests.portal_company import Company
from tests.portal_visitor import Visitor, text_of

DEPARTMENT = {"id": "retail", "name": "Розница", "manager_id": "olga", "task_hours": "24", "calendar_id": ""}
TEAM = {
    "id": "first-line",
    "name": "Первая линия",
    "lead_id": "irina",
    "department_id": "retail",
    "calendar_id": "",
    "programs": "Аренда, Кредиты",
    "touchpoints": "",
    "themes": "waiting",
}


async def test_a_department_and_a_team_are_made_renamed_and_retired(company: Company, olga: Visitor) -> None:
    assert "Ещё нет ни отделов, ни команд" in text_of(await olga.get("/teams"))
    await olga.get("/departments/new")
    wrong = await olga.post("/departments/new", DEPARTMENT | {"id": "розница", "name": "", "task_hours": "soon"})
    assert wrong.status_code == 422
    for name in ("id", "name", "task_hours"):
        assert re.search(rf'name="{name}"[^>]*aria-invalid="true"', wrong.text)
    await olga.post("/departments/new", DEPARTMENT)
    await olga.get("/teams/new")
    await olga.post("/teams/new", TEAM)
    shown = text_of(olga.page)
    assert "Розница Изменить : Розница во главе Ольга Лебедева" in shown
    assert "Первая линия во главе Ирина Соколова" in shown
    stored = await company.casework("GET", "/v1/teams/first-line")
    assert (stored["programs"], stored["department_id"]) == (["Аренда", "Кредиты"], "retail")

    await olga.get("/teams/new")
    taken = await olga.post("/teams/new", TEAM | {"name": "Другая"})
    assert taken.status_code == 409
    assert "Такой код уже есть." in taken.text
    stale = await olga.get("/teams/first-line")
    assert 'name="programs" value="Аренда, Кредиты"' in stale.text
    assert 'name="themes" value="waiting" checked>Ожидание' in stale.text
    await olga.get("/teams/first-line")
    await olga.post("/teams/first-line", TEAM | {"name": "Первая линия юга"})
    olga.page = stale
    assert (await olga.post("/teams/first-line", TEAM)).status_code == 412

    await olga.get("/departments/retail")
    refused = await olga.post("/departments/retail", DEPARTMENT | {"retired": "yes"})
    assert refused.status_code == 409
    assert "Сначала переведите и завершите их" in refused.text
    await olga.get("/teams/first-line")
    await olga.post("/teams/first-line", TEAM | {"retired": "yes"})
    await olga.get("/departments/retail")
    await olga.post("/departments/retail", DEPARTMENT | {"retired": "yes"})
    assert text_of(olga.page).count("больше нет") == 2
    assert "retail" not in (await olga.get("/initiatives/new")).text
    assert 'value="first-line"' not in (await olga.get("/people/new")).text


async def test_a_new_colleague_is_added_and_an_administrator_gives_them_access(company: Company, olga: Visitor) -> None:
    await organised(company)
    mail = {"name": "Мария Заозёрная", "email": "Maria.Z@example.org", "language": "ru", "languages": "ru, en"}
    entered = PAVEL | {"absences": "", "id": ""} | mail
    await olga.get("/people/new")
    wrong = await olga.post("/people/new", entered | {"email": ""})
    assert wrong.status_code == 422
    await olga.post("/people/new", entered)
    assert "Коллега добавлен. Доступ в портал даёт и закрывает администратор." in text_of(olga.page)
    stored = await company.casework("GET", "/v1/agents/maria.z")
    assert (stored["team_id"], stored["languages"], stored["disabled"]) == ("first", ["ru", "en"], False)
    await olga.get("/people/new")
    assert (await olga.post("/people/new", entered)).status_code == 409

    ada = await company.visitor().log_in("ada")
    form = await ada.get("/logins/new?person=maria.z&lang=ru")
    assert 'name="email" value="Maria.Z@example.org"' in form.text
    assert '<option value="agent" selected>' in form.text
    await ada.close()

    case_id = await company.unhappy(score=5)
    body = {"owner_id": "maria.z"}
    await company.casework("POST", f"/v1/cases/{case_id}/assign", json=body)
    await olga.get("/people/maria.z")
    await olga.post("/people/maria.z", entered | {"disabled": "yes"})
    assert "Больше не ведёт обращений. Осталось передать: 1." in text_of(olga.page)
    assert '<option value="leaves" selected>' in olga.page.text


async def test_who_runs_the_system_sees_teams_and_their_absence_is_told(
    company: Company, olga: Visitor, irina: Visitor
) -> None:
    await organised(company)
    oleg = await company.visitor().log_in("oleg")
    page = await oleg.get("/teams")
    assert page.status_code == 200
    assert "button-main" not in page.text
    assert (await oleg.get("/teams/first")).status_code == 403
    await oleg.close()
    assert (await irina.get("/teams")).status_code == 403
    assert (await olga.get("/teams/nowhere")).status_code == 404
    assert (await olga.get("/departments/b%20d")).status_code == 404
    company.lines["casework"].state.error = httpx.ConnectError("refused")
    page = await olga.get("/teams")
    assert page.status_code == 503
    assert "Обращения сейчас недоступны." in page.text
    assert (await olga.get("/departments/new")).status_code == 503
