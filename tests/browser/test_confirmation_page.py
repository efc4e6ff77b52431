"""The confirmation page as a customer meets it: on a phone, without scripts, by keyboard, in the dark."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
import uvicorn
from playwright.async_api import Browser, Page, ViewportSize
from sqlalchemy import text

from libs.events.contracts.cases import CaseClosed, CaseReopened, CaseResolved, Employee
from libs.events.contracts.customers import CustomerProfileChanged
from libs.events.database import Database
from libs.events.event import Contract, Event
from services.notify.api import build_app
from services.notify.handlers import cases_handler, handle_customers
from services.notify.links import ConfirmationLinks
from services.notify.mime import Mailbox
from tests.browser.conftest import turned

pytestmark = pytest.mark.browser

PHONE: Final[ViewportSize] = {"width": 360, "height": 740}
DESK: Final[ViewportSize] = {"width": 1280, "height": 800}
SCREENSHOTS: Final = os.environ.get("OTKLIK_SCREENSHOTS")
"""A folder for pictures of every state, for those who want to look."""

# The contrast of two colours by WCAG 2.2, of every visible text with what stands behind it.
_CONTRASTS: Final = """
() => {
  const rgb = (value) => value.match(/[\\d.]+/g).map(Number);
  const channel = (c) => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0.99) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
    const [a, b] = [luminance(rgb(getComputedStyle(element).color)), luminance(behind(element))];
    found.push([walker.currentNode.data.trim().slice(0, 40), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]);
  }
  return found;
}
"""


class Case:
    """One case whose customer was asked, and what happened to it."""

    def __init__(self, database: Database, link: str, message_id: Any) -> None:  # noqa: ANN401 - a MessageId
        self.database = database
        self.link = link
        self.message_id = message_id
        self._version = 1

    async def happens(self, contract: type[Contract], **members: object) -> None:
        self._version += 1
        whole: dict[str, Any] = {"case_id": "case-1", "customer_id": "c-1", "version": self._version, **members}
        await deliver(self.database, cases_handler(), contract(**whole))

    async def told(self) -> list[tuple[bool | None, str | None]]:
        async with self.database.reading() as tx:
            rows = await tx.fetch(text("SELECT solved, comment FROM confirmations ORDER BY round"))
        return [(row.solved, row.comment) for row in rows]


async def deliver(database: Database, handle: Callable[..., Awaitable[None]], payload: Contract) -> None:
    async with database.transaction() as tx:
        await handle(tx, [Event.root(uuid4(), payload, subject="case-1", time=tx.now, source="/test")])


@pytest.fixture
async def case(service_database: Callable[[str], str]) -> AsyncIterator[Case]:
    """A resolved case, and the service that asks about it."""
    database = Database.connect(service_database("notify"), pool_size=5)
    now = datetime.now(UTC)
    profile = CustomerProfileChanged(
        customer_id="c-1",
        version=1,
        name="Иван Иванов",
        email="ivan@mail.example",
        phone=None,
        language="ru",
        time_zone="Europe/Moscow",
        account_id=None,
        account_name=None,
        account_role=None,
        tier="key",
        tier_reason="value",
    )
    await deliver(database, handle_customers, profile)
    resolved = CaseResolved(
        case_id="case-1",
        customer_id="c-1",
        version=1,
        round=1,
        root_cause="billing",
        agent_id="e-1",
        agent_name="Анна Петрова",
        answered_at=now - timedelta(days=3),
        confirm_by=now + timedelta(days=7),
    )
    await deliver(database, cases_handler(), resolved)
    async with database.reading() as tx:
        (row,) = await tx.fetch(text("SELECT id FROM messages"))

    secrets = ["the present secret, thirty-two characters"]
    app = build_app(
        database,
        links=ConfirmationLinks("", secrets),
        sender=Mailbox("Ромашка", "care@romashka.example"),
        time_zone="Europe/Moscow",
    )
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server._serve())  # without signal handlers: these are the tests' own
    async with asyncio.timeout(60):
        while not server.started:
            await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Case(database, ConfirmationLinks(f"http://127.0.0.1:{port}", secrets).link(row.id), row.id)
    server.should_exit = True
    await serving
    await database.close()


@contextmanager
def requests_of(page: Page) -> Any:  # noqa: ANN401 - an iterator of one list
    made: list[str] = []
    page.on("request", lambda request: made.append(request.url))
    yield made


async def picture(page: Page, name: str) -> None:
    if SCREENSHOTS:
        await asyncio.to_thread(Path(SCREENSHOTS).mkdir, parents=True, exist_ok=True)
        await page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png", full_page=True)


async def heading(page: Page) -> str:
    return await page.get_by_role("heading", level=1).inner_text()


@pytest.mark.parametrize("scripts", [True, False])
async def test_a_customer_says_that_it_is_solved_on_a_phone(case: Case, browser: Browser, *, scripts: bool) -> None:
    page = await browser.new_page(viewport=PHONE, java_script_enabled=scripts, locale="ru-RU")
    with requests_of(page) as made:
        await page.goto(case.link)
    assert made == [case.link], "nothing else is loaded"
    assert await heading(page) == "Ваш вопрос решён?"
    await page.get_by_label("Хотите что-то добавить?").fill("Спасибо, Анна!")
    async with turned(page):
        await page.get_by_role("button", name="Да, решён").click()
    assert await heading(page) == "Спасибо, мы очень рады"
    await page.reload()
    assert await heading(page) == "Спасибо, мы очень рады"
    assert await case.told() == [(True, "Спасибо, Анна!")]
    await page.close()


async def test_a_customer_says_not_yet_in_english_by_keyboard_alone(case: Case, browser: Browser) -> None:
    page = await browser.new_page(viewport=DESK)
    await page.goto(case.link)
    await page.keyboard.press("Tab")
    async with turned(page):
        await page.keyboard.press("Enter")
    assert await heading(page) == "Is your problem solved?"
    reached: list[str] = []
    for _ in range(4):
        await page.keyboard.press("Tab")
        reached.append(await page.evaluate("document.activeElement.value || document.activeElement.tagName"))
        outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", "whoever moves by keyboard sees where"
    assert reached == ["A", "TEXTAREA", "yes", "not_yet"]
    async with turned(page):
        await page.keyboard.press("Enter")
    assert await heading(page) == "Thank you for telling us"
    assert await case.told() == [(False, None)]
    await page.close()


async def test_a_yes_is_taken_back(case: Case, browser: Browser) -> None:
    page = await browser.new_page(viewport=PHONE, java_script_enabled=False)
    await page.goto(case.link)
    async with turned(page):
        await page.get_by_role("button", name="Да, решён").click()
    await page.get_by_text("Всё-таки что-то не так?").click()
    await page.get_by_label("Что осталось нерешённым?").fill("Снова не работает")
    await picture(page, "taking-back")
    async with turned(page):
        await page.get_by_role("button", name="Ещё не решён").click()
    assert await heading(page) == "Спасибо, что сказали"
    assert await case.told() == [(False, "Снова не работает")]
    await page.close()


async def test_going_back_and_answering_again_answers_once(case: Case, browser: Browser) -> None:
    page = await browser.new_page(viewport=PHONE)
    await page.goto(case.link)
    async with turned(page):
        await page.get_by_role("button", name="Ещё нет").click()
    await page.go_back()
    yes = page.get_by_role("button", name="Да, решён")
    if await yes.count():
        async with turned(page):
            await yes.click()
    assert await heading(page) == "Спасибо, что сказали"
    assert await case.told() == [(False, None)]
    await page.close()


STATES: Final[dict[str, tuple[str | None, tuple[type[Contract], dict[str, Any]] | None]]] = {
    "ask": (None, None),
    "ask-late": (None, (CaseClosed, {"outcome": "unconfirmed"})),
    "said-yes": ("yes", None),
    "said-not-yet": ("not_yet", None),
    "reopened": (
        None,
        (
            CaseReopened,
            {
                "round": 1,
                "reason": "by_hand",
                "owner": Employee(employee_id="e-1", name="Anna", email="a@b.example", language="ru"),
            },
        ),
    ),
    "no-such-link": (None, None),
}


@pytest.mark.parametrize("state", list(STATES))
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_state_is_readable_on_a_phone_and_at_a_desk(
    case: Case,
    browser: Browser,
    state: str,
    scheme: Any,  # noqa: ANN401 - a literal of Playwright's
) -> None:
    answer, event = STATES[state]
    page = await browser.new_page(viewport=PHONE, color_scheme=scheme)
    await page.goto(case.link)
    if answer is not None:
        async with turned(page):
            await page.locator(f"button[value={answer}]").click()
    if event is not None:
        await case.happens(event[0], **event[1])
    for language in ("ru", "en"):
        link = case.link[:-1] if state == "no-such-link" else case.link
        await page.goto(f"{link}?lang={language}")
        for name, viewport in (("phone", PHONE), ("desk", DESK)):
            await page.set_viewport_size(viewport)
            await picture(page, f"{state}-{language}-{name}-{scheme}")
            too_wide = await page.evaluate("document.documentElement.scrollWidth > innerWidth")
            assert not too_wide, "nobody scrolls sideways"
            assert await page.evaluate("document.documentElement.lang") == language
            assert await page.title()
            weak = [(said, contrast) for said, contrast in await page.evaluate(_CONTRASTS) if contrast < 4.5]
            assert not weak
            for control in await page.locator("button, .languages a, summary").all():
                box = await control.bounding_box()
                assert box is not None
                assert box["height"] >= 24, "WCAG 2.2, 2.5.8"
            for button in await page.locator("button:visible").all():
                box = await button.bounding_box()
                assert box is not None
                assert box["height"] >= 44
            unnamed = await page.locator("textarea:not([id]), html:not([lang]), img:not([alt])").count()
            assert unnamed == 0
    await page.close()


async def test_text_twice_as_large_still_fits_a_phone(case: Case, browser: Browser) -> None:
    page = await browser.new_page(viewport=PHONE)
    await page.goto(case.link)
    await page.evaluate("document.documentElement.style.fontSize = '200%'")
    await picture(page, "large-text")
    assert not await page.evaluate("document.documentElement.scrollWidth > innerWidth")
    await page.close()
