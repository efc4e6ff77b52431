"""The NPS page over the real scoring: the number, what it stands on, by touchpoint, and without answers."""

import re
from datetime import timedelta

import httpx
import pytest

from tests.portal_company import Company
from tests.portal_visitor import Visitor, text_of


async def test_the_number_comes_with_its_answers_and_its_interval(company: Company, olga: Visitor) -> None:
    await company.measured(*[10] * 25, *[8] * 5, *[2] * 10)

    page = await olga.get("/nps")

    text = text_of(page)
    assert re.search(r"\+38 по 40 ответам с уверенностью 95 % — от \+(\d+) до \+(\d+)", text)
    assert "Критики 10 25 %" in text
    assert "Нейтральные 5 13 %" in text
    assert "Промоутеры 25 63 %" in text
    assert "смотрите на интервал" not in text


async def test_few_answers_carry_a_warning(company: Company, olga: Visitor) -> None:
    await company.measured(9, 3)
    assert "Всего 2 ответа: смотрите на интервал, а не на число." in (await olga.get("/nps")).text


async def test_the_picture_shows_each_class_in_its_share_and_says_it_in_words(company: Company, olga: Visitor) -> None:
    await company.measured(*[10] * 5, *[8] * 3, *[2] * 2)

    page = await olga.get("/nps?lang=en")

    bars = dict(re.findall(r'<rect class="bar-(\w+)" x="[\d.]+%" y="0" width="([\d.]+)%"', page.text))
    assert bars == {"detractors": "20.0", "passives": "30.0", "promoters": "50.0"}
    assert '<title id="bar-1">Detractors 2, passives 3, promoters 5</title>' in page.text
    assert re.search(r'<title id="scale-1">NPS \+30, 95 % interval from −\d+ to \+\d+</title>', page.text)


async def test_survey_kinds_are_never_added_up(company: Company, olga: Visitor) -> None:
    await company.measured(10, 10, kind="transactional")
    await company.measured(2, 2, 2, touchpoint=None, kind="relationship")

    text = text_of(await olga.get("/nps"))

    assert re.search(r"После точки контакта \+100 по 2 ответам", text)
    assert re.search(r"Отношения в целом −100 по 3 ответам", text)


async def test_each_touchpoint_has_its_line_and_leads_to_its_own_page(company: Company, olga: Visitor) -> None:
    await company.measured(10, 10, 9, touchpoint="Отделение & касса")
    await company.measured(1, 2, touchpoint="app")

    page = await olga.get("/nps")
    lines = re.findall(r'<th scope="row"><a data-row href="([^"]+)">([^<]+)</a></th>', page.text)
    assert [name for _, name in lines] == ["Отделение &amp; касса", "приложение"]

    one = await olga.get(lines[0][0].replace("&amp;", "&"))
    assert "по 3 ответам" in text_of(one)
    assert '<option value="Отделение &amp; касса" selected>Отделение &amp; касса</option>' in one.text


async def test_only_the_asked_days_count(company: Company) -> None:
    await company.measured(10, 10)
    company.clock.shift = timedelta(hours=36)
    visitor = await company.visitor().log_in("olga")

    assert "Пока никто не ответил" in (await visitor.get("/nps?period=today")).text
    assert "по 2 ответам" in text_of(await visitor.get("/nps?period=week"))
    assert "Пока никто не ответил" in (await visitor.get("/nps?period=week&touchpoint=elsewhere")).text
    await visitor.close()


@pytest.mark.parametrize(
    "query", ["period=%3Cb%3E", "program=" + "x" * 3_000, "touchpoint=%22%3E%3Cscript%3E", "program=%ff"]
)
async def test_a_made_up_address_is_answered_and_repeated_safely(olga: Visitor, query: str) -> None:
    page = await olga.get(f"/nps?{query}")
    assert page.status_code == 200
    assert "<script>" not in page.text


async def test_when_scoring_is_away_the_page_says_so(company: Company, olga: Visitor) -> None:
    company.lines["scoring"].state.error = httpx.ConnectError("refused")
    page = await olga.get("/nps")
    assert page.status_code == 503
    assert "Показатели сейчас недоступны." in page.text
    assert "Показатели сейчас недоступны." in (await olga.get("/")).text


async def test_scoring_is_asked_in_the_name_of_the_person(company: Company, olga: Visitor) -> None:
    company.lines["scoring"].state.seen.clear()
    await olga.get("/nps?program=rent")
    asked = company.lines["scoring"].state.seen
    assert {request.headers["otklik-person"] for request in asked} == {"olga"}
    assert {request.headers["otklik-role"] for request in asked} == {"manager"}
    assert len(asked) <= 9
