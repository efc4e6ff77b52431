"""Rules of contact (`/v1/contact-rules`), what customers said to it (`/v1/consents`), and holds (`/v1/holds`)."""

from dataclasses import asdict
from datetime import datetime, time
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from libs.events.contracts.messages import HoldReason, MessageChannel, MessageKind, Purpose, SuppressionReason
from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.auth import Principal, requires
from libs.webapi.etag import RequiredIfMatch, changed, etag, expect
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.paging import Cursor, Limit, Page, decode_cursor, encode_cursor
from libs.webapi.strict_json import Router
from services.notify import announcements
from services.notify.domain.contacts import Cap, QuietHours, Rules, choice_key
from services.notify.domain.messages import Status
from services.notify.store import contacts

router: Final = Router(prefix="/v1", tags=["contacts"])

Reader = Annotated[
    Principal, requires("messages:read", roles={"agent", "manager", "executive", "operator", "administrator"})
]
RuleWriter = Annotated[Principal, requires("contacts:write", roles={"executive", "administrator"})]
ConsentWriter = Annotated[
    Principal, requires("contacts:write", roles={"agent", "manager", "executive", "operator", "administrator"})
]
CustomerId = Annotated[str, Path(min_length=1, max_length=512)]
_Clock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
_Channels = Annotated[list[MessageChannel], Field(min_length=1, max_length=4)]
_Purposes = Annotated[list[Purpose], Field(min_length=1, max_length=4)]
_FORBID: Final = ConfigDict(extra="forbid")


class AskFirst(BaseModel):
    """Where silence is no consent."""

    model_config = _FORBID

    channel: MessageChannel
    purpose: Purpose


class Quiet(BaseModel):
    """From one time of the wall clock to another, in the recipient's zone; over midnight where `end` is earlier."""

    model_config = _FORBID

    channels: _Channels
    purposes: _Purposes
    start: _Clock
    end: _Clock


class Frequency(BaseModel):
    """At most so many messages of these purposes to one person within so many days."""

    model_config = _FORBID

    purposes: _Purposes
    messages: Annotated[int, Field(ge=1, le=1000)]
    days: Annotated[int, Field(ge=1, le=90)]


class RulesBody(BaseModel):
    """The company's rules of contact."""

    model_config = _FORBID

    channels: dict[Purpose, _Channels]
    """Per purpose, in the order in which they are tried; e-mail where nothing is said."""
    ask_first: Annotated[list[AskFirst], Field(max_length=16)]
    quiet_hours: Annotated[list[Quiet], Field(max_length=20)]
    caps: Annotated[list[Frequency], Field(max_length=20)]
    patience_hours: Annotated[int, Field(ge=1, le=24 * 30)]
    """How long a message may wait; what would wait longer is held back for good."""

    def rules(self) -> Rules:
        """As the domain has them."""
        return Rules(
            channels={purpose: tuple(channels) for purpose, channels in self.channels.items()},
            ask_first=tuple((each.channel, each.purpose) for each in self.ask_first),
            quiet_hours=tuple(
                QuietHours(
                    channels=tuple(each.channels),
                    purposes=tuple(each.purposes),
                    start=time.fromisoformat(each.start),
                    end=time.fromisoformat(each.end),
                )
                for each in self.quiet_hours
            ),
            caps=tuple(
                Cap(purposes=tuple(each.purposes), messages=each.messages, days=each.days) for each in self.caps
            ),
            patience_hours=self.patience_hours,
        )


class RulesInForce(RulesBody):
    """The rules, and who set them; null: they are the usual ones."""

    revision: int
    by: str | None
    at: datetime | None


class ConsentBody(BaseModel):
    """What the customer said, and where it is known from."""

    model_config = _FORBID

    granted: bool
    why: Annotated[str, Field(min_length=1, max_length=500)]


class Consent(BaseModel):
    """What the customer said last about one channel and purpose."""

    channel: MessageChannel
    purpose: Purpose
    granted: bool
    at: datetime
    by: str
    why: str


class Hold(BaseModel):
    """One time that a rule held a message back; `until` is null where it did for good."""

    message_id: UUID
    kind: MessageKind
    reason: HoldReason | SuppressionReason
    until: datetime | None
    at: datetime
    channel: MessageChannel | None
    case_id: str | None
    customer_id: str | None
    employee_id: str | None
    status: Status
    """Of the message by now."""


@router.get("/contact-rules", summary="The rules of contact")
async def get_rules(request: Request, response: Response, principal: Reader) -> RulesInForce:  # noqa: ARG001
    """What is in force; revision 0 are the usual ones."""
    async with database_of(request).reading() as tx:
        shown = await _shown(tx)
    response.headers["ETag"] = etag(shown.revision)
    return shown


@router.put(
    "/contact-rules",
    responses={200: {"model": RulesInForce}},
    openapi_extra=REPEATABLE,
    summary="Set the rules of contact",
)
async def put_rules(request: Request, principal: RuleWriter, body: RulesBody, seen: RequiredIfMatch) -> Response:
    """They hold for every message that is not yet under way; what waits already waits as it was told."""

    async def command(tx: Tx, _command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        revision, _, _ = await contacts.rules(tx)
        expect(revision, seen)
        if not await contacts.put_rules(tx, body.rules(), revision=revision + 1, by=principal.subject):
            raise changed(revision + 1)
        return 200, await _shown(tx), {"ETag": etag(revision + 1)}

    return await once(database_of(request), request, principal, command)


@router.get("/consents/{customer_id:path}", summary="What a customer said to being written to")
async def get_consents(request: Request, principal: Reader, customer_id: CustomerId) -> list[Consent]:  # noqa: ARG001
    """Beside the profile's own `email_consent`, which holds for all mails."""
    async with database_of(request).reading() as tx:
        return await _consents(tx, customer_id)


@router.put(
    "/consents/{customer_id:path}/{channel}/{purpose}",
    responses={200: {"model": list[Consent]}},
    openapi_extra=REPEATABLE,
    summary="Keep what a customer said",
)
async def put_consent(
    request: Request,
    principal: ConsentWriter,
    customer_id: CustomerId,
    channel: MessageChannel,
    purpose: Purpose,
    body: ConsentBody,
) -> Response:
    """The last word counts, and is announced."""

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        key = choice_key(channel, purpose)
        await contacts.choose(tx, customer_id, key, granted=body.granted, by=principal.subject, why=body.why)
        announce = announcements.opted_in if body.granted else announcements.opted_out
        announce(tx, command_id, customer_id, channel, purpose, by="operator")
        return 200, await _consents(tx, customer_id), {}

    return await once(database_of(request), request, principal, command)


@router.get("/holds", summary="What was held back, and why; the newest first")
async def list_holds(
    request: Request,
    principal: Reader,  # noqa: ARG001 - the rule
    reason: HoldReason | SuppressionReason | None = None,
    recipient: Annotated[str | None, Query(min_length=1, max_length=512)] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Hold]:
    """Each time that a message was made to wait, and each message that was held back for good."""
    after = decode_cursor(cursor, tuple[datetime, UUID]) if cursor is not None else None
    async with database_of(request).reading() as tx:
        rows = await contacts.held(tx, reason=reason, recipient=recipient, after=after, limit=limit + 1)
    shown = [
        Hold(
            message_id=row.id,
            kind=row.kind,
            reason=row.reason,
            until=row.until,
            at=row.at,
            channel=row.channel,
            case_id=row.case_id,
            customer_id=row.customer_id,
            employee_id=row.employee_id,
            status=Status(row.status),
        )
        for row in rows[:limit]
    ]
    more = encode_cursor((shown[-1].at, shown[-1].message_id)) if len(rows) > limit else None
    return Page(items=shown, next_cursor=more)


async def _shown(tx: Tx) -> RulesInForce:
    revision, rules, row = await contacts.rules(tx)
    return RulesInForce(
        channels={purpose: list(channels) for purpose, channels in rules.channels.items()},
        ask_first=[AskFirst(channel=channel, purpose=purpose) for channel, purpose in rules.ask_first],
        quiet_hours=[
            Quiet(
                channels=list(each.channels),
                purposes=list(each.purposes),
                start=each.start.isoformat("minutes"),
                end=each.end.isoformat("minutes"),
            )
            for each in rules.quiet_hours
        ],
        caps=[Frequency(**asdict(each)) for each in rules.caps],
        patience_hours=rules.patience_hours,
        revision=revision,
        by=None if row is None else row.by,
        at=None if row is None else row.at,
    )


async def _consents(tx: Tx, customer_id: str) -> list[Consent]:
    said = await contacts.choices(tx, customer_id)
    return [
        Consent.model_validate({"channel": key.partition("/")[0], "purpose": key.partition("/")[2], **choice})
        for key, choice in sorted(said.items())
    ]
