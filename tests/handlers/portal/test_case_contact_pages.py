"""What is agreed with a customer, asked of other departments and said among colleagues, by plain forms."""

import re
from datetime import timedelta

import httpx

from tests.handlers.portal.test_loop_pages import organised
from tests.portal_company import Company
from tests.portal_visitor import Visitor, text_of


def local(company: Company, **ahead: float) -> str:
    """A day and a time as a browser's field sends it."""
    return (company.clock() + timedelta(**ahead)).astimezone(company.settings.zone).strftime("%Y-%m-%dT%H:%M")


async def test_a_callback_is_agreed_shown_with_its_clock_moved_and_cancelled(company: Company, irina: Visitor) -> None:
    case_id = await company.unhappy(tier="key")
    address = f"/cases/{case_id}"
    shown = text_of(await irina.get(address))
    assert "Лучше попробовать" in shown
    assert "Как вести разговор: сначала слушать" in shown

    call = {"outcome": "call_later", "channel": "phone", "callback_at": local(company, hours=20), "note": ""}
    await irina.post(f"{address}/contact-attempts", call)
    shown = text_of(irina.page)
    assert "Обещанный звонок осталось 20 ч" in shown
    assert "Лучше попробовать" not in shown
    assert f"{address}/callbacks" not in irina.page.text

    moved = {"at": local(company, days=2), "reason": "customer_asked", "note": ""}
    await irina.post(f"{address}/move-callback", moved)
    assert "Звонок перенесён." in irina.page.text
    assert "Обещанный звонок осталось 48 ч" in text_of(irina.page) or "осталось 2 дн." in text_of(irina.page)
    wrong = await irina.post(f"{address}/move-callback", moved | {"at": local(company, days=400)})
    assert wrong.status_code == 409
    assert re.search(r'id="MOVE_CALLBACK-at-error">не позже, чем', wrong.text)
    shown = text_of(await irina.get(address))
    assert re.search(r"Звонок перенесли · с \d+ .*? на \d+ .*?, попросил клиент", shown)
    await irina.post(f"{address}/cancel-callback", {"reason": "no_longer_needed", "note": ""})
    assert "Обещанный звонок" not in text_of(irina.page)
    assert f"{address}/callbacks" in irina.page.text


async def test_the_customer_who_calls_before_the_agreed_time_leaves_no_call_behind(
    company: Company, irina: Visitor
) -> None:
    case_id = await company.unhappy()
    address = f"/cases/{case_id}"
    await irina.get(address)
    await irina.post(f"{address}/contact-attempts", {"outcome": "call_later", "callback_at": local(company, hours=20)})
    box = re.search(r'name="callback_id" value="([0-9a-f-]+)">Это звонок, о котором договорились', irina.page.text)
    assert box is not None
    await irina.post(f"{address}/contact-attempts", {"outcome": "reached", "callback_id": box[1]})
    shown = text_of(irina.page)
    assert "Перезвонили · дозвонились" in shown
    assert "Обещанный звонок" not in shown
    await irina.post(f"{address}/resolve", {"root_cause_id": "service.waiting"})
    assert "Отмечено как решённое" in irina.page.text


async def test_another_department_is_asked_and_answers_before_the_case_is_solved(
    company: Company, irina: Visitor, olga: Visitor
) -> None:
    await organised(company)
    case_id = await company.unhappy(tier="key")
    address = f"/cases/{case_id}"
    await irina.get(address)
    await irina.post(f"{address}/contact-attempts", {"outcome": "reached"})
    await irina.post(f"{address}/tasks", {"department_id": "service", "title": "Вернуть плату за март", "due_at": ""})
    assert "Отдел получил поручение." in irina.page.text
    task = re.search(r'href="(/tasks/[0-9a-f-]+)"', irina.page.text)
    assert task is not None
    assert "У отделов есть невыполненные поручения" in text_of(irina.page)
    refused = await irina.post(f"{address}/resolve", {"root_cause_id": "service.waiting"})
    assert refused.status_code == 409

    assert "Вернуть плату за март" in (await olga.get("/tasks")).text
    assert "Мария Кузнецова" in (await olga.get("/tasks?whose=service")).text
    await olga.get(task[1])
    assert (await olga.post(f"{task[1]}/decline", {"reason": "", "note": "kept"})).status_code == 422
    assert "Заполните это поле." in olga.page.text
    assert ">\nkept</textarea>" in olga.page.text
    assert (await olga.post(f"{task[1]}/assign", {"owner_id": "", "due_at": ""})).status_code == 422
    await olga.post(f"{task[1]}/assign", {"owner_id": "viktor", "due_at": local(company, days=3)})
    assert "Изменено." in olga.page.text
    await olga.post(f"{task[1]}/done", {"note": "Вернули"})
    assert "Готово." in olga.page.text
    assert "Поручений нет" in text_of(await olga.get("/tasks?whose=all"))
    assert "Вернуть плату" in (await olga.get("/tasks?whose=all&state=done")).text

    assert "У отделов есть невыполненные поручения" not in text_of(await irina.get(address))
    solved = {
        "root_cause_id": "service.waiting",
        "customer_contacts": "3",
        "passed_on": "yes",
        "promise": "Написать, когда деньги придут",
        "promise_due": "",
        "note": "",
    }
    wrong = await irina.post(f"{address}/resolve", solved)
    assert wrong.status_code == 422
    assert re.search(r'name="promise_due"[^>]*aria-invalid="true"', wrong.text)
    await irina.post(f"{address}/resolve", solved | {"promise_due": local(company, days=5)})
    assert "Отмечено как решённое" in irina.page.text
    case = await company.casework("GET", address.replace("/cases", "/v1/cases"))
    assert [each["kind"] for each in case["tasks"]] == ["department", "follow_up"]


async def test_a_colleague_is_asked_to_look_and_finds_it(company: Company, irina: Visitor, olga: Visitor) -> None:
    case_id = await company.unhappy(tier="key")
    await irina.get(f"/cases/{case_id}")
    await irina.post(f"/cases/{case_id}/comments", {"text": "Нужен твой совет", "mention": "olga"})
    assert "Коллеги это увидят, клиент — нет." in irina.page.text
    assert "Комментарий для коллег · для: Ольга Лебедева" in text_of(irina.page)
    assert "Нужен твой совет" in irina.page.text
    mentions = await company.casework_as("olga", "manager", "GET", "/v1/mentions")
    assert mentions["unread"] == 1
    await olga.get(f"/cases/{case_id}")
    mentions = await company.casework_as("olga", "manager", "GET", "/v1/mentions")
    assert mentions["unread"] == 0


async def test_a_level_sees_what_it_was_asked_with_the_reason_and_gives_it_back(
    company: Company, irina: Visitor, olga: Visitor
) -> None:
    case_id = await company.unhappy(score=5)
    address = f"/cases/{case_id}"
    await irina.get(address)
    await irina.post(f"{address}/escalate", {"reason": "no_authority", "note": "Нужна скидка в половину"})
    assert f"{address}/de-escalate" not in irina.page.text
    assert (await irina.get("/queues/management")).status_code == 403

    shown = text_of(await olga.get("/queues/management"))
    assert "Мария Кузнецова" in shown
    assert "не хватает полномочий: Нужна скидка в половину" in shown
    assert "Никто ничего не ждёт" in text_of(await olga.get("/queues/executive"))
    assert (await olga.get("/queues/frontline")).status_code == 404
    assert "Мария Кузнецова" in text_of(await olga.get("/"))

    await olga.get(address)
    await olga.post(f"{address}/de-escalate", {"reason": "authority_given", "note": "Скидку даём"})
    assert "Обращение возвращено." in olga.page.text
    assert "Никто ничего не ждёт" in text_of(await olga.get("/queues/management"))


async def test_the_overview_shows_what_waits_for_whom(company: Company, irina: Visitor, olga: Visitor) -> None:
    await organised(company)
    case_id = await company.unhappy(tier="key")
    address = f"/cases/{case_id}"
    await irina.get(address)
    call = {"outcome": "call_later", "channel": "phone", "callback_at": local(company, hours=3)}
    await irina.post(f"{address}/contact-attempts", call)
    await irina.post(f"{address}/tasks", {"department_id": "service", "title": "Вернуть плату"})
    await irina.post(f"{address}/comments", {"text": "Что скажешь?", "mention": "olga"})

    assert "Обещанный звонок: Мария Кузнецова" in text_of(await irina.get("/"))
    shown = text_of(await olga.get("/"))
    assert "Вернуть плату" in shown
    assert "Ирина Соколова просит посмотреть: Что скажешь?" in shown
    assert "Обещанный звонок" not in shown


async def test_when_casework_is_away_the_tasks_say_so(company: Company, olga: Visitor) -> None:
    company.lines["casework"].state.error = httpx.ConnectError("refused")
    page = await olga.get("/tasks")
    assert page.status_code == 503
    assert "Обращения сейчас недоступны." in page.text
