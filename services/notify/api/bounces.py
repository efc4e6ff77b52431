"""What came back, told over HTTP: `/v1/bounces` takes the report mails themselves, and what providers say."""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from libs.events.contracts.messages import Bounce
from libs.webapi.app import database_of
from libs.webapi.auth import Principal, requires
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.problem import Problem
from libs.webapi.strict_json import Router
from services.notify import bounces
from services.notify.domain.returns import Report, named, of_status, reports
from services.notify.store.returns import Returned

router: Final = Router(prefix="/v1/bounces", tags=["bounces"])
mails: Final = APIRouter(prefix="/v1/bounces", tags=["bounces"])

Teller = Annotated[Principal, requires("bounces:write", roles={"operator", "administrator"})]
_MAIL: Final = "message/rfc822"


class Told(BaseModel):
    """What a provider says of one message."""

    model_config = ConfigDict(extra="ignore")

    message_id: Annotated[str, Field(min_length=1, max_length=300, description="Our Message-ID, or the ledger's id.")]
    outcome: Literal["hard", "soft", "complaint", "bounced"]
    """`bounced`: `code` says whether for good."""
    code: Annotated[str, Field(max_length=40, description="The enhanced status code, such as 5.1.1.")] = ""


class Telling(BaseModel):
    """What a provider says of messages."""

    model_config = ConfigDict(extra="ignore")

    items: Annotated[list[Told], Field(min_length=1, max_length=1000)]


class Recorded(BaseModel):
    """A message that came back, of which that was news."""

    message_id: UUID
    bounce: Bounce
    code: str


class Records(BaseModel):
    """What followed from a report; nothing where it was known, or names no message of ours that was accepted."""

    recorded: list[Recorded]


@router.post("", responses={200: {"model": Records}}, openapi_extra=REPEATABLE, summary="What a provider says")
async def tell(request: Request, principal: Teller, telling: Telling) -> Response:
    """An address that is gone, or whose owner complained, is put on the list; told twice, it takes effect once."""
    told = [
        Report(message_id, "soft" if bounce is None else bounce, each.code or each.outcome)
        for each in telling.items
        if (message_id := named(each.message_id)) is not None
        for bounce in (of_status(each.code) if each.outcome == "bounced" else each.outcome,)
    ]

    async def command(tx: Any, _command_id: UUID) -> tuple[int, Any, dict[str, str]]:  # noqa: ANN401 - a Tx
        return 200, records(await bounces.take(tx, told)), {}

    return await once(database_of(request), request, principal, command)


@mails.post(
    "/mail",
    openapi_extra={"requestBody": {"required": True, "content": {_MAIL: {"schema": {"type": "string"}}}}},
    summary="A mail that came back, as it is",
)
async def take_mail(request: Request, principal: Teller) -> Records:  # noqa: ARG001 - the rule
    """A delivery status notification (RFC 3464) or a complaint (RFC 5965); another mail changes nothing."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _MAIL:
        raise Problem(415, "unsupported-media-type", "The content type is not supported", detail=f"Send {_MAIL}.")
    told = reports(await request.body())
    async with database_of(request).transaction() as tx:
        return records(await bounces.take(tx, told))


def records(returned: list[Returned]) -> Records:
    """The answer to a report."""
    return Records(
        recorded=[Recorded(message_id=each.entry.id, bounce=each.bounce, code=each.code) for each in returned]
    )
