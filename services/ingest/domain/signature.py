"""Who sent these bytes: signatures and shared tokens as data, and the one function that checks all of them.

Vendors differ in where the signature is, in algorithm, encoding, prefix, key and signed content; nothing else about
checking one differs. So a vendor describes its signature, and `verify` is written (and attacked in tests) once.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, assert_never
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

Algorithm = Literal["sha1", "sha256", "sha512"]
Encoding = Literal["hex", "base64"]
KeyForm = Literal["text", "whsec"]
"""`text`: the secret's own characters. `whsec`: base64, usually after `whsec_`, as Standard Webhooks has it."""

_TEMPLATE: Final = re.compile(r"(\{[a-z]+(?:\.[^}]+)?\})")
_UNIX_SECONDS: Final = re.compile(r"[0-9]{1,12}")
_MOST_SIGNATURES: Final = 16
_SHORTEST_TEXT: Final = 8
_SHORTEST_KEY: Final = 16
_DECOY: Final = b"\0" * 32


class Verification(StrEnum):
    """What came of checking. Only the log and the tests may tell the failures apart, never the sender."""

    VALID = "valid"
    MISSING = "missing"
    STALE = "stale"
    WRONG = "wrong"


class UnusableSecret(ValueError):
    """The secret is empty, too short to protect anything, or not of the form that the vendor's signature needs."""


@dataclass(frozen=True, slots=True)
class Signature:
    """How a vendor signs. Exactly one of `header` (lower case) and `form_field` says where the signature is.

    `signed` is the signed content: `{body}` are the raw bytes, `{id}` and `{timestamp}` the values of the headers that
    `id_header` and `timestamp_header` name, `{form.NAME}` a decoded field of a form-urlencoded body. A description with
    a `timestamp_header` refuses what is older or newer than `tolerance`. With `several` the place holds a
    space-separated list, of which one must match; entries with another prefix are other versions and count for nothing.
    """

    algorithm: Algorithm
    encoding: Encoding
    header: str | None = None
    form_field: str | None = None
    prefix: str = ""
    key: KeyForm = "text"
    signed: str = "{body}"
    id_header: str | None = None
    timestamp_header: str | None = None
    tolerance: timedelta = timedelta(minutes=5)
    several: bool = False

    def __post_init__(self) -> None:
        """Refuse a description that could not be checked."""
        if (self.header is None) == (self.form_field is None):
            raise ValueError("a signature is in a header or in a form field")
        parts = _parts(self.signed)
        if "{body}" not in parts and not any(part.startswith("{form.") for part in parts):
            raise ValueError("a signature that does not cover the content proves nothing")
        if ("{id}" in parts) != (self.id_header is not None):
            raise ValueError("{id} and id_header come together")
        if ("{timestamp}" in parts) != (self.timestamp_header is not None):
            raise ValueError(
                "a timestamp that is not signed proves nothing: {timestamp} and timestamp_header come together"
            )

    @property
    def secret_headers(self) -> frozenset[str]:
        """The headers that are of no use to anybody but a forger."""
        return frozenset() if self.header is None else frozenset({self.header})


@dataclass(frozen=True, slots=True)
class SharedToken:
    """A static header that we issue, for senders that cannot sign. It proves the sender, not the content."""

    header: str
    prefix: str = ""

    @property
    def secret_headers(self) -> frozenset[str]:
        """The headers that are of no use to anybody but a forger."""
        return frozenset({self.header})


Authentication = Signature | SharedToken


@dataclass(frozen=True, slots=True)
class Secret:
    """A key ready for use. `valid_until` None: until it is replaced."""

    key: bytes = field(repr=False)
    valid_until: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse the key that everybody knows."""
        if not self.key:
            raise UnusableSecret("the secret is empty")


def key_of(description: Authentication, text: str) -> bytes:
    """The key that the configured `text` stands for; `UnusableSecret` where it would protect nothing."""
    if isinstance(description, SharedToken):
        return _long_enough(text.encode(), _SHORTEST_KEY)
    match description.key:
        case "text":
            return _long_enough(text.encode(), _SHORTEST_TEXT)
        case "whsec":
            try:
                key = base64.b64decode(text.removeprefix("whsec_").encode("ascii"), validate=True)
            except (binascii.Error, UnicodeEncodeError) as error:
                raise UnusableSecret("the secret is not base64 after whsec_") from error
            return _long_enough(key, _SHORTEST_KEY)
        case _:
            assert_never(description.key)


def verify(
    description: Authentication, headers: Mapping[str, str], body: bytes, secrets: Sequence[Secret], now: datetime
) -> Verification:
    """Whether one of the `secrets` that are valid `now` vouches for `body`.

    `headers` have lower-case names, and values in latin-1, which keeps the bytes that came.

    The work done does not depend on whether anything of it is right: the content is hashed even where the signature is
    missing, or there is no secret, so that the time of the answer does not tell which sources exist.
    """
    keys = [secret.key for secret in secrets if secret.valid_until is None or now < secret.valid_until]
    match description:
        case SharedToken():
            return _verify_token(description, headers, keys)
        case Signature():
            return _verify_signature(description, headers, body, keys, now)
        case _:
            assert_never(description)


def _verify_token(description: SharedToken, headers: Mapping[str, str], keys: Sequence[bytes]) -> Verification:
    given = headers.get(description.header, "").encode("latin-1", "replace")
    prefix = description.prefix.encode()
    token = given[len(prefix) :] if given.startswith(prefix) else b""
    right = False
    for key in keys or (_DECOY,):
        right |= hmac.compare_digest(key, token)
    if right and keys:
        return Verification.VALID
    return Verification.WRONG if given else Verification.MISSING


def _verify_signature(
    description: Signature, headers: Mapping[str, str], body: bytes, keys: Sequence[bytes], now: datetime
) -> Verification:
    fields = _form_fields(body) if description.form_field is not None or "{form." in description.signed else {}
    if description.header is not None:
        place = headers.get(description.header, "").encode("latin-1", "replace")
    else:
        place = fields.get(description.form_field or "", b"")
    given = _signatures(description, place)
    id_ = _named(headers, description.id_header)
    timestamp = _named(headers, description.timestamp_header)
    content = _content(description, body, fields, id_=id_ or "", timestamp=timestamp or "")
    right = False
    for key in keys or (_DECOY,):
        digest = hmac.digest(key, content, description.algorithm)
        expected = digest.hex().encode() if description.encoding == "hex" else base64.b64encode(digest)
        for candidate in given or (b"",):
            right |= hmac.compare_digest(expected, candidate)
    if not given or id_ is None or timestamp is None:
        return Verification.MISSING
    if not right or not keys:
        return Verification.WRONG
    if description.timestamp_header is not None and not _fresh(timestamp, description.tolerance, now):
        return Verification.STALE
    return Verification.VALID


def _named(headers: Mapping[str, str], name: str | None) -> str | None:
    """The header that has to be there, None where it is not; nothing where none has to be."""
    return "" if name is None else headers.get(name) or None


def _signatures(description: Signature, place: bytes) -> list[bytes]:
    prefix = description.prefix.encode()
    entries = place.split(b" ")[:_MOST_SIGNATURES] if description.several else [place.strip()]
    found = [entry[len(prefix) :] for entry in entries if entry.startswith(prefix)]
    if description.encoding == "hex":
        found = [signature.lower() for signature in found]
    return [signature for signature in found if signature]


def _content(description: Signature, body: bytes, fields: Mapping[str, bytes], *, id_: str, timestamp: str) -> bytes:
    if description.signed == "{body}":
        return body
    content: list[bytes] = []
    for part in _parts(description.signed):
        match part:
            case "{body}":
                content.append(body)
            case "{id}":
                content.append(id_.encode("latin-1", "replace"))
            case "{timestamp}":
                content.append(timestamp.encode("latin-1", "replace"))
            case _ if part.startswith("{form."):
                content.append(fields.get(part[6:-1], b""))
            case _:
                content.append(part.encode())
    return b"".join(content)


@lru_cache(maxsize=64)
def _parts(template: str) -> tuple[str, ...]:
    parts = tuple(part for part in _TEMPLATE.split(template) if part)
    unknown = [
        part
        for part in parts
        if part.startswith("{") and part not in {"{body}", "{id}", "{timestamp}"} and not part.startswith("{form.")
    ]
    if unknown:
        raise ValueError(f"unknown in a template of signed content: {unknown}")
    return parts


def _form_fields(body: bytes) -> dict[str, bytes]:
    try:
        # latin-1 there and back keeps every byte as it was.
        parsed = parse_qs(
            body.decode("latin-1"), keep_blank_values=True, encoding="latin-1", max_num_fields=_MOST_FORM_FIELDS
        )
    except ValueError:
        return {}
    return {name: values[0].encode("latin-1") for name, values in parsed.items() if len(values) == 1}


_MOST_FORM_FIELDS: Final = 1000


def _fresh(timestamp: str, tolerance: timedelta, now: datetime) -> bool:
    if _UNIX_SECONDS.fullmatch(timestamp) is None:
        return False
    return abs(now.timestamp() - int(timestamp)) <= tolerance.total_seconds()


def _long_enough(key: bytes, shortest: int) -> bytes:
    if len(key) < shortest:
        raise UnusableSecret("the secret is empty" if not key else f"the secret has fewer than {shortest} bytes")
    return key


STANDARD_WEBHOOKS: Final = Signature(
    algorithm="sha256",
    encoding="base64",
    header="webhook-signature",
    prefix="v1,",
    key="whsec",
    signed="{id}.{timestamp}.{body}",
    id_header="webhook-id",
    timestamp_header="webhook-timestamp",
    several=True,
)
"""https://www.standardwebhooks.com; `v1a` (ed25519) entries of its list are skipped."""
