"""Whether, when and over which channel: the rules of contact, and addresses."""

from datetime import UTC, datetime, time, timedelta
from typing import Any, get_args
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.contracts.messages import MessageKind
from services.notify.domain.contacts import (
    PURPOSES,
    Cap,
    Held,
    QuietHours,
    Reach,
    Rules,
    Waits,
    Way,
    capped_until,
    quiet_until,
    wait_or_hold,
    way,
)
from services.notify.domain.mailboxes import verdict
from services.notify.domain.messages import Profile, phone_mark

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
MAIL: Any = frozenset({"email"})
ALL: Any = frozenset({"email", "sms", "chat"})
NIGHT = QuietHours(channels=("email",), purposes=("courtesy",), start=time(21), end=time(9))
ZONES = st.sampled_from(
    [ZoneInfo(name) for name in ("Europe/Moscow", "America/New_York", "Asia/Kathmandu", "Europe/London")]
)


def a_profile(**changes: Any) -> Profile:  # noqa: ANN401
    members: dict[str, Any] = {"email": "a@mail.example", "phone": "+7 900 000-00-00", "email_consent": True}
    return Profile(
        customer_id="c-1", version=1, name="A", language="ru", time_zone="Europe/Moscow", **(members | changes)
    )


def test_every_kind_has_its_purpose_and_the_rules_survive_the_database() -> None:
    assert PURPOSES.keys() == set(get_args(MessageKind))
    assert msgspec.json.decode(msgspec.json.encode(Rules()), type=Rules) == Rules()


@pytest.mark.parametrize(
    ("reach", "decided"),
    [
        (Reach(profile=a_profile()), Way("email")),
        (Reach(profile=None), Held("no_profile")),
        (Reach(profile=a_profile(email=None)), Held("no_address")),
        (Reach(profile=a_profile(email_consent=False)), Held("no_consent")),
        (Reach(profile=a_profile(), email_listed="undeliverable"), Held("undeliverable")),
        (Reach(profile=a_profile(), choices={"email/courtesy": False}), Held("unsubscribed")),
        (Reach(profile=a_profile(), choices={"email/news": False}), Way("email")),
    ],
)
def test_why_a_customer_is_not_written_to(reach: Reach, decided: Way | Held) -> None:
    assert way("thanks", reach, Rules(), MAIL) == decided


def test_the_next_channel_is_used_where_the_first_may_not_be() -> None:
    rules = Rules(channels={"courtesy": ("sms", "email")})
    assert way("thanks", Reach(profile=a_profile()), rules, ALL) == Way("email"), "for an SMS one asks first"
    assert way("thanks", Reach(profile=a_profile(), choices={"sms/courtesy": True}), rules, ALL) == Way("sms")
    assert way("thanks", Reach(profile=a_profile(phone=None), choices={"sms/courtesy": True}), rules, ALL) == Way(
        "email"
    )
    listed = Reach(profile=a_profile(), choices={"sms/courtesy": True}, phone_listed="listed")
    assert way("thanks", listed, rules, ALL) == Way("email")
    assert way("thanks", Reach(profile=a_profile(email=None)), rules, ALL) == Held("no_consent")


def test_an_employee_is_told_in_chat_where_they_have_one_and_by_mail_else() -> None:
    employee = Reach(profile=None, address="anna@company.example", is_employee=True)
    assert way("case_assigned", employee, Rules(), ALL) == Way("email")
    with_chat = Reach(profile=None, address=None, is_employee=True, has_chat=True)
    assert way("case_assigned", with_chat, Rules(), ALL) == Way("chat")
    assert way("case_assigned", with_chat, Rules(), MAIL) == Held("no_address")


def test_quiet_hours_end_in_the_morning_where_the_customer_lives() -> None:
    rules = Rules(quiet_hours=(NIGHT,))
    where = ZoneInfo("Europe/Moscow")
    evening = datetime(2026, 3, 2, 19, tzinfo=UTC)  # 22:00 in Moscow
    assert quiet_until("thanks", "email", rules, now=evening, where=where) == datetime(2026, 3, 3, 6, tzinfo=UTC)
    assert quiet_until("thanks", "email", rules, now=MONDAY, where=where) is None
    assert quiet_until("confirmation_request", "email", rules, now=evening, where=where) is None
    assert quiet_until("thanks", "email", rules, now=evening, where=ZoneInfo("America/New_York")) is None


@given(
    now=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001 - zoned there
    where=ZONES,
    start=st.times(),
    end=st.times(),
)
def test_quiet_hours_end_after_now_within_a_day_and_are_over_then(
    now: datetime, where: ZoneInfo, start: time, end: time
) -> None:
    hours = QuietHours(channels=("email",), purposes=("courtesy",), start=start.replace(second=0, microsecond=0),
                       end=end.replace(second=0, microsecond=0))  # fmt: skip
    until = hours.until(now, where)
    if until is None:
        return
    assert now < until <= now + timedelta(hours=25)
    if hours.start != hours.end:
        later = until.astimezone(where)
        assert later.time() >= hours.end or later.time() < hours.start or hours.until(until, where) != until


@given(
    ages=st.lists(st.integers(0, 60 * 24), max_size=12),
    messages=st.integers(1, 5),
    days=st.integers(1, 40),
)
def test_a_cap_lets_the_next_go_as_soon_as_there_is_room_and_never_before(
    ages: list[int], messages: int, days: int
) -> None:
    rules = Rules(caps=(Cap(purposes=("courtesy",), messages=messages, days=days),))
    sent: list[Any] = [("thanks", MONDAY - timedelta(hours=age)) for age in ages]
    sent.append(("case_assigned", MONDAY))

    def lately(now: datetime) -> int:
        return sum(kind == "thanks" and now - timedelta(days=days) < at for kind, at in sent)

    until = capped_until("thanks", sent, rules, now=MONDAY)
    if until is None:
        assert lately(MONDAY) < messages
    else:
        assert lately(MONDAY) >= messages
        assert lately(until) < messages
        assert lately(until - timedelta(microseconds=1)) >= messages


def test_what_would_wait_too_long_is_held_back_for_good() -> None:
    rules = Rules(patience_hours=10)
    soon, late = MONDAY + timedelta(hours=10), MONDAY + timedelta(hours=11)
    assert wait_or_hold("quiet_hours", soon, "email", rules, created_at=MONDAY) == Waits("quiet_hours", soon, "email")
    assert wait_or_hold("quiet_hours", late, "email", rules, created_at=MONDAY) == Held("too_late")
    assert wait_or_hold("frequency", late, "email", rules, created_at=MONDAY) == Held("frequency")


@pytest.mark.parametrize(
    ("address", "problem", "known_as"),
    [
        ("anna.petrova+news@mail.example", None, "anna.petrova+news@mail.example"),
        ("otklik@localhost", None, "otklik@localhost"),
        ("анна@почта.рф", None, "анна@xn--80a1acny.xn--p1ai"),
        ("nobody", "no_at", None),
        ("@mail.example", "mailbox", None),
        ("a b@mail.example", "mailbox", None),
        (".anna@mail.example", "mailbox", None),
        ("anna..p@mail.example", "mailbox", None),
        ("anna\r\nBcc: x@mail.example", "mailbox", None),
        ("anna@", "domain", None),
        ("anna@-mail.example", "domain", None),
        ("anna@mail..example", "domain", None),
        ("anna@mail_1.example", "domain", None),
        ("a" * 65 + "@mail.example", "too_long", None),
        ("anna@" + ".".join(["a" * 60] * 5), "domain", None),
    ],
)
def test_what_can_be_an_address(address: str, problem: str | None, known_as: str | None) -> None:
    found = verdict(address)
    assert (found.problem, found.ascii) == (problem, known_as)


@given(st.text())
def test_any_text_has_a_verdict(text: str) -> None:
    found = verdict(text)
    assert (found.problem is None) == (found.ascii is not None)


def test_a_phone_has_one_mark_however_it_is_written() -> None:
    assert phone_mark("+7 (900) 000-00-00") == phone_mark("79000000000") != phone_mark("79000000001")
