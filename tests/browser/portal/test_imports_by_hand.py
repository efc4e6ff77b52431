"""A file of answers is imported at a browser: chosen, looked at, corrected, sent in pieces, and read about."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from playwright.async_api import expect

from tests.browser.conftest import turned
from tests.browser.portal.conftest import Desk
from tests.browser.portal.test_sources_by_hand import LABELLED
from tests.portal_company import Company

pytestmark = pytest.mark.browser
SitDown = Callable[..., Awaitable[Desk]]

ROWS: Final = 20_000
"""More than two pieces of a mebibyte."""


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """A file as a spreadsheet writes it in Russia, with two rows that are none."""
    lines = ["Номер ответа;Дата;Балл;Отзыв"]
    lines += [
        f"r-{n};{n % 28 + 1:02}.03.2026 09:15;{n % 11};Курьер приезжал дважды, и оба раза зря" for n in range(ROWS)
    ]
    lines[12] = lines[12].replace(";1;", ";99;").replace(";0;", ";99;")
    lines[20] = "слишком;мало"
    path = tmp_path / "Ответы за март.csv"
    path.write_bytes("\r\n".join(lines).encode("windows-1251"))
    return path


async def a_source(company: Company) -> None:
    body: dict[str, Any] = {
        "vendor": "typeform",
        "program": "Розница",
        "instrument": {
            "metric": "nps",
            "question": "Порекомендуете ли вы нас друзьям?",
            "scale_min": 0,
            "scale_max": 10,
            "kind": "transactional",
            "channel": "email",
        },
        "field_map": {"score": None},
        "secret": "a secret of typeform",
    }
    await company.ingest("PUT", "/v1/sources/kazan", json=body)


async def look(desk: Desk, name: str) -> None:
    assert await desk.page.evaluate(LABELLED) == [], name
    await desk.keep_picture(name)


@pytest.mark.parametrize(
    ("width", "scheme", "language", "login"), [(1280, "light", "ru", "ada"), (390, "dark", "en", "oleg")]
)
async def test_a_file_is_imported_by_hand(
    company: Company,
    sit_down: SitDown,
    answers: Path,
    width: int,
    scheme: Literal["light", "dark"],
    language: str,
    login: str,
) -> None:
    await a_source(company)
    desk = await (await sit_down(width=width, scheme=scheme)).log_in(login)
    pictured = f"{width}-{scheme}-{language}"
    page = await desk.go(f"/imports?lang={language}")
    await look(desk, f"imports-none-{pictured}")
    async with turned(page):
        await page.locator(".head .button-main").click()
    await page.set_input_files("#file", answers)
    await look(desk, f"imports-new-{pictured}")
    await page.click("#look")

    # What could not be guessed is asked for, with the file's columns to choose from.
    await expect(page.locator("#looked .notice")).to_be_visible()
    await expect(page.locator("#encoding")).to_have_value("windows-1251")
    await page.select_option("#map-score", "column:Балл")
    await page.select_option("#map-comment", "column:Отзыв")
    await look(desk, f"imports-looked-{pictured}")
    await page.click("#look-again")
    await expect(page.locator("#looked .notice-good")).to_be_visible()
    await expect(page.locator("#map-score")).to_have_value("column:Балл")
    await look(desk, f"imports-found-{pictured}")
    await page.click("#start")

    await page.wait_for_url("**/imports/*-*")
    await expect(page.locator(".chip-good")).to_be_visible()
    await look(desk, f"import-{pictured}")
    [import_] = (await company.ingest("GET", "/v1/imports"))["items"]
    assert (import_["finished"], import_["accepted"], import_["errors"]) == (True, ROWS - 2, 2)
    async with page.expect_download() as download:
        await page.click("a[download]")
    file = Path(await (await download.value).path())
    assert len(file.read_text(encoding="utf-8-sig").splitlines()) == 3  # noqa: ASYNC240 - as above
    await desk.go("/imports")
    await look(desk, f"imports-{pictured}")


async def test_what_breaks_off_goes_on_with_the_same_file(
    company: Company, sit_down: SitDown, answers: Path, tmp_path: Path
) -> None:
    await a_source(company)
    desk = await (await sit_down(width=390)).log_in("ada")
    page = await desk.go("/imports/new?lang=ru")
    await page.set_input_files("#file", answers)
    await page.click("#look")
    await page.select_option("#map-score", "column:Балл")
    await page.click("#look-again")
    await page.locator("#start").wait_for()

    # The second piece is refused for good, as by a deployment in between.
    seen = 0

    async def refuse(route: Any) -> None:  # noqa: ANN401 - Playwright's
        nonlocal seen
        seen += 1
        if seen == 2:
            await route.fulfill(status=403, body=json.dumps({}))
        else:
            await route.continue_()

    desk.refusals_expected = True
    await page.route("**/content?offset=*", refuse)
    await page.click("#start")
    await expect(page.locator("#sending-failed")).to_be_visible()
    await page.unroute("**/content?offset=*")
    [import_] = (await company.ingest("GET", "/v1/imports"))["items"]
    assert (import_["finished"], import_["offset"] > 0) == (False, True)

    company.clock.shift = company.clock.shift.__class__(minutes=1)
    await desk.go(f"/imports/{import_['id']}")
    await look(desk, "import-broken-off-390-light-ru")
    other = tmp_path / "another.csv"
    other.write_bytes(b"a;b\n")
    await page.set_input_files("#file", other)
    await page.click("#resume")
    await expect(page.locator("#sending-failed")).to_be_visible()
    await page.set_input_files("#file", answers)
    await page.click("#resume")
    await expect(page.locator(".chip-good")).to_be_visible()
    [import_] = (await company.ingest("GET", "/v1/imports"))["items"]
    assert (import_["accepted"], import_["errors"], import_["duplicates"]) == (ROWS - 2, 2, 0)
