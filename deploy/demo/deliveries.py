"""Webhook deliveries as the vendors send them: their shapes, their headers, their signatures over the raw bytes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Delivery:
    """One HTTP request of a vendor's."""

    source: str
    headers: Mapping[str, str]
    body: bytes

    def forged(self) -> Delivery:
        """The same delivery with one digit of its body changed after signing."""
        return replace(self, body=self.body.replace(b'"number":2', b'"number":9'))


def typeform(
    source: str,
    secret: str,
    *,
    token: str,
    answered_at: datetime,
    score: int,
    comment: str | None,
    customer: str,
    touchpoint: str,
) -> Delivery:
    """A form with an opinion scale `nps` and a long text `why`; the customer and the touchpoint are hidden fields."""
    fields = [
        {"id": "fNps", "ref": "nps", "type": "opinion_scale", "title": "Готовы ли Вы рекомендовать нас?"},
        {"id": "fWhy", "ref": "why", "type": "long_text", "title": "Почему Вы так оценили?"},
    ]
    answers: list[dict[str, Any]] = [
        {"type": "number", "number": score, "field": {"id": "fNps", "ref": "nps", "type": "opinion_scale"}}
    ]
    if comment is not None:
        answers.append({"type": "text", "text": comment, "field": {"id": "fWhy", "ref": "why", "type": "long_text"}})
    body = _json(
        {
            "event_id": f"evt-{token}",
            "event_type": "form_response",
            "form_response": {
                "form_id": "branchNPS",
                "token": token,
                "landed_at": _rfc3339(answered_at),
                "submitted_at": _rfc3339(answered_at),
                "hidden": {"customer_id": customer, "touchpoint": touchpoint},
                "definition": {"id": "branchNPS", "title": "NPS", "fields": fields},
                "answers": answers,
            },
        }
    )
    return Delivery(
        source,
        {
            "content-type": "application/json",
            "typeform-signature": "sha256=" + base64.b64encode(_mac(secret.encode(), body)).decode(),
        },
        body,
    )


def delighted(
    source: str,
    secret: str,
    *,
    response: str,
    answered_at: datetime,
    updated_at: datetime,
    score: int,
    comment: str | None,
    customer: str,
    touchpoint: str,
) -> Delivery:
    """The score first (`created`), the comment later (`updated`)."""
    created = comment is None
    body = _json(
        {
            "event_type": "survey_response.created" if created else "survey_response.updated",
            "event_id": f"evt-{response}-{'created' if created else 'updated'}",
            "event_data": {
                "id": response,
                "person": {"id": f"p-{customer}", "email": None, "name": None},
                "survey_type": "nps",
                "score": score,
                "comment": comment,
                "permalink": None,
                "created_at": int(answered_at.timestamp()),
                "updated_at": int(updated_at.timestamp()),
                "person_properties": {"customer_id": customer, "touchpoint": touchpoint},
                "notes": [],
                "tags": [],
                "additional_answers": [],
            },
        }
    )
    return Delivery(
        source,
        {
            "content-type": "application/json",
            "x-delighted-webhook-signature": "sha256=" + _mac(secret.encode(), body).hex(),
        },
        body,
    )


def formbricks(
    source: str,
    secret: str,
    *,
    response: str,
    answered_at: datetime,
    sent_at: datetime,
    score: int,
    comment: str,
    customer: str,
) -> Delivery:
    """A finished survey, signed by Standard Webhooks with the time of sending."""
    body = _json(
        {
            "webhookId": "wh-otklik",
            "event": "responseFinished",
            "data": {
                "id": response,
                "surveyId": "appNPS",
                "finished": True,
                "createdAt": _rfc3339(answered_at),
                "updatedAt": _rfc3339(answered_at),
                "language": "en",
                "contact": {"id": f"c-{customer}", "userId": customer},
                "contactAttributes": {"userId": customer},
                "tags": [],
                "variables": {},
                "data": {"nps": score, "why": comment},
                "ttc": {},
                "meta": {"source": "app"},
            },
        }
    )
    return Delivery(source, standard_webhooks(f"msg-{response}-finished", secret, sent_at, body), body)


def nonsense(source: str, secret: str, *, sent_at: datetime) -> Delivery:
    """Authentic, and of no meaning: kept, quarantined, answered 202."""
    body = _json({"webhookId": "wh-otklik", "event": "responseFinished", "data": {"id": "r-?", "data": "many thanks"}})
    return Delivery(source, standard_webhooks("msg-nonsense", secret, sent_at, body), body)


def standard_webhooks(message: str, secret: str, sent_at: datetime, body: bytes) -> dict[str, str]:
    """The headers of https://www.standardwebhooks.com for `body`; `secret` begins with `whsec_`."""
    timestamp = str(int(sent_at.timestamp()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = base64.b64encode(_mac(key, f"{message}.{timestamp}.".encode() + body)).decode()
    return {
        "content-type": "application/json",
        "webhook-id": message,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{signature}",
    }


def _mac(key: bytes, content: bytes) -> bytes:
    return hmac.new(key, content, hashlib.sha256).digest()


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _rfc3339(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
