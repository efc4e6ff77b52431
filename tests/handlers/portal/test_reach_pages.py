"""Rules of messages, addresses that are not written to and lists of people: over plain forms and the real notify."""

import html
import re

import httpx

from tests.portal_company import Company
from tests.portal_visitor import Visitor, text_of


def filled(page: str) -> dict[str, str | list[str]]:
    """What the form of the rules begins with, as a browser would send it."""
    form = page[page.index('action="/message-rules/edit"') :]
    fields: dict[str, str | list[str]] = {
        name: html.unescape(value)
        for name, value in re.findall(r'<input id="[^"]+" name="([^"]+)" value="([^"]*)"', form)
    }
    for name, options in re.findall(r'<select id="[^"]+" name="([^"]+)">(.*?)</select>', form):
        fields[name] = next(iter(re.findall(r'value="([^"]+)" selected', options)), "")
    for name, value in re.findall(r'<input type="checkbox" name="([^"]+)" value="([^"]+)" checked', form):
        ticked = fields.setdefault(name, [])
        assert isinstance(ticked, list)
        ticked.append(value)
    return fields


async def sent(visitor: Visitor, path: str, fields: dict[str, str | list[str]]) -> httpx.Response:
    """Send a form with boxes, of which several may be ticked."""
    hidden = dict(re.findall(r'<input type="hidden" name="([a-z_]+)" value="([^"]+)">', visitor.page.text))
    headers = {"Origin": "http://portal"}
    visitor.page = await visitor.http.post(path, data=hidden | fields, headers=headers, follow_redirects=True)
    return visitor.page


async def test_executives_set_the_rules_and_managers_read_them(
    company: Company, viktor: Visitor, olga: Visitor
) -> None:
    usual = text_of(await olga.get("/message-rules"))
    assert "Это обычные правила" in usual
    assert "чат → почта" in usual.lower() or "чат → " in usual.lower()
    assert 'href="/message-rules/edit"' not in olga.page.text
    assert (await olga.get("/message-rules/edit")).status_code == 403

    await viktor.get("/message-rules/edit")
    fields = filled(viktor.page.text)
    stale = dict(fields)
    wrong = await sent(viktor, "/message-rules/edit", fields | {"quiet_1_start": "23:00", "patience_hours": "never"})
    assert wrong.status_code == 422
    for name in ("patience_hours", "quiet_1_end"):
        assert re.search(rf'name="{name}"[^>]*aria-invalid="true"', wrong.text)
    added: dict[str, str | list[str]] = {
        "cap_1_messages": "1",
        "cap_1_days": "7",
        "cap_1_purposes": ["news"],
        "patience_hours": "48",
    }
    page = await sent(viktor, "/message-rules/edit", fields | added)
    shown = text_of(page)
    assert "The rules are in force." in shown
    assert "Set by Victor Gromov" in shown
    assert "1 message within 7 days" in shown
    assert "6 messages within 30 days" in shown

    await viktor.get("/message-rules/edit")
    refused = await sent(viktor, "/message-rules/edit", stale | {"version": "0"})
    assert refused.status_code == 412
    company.lines["notify"].state.error = httpx.ConnectError("away")
    assert (await olga.get("/message-rules")).status_code == 503


async def test_an_address_is_listed_found_and_lifted_with_a_reason(company: Company, olga: Visitor) -> None:
    await olga.get("/suppressions")
    wrong = await olga.post("/suppressions", {"medium": "email", "address": "maria@example.org", "reason": "listed"})
    assert wrong.status_code == 422
    assert 'value="maria@example.org"' in wrong.text
    entry = {"medium": "email", "address": "maria@example.org", "reason": "complained", "why": "Позвонила и попросила"}
    listed = await olga.post("/suppressions", entry)
    assert "Внесено." in text_of(listed)
    assert "Позвонила и попросила" in listed.text
    assert "Ольга Лебедева" in text_of(listed)
    assert "maria@example.org" not in listed.text
    again = await olga.post("/suppressions", entry)
    assert again.status_code == 409
    found = await olga.post("/suppressions/find", {"medium": "email", "address": "Maria@example.org"})
    assert "1 запись об этом адресе" in text_of(found)
    unknown = await olga.post("/suppressions/find", {"medium": "email", "address": "nobody@example.org"})
    assert "0 записей об этом адресе" in text_of(unknown)

    await olga.get("/suppressions")
    (lift,) = set(re.findall(r'action="(/suppressions/[0-9a-f-]{36}/lift)"', olga.page.text))
    assert (await olga.post(lift, {"why": ""})).status_code == 422
    lifted = await olga.post(lift, {"why": "Передумала"})
    assert "Снято." in text_of(lifted)
    assert "Передумала" not in lifted.text
    assert "Передумала" in (await olga.get("/suppressions?removed=yes")).text
    company.lines["notify"].state.error = httpx.ConnectError("away")
    assert (await olga.get("/suppressions")).status_code == 503


async def test_a_list_is_made_and_filled_from_a_file_and_by_hand(company: Company, olga: Visitor) -> None:
    await olga.get("/lists")
    assert (await olga.post("/lists", {"name": "", "side": "partners"})).status_code == 422
    made = await olga.post("/lists", {"name": "Партнёры юга", "side": "partners"})
    assert "Список заведён." in text_of(made)
    address = made.url.path

    bad = await olga.post(f"{address}/members", {"people": "Елена; elena@example.org\nПётр; где-то"})
    assert bad.status_code == 422
    assert "Строка 2: это не адрес почты." in text_of(bad)
    assert "где-то" in bad.text
    filled_in = await olga.post(f"{address}/members", {"people": "Елена; elena@example.org\nJohn; j@example.org; en"})
    assert "Они в списке." in text_of(filled_in)
    assert "2 человека" in text_of(filled_in)

    hidden = dict(re.findall(r'<input type="hidden" name="([a-z_]+)" value="([^"]+)">', olga.page.text))
    file = {"file": ("partners.csv", "почта;имя\nivan@example.org;Иван\n".encode("cp1251"), "text/csv")}
    headers = {"Origin": "http://portal"}
    fields = {"form_token": hidden["form_token"], "command_id": "01890000-0000-7000-8000-000000000001", "anew": "yes"}
    page = await olga.http.post(f"{address}/file", data=fields, files=file, headers=headers, follow_redirects=True)
    assert "1 человек" in text_of(page)
    assert "Иван" in page.text
    assert "Елена" not in page.text
    empty = {"file": ("nothing.csv", b"", "text/csv")}
    refused = await olga.http.post(f"{address}/file", data=fields, files=empty, headers=headers)
    assert refused.status_code == 422

    await olga.get(address)
    assert "Переименовано." in text_of(await olga.post(f"{address}/name", {"name": "Партнёры"}))
    assert "Пока никого" in text_of(await olga.post(f"{address}/remove", {"member": "ivan@example.org"}))
    assert (await olga.post(f"{address}/delete", {})).status_code == 422
    assert "Список удалён." in text_of(await olga.post(f"{address}/delete", {"sure": "yes"}))
    assert (await olga.get(address)).status_code == 404
    company.lines["notify"].state.error = httpx.ConnectError("away")
    assert (await olga.get("/lists")).status_code == 503
