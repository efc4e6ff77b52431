"""From the scores over the drivers to the dry run of new rules, without a mouse."""

from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import Page, expect

from tests.browser.portal.conftest import Desk
from tests.portal_company import Company

pytestmark = pytest.mark.browser
SitDown = Callable[..., Awaitable[Desk]]

_RULES = '{"rules": [{"tier": "key", "when": [{"field": "current_value", "op": ">=", "value": 400}]}]}'


async def tab_to(page: Page, words: str) -> None:
    """Press Tab until the element with these words is focused; within a bound."""
    for _ in range(60):
        await page.keyboard.press("Tab")
        if (await page.evaluate("document.activeElement.innerText") or "").strip() == words:
            return
    raise AssertionError(words)


async def test_scores_drivers_and_the_dry_run_of_rules_by_keyboard(company: Company, sit_down: SitDown) -> None:
    await company.known()
    await company.measured(*[9] * 20, *[4] * 6, days_ago=3)
    await company.measured(*[10] * 12, *[8] * 4, *[3] * 5, question="И всё же?")
    await company.measured(9, 10, 2, touchpoint="call centre")
    desk = await (await sit_down()).log_in("viktor")
    page = desk.page

    await page.keyboard.press("g")
    await page.keyboard.press("n")
    await expect(page.locator("h1")).to_have_text("Scores")
    await expect(page.locator(".trend-picture")).to_be_visible()
    await expect(page.locator(".trend-break")).to_have_count(1)
    await tab_to(page, "Compare")
    await page.keyboard.press("Enter")
    await expect(page.locator(".compare [role=status]")).to_contain_text("95 % sure between")

    await tab_to(page, "Drivers")
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_have_text("What moves the NPS")

    await page.keyboard.press("g")
    await page.keyboard.press("u")
    await expect(page.locator("h1")).to_have_text("Customers")
    await tab_to(page, "Segment rules")
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_have_text("Segment rules")
    await page.get_by_role("button", name="Remove: Rule 5, Condition 2").press("Enter")
    await expect(page.locator("[id='main.4.when.1.value']")).to_have_count(0)
    await page.locator("[id='main.4.when.0.value']").press("Enter")
    await expect(page.locator("#found")).to_contain_text("2 of 2 customers would move")
    await desk.keep_picture("segments-rows")
    await page.get_by_text("For experts").press("Enter")
    await page.locator("#document").focus()
    await page.keyboard.press("Control+A")
    await page.keyboard.insert_text(_RULES)
    await tab_to(page, "See who would move")
    await page.keyboard.press("Enter")
    await expect(page.locator("#found")).to_contain_text("1 of 2 customers would move")
    await expect(page.locator("#found")).to_contain_text("customer-1")
    await desk.keep_picture("segments-dry-run")
