"""The sources of a stage: how each of their vendors signs, and where it has what."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    Sign = Callable[[str, str, bytes, datetime], dict[str, str]]

SCORE, COMMENT = "319352786", "319352787"
"""The ids of the two questions that vendors with questions ask."""
_QUESTIONS: Final = {"score": {"question": SCORE}, "comment": {"question": COMMENT}}
_JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Source:
    """One source. `sign`: headers by the secret, the delivery's id, what is signed, and when."""

    name: str
    vendor: str
    sign: Sign
    field_map: Mapping[str, Any] = field(default_factory=dict)


def _by_standard_webhooks(secret: str, id_: str, body: bytes, at: datetime) -> dict[str, str]:
    timestamp = str(int(at.timestamp()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{id_}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return {
        "content-type": _JSON,
        "webhook-id": id_,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{signature}",
    }


def _by_survicate(secret: str, _id: str, body: bytes, _at: datetime) -> dict[str, str]:
    return {"content-type": _JSON, "hmac": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


def _by_surveymonkey(secret: str, _id: str, body: bytes, _at: datetime) -> dict[str, str]:
    signature = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha1).digest()).decode()
    return {"content-type": "application/vnd.surveymonkey.response.v1+json", "sm-signature": signature}


OURS: Final = Source("faults", "generic", _by_standard_webhooks)
"""Each delivery tells all of a response."""
PARTS: Final = Source("faults-parts", "survicate", _by_survicate, _QUESTIONS)
"""Each delivery tells the answer to one question."""
THIN: Final = Source("faults-thin", "surveymonkey", _by_surveymonkey, _QUESTIONS)
"""Deliveries only announce; answers are fetched, lost ones found by polls, and responses withdrawn."""
FILES: Final = Source("faults-files", "generic", _by_standard_webhooks)
"""Imported files."""
SOURCES: Final = (OURS, PARTS, THIN, FILES)
