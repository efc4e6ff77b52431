"""How each vendor signs, written down a second time, straight from its documentation, and not by our descriptions."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime
from typing import Any

SECRET = "the vendor's secret"
TOKEN = "a token of at least sixteen"
KEY = b"twenty-four bytes of key"
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=------------------------9c8e7f"
CSAT = {"metric": "csat", "scale_min": 1, "scale_max": 5}


def hmac_hex(body: bytes, algorithm: str = "sha256") -> str:
    return hmac.new(SECRET.encode(), body, algorithm).hexdigest()


def hmac_base64(body: bytes, algorithm: str = "sha256") -> str:
    return base64.b64encode(hmac.new(SECRET.encode(), body, algorithm).digest()).decode()


def id_of(body: bytes) -> str:
    """An id of the delivery: another one for another body."""
    return hashlib.sha256(body).hexdigest()[:20]


def standard(body: bytes, now: datetime) -> dict[str, str]:
    timestamp = str(int(now.timestamp()))
    id_ = id_of(body)
    digest = hmac.new(KEY, f"{id_}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    signature = "v1," + base64.b64encode(digest).decode()
    return {"webhook-id": id_, "webhook-timestamp": timestamp, "webhook-signature": signature}


def zendesk(body: bytes, now: datetime) -> dict[str, str]:
    timestamp = now.isoformat().replace("+00:00", "Z")
    return {
        "x-zendesk-webhook-signature-timestamp": timestamp,
        "x-zendesk-webhook-signature": hmac_base64(timestamp.encode() + body),
        "x-zendesk-webhook-id": id_of(body),
    }


def chatwoot(body: bytes, now: datetime) -> dict[str, str]:
    timestamp = str(int(now.timestamp()))
    return {
        "x-chatwoot-timestamp": timestamp,
        "x-chatwoot-signature": "sha256=" + hmac_hex(timestamp.encode() + b"." + body),
        "x-chatwoot-delivery": id_of(body),
    }


def token(_body: bytes, _now: datetime) -> dict[str, str]:
    return {"otklik-token": TOKEN}


SIGNED: dict[str, Callable[[bytes, datetime], dict[str, str]]] = {
    "alchemer": token,
    "asknicely": token,
    "chatwoot": chatwoot,
    "delighted": lambda body, _: {"x-delighted-webhook-signature": "sha256=" + hmac_hex(body)},
    "formbricks": standard,
    "generic": standard,
    "google-forms": standard,
    "jotform": token,
    "limesurvey": token,
    "smartsurvey": lambda body, _: {"x-smartsurvey-signature": hmac_hex(body)},
    "survicate": lambda body, _: {"hmac": hmac_hex(body)},
    "tally": lambda body, _: {"tally-signature": hmac_base64(body)},
    "typeform": lambda body, _: {"typeform-signature": "sha256=" + hmac_base64(body)},
    "wootric": lambda body, _: {"x-wootric-signature": "sha1=" + hmac_hex(body, "sha1")},
    "zendesk": zendesk,
    "zenloop": token,
}
CONTENT_TYPE = {"jotform": MULTIPART, "wootric": FORM, "limesurvey": FORM}
MAPS: dict[str, dict[str, Any]] = {
    "formbricks": {"score": {"question": "q1"}, "comment": {"question": "q2"}},
    "google-forms": {
        "score": {"question": "How likely are you to recommend us?"},
        "comment": {"question": "Why?"},
    },
    "jotform": {"score": {"question": "how"}, "comment": {"question": "why"}},
    "limesurvey": {"score": {"question": "NPS"}, "comment": {"question": "WHY"}},
    "smartsurvey": {"score": {"question": "10002"}, "comment": {"question": "10001"}},
    "survicate": {"score": {"question": "12123"}},
    "tally": {"score": {"question": "question_3EKz4n"}, "comment": {"question": "question_nr5GP6"}},
    "typeform": {"score": {"question": "readable_ref_opinion_scale"}, "comment": {"question": "DlXFaesGBpoF"}},
}


def secret_of(vendor: str) -> str:
    sign = SIGNED[vendor]
    if sign is standard:
        return "whsec_" + base64.b64encode(KEY).decode()
    return TOKEN if sign is token else SECRET
