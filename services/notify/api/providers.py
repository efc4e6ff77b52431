"""`/v1/providers`: who carries SMS and messengers, as data; `/v1/employees/{id}/chat`: where employees are told."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import msgspec
from fastapi import Path, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.auth import Principal, requires
from libs.webapi.etag import IfMatch, etag, expect
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.problem import of_status
from libs.webapi.strict_json import Router
from services.notify.domain.providers import PLACES, Provider, Reading, unknown_places
from services.notify.store import providers

if TYPE_CHECKING:
    from sqlalchemy import Row

router: Final = Router(prefix="/v1", tags=["providers"])

Reader = Annotated[Principal, requires("messages:read", roles={"operator", "administrator"})]
Writer = Annotated[Principal, requires("providers:write", roles={"operator", "administrator"})]
Name = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
EmployeeId = Annotated[str, Path(min_length=1, max_length=512)]
_FORBID: Final = ConfigDict(extra="forbid")
_Token = Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$")]
_Value = Annotated[str, Field(pattern=r"^[\x20-\x7e]{0,2000}$")]
_Said = Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=50)]


def _address(url: str) -> str:
    parts = urlsplit(url)
    try:
        # Whoever asks it would stumble over a host that is none only then. A port that is none raises ValueError.
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        is_one = is_one and bool(httpx.URL(url).host)
    except httpx.InvalidURL:
        is_one = False
    if not is_one:
        raise ValueError("http:// or https:// and a host")
    return url


def _known(body: dict[str, Any]) -> dict[str, Any]:
    unknown = unknown_places(body)
    if unknown:
        raise ValueError(f"nothing is known for {', '.join(sorted(unknown))}; there are {', '.join(sorted(PLACES))}")
    return body


class ReadingBody(BaseModel):
    """How a 2xx answer in JSON says what was done; every value that is not listed is a refusal for good."""

    model_config = _FORBID

    pointer: Annotated[str, Field(pattern=r"^(/[^/]*)+$", max_length=200, description="RFC 6901")]
    accepted: Annotated[_Said, Field(min_length=1)]
    later: _Said = []


class ProviderBody(BaseModel):
    """A provider that takes a JSON document by POST."""

    model_config = _FORBID

    channel: Literal["sms", "messenger"]
    url: Annotated[str, Field(max_length=2000), AfterValidator(_address)]
    headers: Annotated[dict[_Token, _Value], Field(max_length=20)] = {}
    """Never shown again; leave them out to keep those that are there."""
    body: Annotated[dict[str, Any], AfterValidator(_known)]
    """`{to}`, `{text}`, `{subject}`, `{id}`, `{sender}` and `{language}` in its strings are filled in."""
    idempotency_header: _Token | None = None
    """Where the key goes. Without it, a message whose request got no clear answer is never asked for again."""
    repeat_hours: Annotated[int, Field(ge=1, le=24 * 30)] = 24
    """How long the provider remembers a key."""
    sender: Annotated[str, Field(max_length=100)] = ""
    reading: ReadingBody | None = None
    """Without it, a 2xx answer is a yes."""
    enabled: bool = True
    """One provider carries a channel: switching one on switches the other off."""


class ProviderShown(BaseModel):
    """A provider, without the values of its headers."""

    name: str
    channel: Literal["sms", "messenger"]
    url: str
    headers: list[str]
    body: dict[str, Any]
    idempotency_header: str | None
    repeat_hours: int
    sender: str
    reading: ReadingBody | None
    enabled: bool
    by: str
    at: datetime


class ChatBody(BaseModel):
    """Where an employee is told things, as an address of Apprise (for example `slack://…` or `mmosts://…`)."""

    model_config = _FORBID

    address: Annotated[str, Field(min_length=5, max_length=2000, pattern=r"^[a-z0-9]+://")]


class ChatShown(BaseModel):
    """That an employee has a chat; its address holds a secret and is not shown."""

    employee_id: str
    by: str
    at: datetime


@router.get("/providers", summary="Who carries SMS and messengers")
async def list_providers(request: Request, principal: Reader) -> list[ProviderShown]:  # noqa: ARG001 - the rule
    """All of them, also those that are switched off."""
    async with database_of(request).reading() as tx:
        return [_shown(row) for row in await providers.listed(tx)]


@router.get("/providers/{name}", summary="A provider")
async def get_provider(request: Request, response: Response, principal: Reader, name: Name) -> ProviderShown:  # noqa: ARG001
    """One of them, without the values of its headers."""
    async with database_of(request).reading() as tx:
        row = await providers.one(tx, name)
    if row is None:
        raise of_status(404, detail="No such provider.")
    response.headers["ETag"] = etag(row.revision)
    return _shown(row)


@router.put(
    "/providers/{name}",
    responses={200: {"model": ProviderShown}},
    openapi_extra=REPEATABLE,
    summary="Set a provider",
)
async def put_provider(request: Request, principal: Writer, name: Name, body: ProviderBody, seen: IfMatch) -> Response:
    """Messages that were asked for already stay with the provider that they were asked of."""

    async def command(tx: Tx, _command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        known = await providers.one(tx, name)
        if known is not None:
            expect(known.revision, seen)
        headers = body.headers or ({} if known is None else dict(providers.decoded(known).headers))
        read = body.reading
        provider = Provider(
            name=name,
            channel=body.channel,
            url=body.url,
            headers=headers,
            body=body.body,
            idempotency_header=body.idempotency_header,
            repeat_hours=body.repeat_hours,
            sender=body.sender,
            reading=None
            if read is None
            else Reading(pointer=read.pointer, accepted=tuple(read.accepted), later=tuple(read.later)),
        )
        await providers.put(tx, provider, is_enabled=body.enabled, by=principal.subject)
        row = await providers.one(tx, name)
        assert row is not None  # noqa: S101 - it was just put
        return 200, _shown(row), {"ETag": etag(row.revision)}

    return await once(database_of(request), request, principal, command)


@router.get("/employees/{employee_id}/chat", summary="Whether an employee is told things in chat")
async def get_chat(request: Request, principal: Reader, employee_id: EmployeeId) -> ChatShown:  # noqa: ARG001
    """Who set it, and when."""
    async with database_of(request).reading() as tx:
        return await _chat(tx, employee_id)


@router.put(
    "/employees/{employee_id}/chat",
    responses={200: {"model": ChatShown}},
    openapi_extra=REPEATABLE,
    summary="Tell an employee things in chat",
)
async def put_chat(request: Request, principal: Writer, employee_id: EmployeeId, body: ChatBody) -> Response:
    """Instead of by mail, where the rules of contact name chat first."""

    async def command(tx: Tx, _command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        await providers.put_chat(tx, employee_id, body.address, by=principal.subject)
        return 200, await _chat(tx, employee_id), {}

    return await once(database_of(request), request, principal, command)


@router.delete("/employees/{employee_id}/chat", status_code=204, summary="Write mails to an employee again")
async def delete_chat(request: Request, principal: Writer, employee_id: EmployeeId) -> None:  # noqa: ARG001
    """What was said in chat stays there."""
    async with database_of(request).transaction() as tx:
        if not await providers.delete_chat(tx, employee_id):
            raise of_status(404, detail="They have no chat.")


async def _chat(tx: Tx, employee_id: str) -> ChatShown:
    row = await providers.chat(tx, employee_id)
    if row is None:
        raise of_status(404, detail="They have no chat.")
    return ChatShown(employee_id=row.employee_id, by=row.by, at=row.at)


def _shown(row: "Row[Any]") -> ProviderShown:
    document = msgspec.json.decode(row.document)
    hidden = {"headers": sorted(document["headers"]), "enabled": row.enabled, "by": row.by, "at": row.at}
    return ProviderShown.model_validate(document | hidden)
