"""An operator at a browser finds a dead letter, replays it, drops another; by keyboard, and without scripts."""

from collections.abc import Awaitable, Callable
from typing import Final

import pytest
from playwright.async_api import expect

from libs.events.dead_letters import DeadLetterDesk, State, Wanted
from libs.events.topics import SURVEY_SCORES, TOPICS
from tests.browser.portal.conftest import Desk
from tests.portal_company import Company

pytestmark = pytest.mark.browser
SitDown = Callable[..., Awaitable[Desk]]

SCORES: Final = "casework.scores"


async def states(company: Company) -> list[State]:
    async with company.broker.log() as log:
        desk = DeadLetterDesk(log, TOPICS, clock=company.clock)
        return [letter.state async for letter in desk.newest(Wanted(state=None))]


@pytest.mark.parametrize(("width", "scripts"), [(1280, True), (390, True), (1280, False)])
async def test_letters_are_replayed_and_dropped_by_hand(
    company: Company,
    sit_down: SitDown,
    width: int,
    scripts: bool,  # noqa: FBT001 - a test's parameter
) -> None:
    await company.set_aside(SURVEY_SCORES, SCORES, hours_ago=2)
    await company.set_aside(SURVEY_SCORES, SCORES, reason="KeyError: 'touchpoint'")
    desk = await (await sit_down(width=width, scripts=scripts)).log_in("oleg")
    page = await desk.go("/?lang=en")
    await expect(page.locator(".home-letters")).to_contain_text("2 records wait for a decision")
    await page.locator(".home-letters .chip").click()

    await page.get_by_role("link", name="ValueError: no owner").click()
    await expect(page.locator(".facts")).to_contain_text("survey.scores/2/41")
    await desk.keep_picture(f"letter-open-{width}-{scripts}")
    await page.get_by_role("button", name="Replay it").click()
    await expect(page.get_by_role("status")).to_have_text("The record was replayed.")
    await desk.keep_picture(f"letter-replayed-{width}-{scripts}")

    await page.get_by_role("link", name="Dead letters").first.click()
    await expect(page.locator(".letter-row")).to_have_count(1)
    await page.locator(".letter-row").click()
    await page.locator("summary", has_text="Drop").click()
    await page.get_by_role("textbox", name="Why does nobody need it?").fill("A test of theirs")
    await page.get_by_role("button", name="Drop it").click()
    await expect(page.get_by_role("status")).to_have_text("The record was dropped.")
    await expect(page.locator(".letter-because")).to_have_text("A test of theirs")

    assert await states(company) == [State.DROPPED, State.REPLAYED]
    assert len(company.broker.records(SURVEY_SCORES.replays(SCORES))) == 1


async def test_the_letters_are_two_keys_away_and_filtered_at_once(company: Company, sit_down: SitDown) -> None:
    await company.set_aside(SURVEY_SCORES, SCORES)
    await company.set_aside(SURVEY_SCORES, "portal.events")
    desk = await (await sit_down()).log_in("oleg")
    page = await desk.go("/?lang=ru")
    await page.keyboard.press("g")
    await page.keyboard.press("d")
    await page.wait_for_url("**/dead-letters")
    await expect(page.locator("h1")).to_have_text("Отложенные записи")
    await page.select_option("#queue", SCORES)
    await expect(page.locator(".letter-row")).to_have_count(1)
    await page.keyboard.press("Escape")
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await expect(page.locator(".letter-head")).to_contain_text(f"{SCORES}:0")
