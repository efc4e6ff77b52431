"""A form filled in is the letter that its templates would have written, to the byte, whatever stands in the blanks."""

import email
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email import policy
from typing import Any, get_args
from uuid import UUID

from hypothesis import example, given, settings
from hypothesis import strategies as st
from itsdangerous import URLSafeSerializer

from libs.events.contracts.cases import Clock, EscalationReason
from libs.events.contracts.messages import MessageKind
from services.notify.domain.messages import MessageId
from services.notify.letters import Addressed, Letters, environment
from services.notify.links import ConfirmationLinks
from services.notify.mime import Letter, Mailbox, mail_bytes, stuffed

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
TEMPLATES = environment()

AMessage = Callable[..., Addressed]

HOSTILE = st.one_of(
    st.text(max_size=80),
    st.text(st.sampled_from("<>&'\"{}%#\ue000\ue001 .=?\r\n\t\u2028абвЖ😀nameлgent"), max_size=40),
    st.sampled_from(
        ["{{ name }}", "\ue000name\ue001", "\ue000link\ue001", ".", "..\r\n.\r\n", "=?utf-8?b?PGI+?=", "я" * 300]
    ),
)
FACTS: dict[MessageKind, dict[str, st.SearchStrategy[Any]]] = {
    "case_assigned": {"score": st.integers(0, 10), "taken_over": st.booleans()},
    "case_reopened": {"reason": st.sampled_from(["customer_not_satisfied", "by_hand"])},
    "case_escalated": {
        "reason": st.sampled_from([reason for reason in get_args(EscalationReason) if reason != "clock_breached"]),
        "owner": st.none() | HOSTILE,
    },
    "clock_warned": {"clock": st.sampled_from(get_args(Clock))},
    "clock_breached": {"clock": st.sampled_from(get_args(Clock)), "as_owner": st.booleans(), "owner": HOSTILE},
    "confirmation_request": {"agent": HOSTILE},
}


def written_by_templates(letters: Letters, message: Addressed) -> Letter:
    """The slow way: both templates rendered with the values themselves."""
    values = letters._values(message, MONDAY)
    text = TEMPLATES.get_template(f"{message.language}/{message.kind}.txt").render(values)
    subject, _, body = text.partition("\n")
    html = TEMPLATES.get_template(f"{message.language}/{message.kind}.html").render(values, subject=subject.strip())
    return Letter(subject=subject.strip(), text=body.strip("\n") + "\n", html=html, language=message.language)


@st.composite
def messages(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(get_args(MessageKind)))
    return {
        "kind": kind,
        "language": draw(st.sampled_from(["ru", "en"])),
        "recipient": Mailbox(draw(HOSTILE), "ivan@mail.example"),
        "case_id": draw(HOSTILE),
        "id": MessageId(draw(st.uuids())),
        "facts": {name: draw(strategy) for name, strategy in FACTS[kind].items()},
    }


@given(members=messages())
@settings(deadline=None)
def test_a_form_filled_in_is_what_the_templates_would_have_written(
    letters: Letters, a_message: AMessage, members: dict[str, Any]
) -> None:
    message = a_message(**members)
    expected = written_by_templates(letters, message)
    assert letters.write(message, MONDAY) == expected
    mail = letters.mail(message, MONDAY)
    assert mail == mail_bytes(
        expected,
        sender=letters.sender,
        recipient=message.recipient,
        message_id=letters.message_id(message.id),
        date=MONDAY,
    )

    # And it arrives so: through the line, and read by somebody else's parser.
    assert stuffed(mail) == mail, "no line of it begins with a dot, and all end as they must"
    arrived = email.message_from_bytes(mail, policy=policy.default)
    assert [part.get_content_type() for part in arrived.iter_parts()] == ["text/plain", "text/html"]
    for part, body in zip(arrived.iter_parts(), (expected.text, expected.html), strict=True):
        assert part.get_content().replace("\r\n", "\n").rstrip("\n") == body.rstrip("\n")


def test_what_is_said_to_one_is_not_said_to_the_next(letters: Letters, a_message: AMessage) -> None:
    first = letters.write(a_message(recipient=Mailbox("Anna", "anna@mail.example"), language="en"), MONDAY)
    second = letters.write(a_message(recipient=Mailbox("", "boris@mail.example"), language="en"), MONDAY)
    third = letters.write(a_message(recipient=Mailbox("Vera", "vera@mail.example"), language="en"), MONDAY)
    assert "Anna" in first.text
    assert "Anna" not in second.text + second.html + third.text + third.html
    assert "Vera" in third.html


def test_days_are_said_anew_when_the_year_or_the_zone_is_another(letters: Letters, a_message: AMessage) -> None:
    message = a_message(language="en", facts={"answered_at": (MONDAY - timedelta(days=9)).isoformat()})
    assert "21 February you" in letters.write(message, MONDAY).text.replace("\n", " ")
    assert "21 February 2026 you" in letters.write(message, MONDAY + timedelta(days=366)).text.replace("\n", " ")


@given(id_=st.uuids())
@example(id_=UUID("6f1d3f5e-9c1b-4c57-9f57-0a4c1c3f2b11"))
def test_a_token_is_read_by_what_has_always_read_tokens(links: ConfirmationLinks, id_: UUID) -> None:
    token = links.token(MessageId(id_))
    assert links.read(token) == id_
    assert URLSafeSerializer.loads(links._serializer, token) == id_.hex
    assert links.read(links._serializer.dumps(id_.hex)) == id_, "links that are out there already"
