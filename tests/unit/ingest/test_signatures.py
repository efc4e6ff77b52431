import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.signature import (
    STANDARD_WEBHOOKS,
    Algorithm,
    Authentication,
    Encoding,
    Secret,
    SharedToken,
    Signature,
    UnusableSecret,
    Verification,
    key_of,
    secret_of,
)
from services.ingest.domain.verifying import check_of
from services.ingest.vendors.delighted import DELIGHTED
from services.ingest.vendors.typeform import TYPEFORM
from services.ingest.vendors.zendesk import ZENDESK

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
BODY = b'{"score": 3}'
TYPEFORM_SIGNATURE = TYPEFORM.authentication
DELIGHTED_SIGNATURE = DELIGHTED.authentication

# The published vector of https://www.standardwebhooks.com and its reference libraries.
VECTOR_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VECTOR_BODY = b'{"test": 2432232314}'
VECTOR_TIME = datetime.fromtimestamp(1614265330, UTC)
VECTOR_HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}


def verify(
    description: Authentication, headers: dict[str, str], body: bytes, secrets: Sequence[Secret], now: datetime
) -> Verification:
    received = {name.encode(): value.encode("latin-1", "replace") for name, value in headers.items()}
    return check_of(description, secrets)(received, body, now)


def secret(text: str, description: Authentication = TYPEFORM_SIGNATURE, until: datetime | None = None) -> Secret:
    return Secret(key_of(description, text), until)


def typeform_headers(key: bytes, body: bytes = BODY) -> dict[str, str]:
    digest = hmac.new(key, body, hashlib.sha256).digest()
    return {"typeform-signature": "sha256=" + base64.b64encode(digest).decode()}


def check_vector(
    headers: dict[str, str] | None = None,
    body: bytes = VECTOR_BODY,
    *,
    secrets: Sequence[Secret] | None = None,
    now: datetime = VECTOR_TIME,
) -> Verification:
    if secrets is None:
        secrets = (secret(VECTOR_SECRET, STANDARD_WEBHOOKS),)
    return verify(STANDARD_WEBHOOKS, headers or VECTOR_HEADERS, body, secrets, now)


def test_the_published_vector_of_standard_webhooks_is_valid() -> None:
    assert check_vector() is Verification.VALID


def test_a_changed_body_is_wrong() -> None:
    assert check_vector(body=b'{"test": 2432232315}') is Verification.WRONG
    assert check_vector(body=VECTOR_BODY + b" ") is Verification.WRONG


@pytest.mark.parametrize("header", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_missing(header: str) -> None:
    without = {name: value for name, value in VECTOR_HEADERS.items() if name != header}
    assert check_vector(without) is Verification.MISSING
    assert check_vector(without | {header: ""}) is Verification.MISSING


@pytest.mark.parametrize("header", ["webhook-id", "webhook-timestamp"])
def test_what_is_signed_besides_the_body_cannot_be_changed(header: str) -> None:
    assert check_vector(VECTOR_HEADERS | {header: "1614265331"}) is Verification.WRONG


@pytest.mark.parametrize(
    ("seconds", "verification"),
    [
        (0, Verification.VALID),
        (299, Verification.VALID),
        (300, Verification.VALID),
        (301, Verification.STALE),
        (86_400, Verification.STALE),
        (-299, Verification.VALID),
        (-301, Verification.STALE),
    ],
)
def test_a_signature_is_fresh_for_five_minutes_either_way(seconds: int, verification: Verification) -> None:
    assert check_vector(now=VECTOR_TIME + timedelta(seconds=seconds)) is verification


@pytest.mark.parametrize("timestamp", ["now", "1614265330.0", "-1614265330", "9" * 30, "١٦١٤٢٦٥٣٣٠", " 1614265330"])
def test_an_odd_timestamp_is_stale_even_when_signed(timestamp: str) -> None:
    key = key_of(STANDARD_WEBHOOKS, VECTOR_SECRET)
    digest = hmac.new(key, f"id.{timestamp}.".encode() + VECTOR_BODY, hashlib.sha256).digest()
    signature = "v1," + base64.b64encode(digest).decode()
    as_received = timestamp.encode().decode("latin-1")
    headers = {"webhook-id": "id", "webhook-timestamp": as_received, "webhook-signature": signature}
    assert check_vector(headers) is Verification.STALE


def test_headers_are_signed_as_the_bytes_that_came() -> None:
    key = key_of(STANDARD_WEBHOOKS, VECTOR_SECRET)
    digest = hmac.new(key, "сообщение.1614265330.".encode() + VECTOR_BODY, hashlib.sha256).digest()
    signature = "v1," + base64.b64encode(digest).decode()
    as_received = "сообщение".encode().decode("latin-1")
    headers = VECTOR_HEADERS | {"webhook-id": as_received, "webhook-signature": signature}
    assert check_vector(headers) is Verification.VALID


def test_one_right_signature_among_several_is_enough() -> None:
    right = VECTOR_HEADERS["webhook-signature"]
    several = f"v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZ== v1,AAAA {right}"
    assert check_vector(VECTOR_HEADERS | {"webhook-signature": several}) is Verification.VALID


def test_signatures_of_another_version_count_for_nothing() -> None:
    other = VECTOR_HEADERS["webhook-signature"].replace("v1,", "v2,")
    assert check_vector(VECTOR_HEADERS | {"webhook-signature": other}) is Verification.MISSING


def test_a_wrong_secret_is_wrong() -> None:
    other = secret("whsec_" + base64.b64encode(b"another secret, of 24 bytes").decode(), STANDARD_WEBHOOKS)
    assert check_vector(secrets=(other,)) is Verification.WRONG


def test_any_of_two_secrets_will_do_until_the_old_one_has_passed() -> None:
    until = VECTOR_TIME + timedelta(minutes=1)
    old = secret(VECTOR_SECRET, STANDARD_WEBHOOKS, until)
    new = secret("whsec_" + base64.b64encode(b"the next secret, 24 bytes").decode(), STANDARD_WEBHOOKS)
    assert check_vector(secrets=(old, new)) is Verification.VALID
    assert check_vector(secrets=(new, old)) is Verification.VALID
    assert check_vector(secrets=(old, new), now=until) is Verification.WRONG


def test_nothing_is_valid_without_a_secret() -> None:
    assert check_vector(secrets=()) is Verification.WRONG
    # Not even what is signed with the key that stands in for none, so that the work is the same.
    decoy = typeform_headers(b"\0" * 32)
    assert verify(TYPEFORM_SIGNATURE, decoy, BODY, (), NOW) is Verification.WRONG


@pytest.mark.parametrize("description", [TYPEFORM_SIGNATURE, STANDARD_WEBHOOKS, SharedToken(header="x-token")])
@pytest.mark.parametrize("text", ["", "whsec_", "short"])
def test_an_empty_or_short_secret_is_refused(description: Authentication, text: str) -> None:
    with pytest.raises(UnusableSecret):
        key_of(description, text)


def test_no_key_is_ever_empty() -> None:
    with pytest.raises(UnusableSecret):
        Secret(b"")


@pytest.mark.parametrize("text", ["whsec_not base64 at all!", "whsec_Ж", "Ж" * 40])
def test_a_standard_webhooks_secret_has_to_be_base64(text: str) -> None:
    with pytest.raises(UnusableSecret):
        key_of(STANDARD_WEBHOOKS, text)


def test_typeform_signs_the_raw_body_in_base64() -> None:
    key = b"a secret of Typeform"
    assert verify(TYPEFORM_SIGNATURE, typeform_headers(key), BODY, (Secret(key),), NOW) is Verification.VALID
    headers = {"typeform-signature": typeform_headers(key)["typeform-signature"].removeprefix("sha256=")}
    assert verify(TYPEFORM_SIGNATURE, headers, BODY, (Secret(key),), NOW) is Verification.MISSING


def test_delighted_signs_the_raw_body_in_hex_of_either_case() -> None:
    key = b"a secret of Delighted"
    digest = hmac.new(key, BODY, hashlib.sha256).hexdigest()
    for written in (digest, digest.upper()):
        headers = {"x-delighted-webhook-signature": f"sha256={written}"}
        assert verify(DELIGHTED_SIGNATURE, headers, BODY, (Secret(key),), NOW) is Verification.VALID
    headers = {"x-delighted-webhook-signature": f"sha256={digest[:-1]}"}
    assert verify(DELIGHTED_SIGNATURE, headers, BODY, (Secret(key),), NOW) is Verification.WRONG


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_every_algorithm_and_encoding_can_be_described(algorithm: Algorithm, encoding: Encoding) -> None:
    description = Signature(
        header="x-signature",
        algorithm=algorithm,
        encoding=encoding,
        signed="{timestamp}{body}",
        timestamp_header="x-timestamp",
    )
    digest = hmac.new(b"a secret", b"1772442000" + BODY, algorithm).digest()
    written = digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()
    headers = {"x-signature": written, "x-timestamp": "1772442000"}
    assert verify(description, headers, BODY, (Secret(b"a secret"),), NOW) is Verification.VALID
    assert verify(description, headers, BODY + b"x", (Secret(b"a secret"),), NOW) is Verification.WRONG


def test_a_signature_may_be_a_field_of_a_form_over_another_field() -> None:
    description = Signature(form_field="HMAC", algorithm="sha512", encoding="hex", signed="{form.MSG}")
    message = '{"Status":"Complete","Name":"Ж & Б"}'
    digest = hmac.new(b"a shared key", message.encode(), hashlib.sha512).hexdigest()
    body = urlencode({"HMAC": digest, "MSG": message, "Topic": "t"}).encode()
    assert verify(description, {}, body, (Secret(b"a shared key"),), NOW) is Verification.VALID
    forged = urlencode({"HMAC": digest, "MSG": message + " "}).encode()
    assert verify(description, {}, forged, (Secret(b"a shared key"),), NOW) is Verification.WRONG
    # Which of two fields of one name another reader takes, nobody knows.
    assert verify(description, {}, body + b"&MSG=other", (Secret(b"a shared key"),), NOW) is Verification.WRONG
    assert verify(description, {}, b"\xff\0=&&&", (Secret(b"a shared key"),), NOW) is Verification.MISSING


def test_a_token_has_to_be_the_token() -> None:
    description = SharedToken(header="otklik-token", prefix="Bearer ")
    token = secret("a token of twenty-four", description)
    right = {"otklik-token": "Bearer a token of twenty-four"}
    assert verify(description, right, BODY, (token,), NOW) is Verification.VALID
    assert verify(description, {"otklik-token": "a token of twenty-four"}, BODY, (token,), NOW) is Verification.WRONG
    assert verify(description, {"otklik-token": "Bearer "}, BODY, (token,), NOW) is Verification.WRONG
    assert verify(description, {}, BODY, (token,), NOW) is Verification.MISSING
    assert verify(description, {"otklik-token": "Bearer " + "\0" * 32}, BODY, (), NOW) is Verification.WRONG


@pytest.mark.parametrize(
    "options",
    [
        {"header": None},
        {"form_field": "HMAC"},
        {"signed": "{timestamp}", "timestamp_header": "t"},
        {"signed": "{body}", "timestamp_header": "t"},
        {"signed": "{id}.{body}"},
        {"signed": "{nonce}.{body}"},
    ],
)
def test_a_description_that_would_prove_nothing_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"sign|template|header"):
        Signature(**({"header": "s", "algorithm": "sha256", "encoding": "hex"} | options))


def test_secrets_are_not_shown() -> None:
    assert "whsec" not in repr(secret(VECTOR_SECRET, STANDARD_WEBHOOKS))
    assert "a secret" not in repr(Secret(b"a secret"))


@given(st.binary(max_size=60), st.text(max_size=120), st.text(max_size=30), st.text(max_size=30))
def test_no_bytes_and_headers_are_valid_by_chance_or_break_anything(
    body: bytes, signature: str, id_: str, timestamp: str
) -> None:
    headers = {
        "typeform-signature": signature,
        "x-delighted-webhook-signature": signature,
        "otklik-token": signature,
        "webhook-signature": signature,
        "webhook-id": id_,
        "webhook-timestamp": timestamp,
    }
    form = Signature(form_field="HMAC", algorithm="sha512", encoding="hex", signed="{form.MSG}")
    for description in (
        TYPEFORM_SIGNATURE,
        DELIGHTED_SIGNATURE,
        STANDARD_WEBHOOKS,
        SharedToken(header="otklik-token"),
        form,
    ):
        found = verify(description, headers, body, (Secret(b"0123456789abcdef0123456789abcdef"),), NOW)
        assert found in {Verification.WRONG, Verification.MISSING}


OWNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OWNER_PUBLIC = "whpk_" + base64.b64encode(OWNER.public_key().public_bytes_raw()).decode()


def owner_headers(
    body: bytes = BODY, owner: Ed25519PrivateKey = OWNER, at: datetime = NOW, **changes: str
) -> dict[str, str]:
    timestamp = str(int(at.timestamp()))
    signature = base64.b64encode(owner.sign(b"msg_1." + timestamp.encode() + b"." + body)).decode()
    headers = {"webhook-id": "msg_1", "webhook-timestamp": timestamp, "webhook-signature": f"v1a,{signature}"}
    return headers | {name.replace("_", "-"): value for name, value in changes.items()}


def by_owner(headers: dict[str, str], *texts: str, body: bytes = BODY, now: datetime = NOW) -> Verification:
    secrets = [secret_of(STANDARD_WEBHOOKS, text) for text in texts or (OWNER_PUBLIC,)]
    return verify(STANDARD_WEBHOOKS, headers, body, secrets, now)


def test_a_signature_by_the_owner_s_private_key_is_checked_with_the_public_one() -> None:
    assert by_owner(owner_headers()) is Verification.VALID
    assert by_owner(owner_headers(), VECTOR_SECRET, OWNER_PUBLIC) is Verification.VALID


def test_any_of_a_list_of_signatures_of_both_kinds_will_do() -> None:
    headers = owner_headers()
    others = "v1,bm9uZQ== v2,what v1a,bm9uZQ== "
    assert by_owner(headers | {"webhook-signature": others + headers["webhook-signature"]}) is Verification.VALID


@pytest.mark.parametrize(
    "headers",
    [
        owner_headers(b"another body"),
        owner_headers(owner=Ed25519PrivateKey.from_private_bytes(bytes(32))),
        owner_headers(webhook_id="msg_2"),
        owner_headers(webhook_timestamp=str(int(NOW.timestamp()) + 1)),
        owner_headers(webhook_signature="v1a," + base64.b64encode(bytes(64)).decode()),
        owner_headers(webhook_signature="v1a,no base64 at all"),
        owner_headers() | {"webhook-signature": owner_headers()["webhook-signature"].replace("v1a,", "v1,")},
    ],
)
def test_what_the_owner_did_not_sign_is_wrong(headers: dict[str, str]) -> None:
    assert by_owner(headers) is Verification.WRONG


def test_a_public_key_never_checks_as_a_shared_one() -> None:
    timestamp = str(int(NOW.timestamp()))
    key = base64.b64decode(OWNER_PUBLIC.removeprefix("whpk_"))
    digest = hmac.digest(key, b"msg_1." + timestamp.encode() + b"." + BODY, "sha256")
    forged = owner_headers(webhook_signature="v1," + base64.b64encode(digest).decode())
    assert by_owner(forged) is Verification.WRONG  # everybody may know a public key


def test_without_a_public_key_no_signature_by_an_owner_is_valid() -> None:
    assert by_owner(owner_headers(), VECTOR_SECRET) is Verification.WRONG
    assert verify(STANDARD_WEBHOOKS, owner_headers(), BODY, (), NOW) is Verification.WRONG


@pytest.mark.parametrize(("away", "came"), [(299, Verification.VALID), (301, Verification.STALE)])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_tolerance_holds_both_ways(away: int, sign: int, came: Verification) -> None:
    assert by_owner(owner_headers(), now=NOW + sign * timedelta(seconds=away)) is came


@pytest.mark.parametrize("text", ["whpk_", "whpk_AAAA", "whpk_!", "whsk_" + "A" * 43 + "=", "whpk_ключ"])
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(UnusableSecret):
        secret_of(STANDARD_WEBHOOKS, text)


def test_zendesk_signs_its_timestamp_as_rfc_3339_writes_it() -> None:
    key, timestamp = b"zendesk's secret", NOW.isoformat().replace("+00:00", "Z")
    digest = hmac.digest(key, timestamp.encode() + BODY, "sha256")
    headers = {
        "x-zendesk-webhook-signature": base64.b64encode(digest).decode(),
        "x-zendesk-webhook-signature-timestamp": timestamp,
    }
    check = ZENDESK.authentication
    assert verify(check, headers, BODY, (Secret(key),), NOW) is Verification.VALID
    assert verify(check, headers, BODY, (Secret(key),), NOW + timedelta(minutes=6)) is Verification.STALE
    assert verify(check, headers, BODY + b" ", (Secret(key),), NOW) is Verification.WRONG
