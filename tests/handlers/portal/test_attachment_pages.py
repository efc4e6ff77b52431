"""Files of a case in the portal: passed on to the real casework while they come, and handed back to be saved."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.portal_company import Company
from tests.portal_first_day import LARGEST_FILE
from tests.portal_server import until
from tests.portal_visitor import Visitor, text_of

PDF = b"%PDF-1.7\n" + b"0123456789abcdef" * 4_000


async def test_a_file_is_attached_saved_and_taken_away_with_a_reason(company: Company, irina: Visitor) -> None:
    case_id = await company.unhappy()
    address = f"/cases/{case_id}"
    assert "До 200 кБ" in text_of(await irina.get(address))

    await irina.send(f"{address}/attachments", "Договор № 5 «Ромашка».pdf", PDF, "application/pdf")

    shown = text_of(irina.page)
    assert "Файл приложен." in shown
    assert "Договор № 5 «Ромашка».pdf 64 кБ · Ирина Соколова" in shown
    assert "Приложен файл" in shown
    found = re.search(r'href="(/attachments/[0-9a-f-]+)"', irina.page.text)
    assert found is not None
    page = irina.page
    saved = await irina.get(found[1])
    assert saved.content == PDF
    told = ("content-type", "content-length", "x-content-type-options", "content-security-policy")
    assert [saved.headers[name] for name in told] == [
        "application/pdf",
        str(len(PDF)),
        "nosniff",
        "sandbox; default-src 'none'",
    ]
    assert saved.headers["content-disposition"].startswith("attachment; filename*=UTF-8''%D0%94")

    irina.page = page
    away = re.search(rf'action="({address}/attachments/[0-9a-f-]+)"', page.text)
    assert away is not None
    refused = await irina.post(away[1], {"reason": ""})
    assert refused.status_code == 422
    assert "Укажите, почему файл нужно убрать." in refused.text
    shown = text_of(await irina.post(away[1], {"reason": "wrong_file"}))
    assert "Файл убран. В ходе дела видно, что он был." in shown
    assert "приложили не тот файл" in shown
    assert found[1] not in irina.page.text
    assert (await irina.get(found[1])).status_code == 404


async def test_what_is_not_kept_is_refused_in_the_readers_language(company: Company, irina: Visitor) -> None:
    case_id = await company.unhappy()
    address = f"/cases/{case_id}"
    for name, content, status, told in (
        ("virus.pdf", b"MZ" + bytes(9_000), 415, "смотрим не на имя, а на содержимое"),
        ("huge.pdf", PDF * 3 + bytes(LARGEST_FILE), 413, "Файл слишком большой: можно до 200 кБ."),
        ("", b"", 422, "Файл не выбран."),
        ("empty.txt", b"", 415, "Такой файл приложить нельзя"),
    ):
        await irina.get(address)
        refused = await irina.send(f"{address}/attachments", name, content)
        assert (refused.status_code, told in text_of(refused)) == (status, True), name
    for number in range(3):
        await irina.get(address)
        await irina.send(f"{address}/attachments", f"{number}.txt", f"Слово клиента {number}".encode())
    assert "У обращения уже столько файлов, сколько можно." in text_of(irina.page)
    one_more = await irina.send(f"{address}/attachments", "4.txt", b"One more")
    assert one_more.status_code == 409
    listed = await company.casework("GET", f"/v1{address}/attachments")
    assert [each["name"] for each in listed["items"]] == ["0.txt", "1.txt", "2.txt"]
    english = await irina.get(f"{address}?lang=en")
    assert "As many files as possible" not in english.text
    assert re.search(r"Remove<span", english.text)


def form_of(visitor: Visitor, name: str = "a.pdf") -> tuple[bytes, bytes]:
    """What a browser sends before a file and after it."""
    fields = re.findall(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)">', visitor.page.text)
    head = "".join(
        f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields
    )
    file = f'--edge\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: a/b\r\n\r\n'
    return (head + file).encode(), b"\r\n--edge--\r\n"


MULTIPART = {"Content-Type": "multipart/form-data; boundary=edge", "Origin": "http://portal"}


async def test_a_file_is_passed_on_while_it_still_comes(company: Company, irina: Visitor) -> None:
    case_id = await company.unhappy()
    path = f"/cases/{case_id}/attachments"
    await irina.get(f"/cases/{case_id}")
    head, tail = form_of(irina)

    async def slowly() -> AsyncIterator[bytes]:
        yield head + PDF[:1_000]
        await until(lambda: any(each.method == "POST" for each in company.lines["casework"].state.seen))
        yield PDF[1_000:]
        yield tail

    company.lines["casework"].state.seen.clear()
    answer = await irina.http.post(path, content=slowly(), headers=MULTIPART)

    assert answer.headers["location"] == f"/cases/{case_id}?done=attached#files"
    (kept,) = (await company.casework("GET", f"/v1{path}"))["items"]
    assert (kept["name"], kept["size"], kept["media_type"]) == ("a.pdf", len(PDF), "application/pdf")


async def test_a_file_without_an_end_is_passed_on_no_further_than_casework_would_read(
    company: Company, irina: Visitor
) -> None:
    case_id = await company.unhappy()
    await irina.get(f"/cases/{case_id}")
    head, _ = form_of(irina)
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield head + PDF
        while sent < 50 * LARGEST_FILE:
            sent += 10_000
            yield bytes(10_000)

    answer = await irina.http.post(f"/cases/{case_id}/attachments", content=endless(), headers=MULTIPART)

    assert answer.status_code == 413
    assert sent <= LARGEST_FILE


@pytest.mark.parametrize(
    ("spoil", "status"),
    [
        ("token", 403),
        ("origin", 403),
        ("kind", 415),
        ("boundary", 415),
        ("broken", 400),
        ("nonsense", 400),
        ("bytes", 400),
    ],
)
async def test_what_no_page_of_ours_sent_whole_is_refused_and_nothing_kept(
    company: Company, irina: Visitor, spoil: str, status: int
) -> None:
    case_id = await company.unhappy()
    await irina.get(f"/cases/{case_id}")
    head, tail = form_of(irina)
    headers = dict(MULTIPART)
    body = head + PDF + tail
    match spoil:
        case "token":
            body = re.sub(rb"[0-9a-f]{64}", b"0" * 64, head) + PDF + tail
        case "origin":
            headers["Origin"] = "https://elsewhere.example.org"
        case "kind":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        case "boundary":
            headers["Content-Type"] = "multipart/form-data"
        case "broken":
            body = head + PDF
        case "nonsense":
            body = b"--edge\r\nContent-Disposition form-data\r\n\r\n" + body
        case _:
            body = b'--edge\r\nContent-Disposition: form-data; name="note"\r\n\r\n\xff\r\n' + body
    refused = await irina.http.post(f"/cases/{case_id}/attachments", content=body, headers=headers)
    assert refused.status_code == status
    assert (await company.casework("GET", f"/v1/cases/{case_id}/attachments"))["items"] == []


async def test_a_file_is_not_taken_away_over_a_change_that_nobody_has_seen(company: Company, irina: Visitor) -> None:
    case_id = await company.unhappy()
    address = f"/cases/{case_id}"
    await irina.get(address)
    await irina.send(f"{address}/attachments", "a.pdf", PDF)
    away = re.search(rf'action="({address}/attachments/[0-9a-f-]+)"', irina.page.text)
    assert away is not None
    await company.casework("POST", f"/v1{address}/notes", json={"text": "Он важен"})
    refused = await irina.post(away[1], {"reason": "duplicate"})
    assert refused.status_code == 412
    assert "обращение изменили" in text_of(refused)
    await irina.post(away[1], {"reason": "duplicate"})
    assert "Файл убран." in text_of(irina.page)


async def test_when_casework_is_away_a_file_is_not_lost_silently(company: Company, irina: Visitor) -> None:
    case_id = await company.unhappy()
    await irina.get(f"/cases/{case_id}")
    company.lines["casework"].state.error = httpx.ConnectError("refused")
    assert (await irina.send(f"/cases/{case_id}/attachments", "a.pdf", PDF)).status_code == 503
    assert (await irina.get(f"/attachments/{case_id}")).status_code == 503
