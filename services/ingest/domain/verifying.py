"""Whether these bytes are a sender's: a description of a signature and its secrets, made ready and checked.

The one function that checks all vendors' signatures and tokens. What can be known before a request comes is worked out
once for each source.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from datetime import datetime
from typing import TYPE_CHECKING, Final, assert_never
from urllib.parse import parse_qs

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from services.ingest.domain.signature import PATH_TOKEN, SharedToken, Signature, Verification, parts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from services.ingest.domain.signature import Authentication, Secret

    Check = Callable[[Mapping[bytes, bytes], bytes, datetime], Verification]
    """Whether one of the secrets that are valid at that time vouches for the body. Names of headers are lower-case.

    The work done does not depend on whether anything of it is right: the content is hashed even where the signature is
    missing, or there is no secret, so that the time of the answer does not tell which sources exist.
    """

_RFC_3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
_MOST_UNIX_DIGITS: Final = 12
_MOST_SIGNATURES: Final = 16
_MOST_PUBLIC: Final = 4
"""Of the signatures that cost a hundred microseconds each to check."""
_MOST_FORM_FIELDS: Final = 1000
_DECOY: Final = b"\0" * 32
_DECOY_PUBLIC: Final = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
"""A point of the curve (RFC 8032, 7.1), so that checking against it takes as long as against a real key."""
_PATH_TOKEN: Final = PATH_TOKEN.encode()


def check_of(description: Authentication, secrets: Sequence[Secret]) -> Check:
    """The check that belongs to `description` and `secrets`."""
    match description:
        case SharedToken():
            return _TokenCheck(description, secrets)
        case Signature():
            return _SignatureCheck(description, secrets)
        case _:
            assert_never(description)


class _TokenCheck:
    def __init__(self, description: SharedToken, secrets: Sequence[Secret]) -> None:
        self._header = description.header.encode()
        self._prefix = description.prefix.encode()
        self._secrets = secrets

    def __call__(self, headers: Mapping[bytes, bytes], _body: bytes, now: datetime) -> Verification:
        given = headers.get(self._header, b"")
        token = given[len(self._prefix) :] if given.startswith(self._prefix) else b""
        if not given and _PATH_TOKEN in headers:
            given = token = headers[_PATH_TOKEN]
        keys = _valid(self._secrets, now)
        right = False
        for key in keys or (_DECOY,):
            right |= hmac.compare_digest(key, token)
        if right and keys:
            return Verification.VALID
        return Verification.WRONG if given else Verification.MISSING


class _SignatureCheck:
    def __init__(self, description: Signature, secrets: Sequence[Secret]) -> None:
        self._description = description
        self._header = None if description.header is None else description.header.encode()
        self._id = None if description.id_header is None else description.id_header.encode()
        self._timestamp = None if description.timestamp_header is None else description.timestamp_header.encode()
        self._tolerance = description.tolerance.total_seconds()
        self._prefix = description.prefix.encode()
        self._public_prefix = None if description.public_prefix is None else description.public_prefix.encode()
        self._in_hex = description.encoding == "hex"
        # With what stands for itself as bytes.
        self._pieces = [part if part.startswith("{") else part.encode() for part in parts_of(description.signed)]
        self._has_fields = description.form_field is not None or "{form." in description.signed
        self._private = [secret for secret in secrets if not secret.public]
        self._public = [secret for secret in secrets if secret.public]

    def __call__(self, headers: Mapping[bytes, bytes], body: bytes, now: datetime) -> Verification:
        description = self._description
        fields = _form_fields(body) if self._has_fields else {}
        if self._header is not None:
            place = headers.get(self._header, b"")
        else:
            place = fields.get(description.form_field or "", b"")
        given = self._signatures(place, self._prefix)
        # Nothing where none has to be; None where one has to be and is not.
        id_ = b"" if self._id is None else headers.get(self._id) or None
        timestamp = b"" if self._timestamp is None else headers.get(self._timestamp) or None
        content = self._content(body, fields, id_ or b"", timestamp or b"")
        keys = _valid(self._private, now)
        right = False
        for key in keys or (_DECOY,):
            digest = hmac.digest(key, content, description.algorithm)
            expected = digest.hex().encode() if self._in_hex else binascii.b2a_base64(digest, newline=False)
            for candidate in given or (b"",):
                right |= hmac.compare_digest(expected, candidate)
        right = right and bool(keys)
        if self._public_prefix is not None and self._public_prefix in place:
            by_owner = self._signatures(place, self._public_prefix)
            if by_owner:
                right |= _signed_by_owner(by_owner, content, _valid(self._public, now))
                given += by_owner
        if not given or id_ is None or timestamp is None:
            return Verification.MISSING
        if not right:
            return Verification.WRONG
        if self._timestamp is not None and not _fresh(timestamp, self._tolerance, now):
            return Verification.STALE
        return Verification.VALID

    def _signatures(self, place: bytes, prefix: bytes) -> list[bytes]:
        if not place:
            return []
        if not self._description.several:
            place = place.strip()
        elif b" " in place:
            entries = place.split(b" ")[:_MOST_SIGNATURES]
            found = [entry[len(prefix) :] for entry in entries if entry.startswith(prefix)]
            return [signature.lower() if self._in_hex else signature for signature in found if signature]
        if not place.startswith(prefix) or len(place) == len(prefix):
            return []
        signature = place[len(prefix) :]
        return [signature.lower() if self._in_hex else signature]

    def _content(self, body: bytes, fields: Mapping[str, bytes], id_: bytes, timestamp: bytes) -> bytes:
        content: list[bytes] = []
        for part in self._pieces:
            if isinstance(part, bytes):
                content.append(part)
            elif part == "{body}":
                content.append(body)
            elif part == "{id}":
                content.append(id_)
            elif part == "{timestamp}":
                content.append(timestamp)
            else:
                content.append(fields.get(part[6:-1], b""))
        return b"".join(content)


def _valid(secrets: Sequence[Secret], now: datetime) -> list[bytes]:
    return [secret.key for secret in secrets if secret.valid_until is None or now < secret.valid_until]


def _signed_by_owner(signatures: Sequence[bytes], content: bytes, keys: Sequence[bytes]) -> bool:
    right = False
    for signature in signatures[:_MOST_PUBLIC]:
        for key in keys or (_DECOY_PUBLIC,):
            try:
                Ed25519PublicKey.from_public_bytes(key).verify(base64.b64decode(signature, validate=True), content)
            except (InvalidSignature, binascii.Error):
                continue
            right = True
    return right and bool(keys)


def _form_fields(body: bytes) -> dict[str, bytes]:
    try:
        # latin-1 there and back keeps every byte as it was.
        parsed = parse_qs(
            body.decode("latin-1"), keep_blank_values=True, encoding="latin-1", max_num_fields=_MOST_FORM_FIELDS
        )
    except ValueError:
        return {}
    return {name: values[0].encode("latin-1") for name, values in parsed.items() if len(values) == 1}


def _fresh(timestamp: bytes, tolerance: float, now: datetime) -> bool:
    """Whether the moment, in unix seconds or as RFC 3339 writes it, is within `tolerance` seconds of `now`."""
    if timestamp.isdigit() and len(timestamp) <= _MOST_UNIX_DIGITS:
        seconds: float = int(timestamp)
    elif _RFC_3339.fullmatch(written := timestamp.decode("latin-1")) is not None:
        try:
            seconds = datetime.fromisoformat(written).timestamp()
        except ValueError:
            return False
    else:
        return False
    return abs(now.timestamp() - seconds) <= tolerance
