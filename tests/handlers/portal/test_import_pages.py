"""The pages of imports: a file looked at before it is sent, sent in pieces, and what became of its rows."""

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.portal_company import Company
from tests.portal_visitor import Visitor, text_of

INSTRUMENT = {
    "metric": "nps",
    "question": "How likely are you to recommend us?",
    "scale_min": 0,
    "scale_max": 10,
    "kind": "transactional",
    "channel": "email",
}
HEADER = "Номер ответа;Дата;Оценка;Комментарий"
ROWS = [
    "r-1;01.03.2026 09:15;9;всё хорошо",
    "r-2;02.03.2026 10:00;11;так не бывает",
    "r-3;13.03.2026;2;никто не перезвонил",
]
FILE = "\r\n".join([HEADER, *ROWS, ""]).encode("windows-1251")
COLUMNS = {
    "map-response_id": "column:Номер ответа",
    "map-answered_at": "column:Дата",
    "map-score": "column:Оценка",
    "map-comment": "column:Комментарий",
    "map-customer": "-",
}


@pytest.fixture(autouse=True)
async def _shop(company: Company) -> None:
    body = {"vendor": "typeform", "program": "retail", "instrument": INSTRUMENT, "field_map": {"score": None}}
    await company.ingest("PUT", "/v1/sources/shop", json=body | {"secret": "a secret of typeform"})


async def send(visitor: Visitor, address: str, content: bytes, **headers: str) -> httpx.Response:
    """As the page's script does."""
    token = re.search(r'data-token="([0-9a-f]+)"', (await visitor.get("/imports/new")).text)
    assert token is not None
    told = {"Otklik-Form-Token": token[1], "Content-Type": "application/octet-stream", "Origin": "http://portal"}
    return await visitor.http.post(address, content=content, headers=told | headers)


async def started(visitor: Visitor, size: int = len(FILE), **said: str) -> dict[str, Any]:
    await visitor.get("/imports/new")
    answer = await visitor.post(
        "/imports/start", {"source": "shop", "name": "answers.csv", "size": str(size), **COLUMNS, **said}
    )
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_file_is_looked_at_sent_in_pieces_and_told_about(company: Company, oleg: Visitor) -> None:
    looked = await send(oleg, "/imports/look?source=shop&whole=yes&map-response_id=column:Номер ответа", FILE)
    assert looked.status_code == 200
    text = text_of(looked)
    assert "CSV, Windows-1251" in text
    assert '<option value="semicolon" selected>' in looked.text
    assert '<option value="day-first" selected>' in looked.text
    assert '<option value="column:Оценка" selected>' in looked.text
    assert "Score (question «Оценка») is 11 outside the scale 0 to 10" in text
    assert "всё хорошо" not in text  # of what customers wrote, operators see nothing
    assert (await company.ingest("GET", "/v1/imports"))["items"] == []  # nothing was kept

    import_ = await started(oleg, encoding="windows-1251")
    assert (import_["offset"], import_["finished"]) == (0, False)
    address = f"/imports/{import_['id']}"
    assert "is being read" in text_of(await oleg.get(address))
    first = (await send(oleg, f"{address}/content?offset=0", FILE[:120])).json()
    assert first["offset"] <= 120
    done = (await send(oleg, f"{address}/content?offset={first['offset']}", FILE[first["offset"] :])).json()
    assert (done["finished"], done["rows"]) == (True, 3)
    again = await send(oleg, f"{address}/content?offset=0", FILE)  # a piece that was sent twice
    assert again.json() == done

    page = await oleg.get(address)
    assert "finished" in text_of(page)
    assert re.search(r"Accepted\s*2 .*Errors\s*1", text_of(page))
    assert "Score (question «Оценка») is 11 outside the scale 0 to 10" in text_of(page)
    assert "Windows-1251" in text_of(page)
    listed = text_of(await oleg.get("/imports"))
    assert "answers.csv" in listed
    assert "3 rows" in listed
    assert "2 accepted, 0 known already, 1 errors" in listed


async def test_the_errors_are_a_file_in_the_reader_s_language(company: Company, oleg: Visitor) -> None:
    import_ = await started(oleg, encoding="windows-1251")
    await send(oleg, f"/imports/{import_['id']}/content?offset=0", FILE)
    await oleg.get("/imports?lang=ru")
    file = await oleg.http.get(f"/imports/{import_['id']}/errors.csv")
    assert file.headers["content-type"].startswith("text/csv")
    assert "attachment" in file.headers["content-disposition"]
    heading, row, end = file.content.decode("utf-8-sig").split("\r\n")
    assert heading == "Строка;Почему;Доставка"
    line, why, delivery = row.split(";")
    assert (line, end) == ("3", "")
    assert "11 вне шкалы от 0 до 10" in why
    kept = await company.ingest("GET", f"/v1/deliveries/{delivery}")
    assert kept["status"] == "quarantined"


async def test_what_cannot_be_read_so_says_why_and_offers_its_columns(oleg: Visitor) -> None:
    looked = await send(oleg, "/imports/look?source=shop&whole=yes", b"one;two\n1;2\n")
    assert looked.status_code == 200
    assert "no column was chosen for: Answered or Score" in text_of(looked)
    assert '<option value="column:two" >two</option>' in looked.text
    assert 'id="start"' not in looked.text
    assert "The file is empty".lower() in text_of(await send(oleg, "/imports/look?source=shop&whole=yes", b"")).lower()
    looked = await send(oleg, "/imports/look?source=shop&whole=yes&lang=ru", b"score;date\n9;02/03/2026\n")
    assert "первым может быть и день, и месяц" in text_of(looked)


async def test_a_file_that_broke_off_can_be_gone_on_with(company: Company, oleg: Visitor) -> None:
    import_ = await started(oleg, encoding="windows-1251")
    await send(oleg, f"/imports/{import_['id']}/content?offset=0", FILE[:120])
    company.clock.shift = timedelta(minutes=1)
    page = await oleg.get(f"/imports/{import_['id']}")
    assert "broken off" in text_of(page)
    assert f'data-size="{len(FILE)}"' in page.text
    ahead = await send(oleg, f"/imports/{import_['id']}/content?offset=100000", FILE)
    assert ahead.json()["offset"] <= 120  # there it goes on


async def test_only_our_page_s_script_may_send(company: Company, oleg: Visitor) -> None:
    import_ = await started(oleg)
    address = f"/imports/{import_['id']}/content?offset=0"
    assert (await send(oleg, address, FILE, **{"Otklik-Form-Token": "0" * 64})).status_code == 403
    assert (await send(oleg, address, FILE, Origin="https://evil.example")).status_code == 403
    assert (await send(oleg, address, FILE, **{"Content-Type": "text/plain"})).status_code == 415
    assert (await company.ingest("GET", f"/v1/imports/{import_['id']}"))["offset"] == 0


async def test_agents_have_no_business_there(company: Company) -> None:
    visitor = await company.visitor().log_in("anna")
    for path in ("/imports", "/imports/new", f"/imports/{uuid4()}", f"/imports/{uuid4()}/errors.csv"):
        assert (await visitor.get(path)).status_code == 403
    await visitor.close()


async def test_what_is_not_there_is_not_found_and_an_outage_is_said(company: Company, ada: Visitor) -> None:
    assert (await ada.get(f"/imports/{uuid4()}")).status_code == 404
    assert (await ada.get("/imports/nonsense")).status_code == 404
    assert (await send(ada, "/imports/look?source=%2E%2E", FILE)).status_code == 404
    company.lines["ingest"].state.error = httpx.ConnectError("away")
    assert (await ada.get("/imports")).status_code == 503
    assert (await ada.get(f"/imports/{uuid4()}")).status_code == 503
