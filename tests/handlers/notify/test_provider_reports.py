"""Mail providers tell what came back by web hooks of their own: verified, taken once, refused and counted otherwise."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from prometheus_client import REGISTRY

from libs.events.database import Database
from services.notify.api import build_app
from services.notify.links import ConfirmationLinks
from services.notify.mime import Mailbox
from tests.handlers.notify.mail_trap import MailTrap
from tests.handlers.notify.post import Post
from tests.handlers.notify.world import Clock, World

KEY = "the signing key of mailgun"
PRIVATE = ec.generate_private_key(ec.SECP256R1())
PUBLIC = base64.b64encode(
    PRIVATE.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
).decode()  # fmt: skip


@pytest.fixture
async def provider(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody on the internet, without a key of ours."""
    app = build_app(
        database,
        links=ConfirmationLinks("https://otklik.example", ["the present secret, thirty-two characters"]),
        sender=Mailbox("Ромашка", "care@romashka.example"),
        time_zone="Europe/Moscow",
        report_keys={"mailgun": KEY, "sendgrid": PUBLIC},
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://notify") as client:
        yield client


def of_mailgun(clock: Clock, message_id: str, *, token: str = "t-1", event: str = "failed") -> dict[str, Any]:  # noqa: S107
    timestamp = str(int(clock.now.timestamp()))
    signature = hmac.new(KEY.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest()
    return {
        "signature": {"timestamp": timestamp, "token": token, "signature": signature},
        "event-data": {
            "event": event,
            "severity": "permanent",
            "reason": "bounce",
            "message": {"headers": {"message-id": message_id.strip("<>")}},
            "delivery-status": {"message": "5.1.1 does not exist"},
        },
    }


async def thanked(world: World, post: Post, trap: MailTrap) -> list[str]:
    await world.customers(world.profile(), world.profile("c-2"))
    await world.thank("one")
    await world.thank("two", customer_id="c-2")
    await post.rest()
    by_address = {to.rcpt_tos[0]: str(mail["Message-ID"]) for to, mail in zip(trap.envelopes, trap.mails, strict=True)}
    return [by_address["c-1@mail.example"], by_address["c-2@mail.example"]]


def refused(provider: str) -> float:
    return REGISTRY.get_sample_value("otklik_message_reports_refused_total", {"provider": provider}) or 0


async def test_mailgun_tells_once_and_its_signature_works_for_no_second_event(
    world: World, post: Post, trap: MailTrap, clock: Clock, provider: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    first, second = await thanked(world, post, trap)
    told = of_mailgun(clock, first)
    for number in range(2):
        answer = await provider.post("/v1/bounces/providers/mailgun", json=told)
        assert answer.status_code == 200, answer.text
        assert [each["bounce"] for each in answer.json()["recorded"]] == (["hard"] if number == 0 else [])
    stolen = told | {"event-data": of_mailgun(clock, second)["event-data"]}
    assert (await provider.post("/v1/bounces/providers/mailgun", json=stolen)).json()["recorded"] == []
    (entry,) = (await client.get("/v1/suppressions")).json()["items"]
    assert (entry["customer_id"], entry["reason"]) == ("c-1", "undeliverable")
    complaint = of_mailgun(clock, second, token="t-2", event="complained")
    await provider.post("/v1/bounces/providers/mailgun", json=complaint)
    assert (await world.published_types())[-3:] == ["message.bounced"] + ["customer.unsubscribed"] * 2


async def test_sendgrid_tells_of_several_at_once(
    world: World, post: Post, trap: MailTrap, clock: Clock, provider: httpx.AsyncClient
) -> None:
    first, second = await thanked(world, post, trap)
    body = json.dumps(
        [
            {"event": "bounce", "type": "bounce", "status": "5.1.1", "smtp-id": first},
            {"event": "spamreport", "smtp-id": second},
            {"event": "delivered", "smtp-id": second},
        ]
    ).encode()
    timestamp = str(int(clock.now.timestamp()))
    headers = {
        "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(
            PRIVATE.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        ).decode(),
    }
    for expected in (["complaint", "hard"], []):
        answer = await provider.post("/v1/bounces/providers/sendgrid", content=body, headers=headers)
        assert sorted(each["bounce"] for each in answer.json()["recorded"]) == expected
    before = refused("sendgrid")
    forged = await provider.post("/v1/bounces/providers/sendgrid", content=body + b" ", headers=headers)
    assert (forged.status_code, refused("sendgrid") - before) == (401, 1)


async def test_what_is_not_signed_is_refused_counted_and_changes_nothing(
    world: World, post: Post, trap: MailTrap, clock: Clock, provider: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    first, _ = await thanked(world, post, trap)
    before = refused("mailgun"), refused("unknown")
    unsigned = {"event-data": of_mailgun(clock, first)["event-data"]}
    answers = [
        await provider.post("/v1/bounces/providers/mailgun", json=unsigned),
        await provider.post("/v1/bounces/providers/mailgun", content=b"\xff\x00 no json"),
        await provider.post("/v1/bounces/providers/mailgun", json=[[], 7]),
        await provider.post("/v1/bounces/providers/nobody", json=of_mailgun(clock, first)),
        # An app without keys knows nobody, and says the same.
        await client.post("/v1/bounces/providers/mailgun", json=of_mailgun(clock, first)),
    ]
    assert [answer.status_code for answer in answers] == [401] * 5
    assert len({answer.content for answer in answers}) == 1
    assert (refused("mailgun") - before[0], refused("unknown") - before[1]) == (4, 1)
    assert (await client.get("/v1/suppressions")).json()["items"] == []
