"""A dry run of rules among many customers: begun, told how far it is, left and found again, cancelled."""

from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import Page, expect

from services.scoring import dry_run_jobs
from services.scoring.api import dry_runs
from services.scoring.dry_run_jobs import DryRuns
from tests.browser.portal.conftest import Desk
from tests.portal_company import Company

pytestmark = pytest.mark.browser
SitDown = Callable[..., Awaitable[Desk]]

_RULES = '{"rules": [{"tier": "key", "when": [{"field": "current_value", "op": ">=", "value": 3}]}]}'


@pytest.fixture(autouse=True)
async def many(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six customers, who are many here."""
    monkeypatch.setattr(dry_runs, "ANSWERED_AT_ONCE", 5)
    monkeypatch.setattr(dry_run_jobs, "CUSTOMERS_AT_ONCE", 2)
    for n in range(6):
        body = {"name": "Мария", "language": "ru", "time_zone": "Europe/Moscow", "current_value": n}
        await company.scoring("PUT", f"/v1/customers/c-{n}", json=body)


async def try_rules(page: Page, button: str) -> None:
    await page.locator(".rules-document > summary").click()
    await page.fill("#document", _RULES)
    await page.locator(".rules-document").get_by_role("button", name=button).click()


async def test_it_tells_how_far_it_is_and_what_it_found_and_what_was_typed_meanwhile_stays(
    company: Company, sit_down: SitDown
) -> None:
    runs = DryRuns(company.databases["scoring"])
    desk = await (await sit_down()).log_in("viktor")
    page = desk.page
    await desk.go("/segments")
    await try_rules(page, "See who would move")
    await expect(page.locator("#found")).to_contain_text("Looking at who would move")
    await expect(page.locator("#found")).to_contain_text("It begins within moments.")
    await page.fill("[id='main.0.when.0.value']", "31415")
    await runs.step()
    await runs.step()
    await expect(page.locator("#found [data-so-far=here]")).to_contain_text("2 of 6 customers")
    await expect(page.locator("#found progress")).to_have_js_property("value", 33)
    await desk.keep_picture("dry-run-going")
    while await runs.step():
        pass
    await expect(page.locator("#found h3").first).to_have_text("3 of 6 customers would move")
    await expect(page.locator("#found")).to_contain_text("Begun")
    await expect(page.locator("[aria-labelledby=dry-runs]")).to_contain_text("done")
    await expect(page.locator("[id='main.0.when.0.value']")).to_have_value("31415")
    await desk.keep_picture("dry-run-found")

    await desk.go("/segments")
    await page.locator("[aria-labelledby=dry-runs] a").click()
    await expect(page.locator("#found h3").first).to_have_text("3 of 6 customers would move")
    await expect(page.locator("[id='main.0.when.0.value']")).to_have_value("3")
    await page.locator(".rules-form").first.get_by_role("button", name="Put into force").click()
    await expect(page.locator("main")).to_contain_text("The rules are in force.")
    await page.locator("[aria-labelledby=dry-runs] a").click()
    await expect(page.locator("#found")).to_contain_text("Other rules or cut points have come into force")


async def test_without_scripts_it_is_looked_at_again_and_cancelled_in_russian(
    company: Company, sit_down: SitDown
) -> None:
    runs = DryRuns(company.databases["scoring"])
    desk = await (await sit_down(scripts=False, width=390)).log_in("viktor")
    page = desk.page
    await desk.go("/segments?lang=ru")
    await try_rules(page, "Посмотреть, кто перейдёт")
    await expect(page.locator("#found")).to_contain_text("Скоро начнётся.")
    await runs.step()
    await runs.step()
    await page.locator("#found a.button").click()
    await expect(page.locator("#found")).to_contain_text("Просмотрено клиентов: 2 из 6")
    await desk.keep_picture("dry-run-going-ru")
    await page.get_by_role("button", name="Прекратить").click()
    await expect(page.locator("#found")).to_contain_text("Эту пробу прекратили.")
    await expect(page.locator("[aria-labelledby=dry-runs]")).to_contain_text("прекращена")
    desk.refusals_expected = True
    await desk.go("/segments?dry_run=01234567-89ab-4cde-8f01-23456789abcd")
    assert desk.status == 404
    await expect(page.locator("main")).to_contain_text("Эта проба уже не хранится.")
