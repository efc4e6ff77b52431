"""Themes of comments in the portal: numbers with their intervals, suggestions, and the words that the company edits."""

import html
import re
from uuid import uuid4

import httpx
import pytest

from services.scoring.comment_jobs import read_anew
from tests.portal_company import Company
from tests.portal_visitor import Visitor, text_of


@pytest.fixture
async def written(company: Company) -> Company:
    """A company whose customers wrote about queues, and two about the app."""
    await company.measured(*[2] * 9, *[9] * 3, comment="Стояла в очереди, телефон 8 495 123-45-67")
    await company.measured(*[10] * 6, days_ago=20, comment="Очередь была короткой")
    await company.measured(1, 1, comment="Приложение не открывается")
    await company.measured(*[10] * 5, comment=None)
    return company


@pytest.mark.usefixtures("written")
async def test_themes_are_shown_with_the_nps_of_those_who_mention_them_and_few_are_hidden(olga: Visitor) -> None:
    page = await olga.get("/themes?period=quarter&lang=en")

    text_ = text_of(page)
    # 9 of 18 are detractors and 9 promoters.
    assert re.search(r"Waiting[^.]*? 18 18 0 NPS 0, 95 % interval from −\d+ to \+\d+", text_)
    assert re.search(r"All answers – 25 \+\d+", text_)
    assert "App and website 2 2" in text_
    assert 'href="/themes/of/waiting?period=quarter&amp;lang=en"' in page.text


async def test_what_few_mention_is_named_and_not_counted(written: Company, olga: Visitor) -> None:
    state = written.lines["scoring"].app.state
    state.privacy_threshold = 5
    try:
        page = await olga.get("/themes?period=quarter&lang=en")
        of_app = await olga.get("/themes/of/app?period=quarter&lang=en")
    finally:
        state.privacy_threshold = 1
    assert "Mentioned by too few to be shown: App and website." in text_of(page)
    assert re.search(r"Waiting[^.]*? 18 18 0 NPS", text_of(page))
    assert "After a touchpoint Too few answered: the number is not shown" in text_of(of_app)


@pytest.mark.usefixtures("written")
async def test_one_theme_shows_its_line_and_what_they_write(olga: Visitor) -> None:
    page = await olga.get("/themes/of/waiting?period=quarter&step=week")

    assert "<h1>Ожидание" in page.text
    assert 'class="trend-picture"' in page.text
    assert page.text.count("Стояла в очереди, телефон 8 495 123-45-67") == 12
    assert page.text.count("Очередь была короткой") == 6
    assert "Об этом никто не писал" in (await olga.get("/themes/of/waiting?program=none")).text
    assert (await olga.get("/themes/of/nothing")).status_code == 404
    assert (await olga.get("/themes/of/%3Cb%3E")).status_code == 404


async def test_every_employee_sees_the_numbers_and_only_those_who_lead_the_words(written: Company) -> None:
    anna = await written.visitor().log_in("anna")
    page = await anna.get("/themes/of/waiting?period=quarter")
    assert (page.status_code, "Стояла в очереди" in page.text) == (200, False)
    assert "/themes/suggestions" not in (await anna.get("/themes")).text
    for path in ("/themes/suggestions", "/themes/taxonomy", "/themes/taxonomy/waiting"):
        assert (await anna.get(path)).status_code == 403
    await anna.close()


async def test_a_suggestion_becomes_a_theme_with_both_names(written: Company, olga: Visitor) -> None:
    await written.suggested("парковка")
    page = await olga.get("/themes/suggestions")
    assert "у 7 человек" in text_of(page)
    (path,) = re.findall(r'action="(/themes/suggestions/[^"]+)"', page.text)

    refused = await olga.post(path, {"do": "accept", "name_ru": "Парковка"})
    assert (refused.status_code, "Новой теме нужны оба названия." in refused.text) == (422, True)
    assert 'value="Парковка"' in refused.text
    refused = await olga.post(path, {"do": "accept", "name_ru": "Парковка", "name_en": "Стоянка"})
    assert "Английское название должно начинаться с латинской буквы." in refused.text
    done = await olga.post(path, {"do": "accept", "name_ru": "Парковка", "name_en": "Parking & access"})
    assert "Принято." in done.text
    assert "Предложений нет" in done.text
    again = await olga.post(path, {"do": "dismiss", "command_id": str(uuid4())})
    assert (again.status_code, "Об этом предложении кто-то уже решил." in again.text) == (409, True)

    taxonomy = await olga.get("/themes/taxonomy")
    assert 'href="/themes/taxonomy/parking_access"' in taxonomy.text
    assert re.search(r"Версия 2 · .{5,40} · Ольга Лебедева Добавлено: Парковка", text_of(taxonomy))


async def test_a_suggestion_goes_to_a_theme_that_there_is_or_is_dismissed(written: Company, olga: Visitor) -> None:
    await written.suggested("парковка")
    page = await olga.get("/themes/suggestions")
    (path,) = re.findall(r'action="(/themes/suggestions/[^"]+)"', page.text)
    assert (await olga.post(path, {"do": "accept", "theme": "branch"})).status_code == 200
    assert "парковка" in (await olga.get("/themes/taxonomy/branch")).text
    await written.suggested("эскалатор")
    page = await olga.get("/themes/suggestions")
    (path,) = re.findall(r'action="(/themes/suggestions/[^"]+)"', page.text)
    assert "Больше предлагаться не будет." in (await olga.post(path, {"do": "dismiss"})).text


async def test_words_are_tried_before_they_are_saved_and_stored_comments_follow(
    written: Company, olga: Visitor
) -> None:
    page = await olga.get("/themes/taxonomy/app")
    form = dict(re.findall(r'<textarea id="(\w+)".*?>\n?([^<]*)</textarea>', html.unescape(page.text)))
    changed = {"name_ru": "Приложения", "name_en": "Apps", **form, "patterns_ru": "очередь\nприложение"}

    tried = await olga.post("/themes/taxonomy/app", {**changed, "do": "try"})

    assert tried.status_code == 200
    assert "Из 20 последних комментариев изменились бы 18" in text_of(tried)
    assert re.search(r"Приложения 2 20", text_of(tried))
    assert "телефон •••" in tried.text
    assert "Версия 2" not in text_of(await olga.get("/themes/taxonomy"))

    await olga.get("/themes/taxonomy/app")
    saved = await olga.post("/themes/taxonomy/app", {**changed, "do": "save"})
    assert "Сохранено. Комментарии перечитываются." in saved.text
    assert re.search(r"Версия 2 .* Изменено: Приложения", text_of(saved))
    assert "data-poll" in saved.text
    while await read_anew(written.databases["scoring"]):
        pass
    read = await olga.get("/themes/taxonomy")
    assert "data-poll" not in read.text
    assert re.search(r"Приложения</a>", (await olga.get("/themes")).text)
    await olga.get("/themes/taxonomy/app")
    late = await olga.post("/themes/taxonomy/app", {**changed, "do": "save", "version": "1", "patterns_ru": "лифт"})
    assert (late.status_code, "изменил кто-то другой" in late.text, "лифт" in late.text) == (409, True, True)


@pytest.mark.usefixtures("written")
async def test_what_is_wrong_with_words_is_said_at_their_field(olga: Visitor) -> None:
    await olga.get("/themes/taxonomy/app")
    entered = {"name_ru": "Приложение", "name_en": "", "patterns_ru": "приложение\n~ долго", "do": "save"}

    page = await olga.post("/themes/taxonomy/app", entered)

    assert page.status_code == 422
    assert re.search(r'id="name_en"[^>]*aria-invalid="true" aria-describedby="name_en-error"', page.text)
    assert "нужно название не длиннее 100 знаков" in text_of(page)
    assert re.search(r"Строка 2: ~ и &amp; стоят между словами", text_of(page))
    assert "приложение\n~ долго" in page.text


@pytest.mark.usefixtures("written")
async def test_a_theme_is_made_retired_and_urgent_words_are_edited(olga: Visitor) -> None:
    await olga.get("/themes/taxonomy/new-theme")
    new = {"name_ru": "Парковка", "name_en": "Parking", "patterns_ru": "парковка", "do": "save"}
    assert (await olga.post("/themes/taxonomy/new-theme", new)).status_code == 200
    taken = await olga.post("/themes/taxonomy/new-theme", new)
    assert (taken.status_code, "уже есть" in taken.text) == (422, True)
    await olga.get("/themes/taxonomy/parking")
    retired = await olga.post("/themes/taxonomy/parking", {**new, "retired": "yes"})
    assert re.search(r"Версия 3 .* Снято: Парковка", text_of(retired))
    urgent = await olga.get("/themes/taxonomy/urgent.legal")
    assert 'id="name_ru"' not in urgent.text
    saved = await olga.post("/themes/taxonomy/urgent.legal", {"patterns_ru": "в суд", "do": "save"})
    assert re.search(r"Версия 4 .* Изменено: Говорит о законе или надзоре", text_of(saved))
    assert (await olga.get("/themes/taxonomy/urgent.weather")).status_code == 404


@pytest.mark.parametrize("path", ["/themes", "/themes/of/waiting", "/themes/suggestions", "/themes/taxonomy"])
async def test_when_scoring_is_away_the_theme_pages_say_so(company: Company, olga: Visitor, path: str) -> None:
    company.lines["scoring"].state.error = httpx.ConnectError("refused")
    page = await olga.get(path)
    assert page.status_code == 503
    assert "Показатели сейчас недоступны." in page.text


async def test_a_made_up_suggestion_is_nothing(olga: Visitor) -> None:
    await olga.get("/themes/suggestions")
    page = await olga.post(f"/themes/suggestions/{uuid4()}", {"do": "dismiss", "command_id": str(uuid4())})
    assert (page.status_code, "Такого предложения больше нет." in page.text) == (404, True)
