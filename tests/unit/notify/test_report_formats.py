"""What mail providers tell by web hooks, in the shapes that they document; and by what it is known as theirs."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from services.notify.domain.report_formats import FORMATS, reports_of
from services.notify.report_signatures import FRESH_FOR, is_public_key, signed

OURS = "00112233445566778899aabbccddeeff"
MESSAGE_ID = f"{OURS}@romashka.example"
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)

# SendGrid publishes this in the tests of its libraries (sendgrid/sendgrid-nodejs, packages/eventwebhook).
PUBLIC_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEDr2LjtURuePQzplybdC+u4CwrqDqBaWjcMMsTbhdbcwHBcepxo7yAQGhHPTnlvFYPAZFceEu/1F"
    "wCM/QmGUhA=="
)
SIGNATURE = "MEUCIQCtIHJeH93Y+qpYeWrySphQgpNGNr/U+UyUlBkU6n7RAwIgJTz2C+8a8xonZGi6BpSzoQsbVRamr2nlxFDWYNH2j/0="
TIMESTAMP = "1588788367"
PAYLOAD = b'{"category":"example_payload","event":"test_event","message_id":"message_id"}'


def of_mailgun(**changes: object) -> dict[str, Any]:
    event = {
        "event": "failed",
        "severity": "permanent",
        "reason": "bounce",
        "message": {"headers": {"message-id": MESSAGE_ID, "to": "anna@mail.example"}},
        "delivery-status": {"code": 550, "message": "5.1.1 The email account that you tried to reach does not exist."},
    }
    return {"event-data": event | changes}


def of_sendgrid(**changes: object) -> list[dict[str, Any]]:
    event = {
        "email": "anna@mail.example",
        "timestamp": 1513299569,
        "smtp-id": f"<{MESSAGE_ID}>",
        "event": "bounce",
        "type": "bounce",
        "sg_event_id": "sg_event_id",
        "reason": "500 unknown recipient",
        "status": "5.0.0",
    }
    return [event | changes, {"event": "delivered", "smtp-id": f"<{MESSAGE_ID}>"}, {"event": "open"}]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, ("hard", "5.1.1")),
        ({"delivery-status": {"code": 605, "message": ""}}, ("hard", "failed")),
        ({"delivery-status": {"enhanced-code": "5.7.1", "message": "5.1.1 no"}}, ("soft", "5.7.1")),
        ({"reason": "old", "delivery-status": {}}, ("soft", "failed")),
        ({"reason": "suppress-complaint"}, ("complaint", "failed")),
        ({"event": "complained"}, ("complaint", "complained")),
        ({"severity": "temporary"}, None),
        ({"event": "delivered"}, None),
        ({"event": ["failed"]}, None),
        ({"message": {"headers": {"message-id": "20180812214658.1@example.org"}}}, None),
        ({"message": "none"}, None),
    ],
)
def test_what_mailgun_tells(changes: dict[str, object], told: tuple[str, str] | None) -> None:
    found = reports_of(FORMATS["mailgun"], of_mailgun(**changes))
    assert [(each.message_id.hex, each.bounce, each.code) for each in found] == ([(OURS, *told)] if told else [])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, ("hard", "bounce")),
        ({"status": "5.1.1"}, ("hard", "5.1.1")),
        ({"status": "5.2.2"}, ("soft", "5.2.2")),
        ({"type": "blocked"}, ("soft", "bounce")),
        ({"event": "spamreport"}, ("complaint", "spamreport")),
        ({"event": "dropped", "reason": "Bounced Address"}, ("hard", "dropped")),
        ({"event": "dropped", "reason": "Spam Reporting Address"}, ("complaint", "dropped")),
        ({"event": "dropped", "reason": "Unsubscribed Address"}, ("soft", "dropped")),
        ({"event": "deferred", "response": "400 try again later"}, None),
        ({"smtp-id": "<14c5d75ce93.dfd.64b469@ismtpd-555>"}, None),
    ],
)
def test_what_sendgrid_tells(changes: dict[str, object], told: tuple[str, str] | None) -> None:
    found = reports_of(FORMATS["sendgrid"], of_sendgrid(**changes))
    assert [(each.message_id.hex, each.bounce, each.code) for each in found] == ([(OURS, *told)] if told else [])


@pytest.mark.parametrize("nonsense", [None, [], {}, "text", 7, [[]], [None], {"event-data": [1, {"event": {}}]}])
def test_nonsense_tells_nothing(nonsense: object) -> None:
    for each in FORMATS.values():
        assert reports_of(each, nonsense) == []


def by_sendgrid(body: bytes, signature: str, timestamp: str, now: datetime, key: str = PUBLIC_KEY) -> str | None:
    how = FORMATS["sendgrid"].signature
    headers = {
        "X-Twilio-Email-Event-Webhook-Signature": signature,
        "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
    }
    return signed(how, key, body, None, headers, now)


def test_the_signature_that_sendgrid_publishes_is_known_and_no_other() -> None:
    then = datetime.fromtimestamp(int(TIMESTAMP), UTC)
    assert by_sendgrid(PAYLOAD, SIGNATURE, TIMESTAMP, then)
    assert by_sendgrid(PAYLOAD, SIGNATURE, TIMESTAMP, then + FRESH_FOR)
    assert by_sendgrid(PAYLOAD, SIGNATURE, TIMESTAMP, then + FRESH_FOR + timedelta(seconds=1)) is None
    assert by_sendgrid(PAYLOAD + b" ", SIGNATURE, TIMESTAMP, then) is None
    assert by_sendgrid(PAYLOAD, SIGNATURE, "1588788368", then) is None
    for wrong in ("", "no base64", base64.b64encode(b"no signature").decode(), SIGNATURE[:-8]):
        assert by_sendgrid(PAYLOAD, wrong, TIMESTAMP, then) is None
    other = ec.generate_private_key(ec.SECP256R1())
    foreign = base64.b64encode(other.sign(TIMESTAMP.encode() + PAYLOAD, ec.ECDSA(hashes.SHA256()))).decode()
    assert by_sendgrid(PAYLOAD, foreign, TIMESTAMP, then) is None


def test_only_keys_over_the_right_curve_are_keys() -> None:
    def shown(key: ec.EllipticCurvePrivateKey) -> str:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return base64.b64encode(key.public_key().public_bytes(serialization.Encoding.DER, form)).decode()

    assert is_public_key(PUBLIC_KEY)
    assert is_public_key(shown(ec.generate_private_key(ec.SECP256R1())))
    assert not is_public_key(shown(ec.generate_private_key(ec.SECP384R1())))
    assert not is_public_key("no key")


def test_mailgun_s_signature_over_time_and_token() -> None:
    how, key = FORMATS["mailgun"].signature, "the signing key"
    timestamp, token = str(int(NOW.timestamp())), "e0b5477167110d68991efc6b9f89f0a11066af27834600e123"
    signature = hmac.new(key.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest()

    def check(**changes: object) -> str | None:
        told = {"timestamp": timestamp, "token": token, "signature": signature} | changes
        return signed(how, key, b"", {"signature": told}, {}, NOW)

    assert check() == token
    assert check(timestamp=int(timestamp)) == token
    assert signed(how, "another key", b"", {"signature": {"timestamp": timestamp, "token": token}}, {}, NOW) is None
    for changes in ({"token": token + "0"}, {"signature": signature.upper()}, {"signature": ""}, {"timestamp": True}):
        assert check(**changes) is None
    assert signed(how, key, b"", None, {}, NOW) is None
    assert signed(how, key, b"", {"signature": {"timestamp": timestamp}}, {}, NOW) is None
    old = str(int((NOW - FRESH_FOR).timestamp()) - 1)
    stale = hmac.new(key.encode(), f"{old}{token}".encode(), hashlib.sha256).hexdigest()
    assert check(timestamp=old, signature=stale) is None
