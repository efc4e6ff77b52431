"""Signatures of web hooks: HMAC-SHA256 over `{id}.{timestamp}.{body}`, as Standard Webhooks has it.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

PREFIX: Final = "whsec_"
KEY_BYTES: Final = 32


def secret_of(key: bytes) -> str:
    """A key as people pass it on; it comes in, as all randomness does."""
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes")
    return PREFIX + b64encode(key).decode("ascii")


def key_of(secret: str) -> bytes:
    """The key in a secret that `secret_of` made."""
    return b64decode(secret.removeprefix(PREFIX), validate=True)


def signature(keys: Sequence[bytes], *, id_: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature`: one entry for each key, any of which the receiver may hold."""
    signed = b"%s.%d.%s" % (id_.encode("ascii"), timestamp, body)
    return " ".join(f"v1,{b64encode(hmac.digest(key, signed, 'sha256')).decode('ascii')}" for key in keys)
