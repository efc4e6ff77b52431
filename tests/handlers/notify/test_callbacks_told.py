"""Callbacks: customer and caller get invitations and reminders and are told what was missed; the customer chooses."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from icalendar import Calendar

from libs.events import inbox
from libs.events.contracts.cases import (
    CaseAssigned,
    CaseCallbackAgreed,
    CaseCallbackCancelled,
    CaseCallbackMissed,
    CaseCallbackMoved,
    CaseContacted,
    Employee,
)
from libs.events.database import Database
from libs.events.event import Contract, Event
from services.notify.api import build_app
from services.notify.callback_handlers import callbacks_handler, handle_erasures, remind
from services.notify.casework import Casework
from services.notify.domain.messages import MessageId
from services.notify.links import ConfirmationLinks
from services.notify.mime import Mailbox
from tests.handlers.notify.mail_trap import MailTrap, said
from tests.handlers.notify.post import Post
from tests.handlers.notify.world import Clock, World

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
AT = MONDAY + timedelta(hours=6)
CASE = UUID("5b0de3f4-2a34-4b6e-8a2b-7d3f5e9a1c22")
CALLBACK = UUID("0f3a4f0e-6f0e-4b1c-9d3a-52c4d6f0b7a1")
ANNA = Employee(employee_id="e-anna", name="Анна Петрова", email="anna@company.example", language="ru")
BORIS = Employee(employee_id="e-boris", name="Борис Ким", email="boris@company.example", language="ru")
MARIA = Employee(employee_id="e-maria", name="Maria Gray", email="maria@company.example", language="en")
HANDED: dict[str, Any] = {
    "previous_owner_id": "e-anna", "reason": "handed_over", "tier": "key", "score": 3,
    "first_contact_due_at": MONDAY + timedelta(hours=48),
}  # fmt: skip
WAIT = timedelta(minutes=15)

Tell = Callable[..., Coroutine[None, None, None]]


@pytest.fixture
def tell(world: World) -> Tell:
    """What casework says about the callback, as the consumer takes it."""
    handle = callbacks_handler(profile_wait=WAIT, offers=True)

    async def deliver(contract: type[Contract], version: int, **changes: object) -> None:
        members: dict[str, Any] = {
            "case_id": str(CASE),
            "customer_id": "c-1",
            "version": version,
            "callback_id": str(CALLBACK),
            "at": AT,
            "channel": "phone",
            "owner": ANNA,
            **changes,
        }
        known = set(contract.__struct_fields__)
        payload = contract(**{name: value for name, value in members.items() if name in known})
        event: Event[Any] = world.event(payload, str(CASE), f"{contract.TYPE}/{version}")
        async with world.database.transaction() as tx:
            if await inbox.mark(tx, "notify.callbacks", [(event.id, event.id)]):
                await handle(tx, [event])

    return deliver


def invitations(trap: MailTrap, address: str) -> list[tuple[str, Any]]:
    """Method and event of the calendars that came with mails to an address, in their order."""
    found = []
    for envelope, mail in zip(trap.envelopes, trap.mails, strict=True):
        for part in mail.walk():
            if part.get_content_type() == "text/calendar" and envelope.rcpt_tos[0] == address:
                calendar = Calendar.from_ical(str(part.get_content()))
                assert part.get_param("method") == calendar["method"]
                (event,) = calendar.walk("VEVENT")
                found.append((str(calendar["method"]), event))
    return found


async def test_an_invitation_is_updated_and_cancelled_under_one_uid_for_both(
    world: World, tell: Tell, post: Post, trap: MailTrap
) -> None:
    await world.customers(world.profile())
    await tell(CaseCallbackAgreed, 4)
    await tell(CaseCallbackAgreed, 4)
    await post.rest()
    later = AT + timedelta(hours=1)
    await tell(CaseCallbackMoved, 5, at=later, moved_from=AT, moves=1, reason="customer_asked")
    await post.rest()
    await tell(CaseCallbackCancelled, 6, at=later, reason="customer_asked")
    await post.rest()
    for address in ("c-1@mail.example", ANNA.email):
        seen = invitations(trap, address)
        assert [method for method, _ in seen] == ["REQUEST", "REQUEST", "CANCEL"]
        events = [event for _, event in seen]
        assert len({str(event["uid"]) for event in events}) == 1
        assert [int(event["sequence"]) for event in events] == [0, 1, 2]
        assert [event["dtstart"].dt for event in events] == [AT, later, later]
        assert str(events[0]["attendee"]) == f"mailto:{address}"
        assert str(events[0]["organizer"]) == "mailto:care@romashka.example"
    assert len(trap.mails) == 6


async def test_after_a_hand_over_the_old_owner_s_calendar_loses_the_call_and_the_new_one_s_has_it(
    world: World, tell: Tell, post: Post, trap: MailTrap, clock: Clock
) -> None:
    await world.customers(world.profile())
    await tell(CaseCallbackAgreed, 4)
    await post.rest()
    await tell(CaseAssigned, 5, owner=BORIS, **HANDED)
    await tell(CaseAssigned, 5, owner=BORIS, **HANDED)
    await tell(CaseAssigned, 3, owner=MARIA, **HANDED)
    await post.rest()
    later = AT + timedelta(hours=1)
    await tell(CaseCallbackMoved, 6, at=later, owner=BORIS, moved_from=AT, moves=1, reason="customer_asked")
    await post.rest()
    expected = {
        ANNA.email: [("REQUEST", 0), ("CANCEL", 1)],
        BORIS.email: [("REQUEST", 1), ("REQUEST", 2)],
        "c-1@mail.example": [("REQUEST", 0), ("REQUEST", 1), ("REQUEST", 2)],
    }
    uids = set()
    for address, calendar in expected.items():
        seen = invitations(trap, address)
        assert [(method, int(event["sequence"])) for method, event in seen] == calendar
        uids |= {str(event["uid"]) for _, event in seen}
    assert len(uids) == 1
    mails = {
        (envelope.rcpt_tos[0], str(mail["Subject"])) for envelope, mail in zip(trap.envelopes, trap.mails, strict=True)
    }
    assert any(to == "c-1@mail.example" and "Борис Ким" in subject for to, subject in mails)
    assert any(to == ANNA.email and "Звонить не нужно" in subject for to, subject in mails)
    clock.now = later - timedelta(hours=2)
    trap.forget()
    await remind(world.database, WAIT)
    await post.rest()
    assert sorted(envelope.rcpt_tos[0] for envelope in trap.envelopes) == [BORIS.email, "c-1@mail.example"]


async def test_what_was_agreed_and_handed_over_in_one_batch_is_told_once_and_to_the_new_owner(
    world: World, post: Post, trap: MailTrap
) -> None:
    handle = callbacks_handler(profile_wait=WAIT, offers=True)
    await world.customers(world.profile())
    agreed = CaseCallbackAgreed(
        case_id=str(CASE), customer_id="c-1", version=4, callback_id=str(CALLBACK), at=AT, channel="phone", owner=ANNA
    )
    assigned = CaseAssigned(case_id=str(CASE), customer_id="c-1", version=5, owner=BORIS, **HANDED)
    async with world.database.transaction() as tx:
        await handle(tx, [world.event(agreed, str(CASE)), world.event(assigned, str(CASE))])
    await post.rest()
    assert sorted(envelope.rcpt_tos[0] for envelope in trap.envelopes) == [BORIS.email, "c-1@mail.example"]
    # A callback that is settled is nobody's any more.
    await world.cases(world.closed(str(CASE)))
    over = CaseCallbackCancelled(
        case_id=str(CASE), customer_id="c-1", version=6, callback_id=str(CALLBACK), at=AT, channel="phone", owner=BORIS,
        reason="other",
    )  # fmt: skip
    back = CaseAssigned(case_id=str(CASE), customer_id="c-1", version=7, owner=ANNA, **HANDED)
    async with world.database.transaction() as tx:
        await handle(tx, [world.event(over, str(CASE)), world.event(back, str(CASE))])
    trap.forget()
    await post.rest()
    assert [method for method, _ in invitations(trap, BORIS.email)] == ["CANCEL"]
    assert invitations(trap, ANNA.email) == []


async def test_what_holds_no_longer_is_not_sent_after_what_does(
    world: World, tell: Tell, post: Post, trap: MailTrap
) -> None:
    await world.customers(world.profile())
    await tell(CaseCallbackAgreed, 4)
    await tell(CaseCallbackMoved, 5, at=AT + timedelta(hours=1), moved_from=AT, moves=1, reason="other")
    # Late, and older than what is known.
    await tell(CaseCallbackMissed, 3, responsible=None)
    await post.rest()
    assert [event["dtstart"].dt for _, event in invitations(trap, ANNA.email)] == [AT + timedelta(hours=1)]
    assert sorted(row.status for row in await world.rows()) == ["sent", "sent", "suppressed", "suppressed"]


async def test_both_are_reminded_once_for_each_time_and_told_what_was_missed(
    world: World, tell: Tell, post: Post, trap: MailTrap, clock: Clock
) -> None:
    await world.customers(world.profile())
    await tell(CaseCallbackAgreed, 4)
    await post.rest()
    assert await remind(world.database, WAIT) is False
    clock.now = AT - timedelta(hours=2)
    await asyncio.gather(remind(world.database, WAIT), remind(world.database, WAIT))
    await remind(world.database, WAIT)
    await post.rest()
    subjects = [str(mail["Subject"]) for mail in trap.mails]
    assert sum("скоро позвоним" in subject for subject in subjects) == 1
    assert sum("Скоро звонок" in subject for subject in subjects) == 1
    clock.now = AT + timedelta(minutes=20)
    await tell(CaseCallbackMissed, 5, responsible=None)
    await post.rest()
    to_customer = next(mail for mail in trap.mails if "Простите" in str(mail["Subject"]))
    assert f"/b/{world_links().bookings.token(MessageId(CASE))}" in said(to_customer)
    assert len(trap.mails) == 6


async def test_after_an_attempt_that_reached_nobody_the_customer_is_asked_once_when_it_suits(
    world: World, tell: Tell, post: Post, trap: MailTrap
) -> None:
    await world.customers(world.profile())
    for version, outcome in ((2, "wrong_number"), (3, "no_answer"), (4, "voicemail")):
        await tell(CaseContacted, version, attempt_id="a", agent_id="e-anna", outcome=outcome, first_reached=False)
    await post.rest()
    (mail,) = trap.mails
    assert "удобно поговорить" in str(mail["Subject"])
    assert invitations(trap, "c-1@mail.example") == []


async def test_an_erased_customer_is_written_nothing_and_forgotten(
    world: World, tell: Tell, post: Post, trap: MailTrap, clock: Clock
) -> None:
    await world.customers(world.profile())
    await tell(CaseCallbackAgreed, 4)
    await post.rest()
    erased = world.erasure()
    await world.customers(erased)
    async with world.database.transaction() as tx:
        await handle_erasures(tx, [erased])
    await tell(CaseCallbackCancelled, 5, reason="customer_erased")
    clock.now = AT - timedelta(hours=1)
    await remind(world.database, WAIT)
    await post.rest()
    to = [envelope.rcpt_tos[0] for envelope in trap.envelopes]
    assert to.count("c-1@mail.example") == 1
    assert to.count(ANNA.email) == 2


def world_links() -> ConfirmationLinks:
    return ConfirmationLinks("https://otklik.example", ["the present secret, thirty-two characters"])


class FakeCasework:
    """Casework as its API answers; one case."""

    def __init__(self) -> None:
        self.agreed: datetime | None = None
        self.free = [MONDAY + timedelta(hours=hours) for hours in (2, 3, 26)]
        self.is_running = True
        self.away = False
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("away")
        self.asked.append(f"{request.method} {request.url.path.removeprefix(f'/v1/cases/{CASE}')}")
        if str(CASE) not in request.url.path:
            return httpx.Response(404)
        if request.method == "GET":
            callback = None if self.agreed is None else {"id": str(CALLBACK), "at": self.agreed.isoformat()}
            return httpx.Response(
                200,
                json={
                    "case_id": str(CASE),
                    "customer_id": "c-1",
                    "owner_name": "Анна Петрова",
                    "is_running": self.is_running,
                    "zone": "Europe/Moscow",
                    "callback": callback,
                    "slots": [each.isoformat() for each in self.free],
                },
            )
        if request.url.path.endswith("/cancel"):
            self.agreed = None
            return httpx.Response(200, json={})
        at = datetime.fromisoformat(httpx.Response(200, content=request.content).json()["at"])
        if at not in self.free:
            return httpx.Response(409, json={"type": "urn:otklik:problem:case-slot-taken"})
        self.agreed = at
        return httpx.Response(200, json={})


@pytest.fixture
def casework() -> FakeCasework:
    return FakeCasework()


@pytest.fixture
async def browser(database: Database, casework: FakeCasework) -> AsyncIterator[httpx.AsyncClient]:
    client = Casework("http://casework.test", "otk_key", transport=httpx.MockTransport(casework))
    sender = Mailbox("Ромашка", "care@romashka.example")
    app = build_app(database, links=world_links(), sender=sender, time_zone="Europe/Moscow", casework=client)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://notify.test") as browser:
        yield browser
    await client.close()


def path(case_id: UUID = CASE) -> str:
    return f"/b/{world_links().bookings.token(MessageId(case_id))}"


async def test_the_customer_chooses_moves_and_cancels_and_a_look_changes_nothing(
    browser: httpx.AsyncClient, casework: FakeCasework, world: World
) -> None:
    await world.customers(world.profile())
    page = await browser.get(path())
    assert page.status_code == 200
    assert casework.asked == ["GET /slots"]
    # On the customer's clock, three hours ahead.
    assert re.findall(r'class="slot"[^>]*>([0-9:]+)<', page.text) == ["14:00", "15:00", "14:00"]
    assert "Понедельник, 2 марта" in page.text
    assert "script" not in page.text
    first, second = (each.isoformat() for each in casework.free[:2])
    chosen = await browser.post(path(), data={"at": first})
    assert (chosen.status_code, chosen.headers["location"]) == (303, "?o=done")
    assert "Мы Вам позвоним" in (await browser.get(path())).text
    await browser.post(path(), data={"at": second})
    assert casework.agreed == casework.free[1]
    english = await browser.get(path(), params={"lang": "en"})
    assert "We will call you" in english.text
    assert "Monday, 2 March, 15:00" in english.text
    cancelled = await browser.post(path(), data={"cancel": str(CALLBACK)})
    assert cancelled.status_code == 303
    assert casework.agreed is None


async def test_what_somebody_else_took_meanwhile_is_said_and_nothing_is_agreed(
    browser: httpx.AsyncClient, casework: FakeCasework
) -> None:
    late = (MONDAY + timedelta(hours=9)).isoformat()
    taken = await browser.post(path(), data={"at": late}, follow_redirects=True)
    assert "только что заняли" in taken.text
    assert casework.agreed is None
    for nonsense in ("", "tomorrow", "2026-03-02T09:00:00"):
        answer = await browser.post(path(), data={"at": nonsense})
        assert answer.headers["location"] == "?o=choose"


async def test_links_that_are_not_ours_and_casework_that_is_away_are_explained_kindly(
    browser: httpx.AsyncClient, casework: FakeCasework
) -> None:
    assert (await browser.get(path(uuid4()))).status_code == 404
    confirmation = world_links().token(MessageId(CASE))
    for token in (confirmation, "nonsense", path()[3:-2]):
        assert (await browser.get(f"/b/{token}")).status_code == 404
    casework.is_running, casework.free = False, []
    assert "Звонок уже не нужен" in (await browser.get(path())).text
    casework.away = True
    away = await browser.get(path())
    assert (away.status_code, away.headers["content-type"]) == (503, "text/html; charset=utf-8")
    assert (await browser.post(path(), data={"at": MONDAY.isoformat()})).status_code == 503
