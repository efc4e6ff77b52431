"""Mails that come back: receiving servers and mail providers report them, as often and in such an order as they like.

By mail (RFC 3464 and 5965) at notify's own door over LMTP, and by the web hooks of two providers, signed as they sign.
Of one mail it is told that it came back softly, then for good, then that somebody complained: several times each, all
at once. Whatever is not acknowledged is told again, as mail servers and providers do.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import smtplib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import httpx
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from faults.posting import NoAnswer, post
from faults.proxy import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from random import Random

    from faults.mailsink import Mail, MailSink

    Ask = Callable[[Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]], Awaitable[httpx.Response]]
    """Asks notify until it answers."""

Bounce = Literal["soft", "hard", "complaint"]
"""From bad to worst."""
Way = Literal["lmtp", "mailgun", "sendgrid"]
BOUNCES: Final[tuple[Bounce, ...]] = get_args(Bounce)
WAYS: Final[tuple[Way, ...]] = get_args(Way)
_SHARES: Final = (2, 5, 4)
"""How often it ends so."""
_COPIES: Final = (1, 1, 2, 3)
_CODES: Final[dict[Bounce, str]] = {"soft": "4.2.2", "hard": "5.1.1", "complaint": "abuse"}
_OURS: Final = "company.example"
"""Whose people's mails never come back: they are needed."""
_REPORT: Final = """\
MIME-Version: 1.0
Subject: about a mail of yours
Content-Type: multipart/report; report-type={kind}; boundary=part

--part
Content-Type: text/plain

See below.
--part
Content-Type: message/{kind}

{fields}
--part
Content-Type: text/rfc822-headers

Message-ID: {message_id}
Subject: ours
--part--
"""
_FAILURE: Final = """\
Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; somebody@mail.example
Action: failed
Status: {code}
"""
_COMPLAINT: Final = """\
Feedback-Type: abuse
User-Agent: Faults/1
Version: 1
"""
_ACCEPTED: Final = frozenset({"sent", "doubtful"})
_ANSWER_S: Final = 15.0
_AGAIN_S: Final = 0.5


class Keys:
    """What the two providers sign with, and what notify has to know for that."""

    def __init__(self, mailgun: str) -> None:
        """`mailgun`: the secret that both sides know."""
        self.mailgun: Final = mailgun
        self._sendgrid: Final = ec.generate_private_key(ec.SECP256R1())

    @property
    def sendgrid(self) -> str:
        """SendGrid's public key, as it shows it."""
        public = self._sendgrid.public_key()
        shown = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(shown).decode()

    def of_mailgun(self, timestamp: str, token: str) -> str:
        """The signature in a body of Mailgun's."""
        return hmac.new(self.mailgun.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest()

    def of_sendgrid(self, timestamp: str, body: bytes) -> str:
        """The signature in a header of SendGrid's."""
        signed = self._sendgrid.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        return base64.b64encode(signed).decode()


@dataclass(frozen=True, slots=True)
class Return:
    """What was told of one mail, and was acknowledged."""

    message_id: str
    recipient: str
    worst: Bounce
    acknowledged: float
    """When the worst of it first was, by the monotonic clock."""


class Returns:
    """Everything that came back."""

    def __init__(self, ask: Ask, sink: MailSink, random: Random, *, keys: Keys, url: str, lmtp_port: int) -> None:
        """`url`: notify's; `lmtp_port`: of its door for mails that come back."""
        self.told: Final[list[Return]] = []
        """One for each mail, once everything of it was acknowledged."""
        self.reports = 0
        """How many were acknowledged, duplicates included."""
        self.odd: Final[list[str]] = []
        """Answers that nobody should get."""
        self._ask = ask
        self._sink = sink
        self._random = random
        self._keys = keys
        self._url = url
        self._lmtp_port = lmtp_port
        self._known: set[str] = set()

    async def come_back(self) -> None:
        """A mail that was sent a while ago comes back."""
        mails = [mail for mail in self._sink.kept if mail.message_id not in self._known and _may_come_back(mail)]
        if not mails:
            return
        mail = self._random.choice(mails)
        path = f"/v1/messages/{mail.message_id}"
        answer = await self._ask(lambda client: client.get(path))
        if answer.is_success and answer.json()["status"] in _ACCEPTED:
            self._known.add(mail.message_id)
            await self._report(mail)

    async def _report(self, mail: Mail) -> None:
        """All that is told of one mail, at once and in no order."""
        [worst] = self._random.choices(BOUNCES, _SHARES)
        told = BOUNCES[: BOUNCES.index(worst) + 1]
        reports = [(bounce, self._random.choice(WAYS)) for bounce in told for _ in range(self._random.choice(_COPIES))]
        self._random.shuffle(reports)
        when = await asyncio.gather(*(self._until_taken(mail, bounce, way) for bounce, way in reports))
        taken = min(at for at, (bounce, _) in zip(when, reports, strict=True) if bounce == worst)
        self.told.append(Return(mail.message_id, mail.recipient, worst, taken))

    async def _until_taken(self, mail: Mail, bounce: Bounce, way: Way) -> float:
        """Tell it, the same bytes each time, until it is acknowledged; when that was."""
        message_id = f"<{mail.message_id}@{_OURS}>"
        timestamp, token = str(int(time.time())), f"{self._random.getrandbits(200):050x}"
        while True:
            if await self._is_taken(way, bounce, message_id, timestamp, token):
                self.reports += 1
                return time.monotonic()
            await asyncio.sleep(_AGAIN_S)

    async def _is_taken(self, way: Way, bounce: Bounce, message_id: str, timestamp: str, token: str) -> bool:
        if way == "lmtp":
            return await asyncio.to_thread(self._handed_over, _report_mail(bounce, message_id))
        headers = {"content-type": "application/json"}
        if way == "mailgun":
            signature = {"timestamp": timestamp, "token": token, "signature": self._keys.of_mailgun(timestamp, token)}
            body = json.dumps({"signature": signature, "event-data": _of_mailgun(bounce, message_id)}).encode()
        else:
            # What makes two of their events two, and no copies.
            body = json.dumps([{**_of_sendgrid(bounce, message_id), "sg_event_id": token}]).encode()
            headers["x-twilio-email-event-webhook-timestamp"] = timestamp
            headers["x-twilio-email-event-webhook-signature"] = self._keys.of_sendgrid(timestamp, body)
        try:
            answer = await post(f"{self._url}/v1/bounces/providers/{way}", body, headers, within_s=_ANSWER_S)
        except NoAnswer:
            return False
        if httpx.codes.is_client_error(answer.status):
            self.odd.append(f"a report by {way} was answered {answer.status} {answer.body[:200]!r}")
            return True
        return httpx.codes.is_success(answer.status)

    def _handed_over(self, report: bytes) -> bool:
        try:
            with smtplib.LMTP(LOOPBACK, self._lmtp_port) as door:
                door.sendmail("", [f"returns@{_OURS}"], report)
        except smtplib.SMTPResponseException as error:
            if error.smtp_code >= 500:  # noqa: PLR2004 - for good, after which mail servers give up
                self.odd.append(f"a report by LMTP was answered {error.smtp_code} {error.smtp_error!r}")
                return True
            return False
        except (smtplib.SMTPException, OSError):
            return False
        return True


def _may_come_back(mail: Mail) -> bool:
    return not mail.recipient.endswith(f"@{_OURS}")


def _of_mailgun(bounce: Bounce, message_id: str) -> dict[str, Any]:
    about = {"message": {"headers": {"message-id": message_id.strip("<>")}}}
    if bounce == "complaint":
        return {"event": "complained", **about}
    failed = {"event": "failed", "severity": "permanent", "delivery-status": {"enhanced-code": _CODES[bounce]}}
    return {**failed, "reason": "bounce" if bounce == "hard" else "generic", **about}


def _of_sendgrid(bounce: Bounce, message_id: str) -> dict[str, Any]:
    if bounce == "complaint":
        return {"event": "spamreport", "smtp-id": message_id}
    kind = {"type": "blocked"} if bounce == "soft" else {"type": "bounce"}
    return {"event": "bounce", "smtp-id": message_id, "status": _CODES[bounce], **kind}


def _report_mail(bounce: Bounce, message_id: str) -> bytes:
    """The report itself: by a mail server where the mail did not arrive, by a provider where somebody complained."""
    kind = "feedback-report" if bounce == "complaint" else "delivery-status"
    fields = _COMPLAINT if bounce == "complaint" else _FAILURE.format(code=_CODES[bounce])
    return _REPORT.format(kind=kind, fields=fields, message_id=message_id).replace("\n", "\r\n").encode()
