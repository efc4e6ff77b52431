"""The portal without a mouse, and without scripts."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.conftest import turned
from tests.browser.portal.conftest import Desk
from tests.portal_company import Company
from tests.portal_visitor import PASSWORD

pytestmark = pytest.mark.browser
SitDown = Callable[..., Awaitable[Desk]]

FOCUSED = "document.activeElement.textContent.trim().replace(/\\s+/g, ' ').slice(0, 60)"
OUTLINE = "parseFloat(getComputedStyle(document.activeElement).outlineWidth)"


async def focused(page: Page) -> str:
    found: str = await page.evaluate(FOCUSED)
    return found


async def tab_to(page: Page, place: Locator) -> None:
    """Press Tab until the place has the focus; a form that one has to walk for longer than this is too long."""
    for _ in range(25):
        await page.keyboard.press("Tab")
        if await place.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"the focus never came to {place}")


async def test_logging_in_needs_two_fields_and_the_return_key(sit_down: SitDown) -> None:
    desk = await sit_down()
    page = await desk.go("/login")
    await expect(page.locator("#login")).to_be_focused()
    await page.keyboard.type("olga")
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    assert await page.evaluate(OUTLINE) >= 2
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_have_text("Здравствуйте, Ольга")
    assert await page.evaluate("document.cookie") == ""


async def test_a_wrong_password_is_said_and_the_login_is_kept(sit_down: SitDown) -> None:
    desk = await sit_down()
    desk.refusals_expected = True
    page = await desk.go("/login?lang=en")
    await page.fill("#login", "olga")
    await page.fill("#password", "wrong")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("do not fit together")
    await expect(page.locator("#login")).to_have_value("olga")
    await expect(page.locator("#password")).to_be_focused()


async def test_the_first_tab_leads_past_the_sections(sit_down: SitDown) -> None:
    desk = await (await sit_down()).log_in("olga")
    page = desk.page
    await page.keyboard.press("Tab")
    assert await focused(page) == "Перейти к содержанию"
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()


async def test_j_and_k_walk_the_list_and_return_opens_a_case(company: Company, sit_down: SitDown) -> None:
    await company.unhappy("customer-1", "First Due", hours_ago=40)
    await company.unhappy("customer-2", "Second Due", hours_ago=20)
    await company.unhappy("customer-3", "Third Due", hours_ago=1)
    desk = await (await sit_down()).log_in("olga")
    page = await desk.go("/cases")

    await page.keyboard.press("j")
    await page.keyboard.press("j")
    assert "Second Due" in await focused(page)
    assert await page.evaluate(OUTLINE) >= 2
    await page.keyboard.press("k")
    await page.keyboard.press("k")
    assert "First Due" in await focused(page)
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_have_text("First Due")


async def test_g_and_a_letter_change_the_section_and_slash_goes_to_the_filter(sit_down: SitDown) -> None:
    desk = await (await sit_down()).log_in("olga")
    page = desk.page
    for keys, path in (("gc", "/cases"), ("ge", "/events"), ("gn", "/nps"), ("go", "/")):
        for key in keys:
            await page.keyboard.press(key)
        await page.wait_for_url(desk.address + path)
    await desk.go("/events")
    await page.keyboard.press("/")
    await expect(page.locator("#filter")).to_be_focused()
    await page.keyboard.type("g? jk")
    await expect(page.locator("#filter")).to_have_value("g? jk")
    await page.keyboard.press("Escape")
    await expect(page.locator("#filter")).not_to_be_focused()


async def test_the_question_mark_shows_the_keys_and_they_can_be_switched_off(sit_down: SitDown) -> None:
    desk = await (await sit_down()).log_in("anna")
    page = desk.page
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Горячие клавиши")).to_be_visible()
    assert "Обращения" not in await page.locator("#help").inner_text()
    await page.locator("#shortcuts").uncheck()
    await page.keyboard.press("Escape")
    await expect(page.locator("#help")).not_to_be_visible()

    await page.keyboard.press("?")
    await page.keyboard.press("g")
    await page.keyboard.press("n")
    await expect(page.locator("#help")).not_to_be_visible()
    assert urlsplit(page.url).path == "/"

    await page.locator("[data-help]").click()
    await page.locator("#shortcuts").check()
    await page.keyboard.press("Escape")
    await page.keyboard.press("?")
    await expect(page.locator("#help")).to_be_visible()


async def test_a_case_goes_round_the_loop_by_keyboard(company: Company, sit_down: SitDown) -> None:
    case_id = await company.unhappy(tier="key")
    desk = await (await sit_down()).log_in("irina")
    page = await desk.go(f"/cases/{case_id}")

    await page.get_by_role("radio", name="дозвонились").focus()
    await page.keyboard.press("Space")
    await tab_to(page, page.get_by_label("Что сказал клиент?"))
    await page.keyboard.type("Ждёт возврата денег")
    await tab_to(page, page.get_by_role("button", name="Записать", exact=True))
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("Попытка связаться записана.")
    await expect(page.locator(".timeline")).to_contain_text("Ждёт возврата денег")

    causes = page.get_by_label("В чём была причина?")
    await causes.focus()
    while await causes.input_value() != "service.waiting":
        await page.keyboard.press("ArrowDown")
    await tab_to(page, page.get_by_label("Что сделано?"))
    await page.keyboard.type("Деньги вернули")
    await tab_to(page, page.get_by_role("button", name="Решено, спросить клиента"))
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("Отмечено как решённое.")
    await expect(page.locator(".case-head-chips")).to_contain_text("решено, ждём клиента")
    await desk.keep_picture("case-resolved")

    case = await company.casework("GET", f"/v1/cases/{case_id}")
    assert case["status"] == "resolved"
    assert case["root_cause_id"] == "service.waiting"


async def test_a_refusal_is_focused_and_what_was_typed_stays(company: Company, sit_down: SitDown) -> None:
    case_id = await company.unhappy(tier="key")
    desk = await (await sit_down()).log_in("irina")
    desk.refusals_expected = True
    page = await desk.go(f"/cases/{case_id}")
    await company.casework("POST", f"/v1/cases/{case_id}/notes", json={"text": "Кто-то был быстрее"})

    await page.get_by_text("Оставить заметку").click()
    await page.get_by_label("Заметка", exact=True).fill("Моя мысль")
    await page.get_by_role("button", name="Сохранить заметку").click()

    await expect(page.get_by_role("alert")).to_be_focused()
    await expect(page.get_by_role("alert")).to_contain_text("обращение изменили")
    await expect(page.get_by_label("Заметка", exact=True)).to_have_value("Моя мысль")
    await expect(page.locator(".timeline")).to_contain_text("Кто-то был быстрее")
    await desk.keep_picture("case-refused")

    await page.get_by_role("button", name="Сохранить заметку").click()
    await expect(page.get_by_role("status")).to_contain_text("Заметка сохранена.")


async def test_a_double_click_acts_once(company: Company, sit_down: SitDown) -> None:
    case_id = await company.unhappy(tier="key")
    desk = await (await sit_down()).log_in("irina")
    page = await desk.go(f"/cases/{case_id}")
    await page.get_by_role("radio", name="не отвечает").check()
    await page.get_by_role("button", name="Записать", exact=True).dblclick()
    await expect(page.get_by_role("status")).to_be_visible()
    case = await company.casework("GET", f"/v1/cases/{case_id}")
    assert len(case["contact_attempts"]) == 1


async def test_everything_can_be_done_without_scripts(company: Company, sit_down: SitDown) -> None:
    case_id = await company.unhappy("customer-1", "Key Customer", tier="key")
    await company.unhappy("customer-2", "Low Customer", tier="low")
    desk = await (await sit_down(scripts=False)).log_in("irina")
    page = await desk.go("/cases?whose=all")
    await page.get_by_label("Ценность клиента").select_option("key")
    await page.get_by_role("button", name="Показать").click()
    await expect(page.locator(".case-row")).to_have_count(1)
    async with turned(page):
        await page.locator(".case-row").click()
    assert urlsplit(page.url).path == f"/cases/{case_id}"

    await page.get_by_text("Передать").first.click()
    await page.get_by_label("Кому передать?").select_option(label="Pavel Orlov · Агент")
    await page.get_by_role("button", name="Передать").click()
    await expect(page.get_by_role("status")).to_contain_text("новый ответственный")
    await page.get_by_role("button", name="Выйти").click()
    await expect(page.locator("h1")).to_have_text("Вход")


async def test_choosing_in_a_filter_applies_it_at_once(company: Company, sit_down: SitDown) -> None:
    await company.unhappy("customer-1", "Key Customer", tier="key")
    await company.unhappy("customer-2", "Low Customer", tier="low")
    desk = await (await sit_down()).log_in("olga")
    page = await desk.go("/cases")
    await page.get_by_label("Ценность клиента").select_option("low")
    await expect(page.locator(".case-row")).to_have_count(1)
    await expect(page.locator(".case-row")).to_contain_text("Low Customer")
