"""How mail providers tell what came back, as data: where in their web hooks it stands, and what their words mean.

    mailgun    one event in `event-data`, signed by an HMAC in the body over a time and a token, not over the event
               (https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks)
    sendgrid   a list of events, signed by ECDSA over the body in headers
               (https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features)

What a provider will try again by itself is under way still, and none of our business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from services.notify.domain.providers import value_at
from services.notify.domain.returns import Report, named, of_status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from libs.events.contracts.messages import Bounce

_LONGEST_CODE: Final = 40
_CODE: Final = re.compile(r"\b[245]\.\d{1,3}\.\d{1,3}\b")
_SAYS_NOTHING: Final = frozenset({"5.0.0"})


@dataclass(frozen=True, slots=True, kw_only=True)
class InBody:
    """HMAC-SHA256 in hex over `timestamp` and `token`, all three at these pointers (RFC 6901)."""

    timestamp: str
    token: str
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InHeaders:
    """ECDSA over P-256 and SHA-256 in base64, over the timestamp and the body, in these headers."""

    timestamp: str
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """Where all of these pointers have one of these values, it means this.

    `by_code`: a status code (RFC 3463) decides, and `bounce` counts where none says anything.
    """

    where: Mapping[str, frozenset[str]]
    bounce: Bounce
    by_code: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A provider's web hooks. `events` leads to one event, or to a list of them; "" is the whole body."""

    signature: InBody | InHeaders
    events: str
    message_id: str
    codes: tuple[str, ...]
    meanings: tuple[Meaning, ...]


ProviderName = Literal["mailgun", "sendgrid"]

FORMATS: Final[Mapping[ProviderName, Format]] = {
    "mailgun": Format(
        signature=InBody(timestamp="/signature/timestamp", token="/signature/token", signature="/signature/signature"),  # noqa: S106 - a place
        events="/event-data",
        message_id="/message/headers/message-id",
        codes=("/delivery-status/enhanced-code", "/delivery-status/message", "/delivery-status/description"),
        meanings=(
            Meaning(where={"/event": frozenset({"complained"})}, bounce="complaint"),
            Meaning(
                where={"/event": frozenset({"failed"}), "/reason": frozenset({"suppress-complaint"})},
                bounce="complaint",
            ),
            Meaning(
                where={
                    "/event": frozenset({"failed"}),
                    "/severity": frozenset({"permanent"}),
                    "/reason": frozenset({"bounce", "suppress-bounce"}),
                },
                bounce="hard",
                by_code=True,
            ),
            Meaning(
                where={"/event": frozenset({"failed"}), "/severity": frozenset({"permanent"})},
                bounce="soft",
                by_code=True,
            ),
        ),
    ),
    "sendgrid": Format(
        signature=InHeaders(
            timestamp="X-Twilio-Email-Event-Webhook-Timestamp", signature="X-Twilio-Email-Event-Webhook-Signature"
        ),
        events="",
        message_id="/smtp-id",
        codes=("/status", "/reason"),
        meanings=(
            Meaning(where={"/event": frozenset({"spamreport"})}, bounce="complaint"),
            Meaning(where={"/event": frozenset({"bounce"}), "/type": frozenset({"blocked"})}, bounce="soft"),
            Meaning(where={"/event": frozenset({"bounce"})}, bounce="hard", by_code=True),
            Meaning(
                where={"/event": frozenset({"dropped"}), "/reason": frozenset({"Spam Reporting Address"})},
                bounce="complaint",
            ),
            Meaning(
                where={"/event": frozenset({"dropped"}), "/reason": frozenset({"Bounced Address", "Invalid"})},
                bounce="hard",
            ),
            Meaning(where={"/event": frozenset({"dropped"})}, bounce="soft"),
        ),
    ),
}


def reports_of(format_: Format, body: Any) -> list[Report]:  # noqa: ANN401 - any JSON value
    """What a web hook tells of messages of ours that came back; one that says something else tells nothing."""
    found = _at(body, format_.events)
    events = found if isinstance(found, list) else [found]
    return [report for event in events if (report := _report(format_, event)) is not None]


def _report(format_: Format, event: Any) -> Report | None:  # noqa: ANN401 - any JSON value
    meaning = next((each for each in format_.meanings if _holds(each, event)), None)
    message_id = _at(event, format_.message_id)
    if meaning is None or not isinstance(message_id, str):
        return None
    id_ = named(message_id)
    if id_ is None:
        return None
    codes = list(_codes(format_, event)) if meaning.by_code else []
    if not codes:
        return Report(id_, meaning.bounce, str(_at(event, "/event"))[:_LONGEST_CODE])
    return Report(id_, of_status(codes[0]) or meaning.bounce, codes[0])


def _holds(meaning: Meaning, event: Any) -> bool:  # noqa: ANN401 - any JSON value
    said = {pointer: _at(event, pointer) for pointer in meaning.where}
    return all(isinstance(said[pointer], str) and said[pointer] in values for pointer, values in meaning.where.items())


def _codes(format_: Format, event: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    """The status codes that say something, the provider's own first."""
    for pointer in format_.codes:
        said = _CODE.search(str(_at(event, pointer) or ""))
        if said is not None and said[0] not in _SAYS_NOTHING and of_status(said[0]) is not None:
            yield said[0]


def _at(document: Any, pointer: str) -> Any:  # noqa: ANN401 - any JSON value
    """The value at a pointer; None where there is none."""
    try:
        return value_at(document, pointer)
    except LookupError:
        return None
