"""A form filled in is read as the mail that its templates would have made, whatever stands in the blanks."""

import base64
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
from services.notify.forms import _Body
from services.notify.letters import Addressed, Letters
from services.notify.links import ConfirmationLinks
from services.notify.mime import Mailbox, mail_bytes, stuffed, text_bytes

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)

AMessage = Callable[..., Addressed]

HOSTILE = st.one_of(
    st.text(max_size=80),
    st.text(st.sampled_from("<>&'\"{}%#\ue000\ue001 .=?\r\n\t\u2028абвЖ😀nameлgent"), max_size=40),
    st.sampled_from(
        ["{{ name }}", "\ue000name\ue001", "\ue000link\ue001", ".", "..\r\n.\r\n", "=?utf-8?b?PGI+?=", "я" * 300]
    ),
)
CHANGES: dict[str, st.SearchStrategy[Any]] = {
    "subject": HOSTILE,
    "about": st.none() | HOSTILE,
    "learned": HOSTILE,
    "changed": HOSTILE,
    "next_steps": st.none() | HOSTILE,
}
OUTSIDE = ("changes_for_customers", "changes_for_partners")
"""Who is not employed may unsubscribe."""
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
    "new_contact": {"agent": HOSTILE},
    "task_assigned": {"owner": st.none() | HOSTILE},
    "task_due": {"owner": HOSTILE, "overdue": st.booleans(), "as_owner": st.booleans()},
    "task_ended": {
        "owner": HOSTILE,
        "reason": st.none()
        | st.sampled_from(["not_ours", "not_possible", "not_needed", "duplicate", "other", "customer_erased"]),
    },
    "changes_for_customers": CHANGES | {"answered_at": st.none() | st.just("2026-02-21T09:00:00+00:00")},
    "changes_for_employees": CHANGES,
    "changes_for_partners": CHANGES,
    "thanks": {"agent": st.none() | HOSTILE},
    "callback": {"agent": HOSTILE, "reason": st.sampled_from(["agreed", "moved", "cancelled", "reminder", "missed"])},
    "callback_duty": {"reason": st.sampled_from(["agreed", "moved", "cancelled", "reminder", "missed"])},
    "digest": {
        "role": st.sampled_from(["agent", "manager"]),
        "parts": st.sampled_from([None, "team/north"]),
        "cases": st.none() | st.integers(0, 5_000),
        "cases_overdue": st.integers(0, 21),
    },
    "subscription_disabled": {"subscription": HOSTILE, "reason": st.sampled_from(["gone", "failing"])},
}


def link_to_stop(links: ConfirmationLinks, message: Addressed) -> str | None:
    """The address that takes one click, in mails that one may do without."""
    if message.kind == "digest":
        return links.digests.link(message.id)
    return links.unsubscribe.link(message.id) if message.kind in OUTSIDE else None


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
    letters: Letters, links: ConfirmationLinks, a_message: AMessage, members: dict[str, Any]
) -> None:
    message = a_message(**members)
    letter = letters.write(message, MONDAY)
    mail = letters.mail(message, MONDAY)
    assert stuffed(mail) == mail, "no line of it begins with a dot, and all end as they must"
    assert all(len(line) <= 78 for line in mail.split(b"\r\n") if not line.startswith((b"To: ", b" <")))
    mail.decode("ascii")

    slowly = mail_bytes(
        letter,
        sender=letters.sender,
        recipient=message.recipient,
        message_id=letters.message_id(message.id),
        date=MONDAY,
        unsubscribe=link_to_stop(links, message),
    )
    head, _, _ = mail.partition(b"\r\n\r\n")
    assert head == slowly.partition(b"\r\n\r\n")[0]
    # What a calendar reads stands in no template.
    filled_in, written = [part for part in read(mail) if part[0] != "text/calendar"], read(slowly)
    assert filled_in == written
    assert [kind for kind, _ in filled_in] == ["text/plain", "text/html"]
    assert [body.decode("utf-8", "replace") for _, body in filled_in] == [
        body.encode("utf-8", "replace").decode().replace("\n", "\r\n") for body in (letter.text, letter.html)
    ]


def read(mail: bytes) -> list[tuple[str, bytes]]:
    """Its parts, as somebody else's parser reads them."""
    message = email.message_from_bytes(mail, policy=policy.default)
    assert message.defects == []
    parts = []
    for part in message.iter_parts():
        body = part.get_payload(decode=True)
        assert isinstance(body, bytes)
        assert part.defects == []
        parts.append((part.get_content_type(), body))
    return parts


@given(
    pieces=st.lists(st.tuples(st.text(max_size=8), st.text("абc.\ue000", max_size=70)), max_size=6),
    end=st.text(max_size=80),
)
def test_pieces_of_any_length_are_encoded_together(pieces: list[tuple[str, str]], end: str) -> None:
    fixed = [text.replace("\ue000", "").replace("\ue001", "").replace("\r", "") for text, _ in pieces]
    end = end.replace("\ue000", "").replace("\ue001", "").replace("\r", "")
    names = ["abcdef"[number] for number in range(len(pieces))]
    marked = "".join(f"{text}\ue000{name}\ue001" for text, name in zip(fixed, names, strict=True)) + end
    values = {name: value.encode() for name, (_, value) in zip(names, pieces, strict=True)}
    body = _Body(marked).fill(values)
    whole = "".join(f"{text}{value}" for text, (_, value) in zip(fixed, pieces, strict=True)) + end
    assert base64.b64decode(body) == text_bytes(whole)
    assert all(0 < len(line) <= 76 for line in body.split(b"\r\n")[:-1])
    assert b"=" not in body.rstrip(b"=\r\n"), "nothing comes after the padding"


def test_what_is_said_to_one_is_not_said_to_the_next(letters: Letters, a_message: AMessage) -> None:
    first, second, third = (
        b"".join(
            body
            for _, body in read(
                letters.mail(a_message(recipient=Mailbox(name, "a@mail.example"), language="en"), MONDAY)
            )
        )
        for name in ("Anna", "", "Vera")
    )
    assert b"Anna" in first
    assert b"Anna" not in second + third
    assert b"Vera" in third


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
