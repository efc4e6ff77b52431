import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.message import EmailMessage
from email.mime.text import MIMEText
from pathlib import Path

import aiosmtplib
import httpx
import pytest
from aiosmtpd.smtp import SMTP

from deploy.local.mail import Mailbox
from deploy.local.mail_store import MailStore
from deploy.local.mail_web import create_app, preferred_language, with_links

LINK = "http://127.0.0.1:8004/c/abc?x=1&y=2"


def a_mail(*, subject: str = "Вопрос решён?", html: str | None = None) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Отклик <otklik@example.com>"
    message["To"] = "anna@example.com"
    message["Subject"] = subject
    message["Message-ID"] = "<one@example.com>"
    message.set_content(f"Здравствуйте, Анна!\nНажмите {LINK}.\n")
    if html is not None:
        message.add_alternative(html, subtype="html")
    return message


@pytest.fixture
def store(tmp_path: Path) -> MailStore:
    return MailStore(tmp_path / "mail")


@pytest.fixture
async def smtp_port(store: MailStore) -> AsyncIterator[int]:
    mailbox = Mailbox(store)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox, enable_SMTPUTF8=True, loop=loop), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture
async def browser(store: MailStore) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=create_app(store, hosts=["mailbox"]))
    async with httpx.AsyncClient(transport=transport, base_url="http://mailbox") as client:
        yield client


async def test_a_mail_sent_is_shown_as_json(smtp_port: int, browser: httpx.AsyncClient) -> None:
    await aiosmtplib.send(a_mail(), hostname="127.0.0.1", port=smtp_port)

    (shown,) = (await browser.get("/api/messages")).json()

    assert shown["from"] == "Отклик <otklik@example.com>"
    assert shown["to"] == ["anna@example.com"]
    assert shown["subject"] == "Вопрос решён?"
    assert shown["message_id"] == "<one@example.com>"
    assert LINK in shown["text"]


async def test_many_senders_at_once_lose_nothing(smtp_port: int, store: MailStore, tmp_path: Path) -> None:
    mails = [a_mail(subject=f"No. {number}") for number in range(20)]
    await asyncio.gather(*(aiosmtplib.send(mail, hostname="127.0.0.1", port=smtp_port) for mail in mails))

    again = MailStore(tmp_path / "mail")

    assert again.ids() == store.ids() == [f"{number:010d}" for number in range(1, 21)]
    subjects = {message.subject for identity in again.ids() if (message := again.message(identity))}
    assert subjects == {f"No. {number}" for number in range(20)}


async def test_only_messages_after_the_last_seen_one_are_asked_for(
    store: MailStore, browser: httpx.AsyncClient
) -> None:
    first, second = (
        store.keep(bytes(a_mail()), sender="", recipients=["a@b.c"], received_at=datetime.now(UTC)) for _ in "ab"
    )

    later = (await browser.get("/api/messages", params={"after": first})).json()

    assert [message["id"] for message in later] == [second]


async def test_a_message_is_shown_with_links_that_can_be_clicked(smtp_port: int, browser: httpx.AsyncClient) -> None:
    await aiosmtplib.send(a_mail(html="<p>Hello</p>"), hostname="127.0.0.1", port=smtp_port)

    listed = (await browser.get("/", headers={"accept-language": "ru,en;q=0.5"})).text
    shown = (await browser.get("/messages/0000000001")).text

    assert "Почтовый ящик" in listed
    assert "Вопрос решён?" in listed
    assert '<a href="http://127.0.0.1:8004/c/abc?x=1&amp;y=2"' in shown
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in shown


async def test_a_hostile_message_runs_nothing(smtp_port: int, browser: httpx.AsyncClient) -> None:
    hostile = "<script>alert(1)</script>"
    await aiosmtplib.send(a_mail(subject=hostile, html=hostile), hostname="127.0.0.1", port=smtp_port)

    page = (await browser.get("/messages/0000000001")).text
    framed = await browser.get("/messages/0000000001/html")

    assert "<script>alert" not in page
    assert "sandbox" in framed.headers["content-security-policy"]
    assert "default-src 'none'" in framed.headers["content-security-policy"]


async def test_a_mail_in_an_unknown_charset_is_shown_as_well_as_it_goes(
    store: MailStore, browser: httpx.AsyncClient
) -> None:
    content = MIMEText("plain words").as_bytes().replace(b"us-ascii", b"x-unheard-of")
    store.keep(content, sender="", recipients=["a@b.c"], received_at=datetime.now(UTC))

    (shown,) = (await browser.get("/api/messages")).json()

    assert shown["text"].strip() == "plain words"


@pytest.mark.parametrize("identity", ["0000000009", "..%2F..%2Fsecrets", "x"])
async def test_a_message_that_is_not_there_is_not_found(identity: str, browser: httpx.AsyncClient) -> None:
    for path in ("", "/html", "/raw"):
        assert (await browser.get(f"/messages/{identity}{path}")).status_code == 404


async def test_another_host_name_is_refused(browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/", headers={"host": "rebound.example"})).status_code == 400


def test_a_half_written_message_is_no_message(tmp_path: Path) -> None:
    (tmp_path / "0000000001.part").write_bytes(b"Subject: half")

    assert MailStore(tmp_path).ids() == []


def test_a_full_stop_after_a_link_is_not_part_of_it() -> None:
    assert with_links("see http://a/b. <i>") == (
        'see <a href="http://a/b" target="_blank" rel="noopener">http://a/b</a>. &lt;i&gt;'
    )


@pytest.mark.parametrize(
    ("header", "language"), [("ru-RU,ru;q=0.9,en;q=0.8", "ru"), ("de,en;q=0.8,ru;q=0.7", "en"), ("", "en")]
)
def test_the_reader_chooses_the_language(header: str, language: str) -> None:
    assert preferred_language(header) == language
