"""Whether a web hook of a mail provider comes from that provider; compared in constant time."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from services.notify.domain.providers import value_at
from services.notify.domain.report_formats import InBody, InHeaders

if TYPE_CHECKING:
    from collections.abc import Mapping

FRESH_FOR: Final = timedelta(days=3)
"""Longer than providers repeat themselves; what is older is somebody else's copy."""


def signed(
    how: InBody | InHeaders,
    key: str,
    body: bytes,
    document: Any,  # noqa: ANN401 - any JSON value
    headers: Mapping[str, str],
    now: datetime,
) -> str | None:
    """What tells this web hook from every other one, where it is the provider's; None where it is not.

    `document` is the body as JSON, None where it is none.
    """
    match how:
        case InBody():
            told = _texts(document, (how.timestamp, how.token, how.signature))
            if told is None:
                return None
            timestamp, token, signature = told
            expected = hmac.new(key.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest()
            genuine = hmac.compare_digest(expected.encode(), signature.encode())
        case InHeaders():
            timestamp, signature = headers.get(how.timestamp, ""), headers.get(how.signature, "")
            token = hashlib.sha256(timestamp.encode() + b"\n" + body).hexdigest()
            genuine = _verified(key, signature, timestamp.encode() + body)
    return token if genuine and _is_fresh(timestamp, now) else None


def is_public_key(text: str) -> bool:
    """Whether this is a public key over P-256, as SendGrid shows it: DER in base64."""
    # Costs memory that only those need who get such web hooks.
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_der_public_key  # noqa: PLC0415

    try:
        key = load_der_public_key(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error):
        return False
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)


def _verified(key: str, signature: str, content: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_der_public_key  # noqa: PLC0415

    public = load_der_public_key(base64.b64decode(key))
    assert isinstance(public, ec.EllipticCurvePublicKey)  # noqa: S101 - the settings have seen to it
    try:
        public.verify(base64.b64decode(signature, validate=True), content, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def _texts(document: Any, pointers: tuple[str, str, str]) -> tuple[str, str, str] | None:  # noqa: ANN401 - any JSON value
    found = []
    for pointer in pointers:
        try:
            value = value_at(document, pointer)
        except LookupError:
            return None
        # A timestamp may be written as a number.
        if isinstance(value, bool) or not isinstance(value, (str, int)) or not str(value).isascii():
            return None
        found.append(str(value))
    return found[0], found[1], found[2]


def _is_fresh(timestamp: str, now: datetime) -> bool:
    try:
        at = datetime.fromtimestamp(int(timestamp), UTC)
    except (ValueError, OverflowError, OSError):
        return False
    return abs(now - at) <= FRESH_FOR
