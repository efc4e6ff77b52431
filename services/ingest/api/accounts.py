"""`/v1/sources/{source}/account`: how a source's answers are asked for at the vendor's API, and what polls found."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field

from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.problem import FieldError, Problem, of_status
from libs.webapi.strict_json import Router
from services.ingest.api.access import SourceName, SourcesReader, SourcesWriter
from services.ingest.clients import APIS
from services.ingest.clients.api import VendorApi
from services.ingest.store import fetching, sources
from services.ingest.store.fetching import PollReport, StoredAccount

router: Final = Router(prefix="/v1/sources/{source}/account", tags=["sources"])

_LOOK_BACK: Final = timedelta(days=1)


class AccountBody(BaseModel):
    """How the vendor's API is asked. Polling, where it is wanted, brings what webhooks have lost."""

    model_config = ConfigDict(extra="forbid")

    token: Annotated[
        str,
        Field(min_length=8, max_length=2000, json_schema_extra={"writeOnly": True}, description="Never told again."),
    ]
    survey: Annotated[
        str | None,
        Field(pattern=r"^[A-Za-z0-9_-]{1,100}$", description="The vendor's id of the survey or form."),
    ] = None
    base_url: Annotated[
        str | None, Field(max_length=200, description="Of the company's data centre, where the vendor has several.")
    ] = None
    poll_minutes: Annotated[
        int | None, Field(ge=5, le=1440, description="How often the API is asked for what webhooks lost; null: never.")
    ] = None
    since: Annotated[
        datetime | None, Field(description="How far back the first poll looks: a day, where that is left out.")
    ] = None


class PollOut(BaseModel):
    """What polls of the source found so far."""

    watermark: datetime
    polled_at: datetime | None
    seen: Annotated[int, Field(description="Responses that the API told, repeated ones among them.")]
    missed: Annotated[int, Field(description="Of these, the ones that webhooks had lost.")]
    error: str | None


class AccountOut(BaseModel):
    """An account without its token."""

    survey: str | None
    base_url: str
    poll_minutes: int | None
    poll: PollOut | None


@router.get("", summary="The account at the vendor's API")
async def get_account(request: Request, principal: SourcesReader, source: SourceName) -> AccountOut:  # noqa: ARG001 - the rule
    """With what polls have found."""
    async with database_of(request).reading() as tx:
        account = (await fetching.accounts(tx, [source])).get(source)
        reports = {report.source: report for report in await fetching.reports(tx)}
    if account is None:
        raise of_status(404, detail="The source has no account at its vendor's API.")
    return _out(account, reports.get(source))


@router.put("", response_model=AccountOut, openapi_extra=REPEATABLE, summary="Set the account at the vendor's API")
async def put_account(request: Request, principal: SourcesWriter, source: SourceName, body: AccountBody) -> Response:
    """Answers that webhooks announced are fetched with it from now on."""
    plain_http: bool = request.app.state.plain_http

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:  # noqa: ARG001 - nothing to announce
        note = await sources.note(tx, source)
        if note is None:
            raise of_status(404, detail="There is no such source.")
        api = APIS.get(note.source.vendor)
        if api is None:
            raise _invalid("/token", f"{note.source.vendor} has no API that we ask; it is asked at {', '.join(APIS)}")
        account = _account(source, body, api, plain_http=plain_http)
        await fetching.put_account(tx, account, since=body.since or tx.now - _LOOK_BACK)
        reports = {report.source: report for report in await fetching.reports(tx)}
        return 200, _out(account, reports.get(source)), {}

    return await once(database_of(request), request, principal, command)


@router.delete("", status_code=204, openapi_extra=REPEATABLE, summary="Forget the account at the vendor's API")
async def delete_account(request: Request, principal: SourcesWriter, source: SourceName) -> Response:
    """The token is forgotten, and polling ends."""

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:  # noqa: ARG001 - nothing to announce
        await fetching.remove_account(tx, source)
        return 204, None, {}

    return await once(database_of(request), request, principal, command)


def _account(source: str, body: AccountBody, api: VendorApi, *, plain_http: bool) -> StoredAccount:
    if api.needs_survey and body.survey is None:
        raise _invalid("/survey", "is needed: this vendor's API asks for answers by survey")
    base_url = body.base_url or api.base_url
    parts = urlsplit(base_url)
    if parts.scheme not in ({"http", "https"} if plain_http else {"https"}) or not parts.hostname or parts.username:
        raise _invalid("/base_url", "has to be an https address without a log-in: the token travels to it")
    if not body.token.isascii() or not body.token.isprintable() or " " in body.token:
        raise _invalid("/token", "holds characters that no token has")
    every = None if body.poll_minutes is None else timedelta(minutes=body.poll_minutes)
    return StoredAccount(source, base_url, body.token, body.survey, every)


def _out(account: StoredAccount, report: PollReport | None) -> AccountOut:
    every = account.poll_every
    return AccountOut(
        survey=account.survey,
        base_url=account.base_url,
        poll_minutes=None if every is None else int(every.total_seconds() // 60),
        poll=None
        if report is None
        else PollOut(
            watermark=report.watermark,
            polled_at=report.polled_at,
            seen=report.seen,
            missed=report.missed,
            error=report.error,
        ),
    )


def _invalid(pointer: str, detail: str) -> Problem:
    error: FieldError = {"pointer": pointer, "detail": detail}
    return Problem(422, "invalid", "The request is not valid", errors=[error])
