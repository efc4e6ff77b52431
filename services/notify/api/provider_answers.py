"""`/v1/provider-answers`: how sending goes, by provider and by mail: what was delivered, put off, refused, in doubt."""

from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

from fastapi import Query, Request
from pydantic import BaseModel, Field

from libs.webapi.app import database_of
from libs.webapi.strict_json import Router
from services.notify.api.providers import Reader
from services.notify.store import providers

router: Final = Router(prefix="/v1", tags=["providers"])

_ENOUGH: Final = 10_000
"""Of mails more are not counted: whether it goes well shows long before."""


class Trouble(BaseModel):
    """The latest that is not over: what was answered, without contact details, and when."""

    said: str
    at: datetime


class Answers(BaseModel):
    """What came of the messages of the last days, over one provider or by mail."""

    provider: str | None
    """Null: the mail server."""
    delivered: int
    later: int
    """Answers that put it off, also of what was delivered in the end; of mails, those that still wait after one."""
    never: int
    doubtful: int
    trouble: Trouble | None


class AnswersShown(BaseModel):
    """By mail first, then by provider."""

    days: int
    counted_to: int = Field(description="Numbers of mails go no further.")
    items: list[Answers]
    employees_with_chat: int


@router.get("/provider-answers", summary="How sending goes")
async def list_answers(
    request: Request,
    principal: Reader,  # noqa: ARG001 - the rule
    days: Annotated[Literal[1, 7, 30], Query()] = 7,
) -> AnswersShown:
    """What the ledger says of the last days; what a provider answered to each message is in the ledger."""
    async with database_of(request).reading() as tx:
        since = tx.now - timedelta(days=days)
        rows = await providers.answers(tx, since=since)
        mails = await providers.mails(tx, since=since, enough=_ENOUGH)
        trouble = await providers.mail_trouble(tx, since=since)
        chats = await providers.count_chats(tx)
    by_mail = Answers(
        provider=None,
        delivered=mails["sent"],
        later=mails["queued"],
        never=mails["failed"],
        doubtful=mails["doubtful"],
        trouble=None if trouble is None else Trouble(said=trouble.reason or "", at=trouble.changed_at),
    )
    of_providers = [
        Answers(
            provider=row.name,
            delivered=row.delivered,
            later=row.later,
            never=row.never,
            doubtful=row.doubtful,
            trouble=None if row.trouble is None else Trouble(said=row.trouble, at=row.trouble_at),
        )
        for row in rows
    ]
    return AnswersShown(days=days, counted_to=_ENOUGH, items=[by_mail, *of_providers], employees_with_chat=chats)
