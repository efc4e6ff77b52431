"""Every kind of mail in both languages: what it must say, what it must not, and how it goes over the line."""

import email
import re
from collections.abc import Callable
from datetime import UTC, datetime
from email import policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr
from html.parser import HTMLParser
from itertools import product
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError
from jinja2.exceptions import SecurityError

from libs.events.contracts.cases import Clock, EscalationReason
from libs.events.contracts.messages import MessageKind
from libs.events.contracts.scores import Tier
from services.notify.letters import Addressed, Letters, environment
from services.notify.links import ConfirmationLinks
from services.notify.mime import Letter, Mailbox, mail_bytes, stuffed
from services.notify.samples import SAMPLES

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
ESCALATIONS = [reason for reason in get_args(EscalationReason) if reason != "clock_breached"]
MESSAGE_ID = "<6f1d3f5e9c1b4c579f570a4c1c3f2b11@romashka.example>"

AMessage = Callable[..., Addressed]

CHANGES: tuple[MessageKind, ...] = ("changes_for_customers", "changes_for_employees", "changes_for_partners")
VARIANTS: list[tuple[MessageKind, dict[str, Any]]] = [
    *(("case_assigned", {"tier": tier, "taken_over": taken}) for tier, taken in product(get_args(Tier), (True, False))),
    *(("case_reopened", {"reason": reason}) for reason in ("customer_not_satisfied", "by_hand")),
    *(("case_escalated", {"reason": reason}) for reason in ESCALATIONS),
    ("case_escalated", {"owner": None}),
    *(("clock_warned", {"clock": clock}) for clock in get_args(Clock)),
    *(("clock_breached", {"clock": clock, "as_owner": own}) for clock, own in product(get_args(Clock), (True, False))),
    ("confirmation_request", {}),
    ("new_contact", {}),
    ("new_contact", {"answered_at": None}),
    ("thanks", {}),
    ("thanks", {"agent": None}),
    ("task_assigned", {}),
    ("task_assigned", {"owner": None}),
    *(("task_due", {"overdue": late, "as_owner": own}) for late, own in ((False, True), (True, True), (True, False))),
    *(("task_ended", {"reason": reason}) for reason in (None, "not_ours", "not_possible", "not_needed", "duplicate")),
    *(("task_ended", {"reason": reason}) for reason in ("other", "customer_erased")),
    ("callback", {"reason": "offer", "agent": None, "at": None}),
    *(("callback", {"reason": told}) for told in ("agreed", "moved", "cancelled", "reminder", "missed")),
    *(("callback_duty", {"reason": told}) for told in ("agreed", "moved", "cancelled", "reminder", "missed")),
    *(("subscription_disabled", {"reason": reason}) for reason in ("gone", "failing")),
    *((kind, said) for kind, said in product(CHANGES, ({}, {"about": None, "next_steps": None}))),
    ("changes_for_customers", {"answered_at": None}),
    *(("digest", dict(facts)) for facts in SAMPLES["digest"]),
]


class Outline(HTMLParser):
    """The links and the visible text of a page, and whether each tag was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.open: list[str] = []
        self.broken: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links.append(dict(attrs)["href"] or "")
        if tag not in ("meta", "br", "link", "path", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.broken.append(tag)


def parsed(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert message.defects == []
    return message


def test_every_kind_has_its_variants_here() -> None:
    assert {kind for kind, _ in VARIANTS} == set(get_args(MessageKind))


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize(("kind", "facts"), VARIANTS)
def test_every_kind_says_its_thing_in_text_and_html(
    letters: Letters, a_message: AMessage, kind: MessageKind, facts: dict[str, Any], language: str
) -> None:
    letter = letters.write(a_message(kind, language=language, facts=facts), MONDAY)
    assert letter.subject
    assert "\n" not in letter.subject
    for body in (letter.text, letter.html):
        assert "Иван Иванов" in body
        assert "None" not in body
        assert "{{" not in body
        assert "{%" not in body
        words = re.sub(r"<style>.*?</style>|<[^>]*>|https?://\S+|&#?\w+;", "", body, flags=re.DOTALL)
        russian = len(re.findall("[а-яё]", words, re.IGNORECASE))
        latin = len(re.findall("[a-z]", words, re.IGNORECASE))
        assert (russian > latin) == (language == "ru")
    assert max(len(line) for line in letter.text.splitlines() if "http" not in line) <= 100
    assert "\n\n\n" not in letter.text

    outline = Outline()
    outline.feed(letter.html)
    assert outline.broken == []
    assert outline.open == []
    clear = {link for link in outline.links if "/u/" not in link}
    assert len(clear) == 1, "one clear link"
    assert all(link in letter.text for link in outline.links)
    assert "<script" not in letter.html
    assert f'lang="{language}"' in letter.html
    assert "src=" not in letter.html, "nothing is loaded from elsewhere, nobody is tracked"


def test_a_customer_reads_who_what_when_and_what_happens_without_an_answer(
    letters: Letters, a_message: AMessage, links: ConfirmationLinks
) -> None:
    message = a_message()
    letter = letters.write(message, MONDAY)
    assert "21 февраля Вы ответили на наш опрос" in letter.text
    assert "Анна Петрова" in letter.text
    assert "9 марта мы закроем" in letter.text.replace("\n", " ")
    assert links.link(message.id) in letter.text
    for word in ("оценк", "балл", "из 10", "рекоменд"):
        assert word not in letter.text.lower(), "nobody begs for a score"


@pytest.mark.parametrize("language", ["ru", "en"])
def test_each_reason_of_an_escalation_is_said_in_its_own_words(
    letters: Letters, a_message: AMessage, language: str
) -> None:
    said = [
        letters.write(a_message("case_escalated", language=language, facts={"reason": reason}), MONDAY)
        for reason in ESCALATIONS
    ]
    assert len({letter.text for letter in said}) == len({letter.html for letter in said}) == len(ESCALATIONS)
    assert all("Анна Петрова" in body for letter in said for body in (letter.text, letter.html))


def test_an_owner_reads_whether_the_customer_or_a_person_reopened_the_case(
    letters: Letters, a_message: AMessage
) -> None:
    def subject(reason: str) -> str:
        return letters.write(a_message("case_reopened", facts={"reason": reason}), MONDAY).subject

    assert subject("customer_not_satisfied") == "Вопрос не решён: обращение снова открыто"
    assert subject("by_hand") == "Обращение снова открыто"


def test_a_date_of_another_year_is_said_with_its_year(letters: Letters, a_message: AMessage) -> None:
    facts = {"answered_at": "2025-12-30T10:00:00+00:00"}
    assert "30 декабря 2025 года Вы" in letters.write(a_message(facts=facts), MONDAY).text
    assert "On 30 December 2025 you" in letters.write(a_message(facts=facts, language="en"), MONDAY).text


def test_a_customers_days_are_those_of_their_zone(letters: Letters, a_message: AMessage) -> None:
    facts = {"answered_at": "2026-02-20T22:00:00+00:00"}
    assert "21 февраля" in letters.write(a_message(facts=facts, time_zone="Asia/Vladivostok"), MONDAY).text
    assert "20 февраля" in letters.write(a_message(facts=facts, time_zone="America/New_York"), MONDAY).text
    assert "21 февраля" in letters.write(a_message(facts=facts, time_zone="No/Where"), MONDAY).text


def test_the_link_to_a_case_keeps_any_id_in_its_place(letters: Letters, a_message: AMessage) -> None:
    assert "https://portal.example/cases/case%2F1\n" in letters.write(a_message("case_assigned"), MONDAY).text


def test_names_are_text_and_not_markup(letters: Letters, a_message: AMessage) -> None:
    message = a_message(
        recipient=Mailbox("<b>Ivan</b>", "ivan@mail.example"), facts={"agent": "{{ 7 * 7 }}<script>alert(1)</script>"}
    )
    letter = letters.write(message, MONDAY)
    assert "<b>Ivan" not in letter.html
    assert "<script" not in letter.html
    assert "&lt;b&gt;Ivan&lt;/b&gt;" in letter.html
    assert "{{ 7 * 7 }}<script>alert(1)</script>" in letter.text


def test_templates_reach_nothing_beyond_their_values() -> None:
    templates = environment()
    with pytest.raises(SecurityError):
        templates.from_string("{{ ''.__class__.__mro__[1].__subclasses__() }}").render()
    with pytest.raises(UndefinedError):
        templates.from_string("{{ nothing }}").render()


@pytest.mark.parametrize("language", ["ru", "en"])
def test_the_mail_arrives_as_it_was_written(letters: Letters, a_message: AMessage, language: str) -> None:
    message = a_message(language=language)
    letter = letters.write(message, MONDAY)
    content = letters.mail(message, MONDAY)
    assert all(len(line) <= 78 for line in content.split(b"\r\n"))
    assert b"\n" not in content.replace(b"\r\n", b"")
    content.decode("ascii")

    mail = parsed(content)
    assert mail["From"] == "Ромашка <care@romashka.example>"
    assert mail["To"] == "Иван Иванов <ivan@mail.example>"
    assert mail["Subject"] == letter.subject
    assert mail["Message-ID"] == MESSAGE_ID
    assert mail["Date"].datetime == MONDAY
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Content-Language"] == language
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    for kind, body in (("plain", letter.text), ("html", letter.html)):
        part = mail.get_body((kind,))
        assert part is not None
        assert part.get_content().replace("\r\n", "\n").rstrip("\n") == body.rstrip("\n")


TEXT = st.text(max_size=200)


@given(subject=TEXT, name=TEXT, text=TEXT)
def test_nothing_that_people_are_called_starts_another_header(subject: str, name: str, text: str) -> None:
    content = mail_bytes(
        Letter(subject=subject, text=text, html=text, language="ru"),
        sender=Mailbox("Ромашка", "care@romashka.example"),
        recipient=Mailbox(name, "ivan@mail.example"),
        message_id=MESSAGE_ID,
        date=MONDAY,
    )
    mail = parsed(content)
    assert mail.keys() == [
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "X-Auto-Response-Suppress",
        "Content-Language",
        "MIME-Version",
        "Content-Type",
    ]
    assert [address.addr_spec for address in mail["To"].addresses] == ["ivan@mail.example"]
    assert len(list(mail.iter_parts())) == 2
    assert all(len(line) <= 998 for line in content.split(b"\r\n"))


@given(name=st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp", "Zs")), min_size=1, max_size=60))
def test_a_name_arrives_as_it_is(name: str) -> None:
    content = mail_bytes(
        Letter(subject=name, text="", html="", language="ru"),
        sender=Mailbox("X", "care@romashka.example"),
        recipient=Mailbox(name, "ivan@mail.example"),
        message_id=MESSAGE_ID,
        date=MONDAY,
    )
    assert parsed(content)["Subject"] == name
    # The modern parser puts a space between the two encoded words of a long name (RFC 2047 says none); this one reads
    # them rightly.
    raw = email.message_from_bytes(content)["To"]
    shown, address = parseaddr(raw)
    assert str(make_header(decode_header(shown))) == name
    assert address == "ivan@mail.example"


@given(st.lists(st.sampled_from([b".", b"..", b"a", b"\r\n", b"\n", b"\r", b".\r\n"]), max_size=12))
def test_no_content_ends_the_mail_before_its_last_dot(pieces: list[bytes]) -> None:
    content = b"".join(pieces)
    sent = stuffed(content)
    assert sent.endswith(b"\r\n")
    lines = sent.split(b"\r\n")[:-1]
    assert b"." not in lines
    assert b"\r" not in b"".join(lines)
    assert b"\n" not in b"".join(lines)
    unstuffed = [line[1:] if line.startswith(b".") else line for line in lines]
    plain = re.sub(rb"\r\n|\r|\n", b"\n", content)
    assert b"\n".join(unstuffed) == plain.removesuffix(b"\n")
