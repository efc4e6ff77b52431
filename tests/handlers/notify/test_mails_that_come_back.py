"""Mails that come back are noted, over any door, once; who is gone or complained is not written to again."""

import asyncio
import smtplib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from email.message import Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import httpx
import pytest
from sqlalchemy import text

from libs.events.database import Database
from services.notify.door import Door
from tests.handlers.notify.mail_trap import MailTrap
from tests.handlers.notify.post import Post
from tests.handlers.notify.world import Clock, World


def a_return(message_id: str, status: str, *, complaint: bool = False) -> bytes:
    report = MIMEMultipart("report")
    report.set_param("report-type", "delivery-status")
    if complaint:
        fields = Message()
        fields["Content-Type"] = "message/feedback-report"
        fields.set_payload("Feedback-Type: abuse\nVersion: 1\n")
    else:
        block = Message()
        block["Final-Recipient"] = "rfc822; x@mail.example"
        block["Action"] = "failed"
        block["Status"] = status
        fields = Message()
        fields["Content-Type"] = "message/delivery-status"
        fields.set_payload([block])
    report.attach(fields)
    report.attach(MIMEText(f"Message-ID: {message_id}\n", "rfc822-headers"))
    return report.as_bytes()


@pytest.fixture(params=["lmtp", "smtp"])
async def door(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[Door]:
    door = Door(database, f"{request.param}://127.0.0.1:0")
    await door.step()
    yield door
    await door.close()


def handed_over(door: Door, mail: bytes) -> None:
    """As the mail server of the return path does it."""
    kind = smtplib.LMTP if "LMTP" in door._kind.__name__ else smtplib.SMTP
    with kind("127.0.0.1", door.port, timeout=30) as server:
        server.sendmail("", ["bounces@romashka.example"], mail)


async def sent_to(world: World, post: Post, trap: MailTrap, name: str = "one") -> str:
    await world.thank(name)
    await post.rest()
    return str(trap.mails[-1]["Message-ID"])


async def test_a_hard_bounce_comes_through_the_door_and_nothing_is_sent_there_again(
    world: World, post: Post, trap: MailTrap, client: httpx.AsyncClient, door: Door
) -> None:
    await world.customers(world.profile())
    message_id = await sent_to(world, post, trap)
    for _ in range(2):
        await asyncio.to_thread(handed_over, door, a_return(message_id, "5.1.1"))
    await asyncio.to_thread(handed_over, door, b"Subject: I am on holiday\r\n\r\nBack on Monday.")
    (listed,) = (await client.get("/v1/messages", params={"bounce": "hard"})).json()["items"]
    assert (listed["status"], listed["channel"], listed["customer_id"]) == ("sent", None, "c-1")
    assert (await world.published_types()).count("message.bounced") == 1

    await world.thank("two")
    await post.rest()
    assert len(trap.mails) == 1
    assert ("customer:c-1", "suppressed", "undeliverable") in await world.statuses()
    (entry,) = (await client.get("/v1/suppressions")).json()["items"]
    assert (entry["reason"], entry["added_by"], entry["customer_id"]) == ("undeliverable", "notify", "c-1")
    assert entry["until"] is None

    await world.customers(world.profile(email="new@mail.example"))
    await world.thank("three")
    await post.rest()
    assert [envelope.rcpt_tos[0] for envelope in trap.envelopes][1:] == ["new@mail.example"], "another address is fine"


async def test_many_soft_bounces_give_an_address_a_rest(
    world: World, post: Post, trap: MailTrap, clock: Clock, client: httpx.AsyncClient
) -> None:
    await world.customers(world.profile())
    for number in range(5):
        message_id = await sent_to(world, post, trap, str(number))
        assert (await client.get("/v1/suppressions")).json()["items"] == []
        for _ in range(2):
            mail = a_return(message_id, "5.2.2")
            told = await client.post("/v1/bounces/mail", content=mail, headers={"Content-Type": "message/rfc822"})
            assert told.status_code == 200
    (entry,) = (await client.get("/v1/suppressions")).json()["items"]
    assert entry["until"] is not None
    clock.move(timedelta(days=31))
    await sent_to(world, post, trap, "later")
    assert len(trap.mails) == 6


async def test_who_complains_is_not_written_to_and_has_unsubscribed(
    world: World, post: Post, trap: MailTrap, client: httpx.AsyncClient
) -> None:
    await world.customers(world.profile())
    message_id = await sent_to(world, post, trap)
    mail = a_return(message_id, "", complaint=True)
    told = await client.post("/v1/bounces/mail", content=mail, headers={"Content-Type": "message/rfc822"})
    assert [each["bounce"] for each in told.json()["recorded"]] == ["complaint"]
    consents = (await client.get("/v1/consents/c-1")).json()
    assert {(each["purpose"], each["granted"], each["by"]) for each in consents} == {
        ("courtesy", False, "complaint"),
        ("news", False, "complaint"),
    }
    assert (await world.published_types())[-3:] == ["message.bounced"] + ["customer.unsubscribed"] * 2
    await world.cases(world.resolved())
    await post.rest()
    assert ("customer:c-1", "suppressed", "complained") in await world.statuses()


async def test_a_provider_tells_of_several_in_its_own_words(
    world: World, post: Post, trap: MailTrap, client: httpx.AsyncClient
) -> None:
    await world.customers(world.profile(), world.profile("c-2"))
    first = await sent_to(world, post, trap)
    await world.thank("for another", customer_id="c-2")
    await post.rest()
    second = next(row for row in await world.rows() if row.customer_id == "c-2")
    items = [
        {"message_id": first, "outcome": "bounced", "code": "5.1.1", "more": "is ignored"},
        {"message_id": str(second.id), "outcome": "soft", "code": "4.2.2"},
        {"message_id": "somebody else's", "outcome": "hard"},
    ]
    told = await client.post("/v1/bounces", json={"items": items})
    assert sorted(each["bounce"] for each in told.json()["recorded"]) == ["hard", "soft"]
    assert (await client.post("/v1/bounces", json={"items": items})).json()["recorded"] == []
    worse = [{"message_id": str(second.id), "outcome": "complaint"}]
    assert len((await client.post("/v1/bounces", json={"items": worse})).json()["recorded"]) == 1


async def test_what_comes_back_settles_a_doubt(
    world: World, post: Post, trap: MailTrap, client: httpx.AsyncClient
) -> None:
    await world.customers(world.profile())
    trap.tell("dot", "keep, then cut")
    message_id = await sent_to(world, post, trap)
    assert (await world.row()).status == "doubtful"
    await client.post("/v1/bounces", json={"items": [{"message_id": message_id, "outcome": "soft"}]})
    assert (await world.row()).status == "sent"


async def test_what_comes_back_before_its_sending_is_noted_is_to_be_told_again(
    world: World, post: Post, trap: MailTrap, client: httpx.AsyncClient, door: Door, database: Database
) -> None:
    await world.customers(world.profile())
    message_id = await sent_to(world, post, trap)

    async def becomes(status: str, sender: int | None) -> None:
        async with database.transaction() as tx:
            await tx.execute(
                text("UPDATE messages SET status = :status, sender = :sender"), {"status": status, "sender": sender}
            )

    await becomes("transmitting", 1)
    with pytest.raises(smtplib.SMTPDataError, match="later, please"):
        await asyncio.to_thread(handed_over, door, a_return(message_id, "5.1.1"))
    told = {"items": [{"message_id": message_id, "outcome": "hard"}]}
    answer = await client.post("/v1/bounces", json=told)
    assert answer.status_code == 503
    assert "retry-after" in answer.headers

    await becomes("sent", None)
    assert [each["bounce"] for each in (await client.post("/v1/bounces", json=told)).json()["recorded"]] == ["hard"]


async def test_an_address_that_the_server_refuses_by_its_code_goes_on_the_list(
    world: World, a_post: Callable[..., Post], trap: MailTrap, client: httpx.AsyncClient
) -> None:
    post = a_post()
    await world.customers(world.profile(), world.profile("c-2"))
    trap.tell("RCPT", "550 5.1.1 no such user")
    await world.thank("one")
    await post.rest()
    trap.tell("RCPT", "550 5.7.1 policy")
    await world.thank("two", customer_id="c-2")
    await post.rest()
    assert {row.status for row in await world.rows()} == {"failed"}
    (entry,) = (await client.get("/v1/suppressions")).json()["items"]
    assert (entry["reason"], entry["why"], entry["customer_id"]) == ("undeliverable", "refused with 5.1.1", "c-1")


async def test_only_a_mail_is_taken_as_a_mail_and_only_by_who_may(client: httpx.AsyncClient) -> None:
    assert (await client.post("/v1/bounces/mail", content=b"x")).status_code == 415
    agent = {"Otklik-Person": "e-1", "Otklik-Role": "agent", "Content-Type": "message/rfc822"}
    assert (await client.post("/v1/bounces/mail", content=b"x", headers=agent)).status_code == 403
    nothing = await client.post("/v1/bounces/mail", content=b"x", headers={"Content-Type": "message/rfc822"})
    assert nothing.json() == {"recorded": []}
