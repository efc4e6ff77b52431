"""An operator connects a survey at a browser: from "new source" to the first answer that is understood."""

import base64
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import turned
from tests.browser.portal.conftest import Desk
from tests.portal_company import Company

pytestmark = pytest.mark.browser
SitDown = Callable[..., Awaitable[Desk]]

SECRET: Final = "a signing secret of tally"
QUESTION: Final = "Порекомендуете ли вы нас друзьям?"

LABELLED: Final = r"""
() => {
  const wrong = [];
  for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
    if (field.labels.length === 0 && !field.getAttribute("aria-label")) wrong.push(field.outerHTML.slice(0, 120));
  for (const element of document.querySelectorAll("[aria-labelledby], [aria-describedby]"))
    for (const attribute of ["aria-labelledby", "aria-describedby"])
      for (const id of (element.getAttribute(attribute) || "").split(" ").filter(Boolean))
        if (!document.getElementById(id)) wrong.push(`names #${id}: ${element.outerHTML.slice(0, 120)}`);
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of new Set(ids.filter((id, at) => ids.indexOf(id) !== at))) wrong.push(`the id ${id} stands twice`);
  const levels = [...document.querySelectorAll("main h1, main h2, main h3")].map((each) => Number(each.tagName[1]));
  if (levels.filter((level) => level === 1).length !== 1) wrong.push(`${levels}: not one h1`);
  if (document.documentElement.scrollWidth > innerWidth) wrong.push(`${document.documentElement.scrollWidth} px wide`);
  return [...wrong, ...window.violations];
}
"""


async def submit(company: Company, score: int = 3) -> dict[str, Any]:
    fields = [
        {"key": "q1", "label": QUESTION, "type": "LINEAR_SCALE", "value": score},
        {"key": "q2", "label": "Почему?", "type": "TEXTAREA", "value": "Курьер приезжал дважды, и оба раза зря."},
        {"key": "q3", "label": "branch", "type": "HIDDEN_FIELDS", "value": "Казань, Баумана"},
    ]
    told = {"responseId": "r-1", "createdAt": "2026-01-05T10:00:00.000Z", "fields": fields}
    body = json.dumps({"eventId": "e-1", "eventType": "FORM_RESPONSE", "data": told}).encode()
    signature = base64.b64encode(hmac.digest(SECRET.encode(), body, hashlib.sha256)).decode()
    found: dict[str, Any] = await company.deliver("/v1/webhooks/kazan", body, tally_signature=signature)
    return found


async def look(desk: Desk, name: str) -> None:
    await desk.page.wait_for_load_state()  # without scripts a waiting page calls itself anew
    assert await desk.page.evaluate(LABELLED) == [], name
    await desk.keep_picture(name)


@pytest.mark.parametrize(
    ("width", "scripts", "scheme", "language", "login"),
    [(1280, True, "light", "ru", "oleg"), (390, True, "dark", "en", "ada"), (390, False, "light", "ru", "ada")],
)
async def test_a_survey_is_connected_by_hand(
    company: Company,
    sit_down: SitDown,
    width: int,
    scripts: bool,  # noqa: FBT001 - a test's parameter
    scheme: Literal["light", "dark"],
    language: str,
    login: str,
) -> None:
    desk = await (await sit_down(width=width, scripts=scripts, scheme=scheme)).log_in(login)
    pictured = f"{width}-{scheme}-{language}-{scripts}"
    page = await desk.go(f"/sources?lang={language}")
    await look(desk, f"sources-none-{pictured}")
    async with turned(page):
        await page.locator(".head .button-main").click()
    await look(desk, f"sources-vendors-{pictured}")
    async with turned(page):
        await page.locator('a[href="/sources/new/tally"]').click()

    await page.fill("#name", "kazan")
    await page.fill("#program", "Розница")
    await page.fill("#question", QUESTION)
    await page.check('input[name="secret_from"][value="them"]')
    await page.fill("#secret", SECRET)
    await look(desk, f"sources-form-{pictured}")
    async with turned(page):
        await page.locator(".form .button-main").click()
    await expect(page.locator(".copied").first).to_have_text("https://hooks.example.org/v1/webhooks/kazan")
    await look(desk, f"sources-address-{pictured}")
    async with turned(page):
        await page.locator(".row .button-main").click()

    await expect(page.locator(".waiting")).to_be_visible()
    await look(desk, f"sources-waiting-{pictured}")
    assert (await submit(company))["status"] == "quarantined"
    await expect(page.locator(".arrived .chip-top")).to_be_visible()
    await look(desk, f"sources-arrived-{pictured}")
    async with turned(page):
        await page.locator(".arrived .button-main").click()

    await map_fields(page)
    await look(desk, f"sources-map-{pictured}")
    async with turned(page):
        await page.locator('button[value="save"]').click()
    await expect(page.locator(".notice-good")).to_be_visible()
    await look(desk, f"sources-saved-{pictured}")
    async with turned(page):
        await page.locator("form .button-main").click()
    await expect(page.locator(".replay-line")).to_be_visible()
    await look(desk, f"sources-replayed-{pictured}")

    [delivery] = (await company.ingest("GET", "/v1/deliveries?source=kazan"))["items"]
    assert delivery["status"] == "accepted"
    for path, name in (
        (f"/deliveries/{delivery['id']}", "delivery"),
        ("/deliveries", "deliveries"),
        ("/sources/kazan", "source"),
        ("/sources/kazan/edit", "source-edit"),
        ("/sources", "sources"),
    ):
        await desk.go(path)
        await look(desk, f"{name}-{pictured}")


async def map_fields(page: Page) -> None:
    """Guesses are there; the touchpoint is chosen by hand, and the map tried."""
    await expect(page.locator("#field-score")).to_have_value("question:q1")
    await expect(page.locator("#field-comment")).to_have_value("question:q2")
    await page.select_option("#field-touchpoint", "hidden:branch")
    async with turned(page):
        await page.locator('button[value="try"]').click()
    await expect(page.locator(".map-verdict .notice-good")).to_be_visible()


async def test_sources_are_two_keys_away(sit_down: SitDown) -> None:
    desk = await (await sit_down()).log_in("oleg")
    await desk.page.keyboard.press("g")
    await desk.page.keyboard.press("s")
    await desk.page.wait_for_url("**/sources")
