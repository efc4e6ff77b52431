"""Signed links: an address that only its recipient knows, and that says nothing about them.

A token is the id of the message that carried it, signed. Case, round and customer are looked up in the ledger by that
id, so that no customer's id (some companies use e-mail addresses) stands in an address, in a proxy's log or in a
browser's history. It does not expire by itself: whether it still has an effect is decided by what became of its round,
and a link that has none any more explains itself kindly instead of failing.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from itsdangerous import BadData, URLSafeSerializer
from itsdangerous.encoding import base64_encode

from services.notify.domain.messages import MessageId

if TYPE_CHECKING:
    from collections.abc import Sequence

SECRET_LENGTH: Final = 32
_CONFIRMATION: Final = "otklik.notify.confirmation.v1"
_BOOKING: Final = "otklik.notify.booking.v1"
_UNSUBSCRIBE: Final = "otklik.notify.unsubscribe.v1"
_DIGESTS: Final = "otklik.notify.digests.v1"
"""A salt per purpose: a token of one kind of link is no token of another."""
_TOKEN_LENGTH: Final = 200
_TRAILING: Final = " .,;:!?)>]»\"'"
"""What gets stuck to an address that is copied out of a text; no token ends in it."""


class SignedLinks:
    """Makes and reads the links of one purpose. The first secret signs, all of them verify."""

    def __init__(self, public_url: str, secrets: Sequence[str], *, path: str, salt: str) -> None:
        if not secrets or any(len(secret) < SECRET_LENGTH for secret in secrets):
            raise ValueError(f"a link secret has at least {SECRET_LENGTH} characters")
        self._prefix = public_url.rstrip("/") + path
        # itsdangerous signs with the last key.
        self._serializer = URLSafeSerializer(
            list(reversed(secrets)),
            salt=salt,
            signer_kwargs={"key_derivation": "hmac", "digest_method": _sha256},
        )
        self._key = self._serializer.make_signer().derive_key()

    def link(self, message_id: MessageId) -> str:
        """The address for one message."""
        return self._prefix + self.token(message_id)

    def token(self, message_id: MessageId) -> str:
        """The signed id of a message: what the serializer makes, without deriving the same key for each."""
        payload = base64_encode(f'"{message_id.hex}"')
        signature = base64_encode(hmac.digest(self._key, payload, "sha256"))
        return f"{payload.decode('ascii')}.{signature.decode('ascii')}"

    def read(self, token: str) -> MessageId | None:
        """The message that a token names; None unless we signed it. Asks no database, so guesses cost little."""
        token = token.rstrip(_TRAILING)
        if len(token) > _TOKEN_LENGTH or not token.isascii():
            return None
        try:
            named = self._serializer.loads(token)
        except BadData:
            return None
        return MessageId(UUID(named))


class ConfirmationLinks(SignedLinks):
    """The links of confirmation requests, and beside them the others that stand in mails."""

    def __init__(self, public_url: str, secrets: Sequence[str]) -> None:
        super().__init__(public_url, secrets, path="/c/", salt=_CONFIRMATION)
        self.unsubscribe: Final = SignedLinks(public_url, secrets, path="/u/", salt=_UNSUBSCRIBE)
        self.bookings: Final = SignedLinks(public_url, secrets, path="/b/", salt=_BOOKING)
        """Their tokens name a case, for its whole life: casework says whether a time can be chosen."""
        self.digests: Final = SignedLinks(public_url, secrets, path="/u/d/", salt=_DIGESTS)
        """For employees who want no more of these digests."""
        self.changes: Final = public_url.rstrip("/") + "/changes"
        """The page for everybody."""


def _sha256(content: bytes = b"") -> Any:  # noqa: ANN401 - hashlib's own object
    return hashlib.sha256(content)
