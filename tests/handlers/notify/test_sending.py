"""Sending over a real mail server: what it may answer at each stage, and what that means for the message."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Row, TextClause, text

from libs.events.database import Database
from libs.events.errors import Unavailable
from services.notify.clients import MailServerAway
from services.notify.domain.messages import Entry
from services.notify.domain.outcomes import RETRY
from services.notify.letters import Addressed
from tests.handlers.notify.mail_trap import MailTrap, said
from tests.handlers.notify.post import Post
from tests.handlers.notify.world import Clock, World


@pytest.fixture(autouse=True, params=[True, False], ids=["pipelined", "one by one"])
def commands(trap: MailTrap, request: pytest.FixtureRequest) -> None:
    """Each server takes commands in one go, or one after the other; what it answers means the same."""
    trap.pipelines = request.param


async def test_the_owners_mail_says_what_by_when_and_where(world: World, post: Post, trap: MailTrap) -> None:
    await world.cases(world.assigned(previous_owner_id="e-other"))
    await post.rest()

    (mail,) = trap.mails
    (envelope,) = trap.envelopes
    row = await world.row()
    assert (envelope.mail_from, envelope.rcpt_tos) == ("care@romashka.example", ["anna@company.example"])
    assert mail["From"] == "Ромашка <care@romashka.example>"
    assert mail["To"] == "Анна Петрова <anna@company.example>"
    assert mail["Subject"] == "Обращение ждёт Вас: свяжитесь с клиентом до 4 марта, 12:00"
    assert mail["Message-ID"] == f"<{row.id.hex}@romashka.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Content-Language"] == "ru"
    assert mail["Date"].datetime == world.database.clock()
    plain = said(mail)
    assert "3 из 10" in plain
    assert "среда, 4 марта, 12:00 (GMT+3)" in plain
    assert "https://portal.example/cases/case-1" in plain
    assert "перешло к Вам от коллеги" in plain
    assert "https://portal.example/cases/case-1" in said(mail, "html")

    assert (row.status, row.attempt, row.failures) == ("sent", 1, 0)
    assert await world.published_types() == ["message.queued", "message.sent"]


async def test_each_reads_a_breach_in_their_own_language(world: World, post: Post, trap: MailTrap) -> None:
    await world.cases(world.breached())
    await post.rest()
    subjects = {
        envelope.rcpt_tos[0]: mail["Subject"] for envelope, mail in zip(trap.envelopes, trap.mails, strict=True)
    }
    assert subjects == {
        "anna@company.example": "Срок первого звонка истёк",
        "mary@company.example": "The first call is overdue",
    }


async def test_each_reads_of_a_no_in_their_own_language(world: World, post: Post, trap: MailTrap) -> None:
    await world.cases(world.reopened(reason="customer_not_satisfied"), world.escalated())
    await post.rest()
    mails = {envelope.rcpt_tos[0]: mail for envelope, mail in zip(trap.envelopes, trap.mails, strict=True)}
    assert {address: mail["Subject"] for address, mail in mails.items()} == {
        "anna@company.example": "Вопрос не решён: обращение снова открыто",
        "mary@company.example": "Not solved: the case went up to you",
    }
    for mail in mails.values():
        assert "https://portal.example/cases/case-1" in said(mail)
    assert "Owner: Анна Петрова" in said(mails["mary@company.example"])


async def test_a_customer_is_asked_in_the_language_of_the_profile_at_the_moment_of_sending(
    world: World, post: Post, trap: MailTrap
) -> None:
    await world.customers(world.profile())
    await world.cases(world.resolved())
    await world.customers(world.profile(language="en", email="new@mail.example", name="John Doe"))
    await post.rest()
    (mail,) = trap.mails
    assert mail["To"] == "John Doe <new@mail.example>"
    assert mail["Subject"] == "Is it really solved?"
    assert "https://otklik.example/c/" in said(mail)


async def test_a_consent_withdrawn_before_sending_holds_the_message_back(
    world: World, post: Post, trap: MailTrap
) -> None:
    await world.customers(world.profile())
    await world.cases(world.resolved())
    await world.customers(world.profile(email_consent=False))
    await post.rest()
    assert await world.statuses() == [("customer:c-1", "suppressed", "no_consent")]
    assert await world.published_types() == ["message.queued", "message.suppressed"]
    assert trap.mails == []


async def test_many_mails_go_out_once_each_over_few_connections(world: World, post: Post, trap: MailTrap) -> None:
    await world.cases(*(world.assigned(f"case-{number}") for number in range(150)))
    await post.rest()
    assert len(trap.mails) == 150
    assert len({str(mail["Message-ID"]) for mail in trap.mails}) == 150
    assert trap.sessions <= 4
    assert {row.status for row in await world.rows()} == {"sent"}


@pytest.mark.parametrize("stage", ["RCPT", "DATA", "dot"])
@pytest.mark.parametrize("answer", ["450 4.2.1 busy", "451 4.3.0 later", "452 4.2.2 full"])
async def test_a_server_that_says_later_is_asked_later(
    world: World, post: Post, trap: MailTrap, clock: Clock, stage: str, answer: str
) -> None:
    trap.tell(stage, answer)
    await world.cases(world.assigned())
    await post.rest()
    row = await world.row()
    assert (row.status, row.failures, row.reason) == ("queued", 1, answer)
    assert timedelta(seconds=5) <= row.due_at - clock.now <= timedelta(seconds=10)
    assert trap.mails == []

    clock.move(timedelta(seconds=10))
    await post.rest()
    assert (await world.row()).status == "sent"
    assert len(trap.mails) == 1
    assert trap.sessions == 1  # the connection is good for the next mail


@pytest.mark.parametrize("stage", ["RCPT", "DATA", "dot"])
async def test_a_server_that_closes_is_asked_later_over_another_connection(
    world: World, post: Post, trap: MailTrap, clock: Clock, stage: str
) -> None:
    trap.tell(stage, "421 4.3.2 closing")
    await world.cases(world.assigned())
    await post.rest()
    assert (await world.row()).status == "queued"
    clock.move(timedelta(minutes=1))
    await post.rest()
    assert (await world.row()).status == "sent"
    assert len(trap.mails) == 1


async def test_a_server_that_always_says_later_is_given_up(
    world: World, post: Post, trap: MailTrap, clock: Clock
) -> None:
    assert RETRY.attempts == 20
    trap.tell("RCPT", *["451 4.3.0 later"] * 20)
    await world.cases(world.assigned())
    for _ in range(20):
        await post.rest()
        clock.move(timedelta(hours=1))
    row = await world.row()
    assert (row.status, row.reason) == ("failed", "given up after 20 attempts: 451 4.3.0 later")
    (_, failed) = await world.published()
    assert (failed.type, failed.payload.doubtful) == ("message.failed.v1", False)
    assert clock.now - row.created_at < timedelta(days=1)


@pytest.mark.parametrize("stage", ["RCPT", "DATA", "dot"])
@pytest.mark.parametrize("code", [550, 552, 554])
async def test_a_refusal_for_good_fails_at_once_and_tells_no_address(
    world: World, post: Post, trap: MailTrap, stage: str, code: int
) -> None:
    trap.tell(stage, f"{code} 5.1.1 <anna@company.example>: no such user anna (see help@company.example)")
    await world.cases(world.assigned())
    await post.rest()
    row = await world.row()
    assert row.status == "failed"
    assert row.reason.startswith(f"{code} 5.1.1 ")
    assert "anna" not in row.reason
    assert "@" not in row.reason
    (_, failed) = await world.published()
    assert (failed.type, failed.payload.reason, failed.payload.doubtful) == ("message.failed.v1", row.reason, False)
    assert trap.mails == []


@pytest.mark.parametrize("stage", ["EHLO", "RCPT", "DATA"])
@pytest.mark.parametrize("fault", ["cut", "hang"])
async def test_a_line_that_dies_before_the_last_dot_costs_nothing(
    world: World, post: Post, trap: MailTrap, clock: Clock, stage: str, fault: str
) -> None:
    trap.tell(stage, fault)
    await world.cases(world.assigned())
    try:
        await post.rest()
    except MailServerAway:
        assert stage == "EHLO"
    row = await world.row()
    assert row.status == "queued"
    clock.move(timedelta(seconds=10))
    await post.rest()
    assert (await world.row()).status == "sent"
    assert len(trap.mails) == 1


@pytest.mark.parametrize("fault", ["cut", "421 4.4.2 idle for too long"])
async def test_a_connection_that_the_server_closed_while_idle_costs_no_attempt(
    world: World, post: Post, trap: MailTrap, fault: str
) -> None:
    await world.cases(world.assigned("case-1"))
    await post.rest()
    trap.tell("MAIL", fault)
    await world.cases(world.assigned("case-2"))
    await post.rest()
    assert [(row.status, row.failures) for row in await world.rows()] == [("sent", 0), ("sent", 0)]
    assert len(trap.mails) == 2


@pytest.mark.parametrize("fault", ["cut", "hang", "keep, then cut", "keep, then hang"])
async def test_silence_after_the_last_dot_is_a_doubt_and_never_a_second_mail(
    world: World, post: Post, trap: MailTrap, clock: Clock, fault: str
) -> None:
    trap.tell("dot", fault)
    await world.cases(world.assigned())
    await post.rest()
    row = await world.row()
    assert row.status == "doubtful"
    assert row.reason.endswith("after the last dot")
    (_, failed) = await world.published()
    assert (failed.type, failed.payload.doubtful) == ("message.failed.v1", True)

    for _ in range(30):
        clock.move(timedelta(days=1))
        await post.attendant.recovery()
        await post.rest()
    assert (await world.row()).status == "doubtful"
    assert len(trap.mails) == ("keep" in fault)


async def test_one_mail_that_hangs_delays_no_other(world: World, post: Post, trap: MailTrap) -> None:
    trap.tell("dot", "hang")
    await world.cases(*(world.assigned(f"case-{number}") for number in range(40)))
    await post.until(lambda: len(trap.mails) == 39)
    statuses = [row.status for row in await world.rows()]
    assert statuses.count("transmitting") >= 1
    await post.rest()
    assert sorted({row.status for row in await world.rows()}) == ["doubtful", "sent"]


async def test_a_server_that_is_away_fails_nothing_and_is_waited_for(world: World, post: Post, trap: MailTrap) -> None:
    await trap.stop()
    await world.cases(world.assigned())
    for _ in range(3):
        with pytest.raises(Unavailable):
            await post.sender.step()
    row = await world.row()
    assert (row.status, row.attempt, row.failures) == ("queued", 0, 0)

    await trap.start()
    await post.rest()
    assert (await world.row()).status == "sent"


@pytest.mark.parametrize("stage", ["greeting", "EHLO"])
async def test_a_server_that_turns_everybody_away_is_waited_for(
    world: World, post: Post, trap: MailTrap, stage: str
) -> None:
    trap.tell(stage, "421 4.3.2 not now")
    await world.cases(world.assigned())
    with pytest.raises(MailServerAway):
        await post.sender.step()
    assert [(row.status, row.failures) for row in await world.rows()] == [("queued", 0)]
    await post.rest()
    assert (await world.row()).status == "sent"


async def test_a_server_that_refuses_our_sender_fails_no_message(world: World, post: Post, trap: MailTrap) -> None:
    await world.cases(*(world.assigned(f"case-{number}") for number in range(30)))
    trap.tell("MAIL", *["550 5.7.1 who are you"] * 60)
    refusals = 0
    for _ in range(6):
        try:
            await post.sender.step()
        except MailServerAway:
            refusals += 1
    assert refusals >= 5
    await post.until(lambda: not post.sender._in_flight or trap.script.get("MAIL") == [])
    trap.script.clear()
    await finish(post)
    assert {(row.status, row.failures) for row in await world.rows()} == {("sent", 0)}
    assert len(trap.mails) == 30


async def test_while_we_are_refused_only_one_message_at_a_time_is_tried(
    world: World, post: Post, trap: MailTrap
) -> None:
    await world.cases(*(world.assigned(f"case-{number}") for number in range(30)))
    trap.tell("MAIL", *["550 5.7.1 who are you"] * 60)
    with pytest.raises(MailServerAway):
        await post.sender.step()
    while post.sender._in_flight:
        await asyncio.wait(post.sender._in_flight)
        post.sender._in_flight = {task for task in post.sender._in_flight if not task.done()}
    tried = trap.stages.count("MAIL")
    for _ in range(3):
        with pytest.raises(MailServerAway):
            await post.sender.step()
    assert trap.stages.count("MAIL") == tried + 3


async def test_an_address_beyond_ascii_is_written_to(world: World, post: Post, trap: MailTrap) -> None:
    await world.customers(world.profile(email="иван@почта.рф"))
    await world.cases(world.resolved())
    await post.rest()
    (envelope,) = trap.envelopes
    assert envelope.rcpt_tos == ["иван@xn--80a1acny.xn--p1ai"]
    assert (await world.row()).status == "sent"


async def test_a_domain_beyond_ascii_is_written_as_mail_servers_know_it(
    world: World, post: Post, trap: MailTrap
) -> None:
    await world.customers(world.profile(email="ivan@почта.рф"))
    await world.cases(world.resolved())
    await post.rest()
    (envelope,) = trap.envelopes
    assert envelope.rcpt_tos == ["ivan@xn--80a1acny.xn--p1ai"]


async def test_a_message_erased_in_the_last_moment_is_broken_off_before_its_last_dot(
    world: World, post: Post, trap: MailTrap
) -> None:
    await world.customers(world.profile())
    await world.cases(world.resolved())
    mark = post.journal.before_last_dot

    async def erase_first(entry: Entry) -> bool:
        await world.customers(world.erasure())
        allowed: bool = await mark(entry)
        return allowed

    post.journal.before_last_dot = erase_first  # type: ignore[method-assign]  # in the last moment
    await post.rest()
    assert await world.statuses() == [("customer:c-1", "suppressed", "erased")]
    assert trap.mails == []


async def test_a_case_reopened_in_the_last_moment_stops_the_question(world: World, post: Post, trap: MailTrap) -> None:
    await world.customers(world.profile())
    await world.cases(world.resolved())
    mark = post.journal.before_last_dot
    reopened = world.reopened()

    async def reopen_first(entry: Entry) -> bool:
        await world.cases(reopened)
        allowed: bool = await mark(entry)
        return allowed

    post.journal.before_last_dot = reopen_first  # type: ignore[method-assign]  # in the last moment
    await post.rest()
    assert await world.statuses_of_questions() == [("customer:c-1", "suppressed", "outdated")]
    assert [envelope.rcpt_tos for envelope in trap.envelopes] == [["anna@company.example"]], "the owner alone is told"


async def test_a_deferred_question_about_a_case_that_was_closed_meanwhile_is_outdated(
    world: World, post: Post, trap: MailTrap, clock: Clock
) -> None:
    await world.customers(world.profile())
    await world.cases(world.resolved())
    trap.tell("dot", lambda: "451 4.3.0 later")
    closing = world.closed()

    async def close_after(entry: Entry) -> bool:
        allowed: bool = await mark(entry)
        await world.cases(closing)  # beyond recall now, as far as the closing can see
        return allowed

    mark = post.journal.before_last_dot
    post.journal.before_last_dot = close_after  # type: ignore[method-assign]  # in the last moment
    await post.rest()
    clock.move(timedelta(minutes=1))
    await post.rest()
    assert await world.statuses() == [("customer:c-1", "suppressed", "outdated")]
    assert trap.mails == []


async def test_a_message_that_cannot_be_written_delays_no_other(
    world: World, post: Post, trap: MailTrap, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = post.sender._letters.mail

    def stumble(message: Addressed, now: datetime) -> bytes:
        if message.case_id == "case-2":
            raise KeyError("tier")
        content: bytes = write(message, now)
        return content

    await world.cases(*(world.assigned(f"case-{number}") for number in range(5)))
    with monkeypatch.context() as broken:
        broken.setattr(post.sender._letters, "mail", stumble)
        await post.rest()
    assert len(trap.mails) == 4
    (left,) = [row for row in await world.rows() if row.status != "sent"]
    assert (left.case_id, left.status, left.reason) == ("case-2", "queued", "it could not be written: KeyError")
    clock.move(timedelta(minutes=1))
    await post.rest()
    assert len(trap.mails) == 5


async def test_an_outcome_outlives_an_outage_of_the_database(
    world: World, post: Post, trap: MailTrap, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.cases(world.assigned())
    outages = iter([Unavailable("gone"), ConnectionResetError("gone")])
    at_once = world.database.at_once

    async def sometimes(
        statement: TextClause, parameters: Mapping[str, object], *, publishes: bool = True
    ) -> Sequence[Row[Any]]:
        # The first statements claim and mark; then the database is away, twice.
        if trap.mails and (outage := next(outages, None)) is not None:
            raise outage
        return await at_once(statement, parameters, publishes=publishes)

    monkeypatch.setattr(world.database, "at_once", sometimes)
    await post.rest()
    assert next(outages, None) is None
    assert (await world.row()).status == "sent"
    assert len(trap.mails) == 1


async def test_a_database_that_goes_away_before_the_last_dot_stops_the_mail(
    world: World, post: Post, trap: MailTrap, clock: Clock
) -> None:
    await world.cases(world.assigned())
    mark = post.journal.before_last_dot

    async def gone(entry: Entry) -> bool:  # noqa: ARG001 - whichever it is
        raise Unavailable("gone")

    post.journal.before_last_dot = gone  # type: ignore[method-assign]  # in the last moment
    await post.rest()
    row = await world.row()
    assert (row.status, row.failures) == ("queued", 1)
    assert trap.mails == []
    post.journal.before_last_dot = mark  # type: ignore[method-assign]  # in the last moment
    clock.move(timedelta(minutes=1))
    await post.rest()
    assert (await world.row()).status == "sent"
    assert len(trap.mails) == 1


async def test_a_process_that_loses_its_mark_of_life_goes_on_under_another(
    world: World, post: Post, trap: MailTrap, database: Database
) -> None:
    first = await post.presence.number()
    assert await post.presence.number() == first
    async with database.transaction() as tx:
        await tx.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = :n"),
            {"n": first},
        )
    second = await post.presence.number()
    assert second != first
    await world.cases(world.assigned())
    await post.rest()
    assert len(trap.mails) == 1


async def test_an_orderly_stop_waits_for_the_mail_in_flight(
    world: World, post: Post, trap: MailTrap, a_post: Callable[..., Post]
) -> None:
    await world.cases(world.assigned())
    await post.sender.step()
    await post.close()
    assert (await world.row()).status == "sent"
    assert len(trap.mails) == 1
    await a_post().attendant.recovery()
    assert (await world.row()).status == "sent"


async def finish(post: Post) -> None:
    """Come to rest after refusals, whose last trace is raised once more."""
    while True:
        try:
            await post.rest()
        except MailServerAway:
            continue
        return
