"""The portal in a real browser, over real services; every page is watched for errors of its own."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, expect

from tests.portal_company import Company, Databases, a_company_on
from tests.portal_server import SECONDS, a_server
from tests.portal_visitor import PASSWORD

SCREENSHOTS: Final = os.environ.get("OTKLIK_SCREENSHOTS")
"""A folder for pictures of what the tests see, for those who want to look."""

# Before anything of the page runs: policy violations and layout shifts are collected.
_WATCH: Final = """
window.violations = [];
window.shifts = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.violatedDirective} ${event.blockedURI}`);
});
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    if (entry.hadRecentInput || entry.value < 0.01) continue;
    const moved = entry.sources.map(({ node }) => (node?.outerHTML ?? node?.data ?? "").slice(0, 60));
    window.shifts.push(`${entry.value.toFixed(4)} ${moved.join(", ")}`);
  }
}).observe({ type: "layout-shift", buffered: true });
"""


class Desk:
    """Somebody at a browser: a page, and what went wrong on it."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        self.troubles: list[str] = []
        self.refusals_expected = False
        self.status = 0
        page.on("console", lambda message: self._heard(message.type, message.text))
        page.on("pageerror", lambda error: self.troubles.append(f"script: {error}"))
        page.on("request", lambda request: self._asked(request.url))

    def _heard(self, kind: str, text: str) -> None:
        if self.refusals_expected and text.startswith("Failed to load resource"):
            return
        if text.startswith("Blocked script execution in ") and "/samples/" in text:
            return  # the tests' own script, kept out of a mail's frame as every script is
        if kind in ("error", "warning"):
            self.troubles.append(f"console {kind}: {text}")

    def _asked(self, url: str) -> None:
        if urlsplit(url).netloc != urlsplit(self.address).netloc:
            self.troubles.append(f"foreign request: {url}")

    async def go(self, path: str) -> Page:
        """Open a page of the portal."""
        answer = await self.page.goto(self.address + path)
        self.status = answer.status if answer else 0
        return self.page

    async def log_in(self, login: str) -> "Desk":
        """Log in as a person does."""
        await self.go("/login")
        await self.page.fill("#login", login)
        await self.page.fill("#password", PASSWORD)
        await self.page.click(".gate-form .button-main")
        await self.page.wait_for_url(self.address + "/")
        return self

    async def keep_picture(self, name: str) -> None:
        """A picture of the page, where somebody wants to look."""
        if SCREENSHOTS:
            await self.page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png", full_page=True)


expect.set_options(timeout=SECONDS * 1000)


@pytest.fixture(scope="session")
async def company_for_all(postgres: Databases) -> AsyncIterator[Company]:
    async with a_company_on(postgres) as company:
        yield company


@pytest.fixture
async def company(company_for_all: Company) -> Company:
    await company_for_all.renew()
    return company_for_all


@pytest.fixture
async def served(company: Company) -> AsyncIterator[str]:
    async with a_server(company) as address:
        yield address


@pytest.fixture
async def sit_down(browser: Browser, served: str) -> AsyncIterator[Callable[..., Any]]:
    """Desks by the test's wishes; afterwards nothing may have gone wrong on any of them."""
    desks: list[Desk] = []
    async with AsyncExitStack() as stack:

        async def make(
            *,
            width: int = 1280,
            height: int = 800,
            scheme: Literal["light", "dark"] = "light",
            scripts: bool = True,
            still: bool = False,
        ) -> Desk:
            context = await browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme=scheme,
                java_script_enabled=scripts,
                reduced_motion="reduce" if still else "no-preference",
                locale="ru-RU",
            )
            stack.push_async_callback(context.close)
            context.set_default_timeout(SECONDS * 1000)
            await context.add_init_script(_WATCH)
            desk = Desk(await context.new_page(), served)
            desks.append(desk)
            return desk

        yield make
        for desk in desks:
            assert desk.troubles == []
