"""The pages of cases against the real casework: what is shown, what is done, what is refused."""

import asyncio
import re
from datetime import timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from libs.events.contracts.scores import PriorityPart
from tests.portal_company import Company
from tests.portal_visitor import Visitor, text_of


def rows(page: httpx.Response) -> list[str]:
    """The customers in a list, from top to bottom."""
    return re.findall(r'<span class="case-who"><b>([^<]+)</b>', page.text)


async def test_an_agent_sees_their_own_cases_first_and_everybodys_when_asked(company: Company, irina: Visitor) -> None:
    await company.unhappy("customer-1", "Key Customer", tier="key")
    await company.unhappy("customer-2", "Low Customer", tier="low")

    mine = await irina.get("/cases")
    everybodys = await irina.get("/cases?whose=all")

    assert "Key Customer" in rows(mine)
    assert sorted(rows(everybodys)) == ["Key Customer", "Low Customer"]
    assert len(rows(mine)) < 2 or "Low Customer" in rows(mine)


async def test_what_is_due_first_is_on_top_and_what_is_overdue_is_loud(company: Company, olga: Visitor) -> None:
    await company.unhappy("customer-1", "Later", hours_ago=1)
    await company.unhappy("customer-2", "Overdue", hours_ago=51)
    await company.unhappy("customer-3", "Soon", hours_ago=46)

    page = await olga.get("/cases")

    assert rows(page) == ["Overdue", "Soon", "Later"]
    assert page.text.count("case-overdue") == 1
    assert "просрочено на 3 ч" in page.text
    assert "осталось 2 ч" in page.text
    assert "осталось 47 ч" in page.text


async def test_the_list_is_filtered_by_status_level_and_tier(company: Company, olga: Visitor) -> None:
    await company.unhappy("customer-1", "Key", tier="key")
    await company.unhappy("customer-2", "Escalated", hours_ago=51)

    assert rows(await olga.get("/cases?tier=key")) == ["Key"]
    assert rows(await olga.get("/cases?status=resolved")) == []
    assert "Подходящих обращений нет" in olga.page.text
    assert sorted(rows(await olga.get("/cases?status=%3Cscript%3E&level=nonsense"))) == ["Escalated", "Key"]
    assert "<script>" not in olga.page.text.replace('<script src="', "")


async def test_a_long_list_is_paged_and_nobody_is_shown_twice_or_missed(company: Company, olga: Visitor) -> None:
    for number in range(33):
        await company.unhappy(f"customer-{number}", f"Customer {number}", hours_ago=number % 7)

    first = await olga.get("/cases")
    following = re.search(r'rel="next" href="([^"]+)"', first.text)
    assert following is not None
    second = await olga.get(following[1].replace("&amp;", "&"))

    assert len(rows(first)) == 30
    assert sorted(rows(first) + rows(second)) == sorted(f"Customer {number}" for number in range(33))
    assert 'rel="next"' not in second.text


async def test_whom_to_call_first_can_come_first_and_the_case_says_why(company: Company, olga: Visitor) -> None:
    parts = (
        PriorityPart(factor="tier", points=30, fact="key"),
        PriorityPart(factor="urgency", points=14, fact="leaving"),
        PriorityPart(factor="history", points=6, fact="1"),
    )
    urgent = await company.unhappy("customer-1", "Urgent", hours_ago=1, priority=50, priority_parts=parts)
    await company.unhappy("customer-2", "Older", hours_ago=9, priority=20)
    await company.unhappy("customer-3", "Unknown", hours_ago=5)

    assert rows(await olga.get("/cases")) == ["Older", "Unknown", "Urgent"]
    assert rows(await olga.get("/cases?sort=priority")) == ["Urgent", "Older", "Unknown"]
    page = text_of(await olga.get(f"/cases/{urgent}"))
    assert "Приоритет 50 из 100: почему" in page
    for told in (
        "Ценность для компании: ключевой клиент +30",
        "Нельзя ждать: Грозит уйти +14",
        "ответов за полгода: 1 +6",
    ):
        assert told in page


@pytest.mark.parametrize("login", ["anna", "oleg"])
async def test_who_does_not_close_loops_sees_no_cases(company: Company, login: str) -> None:
    case_id = await company.unhappy()
    visitor = await company.visitor().log_in(login)
    for path in ("/cases", f"/cases/{case_id}"):
        page = await visitor.get(path)
        assert page.status_code == 403
        assert "Кузнецова" not in page.text
    assert 'href="/cases"' not in (await visitor.get("/")).text
    await visitor.close()


async def test_a_case_shows_the_answer_the_clocks_and_what_happened(company: Company, irina: Visitor) -> None:
    case_id = await company.unhappy(score=1, tier="key", comment="Потеряли договор <b>дважды</b> & не извинились")

    page = await irina.get(f"/cases/{case_id}")

    shown = text_of(page)
    assert "Мария Кузнецова" in shown
    assert "Потеряли договор &lt;b&gt;дважды&lt;/b&gt; &amp; не извинились" in page.text
    assert "Оценка 1 из 10, «Аренда»" in shown
    assert "Обращение открыто после оценки 1" in shown
    assert "Ведёт Ирина Соколова" in shown
    assert "самый опытный, для ключевого клиента" in shown
    assert "осталось 47 ч" in shown


@pytest.mark.parametrize("path", [f"/cases/{UUID(int=7)}", "/cases/nothing", "/cases/..%2f..%2fagents", "/cases/%00"])
async def test_a_case_that_there_is_not_is_404(irina: Visitor, path: str) -> None:
    assert (await irina.get(path)).status_code in {404, 400}


async def test_the_whole_way_round_by_plain_forms(company: Company, irina: Visitor) -> None:
    case_id = await company.unhappy(tier="key")
    address = f"/cases/{case_id}"

    await irina.get(address)
    await irina.post(f"{address}/contact-attempts", {"outcome": "no_answer", "note": ""})
    assert "Попытка связаться записана." in irina.page.text
    assert irina.page.url.path == address

    await irina.post(f"{address}/contact-attempts", {"outcome": "reached", "note": "Верните деньги\r\nза месяц"})
    assert "Верните деньги\nза месяц" in irina.page.text

    await irina.post(f"{address}/notes", {"text": "Бухгалтерия подтвердила"})
    await irina.post(f"{address}/escalate", {"reason": "no_authority", "note": "Нужна скидка"})
    assert "Передано выше: руководителям" in text_of(irina.page)
    await irina.post(f"{address}/assign", {"owner_id": "pavel", "note": ""})
    assert "Ведёт Pavel Orlov" in text_of(irina.page)

    await irina.post(f"{address}/resolve", {"root_cause_id": "service.waiting", "note": "Деньги вернули"})
    assert "Отмечено как решённое" in irina.page.text
    assert "Решено. Причина: Долгое ожидание" in text_of(irina.page)

    await irina.post(f"{address}/reopen", {"note": "Деньги не пришли"})
    assert "Обращение снова открыто." in irina.page.text

    case = await company.casework("GET", f"/v1/cases/{case_id}")
    done = [
        entry["kind"]
        for entry in case["timeline"]
        if entry["actor"] == {"kind": "person", "id": "irina", "name": "Ирина Соколова"}
    ]
    assert done == [
        "contacted",
        "contacted",
        "noted",
        "escalated",
        "assigned",
        "contact_changed",
        "resolved",
        "reopened",
    ]


async def test_a_form_that_is_sent_twice_counts_once(company: Company, irina: Visitor) -> None:
    case_id = await company.unhappy(tier="key")
    await irina.get(f"/cases/{case_id}")
    shown = irina.page

    for _ in range(2):
        irina.page = shown
        answer = await irina.post(f"/cases/{case_id}/contact-attempts", {"outcome": "no_answer"})
        assert answer.status_code == 200

    case = await company.casework("GET", f"/v1/cases/{case_id}")
    assert len(case["contact_attempts"]) == 1


async def test_what_somebody_else_changed_meanwhile_is_shown_before_it_is_overwritten(
    company: Company, irina: Visitor, olga: Visitor
) -> None:
    case_id = await company.unhappy(tier="key")
    address = f"/cases/{case_id}"
    await irina.get(address)
    await olga.get(address)
    await olga.post(f"{address}/assign", {"owner_id": "pavel", "note": "Я знаю клиента"})

    refused = await irina.post(f"{address}/contact-attempts", {"outcome": "reached", "note": "Долгий разговор"})

    assert refused.status_code == 412
    assert "Пока вы писали, обращение изменили." in refused.text
    assert "Долгий разговор" in refused.text
    assert "Ведёт Pavel Orlov" in text_of(refused)

    again = await irina.post(f"{address}/contact-attempts", {"outcome": "reached", "note": "Долгий разговор"})
    assert again.status_code == 200
    assert "Попытка связаться записана." in again.text


async def test_what_the_case_does_not_allow_is_explained_in_place(company: Company, irina: Visitor) -> None:
    case_id = await company.unhappy(tier="key")
    address = f"/cases/{case_id}"
    await irina.get(f"{address}?lang=en")

    refused = await irina.post(f"{address}/resolve", {"root_cause_id": "service.waiting"})

    assert refused.status_code == 409
    assert "Nobody has reached the customer yet in this round." in refused.text
    assert 'role="alert"' in refused.text


@pytest.mark.parametrize(
    ("action", "fields", "field"),
    [
        ("contact-attempts", {"note": "kept"}, "outcome"),
        ("contact-attempts", {"outcome": "abducted", "note": "kept"}, "outcome"),
        ("assign", {"owner_id": "nobody", "note": "kept"}, "owner_id"),
        ("escalate", {"reason": "", "note": "kept"}, "reason"),
        ("notes", {"text": "   "}, "text"),
    ],
)
async def test_what_is_wrong_in_a_form_is_marked_and_the_rest_is_kept(
    company: Company, irina: Visitor, action: str, fields: dict[str, str], field: str
) -> None:
    case_id = await company.unhappy(tier="key")
    await irina.get(f"/cases/{case_id}")

    refused = await irina.post(f"/cases/{case_id}/{action}", fields)

    assert refused.status_code == 422
    assert re.search(
        rf'(name="{field}"|<fieldset)[^>]* aria-invalid="true" aria-describedby="[A-Z]+-{field}-error"', refused.text
    )
    if "note" in fields:
        assert ">kept</textarea>" in refused.text
    case = await company.casework("GET", f"/v1/cases/{case_id}")
    assert case["contact_attempts"] == []


@pytest.mark.parametrize("action", ["delete", "erase", "..", "resolve%00"])
async def test_an_action_that_there_is_not_is_refused(company: Company, irina: Visitor, action: str) -> None:
    case_id = await company.unhappy(tier="key")
    await irina.get(f"/cases/{case_id}")
    assert (await irina.post(f"/cases/{case_id}/{action}", {})).status_code in {400, 404, 405}


async def test_a_note_may_hold_anything_that_a_person_types(company: Company, irina: Visitor) -> None:
    case_id = await company.unhappy(tier="key")
    note = (
        "«Цитата» & <script>alert(1)</script> \N{GRINNING FACE} 100 % {t.now} \\ ; DROP TABLE cases; --" + "я" * 9_000
    )
    await irina.get(f"/cases/{case_id}")

    answer = await irina.post(f"/cases/{case_id}/notes", {"text": note})

    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    case = await company.casework("GET", f"/v1/cases/{case_id}")
    assert case["timeline"][-1]["text"] == note


async def test_two_who_act_at_once_act_one_after_the_other(company: Company, irina: Visitor, olga: Visitor) -> None:
    case_id = await company.unhappy(tier="key")
    await irina.get(f"/cases/{case_id}")
    await olga.get(f"/cases/{case_id}")

    answers = await asyncio.gather(
        irina.post(f"/cases/{case_id}/contact-attempts", {"outcome": "reached"}),
        olga.post(f"/cases/{case_id}/contact-attempts", {"outcome": "reached"}),
    )

    assert sorted(answer.status_code for answer in answers) == [200, 412]


# --- casework is away


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.Response(503),
        httpx.Response(500, text="<html>"),
        httpx.Response(401, json={}),
        httpx.Response(200, text="no json"),
        httpx.Response(200, json={"items": [{"id": 1}]}),
    ],
    ids=repr,
)
async def test_when_casework_is_away_the_pages_say_so(
    company: Company, olga: Visitor, trouble: httpx.Response | httpx.TransportError
) -> None:
    line = company.lines["casework"].state
    if isinstance(trouble, httpx.Response):
        line.answer = trouble
    else:
        line.error = trouble

    listed = await olga.get("/cases")
    assert listed.status_code == 503
    assert "Обращения сейчас недоступны." in listed.text
    one = await olga.get(f"/cases/{uuid4()}")
    assert one.status_code == 503
    assert "Скоро вернёмся" in one.text
    home = await olga.get("/")
    assert home.status_code == 200
    assert "Обращения сейчас недоступны." in home.text
    assert "Как работает цикл" in home.text


async def test_what_was_typed_survives_an_outage_in_the_middle(company: Company, irina: Visitor) -> None:
    case_id = await company.unhappy(tier="key")
    await irina.get(f"/cases/{case_id}")
    line = company.lines["casework"]
    whole = line.state.transport

    class FailingPosts(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.method == "POST":
                raise httpx.ConnectError("refused")
            return await whole.handle_async_request(request)

    line.state.transport = FailingPosts()
    answer = await irina.post(f"/cases/{case_id}/notes", {"text": "Важная мысль"})
    line.state.transport = whole

    assert answer.status_code == 503
    assert "Важная мысль" in answer.text
    assert "Обращения сейчас недоступны." in answer.text
    assert (await irina.post(f"/cases/{case_id}/notes", {"text": "Важная мысль"})).status_code == 200


async def test_casework_is_asked_in_the_name_of_the_person(company: Company, irina: Visitor) -> None:
    await irina.get("/cases")
    asked = next(each for each in company.lines["casework"].state.seen if each.url.path == "/v1/cases")
    assert asked.headers["otklik-person"] == "irina"
    assert asked.headers["otklik-role"] == "agent"
    assert asked.url.params["owner"] == "irina"


# --- the overview


async def test_each_role_finds_on_its_overview_what_it_needs_first(company: Company) -> None:
    await company.unhappy("customer-1", "Escalated", hours_ago=51)
    await company.measured(9, 9, 10, 3)
    expected = {
        "irina": ("Ваши: сначала самые срочные", "Как работает цикл"),
        "olga": ("У руководителей", "Escalated"),
        "viktor": ("With the executives", "Nothing is waiting for the executives."),
        "anna": ("Как работает цикл", "по 4 ответам"),
        "oleg": ("Through the system in the last hour", "case.opened.v1"),
        "ada": ("What is due first", "Escalated", "case.opened.v1"),
    }
    for login, texts in expected.items():
        visitor = await company.visitor().log_in(login)
        page = await visitor.get("/")
        assert page.status_code == 200
        for each in texts:
            assert each in page.text, (login, each)
        await visitor.close()


async def test_the_loop_is_counted_by_the_companys_day(company: Company, irina: Visitor) -> None:
    case_id = await company.unhappy(tier="key")
    await irina.get(f"/cases/{case_id}")
    await irina.post(f"/cases/{case_id}/contact-attempts", {"outcome": "reached"})
    await company.carry()

    page = text_of(await irina.get("/"))
    assert "Ответов: 1, из них недовольных: 1" in page
    assert re.search(r"открыто обращений 1 .*связались с клиентом 1 .*решено 0 .*подтвердил клиент 0", page)

    company.clock.shift = timedelta(days=8)
    fresh = await company.visitor().log_in("irina")
    assert "Ответов: 0, из них недовольных: 0" in text_of(await fresh.get("/"))
    await fresh.close()


async def test_a_paused_clock_and_the_clock_of_a_level_are_shown_as_what_they_are(
    company: Company, irina: Visitor
) -> None:
    case_id = await company.unhappy(tier="key", score=5)
    await irina.get(f"/cases/{case_id}")
    await irina.post(f"/cases/{case_id}/contact-attempts", {"outcome": "reached", "note": ""})
    until = (company.clock() + timedelta(days=2)).isoformat()
    body = {"reason": "customer_information", "until": until}
    await company.casework("POST", f"/v1/cases/{case_id}/wait", json=body)
    await company.casework("POST", f"/v1/cases/{case_id}/escalate", json={"reason": "no_authority"})

    shown = text_of(await irina.get(f"/cases/{case_id}"))
    assert "на паузе: ждём клиента" in shown
    assert "клиент пришлёт нужное не дольше, чем до" in shown
    assert "Ответ руководства осталось 12 ч" in shown
    # In the list counts what is first: management's answer, and not the paused resolution.
    assert "Ответ руководства осталось 12 ч" in text_of(await irina.get("/cases"))

    await company.casework("POST", f"/v1/cases/{case_id}/resume", json={})
    shown = text_of(await irina.get(f"/cases/{case_id}"))
    assert "на паузе" not in shown
    assert "Работа продолжается · вручную" in shown
    assert "Ждём клиента до" in shown


async def test_an_agent_waits_for_the_customer_and_goes_on_by_plain_forms(company: Company, irina: Visitor) -> None:
    case_id = await company.unhappy(tier="key")
    address = f"/cases/{case_id}"
    await irina.get(address)
    assert "С клиентом ещё не пытались связаться." in irina.page.text
    assert f"{address}/wait" not in irina.page.text
    await irina.post(f"{address}/contact-attempts", {"outcome": "reached", "note": ""})
    assert "1 попытка связаться, дозвонились: 1" in text_of(irina.page)
    assert re.search(r'name="until" required min="[^"]+" max="[^"]+"', irina.page.text)

    def local(**ahead: float) -> str:
        return (company.clock() + timedelta(**ahead)).astimezone(company.settings.zone).strftime("%Y-%m-%dT%H:%M")

    for until, told in (("soon", "Нужны день и время."), (local(days=99), "не позже, чем")):
        page = await irina.post(f"{address}/wait", {"reason": "customer_trying", "until": until, "note": "Попробует"})
        assert page.status_code in {409, 422}
        assert re.search(rf'id="WAIT-until-error">{told}', page.text)
        assert ">Попробует</textarea>" in page.text

    await irina.post(f"{address}/wait", {"reason": "customer_trying", "until": local(days=2), "note": "Попробует"})
    shown = text_of(irina.page)
    assert "Ждём клиента, срок решения стоит." in shown
    assert "на паузе: ждём клиента клиент пробует решение не дольше, чем до" in shown
    assert "потом останется 5 дн." in shown
    assert f"{address}/wait" not in irina.page.text
    company.clock.shift += timedelta(hours=30)
    await (await irina.log_in("irina")).get(address)
    await irina.post(f"{address}/resume", {"note": "Перезвонил"})
    shown = text_of(irina.page)
    assert "Работа продолжается, срок решения снова идёт." in shown
    assert "осталось 5 дн." in shown
    case = await company.casework("GET", f"/v1/cases/{case_id}")
    assert case["waiting"] is None


async def test_the_case_says_by_which_policy_its_clocks_go(company: Company, irina: Visitor) -> None:
    case_id = await company.unhappy(tier="key")
    shown = text_of(await irina.get(f"/cases/{case_id}"))
    assert "(ключевой клиент): первый контакт за 48 ч, решение за 5 дн." in shown
    assert "Считаются все часы, днём и ночью." in shown


async def test_who_leads_or_runs_the_system_is_told_on_their_first_page_when_nobody_checks_the_clocks(
    company: Company, olga: Visitor, irina: Visitor
) -> None:
    async def checked(ago: timedelta) -> None:
        async with company.databases["casework"].transaction() as tx:
            for every in ("UPDATE clock_checks SET checked_at = :at", "UPDATE loop_checks SET checked_at = :at"):
                await tx.execute(text(every), {"at": company.clock() - ago})

    await checked(timedelta(seconds=5))
    assert "Сроки" not in text_of(await olga.get("/"))
    await checked(timedelta(minutes=20))
    assert "Сроки никто не проверяет: последний раз это было 20 мин" in text_of(await olga.get("/"))
    assert "Сроки никто не проверяет" not in text_of(await irina.get("/"))
    await company.unhappy("customer-1", "Late", hours_ago=35)
    async with company.databases["casework"].transaction() as tx:
        await tx.execute(text("UPDATE cases SET fires_at = :at"), {"at": company.clock() - timedelta(minutes=90)})
    await checked(timedelta(seconds=5))
    assert "Сроки проверяются с опозданием: 90 мин" in text_of(await olga.get("/"))
