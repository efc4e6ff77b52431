"""Who may have sent something: signatures and shared tokens as data, and the secrets that belong to them.

Vendors differ in where the signature is, in algorithm, encoding, prefix, key and signed content; nothing else about
checking one differs. So a vendor describes its signature, and `verifying` is written (and attacked in tests) once.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final, Literal, assert_never

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Algorithm = Literal["sha1", "sha256", "sha512"]
Encoding = Literal["hex", "base64"]
KeyForm = Literal["text", "whsec"]
"""`text`: the secret's own characters. `whsec`: base64, usually after `whsec_`, as Standard Webhooks has it."""

_TEMPLATE: Final = re.compile(r"(\{[a-z]+(?:\.[^}]+)?\})")
_SHORTEST_TEXT: Final = 8
_SHORTEST_KEY: Final = 16
_PUBLIC: Final = "whpk_"


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
        parts = parts_of(self.signed)
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


@lru_cache(maxsize=64)
def parts_of(template: str) -> tuple[str, ...]:
    """The parts of a template of signed content: those in braces, and what stands for itself."""
    parts = tuple(part for part in _TEMPLATE.split(template) if part)
    unknown = [
        part
        for part in parts
        if part.startswith("{") and part not in {"{body}", "{id}", "{timestamp}"} and not part.startswith("{form.")
    ]
    if unknown:
        raise ValueError(f"unknown in a template of signed content: {unknown}")
    return parts


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
