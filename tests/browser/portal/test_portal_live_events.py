"""The live page: what happens appears by itself, is filtered and paused, and nothing is lost with the connection."""

from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import Page, expect

from tests.browser.portal.conftest import Desk
from tests.portal_company import Company
from tests.portal_server import SECONDS, until

pytestmark = pytest.mark.browser
SitDown = Callable[..., Awaitable[Desk]]


async def titles(page: Page) -> list[str]:
    return [text.strip() for text in await page.locator(".event:visible .event-title").all_inner_texts()]


async def live(desk: Desk) -> Page:
    page = await desk.go("/events")
    await expect(page.locator("#live-text")).to_have_text("в эфире")
    return page


async def test_an_event_appears_by_itself_on_top_and_leads_to_its_case(company: Company, sit_down: SitDown) -> None:
    await company.take(company.scored("customer-0", score=10))
    page = await live(await (await sit_down()).log_in("olga"))
    assert await titles(page) == ["Клиент поставил 10: промоутер"]

    case_id = await company.unhappy(comment="Ждала <i>сорок</i> минут")
    await expect(page.locator(".event")).to_have_count(4)
    assert await titles(page) == [
        "Обращение ведёт " + ("Ирина Соколова" if "Ирина" in (await titles(page))[0] else "Pavel Orlov"),
        "Открыто обращение",
        "Клиент поставил 2: критик",
        "Клиент поставил 10: промоутер",
    ]
    await expect(page.locator(".event-quote")).to_have_text("Ждала <i>сорок</i> минут")
    await page.get_by_role("link", name="Открыто обращение").click()
    await page.wait_for_url(f"**/cases/{case_id}")


async def test_a_line_that_came_later_looks_like_one_that_was_there(company: Company, sit_down: SitDown) -> None:
    desk = await (await sit_down(still=True)).log_in("olga")
    page = await live(desk)
    await company.unhappy()
    await expect(page.locator(".event")).to_have_count(3)
    came = await page.locator("#stream").inner_text()
    await page.reload()
    await expect(page.locator(".event")).to_have_count(3)
    assert await page.locator("#stream").inner_text() == came
    await desk.keep_picture("events")


async def test_the_filter_holds_for_what_comes_too(company: Company, sit_down: SitDown) -> None:
    await company.take(company.scored("customer-0", score=10))
    page = await live(await (await sit_down()).log_in("olga"))
    await page.locator("#filter").fill("критик branch")
    await expect(page.locator("#stream-none")).to_be_visible()
    await company.take(company.scored("customer-1", score=9), company.scored("customer-2", score=1))
    await expect(page.locator(".event")).to_have_count(3)
    assert await titles(page) == ["Клиент поставил 1: критик"]
    await expect(page.locator("#stream-none")).not_to_be_visible()
    await page.locator("#filter").fill("")
    await expect(page.locator(".event:visible")).to_have_count(3)


async def test_a_pause_holds_back_and_loses_nothing(company: Company, sit_down: SitDown) -> None:
    page = await live(await (await sit_down()).log_in("olga"))
    await page.get_by_role("button", name="Пауза").click()
    await company.take(company.scored("customer-1", score=9), company.scored("customer-2", score=1))
    await expect(page.locator("#live-text")).to_have_text("пауза, ждут: 2")
    await expect(page.locator(".event")).to_have_count(0)
    await page.get_by_role("button", name="Пауза").click()
    await expect(page.locator(".event")).to_have_count(2)
    assert await titles(page) == ["Клиент поставил 1: критик", "Клиент поставил 9: промоутер"]


async def test_what_happens_while_the_connection_is_lost_is_shown_afterwards_once(
    company: Company, sit_down: SitDown
) -> None:
    desk = await (await sit_down()).log_in("olga")
    desk.refusals_expected = True
    page = await live(desk)
    await company.take(company.scored("customer-1", score=9))
    await expect(page.locator(".event")).to_have_count(1)

    await page.route("**/v1/events*", lambda route: route.abort())
    await until(lambda: company.broadcast.readers == 1)
    for reader in company.broadcast._readers:
        reader.cut = True
    await company.take(company.scored("customer-1", score=1))
    await expect(page.locator("#live-text")).to_have_text("связь потеряна, восстанавливаем")
    await company.take(company.scored("customer-1", score=2), company.scored("customer-1", score=3))
    await page.unroute("**/v1/events*")

    await expect(page.locator("#live-text")).to_have_text("в эфире", timeout=SECONDS * 1000)
    await expect(page.locator(".event")).to_have_count(4)
    assert [title.split()[2] for title in await titles(page)] == ["3:", "2:", "1:", "9:"]


async def test_a_flood_is_shown_to_its_end_and_the_page_keeps_its_size(company: Company, sit_down: SitDown) -> None:
    page = await live(await (await sit_down()).log_in("olga"))
    for _ in range(4):
        await company.take(*(company.scored("customer", score=number % 11) for number in range(150)))
    await company.take(company.scored("customer", score=10, comment="последний"))
    await expect(page.locator(".event").first).to_contain_text("последний")
    await expect(page.locator(".event")).to_have_count(300)


@pytest.mark.parametrize(("login", "comment", "link"), [("oleg", 0, 0), ("anna", 0, 0), ("viktor", 1, 2)])
async def test_each_role_sees_its_part_live(
    company: Company, sit_down: SitDown, login: str, comment: int, link: int
) -> None:
    desk = await (await sit_down()).log_in(login)
    page = await desk.go("/events")
    await expect(page.locator(".live-live")).to_be_visible()
    await company.unhappy(comment="Ждала сорок минут")
    await expect(page.locator(".event")).to_have_count(3)
    await expect(page.locator(".event-quote")).to_have_count(comment)
    await expect(page.locator(".event-title a")).to_have_count(link)


async def test_leaving_the_page_ends_the_stream(company: Company, sit_down: SitDown) -> None:
    desk = await (await sit_down()).log_in("olga")
    await live(desk)
    await until(lambda: company.broadcast.readers == 1)
    await desk.go("/nps")
    await until(lambda: company.broadcast.readers == 0)
