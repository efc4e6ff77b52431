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
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, assert_never
from urllib.parse import parse_qs

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Algorithm = Literal["sha1", "sha256", "sha512"]
Encoding = Literal["hex", "base64"]
KeyForm = Literal["text", "whsec"]
"""`text`: the secret's own characters. `whsec`: base64, usually after `whsec_`, as Standard Webhooks has it."""

_TEMPLATE: Final = re.compile(r"(\{[a-z]+(?:\.[^}]+)?\})")
_RFC_3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
_MOST_UNIX_DIGITS: Final = 12
_MOST_SIGNATURES: Final = 16
_MOST_PUBLIC: Final = 4
"""Of the signatures that cost a hundred microseconds each to check."""
_SHORTEST_TEXT: Final = 8
_SHORTEST_KEY: Final = 16
_DECOY: Final = b"\0" * 32
_PUBLIC: Final = "whpk_"
_DECOY_PUBLIC: Final = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
"""A point of the curve (RFC 8032, 7.1), so that checking against it takes as long as against a real key."""


class Verification(StrEnum):
    """What came of checking. Only the log and the tests may tell the failures apart, never the sender."""

    VALID = "valid"
    MISSING = "missing"
    STALE = "stale"
    WRONG = "wrong"
    NETWORK = "network"
    """Not of the signature: it came from where the source's deliveries do not come from."""


class UnusableSecret(ValueError):
    """The secret is empty, too short to protect anything, or not of the form that the vendor's signature needs."""


@dataclass(frozen=True, slots=True)
class Signature:
    """How a vendor signs. Exactly one of `header` (lower case) and `form_field` says where the signature is.

    Where `public_prefix` is set, an entry with that prefix is an ed25519 signature of the same content, checked by the
    public keys among the secrets.

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
    public_prefix: str | None = None

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
    """A token that we issue, for senders that cannot sign. It proves the sender, not the content.

    It stands in a header or, where a sender cannot set one, at the end of the address: then as the header PATH_TOKEN.
    """

    header: str
    prefix: str = ""

    @property
    def secret_headers(self) -> frozenset[str]:
        """The headers that are of no use to anybody but a forger."""
        return frozenset({self.header, PATH_TOKEN})


Authentication = Signature | SharedToken

PATH_TOKEN: Final = ":token"  # noqa: S105 - a name
"""No header of a request can have this name."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A key ready for use. `valid_until` None: until it is replaced. `public`: it only checks signatures (ed25519)."""

    key: bytes = field(repr=False)
    valid_until: datetime | None = None
    public: bool = False

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


def secret_of(description: Authentication, text: str, valid_until: datetime | None = None) -> Secret:
    """The secret that the configured `text` stands for: a shared key, or a public key after `whpk_`.

    Raises `UnusableSecret` where it would protect nothing, or is a private key, which only its owner may hold.
    """
    if isinstance(description, Signature) and description.public_prefix is not None:
        if text.startswith("whsk_"):
            raise UnusableSecret("this is the sender's private key: take the public one, whpk_…, and replace the pair")
        if text.startswith(_PUBLIC):
            return Secret(_public_key(text.removeprefix(_PUBLIC)), valid_until, public=True)
    return Secret(key_of(description, text), valid_until)


def _public_key(text: str) -> bytes:
    try:
        key = base64.b64decode(text.encode("ascii"), validate=True)
        Ed25519PublicKey.from_public_bytes(key)
    except (binascii.Error, UnicodeEncodeError, ValueError) as error:
        raise UnusableSecret("the public key is not 32 bytes in base64 after whpk_") from error
    return key


def verify(
    description: Authentication, headers: Mapping[str, str], body: bytes, secrets: Sequence[Secret], now: datetime
) -> Verification:
    """Whether one of the `secrets` that are valid `now` vouches for `body`.

    `headers` have lower-case names, and values in latin-1, which keeps the bytes that came.

    The work done does not depend on whether anything of it is right: the content is hashed even where the signature is
    missing, or there is no secret, so that the time of the answer does not tell which sources exist.
    """
    valid = [secret for secret in secrets if secret.valid_until is None or now < secret.valid_until]
    match description:
        case SharedToken():
            return _verify_token(description, headers, [secret.key for secret in valid])
        case Signature():
            return _verify_signature(description, headers, body, valid, now)
        case _:
            assert_never(description)


def _verify_token(description: SharedToken, headers: Mapping[str, str], keys: Sequence[bytes]) -> Verification:
    given = headers.get(description.header, "").encode("latin-1", "replace")
    prefix = description.prefix.encode()
    token = given[len(prefix) :] if given.startswith(prefix) else b""
    if not given and PATH_TOKEN in headers:
        given = token = headers[PATH_TOKEN].encode("latin-1", "replace")
    right = False
    for key in keys or (_DECOY,):
        right |= hmac.compare_digest(key, token)
    if right and keys:
        return Verification.VALID
    return Verification.WRONG if given else Verification.MISSING


def _verify_signature(
    description: Signature, headers: Mapping[str, str], body: bytes, valid: Sequence[Secret], now: datetime
) -> Verification:
    fields = _form_fields(body) if description.form_field is not None or "{form." in description.signed else {}
    if description.header is not None:
        place = headers.get(description.header, "").encode("latin-1", "replace")
    else:
        place = fields.get(description.form_field or "", b"")
    given = _signatures(description, place, description.prefix)
    id_ = _named(headers, description.id_header)
    timestamp = _named(headers, description.timestamp_header)
    content = _content(description, body, fields, id_=id_ or "", timestamp=timestamp or "")
    keys = [secret.key for secret in valid if not secret.public]
    right = False
    for key in keys or (_DECOY,):
        digest = hmac.digest(key, content, description.algorithm)
        expected = (
            digest.hex().encode() if description.encoding == "hex" else binascii.b2a_base64(digest, newline=False)
        )
        for candidate in given or (b"",):
            right |= hmac.compare_digest(expected, candidate)
    right = right and bool(keys)
    if description.public_prefix is not None:
        by_owner = _signatures(description, place, description.public_prefix)
        if by_owner:
            right |= _signed_by_owner(by_owner, content, [secret.key for secret in valid if secret.public])
            given += by_owner
    if not given or id_ is None or timestamp is None:
        return Verification.MISSING
    if not right:
        return Verification.WRONG
    if description.timestamp_header is not None and not _fresh(timestamp, description.tolerance, now):
        return Verification.STALE
    return Verification.VALID


def _named(headers: Mapping[str, str], name: str | None) -> str | None:
    """The header that has to be there, None where it is not; nothing where none has to be."""
    return "" if name is None else headers.get(name) or None


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


def _signatures(description: Signature, place: bytes, with_prefix: str) -> list[bytes]:
    if not place:
        return []
    prefix = with_prefix.encode()
    if not description.several:
        place = place.strip()
    elif b" " in place:
        entries = place.split(b" ")[:_MOST_SIGNATURES]
        found = [entry[len(prefix) :] for entry in entries if entry.startswith(prefix)]
        return [signature.lower() if description.encoding == "hex" else signature for signature in found if signature]
    if not place.startswith(prefix) or len(place) == len(prefix):
        return []
    signature = place[len(prefix) :]
    return [signature.lower() if description.encoding == "hex" else signature]


def _content(description: Signature, body: bytes, fields: Mapping[str, bytes], *, id_: str, timestamp: str) -> bytes:
    if description.signed == "{body}":
        return body
    content: list[bytes] = []
    for part in _pieces(description.signed):
        if isinstance(part, bytes):
            content.append(part)
        elif part == "{body}":
            content.append(body)
        elif part == "{id}":
            content.append(id_.encode("latin-1", "replace"))
        elif part == "{timestamp}":
            content.append(timestamp.encode("latin-1", "replace"))
        else:
            content.append(fields.get(part[6:-1], b""))
    return b"".join(content)


@lru_cache(maxsize=64)
def _pieces(template: str) -> tuple[str | bytes, ...]:
    """The parts, with what stands for itself as bytes."""
    return tuple(part if part.startswith("{") else part.encode() for part in _parts(template))


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
    """Whether the moment, in unix seconds or as RFC 3339 writes it, is near `now`."""
    if len(timestamp) <= _MOST_UNIX_DIGITS and timestamp.isascii() and timestamp.isdigit():
        seconds: float = int(timestamp)
    elif _RFC_3339.fullmatch(timestamp) is not None:
        try:
            seconds = datetime.fromisoformat(timestamp).timestamp()
        except ValueError:
            return False
    else:
        return False
    return abs(now.timestamp() - seconds) <= tolerance.total_seconds()


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
    public_prefix="v1a,",
)
"""https://www.standardwebhooks.com, with its symmetric (`v1`) and asymmetric (`v1a`) signatures."""
