"""Mails that come back, as servers of several kinds write them; and anything else, which reports nothing."""

from email.message import EmailMessage, Message
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.notify.domain.returns import Report, named, of_status, refused_for_good, reports

ID = UUID("6f1d3f5e-9c1b-4c57-9f57-0a4c1c3f2b11")
MESSAGE_ID = f"<{ID.hex}@romashka.example>"


def a_report(*blocks: dict[str, str], kind: str = "delivery-status", headers_only: bool = False) -> bytes:
    """A report as RFC 3462 has it: words, fields, and the mail or its head."""
    report = MIMEMultipart("report")
    report.set_param("report-type", kind)
    report["From"] = "MAILER-DAEMON@mail.example"
    report.attach(MIMEText("Это письмо не дошло.", "plain", "utf-8"))
    fields = Message()
    fields["Content-Type"] = f"message/{kind}"
    if kind == "delivery-status":
        parts: list[Message | str] = []
        for block in ({"Reporting-MTA": "dns; mail.example"}, *blocks):
            part = Message()
            for name, value in block.items():
                part[name] = value
            parts.append(part)
        fields.set_payload(parts)
    else:
        fields.set_payload("".join(f"{name}: {value}\n" for block in blocks for name, value in block.items()))
    report.attach(fields)
    original = EmailMessage()
    original["Message-ID"] = MESSAGE_ID
    original["To"] = "anna@mail.example"
    original.set_content("Здравствуйте!")
    if headers_only:
        report.attach(MIMEText(f"To: anna@mail.example\nMessage-ID: {MESSAGE_ID}\n", "rfc822-headers"))
    else:
        report.attach(MIMEMessage(original))
    return report.as_bytes()


@pytest.mark.parametrize("headers_only", [True, False])
@pytest.mark.parametrize(
    ("action", "status", "diagnostic", "bounce", "code"),
    [
        ("failed", "5.1.1", "smtp; 550 5.1.1 no such user", "hard", "5.1.1"),
        ("failed", "5.1.10", "", "hard", "5.1.10"),
        ("failed", "5.2.1", "", "hard", "5.2.1"),
        ("Failed", "5.2.2", "smtp; 552 5.2.2 mailbox full", "soft", "5.2.2"),
        ("failed", "5.7.1", "smtp; 554 5.7.1 looks like spam", "soft", "5.7.1"),
        ("failed", "4.4.7", "", "soft", "4.4.7"),
        ("failed", "5.0.0", "smtp; 550 5.1.1 unknown", "hard", "5.1.1"),
        ("failed", "5.0.0", "smtp; 550 no", "soft", "5.0.0"),
    ],
)
def test_what_a_failure_means(
    action: str, status: str, diagnostic: str, bounce: str, code: str, *, headers_only: bool
) -> None:
    block = {"Final-Recipient": "rfc822; anna@mail.example", "Action": action, "Status": status}
    told = reports(a_report(block | ({"Diagnostic-Code": diagnostic} if diagnostic else {}), headers_only=headers_only))
    assert told == [Report(ID, bounce, code)]  # type: ignore[arg-type]  # a member of Bounce, and of MessageId


@pytest.mark.parametrize(("action", "status"), [("delayed", "4.4.1"), ("delivered", "2.0.0"), ("relayed", "2.0.0")])
def test_what_is_still_under_way_or_arrived_is_no_bounce(action: str, status: str) -> None:
    assert reports(a_report({"Final-Recipient": "rfc822; a@b.example", "Action": action, "Status": status})) == []


@pytest.mark.parametrize("headers_only", [True, False])
def test_a_complaint_is_read(*, headers_only: bool) -> None:
    fields = {"Feedback-Type": "abuse", "User-Agent": "Provider/1", "Version": "1"}
    told = reports(a_report(fields, kind="feedback-report", headers_only=headers_only))
    assert [(report.message_id, report.bounce, report.code) for report in told] == [(ID, "complaint", "abuse")]
    assert reports(a_report(fields | {"Feedback-Type": "not-spam"}, kind="feedback-report")) == []


def test_a_mail_that_is_no_report_and_a_report_about_others_say_nothing() -> None:
    answer = EmailMessage()
    answer["In-Reply-To"] = MESSAGE_ID
    answer.set_content("5.1.1 Action: failed")
    assert reports(answer.as_bytes()) == []
    block = {"Final-Recipient": "rfc822; a@b.example", "Action": "failed", "Status": "5.1.1"}
    assert reports(a_report(block).replace(MESSAGE_ID.encode(), b"<somebody@else.example>")) == []


@given(st.binary(max_size=400), st.integers(0, 3000), st.binary(max_size=20))
@settings(deadline=None)
def test_any_bytes_are_read_without_an_error(raw: bytes, place: int, broken: bytes) -> None:
    assert reports(raw) == []
    whole = a_report({"Final-Recipient": "rfc822; a@b.example", "Action": "failed", "Status": "5.1.1"})
    told = reports(whole[:place] + broken + whole[place + len(broken) :])
    assert all(report.bounce in ("hard", "soft") for report in told)


def test_only_codes_about_the_address_condemn_it() -> None:
    assert [of_status(code) for code in ("5.1.1", "5.2.2", "4.2.2", "2.0.0", "nothing")] == [
        "hard",
        "soft",
        "soft",
        None,
        None,
    ]
    assert refused_for_good("550 5.1.1 <address> unknown") == "5.1.1"
    assert refused_for_good("550 5.7.1 policy") is None
    assert refused_for_good("550 no such user") is None, "without a code nobody is condemned"


def test_a_provider_may_name_a_message_in_any_of_its_forms() -> None:
    assert [named(each) for each in (MESSAGE_ID, MESSAGE_ID.strip("<>"), str(ID), ID.hex, " x ")] == [ID] * 4 + [None]
