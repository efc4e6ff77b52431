"""`POST /v1/providers/{name}/test`: a message to a number of one's own, and what the provider answered."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import structlog
from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import from_json, to_json

from libs.events.database import Database, Tx
from libs.webapi.app import database_of
from libs.webapi.idempotency import REPEATABLE, REPLAYED_HEADER, once
from libs.webapi.problem import Problem, of_status
from libs.webapi.strict_json import Router
from services.notify.api.providers import Name, Writer
from services.notify.domain.messages import MessageId
from services.notify.domain.outcomes import Withdrawn
from services.notify.domain.provider_trials import LONGEST_ANSWER, trial_of
from services.notify.domain.providers import Provider, Short
from services.notify.providers import Providers
from services.notify.store import provider_trials, providers

log: Final = structlog.get_logger()

router: Final = Router(prefix="/v1/providers/{name}", tags=["providers"])

_TIMEOUT: Final = timedelta(seconds=10)
"""A person waits for it."""


class TrialBody(BaseModel):
    """To whom, and what."""

    model_config = ConfigDict(extra="forbid")

    to: Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f]{3,320}$")]
    """A number, or an address of the messenger; it is not kept."""
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]
    language: Literal["ru", "en"] = "ru"


class Tried(BaseModel):
    """What came of it. The address is not kept, and headers of the provider do not stand in what it answered."""

    id: UUID
    provider: str
    by: str
    asked_at: datetime
    outcome: Literal["accepted", "later", "refused", "doubtful"]
    """What the answer would mean for a message to a customer."""
    said: str
    """As it would stand in the ledger."""
    status: int | None
    """Of HTTP; null where nothing was answered."""
    answer: Annotated[str, Field(max_length=LONGEST_ANSWER)]
    """The beginning of the answer's body."""


@router.post("/test", responses={200: {"model": Tried}}, openapi_extra=REPEATABLE, summary="Try a provider")
async def try_provider(request: Request, principal: Writer, name: Name, body: TrialBody) -> Response:
    """Also one that is switched off. It is no message to a customer: it stands in no ledger and is counted nowhere."""
    database = database_of(request)

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        if await providers.one(tx, name) is None:
            raise of_status(404, detail="No such provider.")
        await provider_trials.begin(tx, command_id, name, by=principal.subject)
        return 200, {"id": str(command_id)}, {}

    # That it was begun is committed before anybody is asked, and no transaction is open while that lasts.
    begun = await once(database, request, principal, command)
    trial_id = UUID(from_json(bytes(begun.body))["id"])
    await _ask(database, trial_id, name, body)
    async with database.reading() as tx:
        row = await provider_trials.one(tx, trial_id)
    if row is None or row.outcome is None:
        raise Problem(
            409,
            "provider-being-tried",
            "Nobody knows yet what was answered",
            detail="It is being asked, or who asked ended before the answer came. Try it anew under another key.",
        )
    found = {member: getattr(row, member) for member in Tried.model_fields}
    kept = {REPLAYED_HEADER: "true"} if REPLAYED_HEADER in begun.headers else {}
    return Response(to_json(Tried(**found)), headers=kept, media_type="application/json")


async def _ask(database: Database, trial_id: UUID, name: str, body: TrialBody) -> None:
    """Ask the provider, unless that was done already."""

    async def claim() -> bool:
        async with database.transaction() as tx:
            return await provider_trials.claim(tx, trial_id)

    async with database.reading() as tx:
        row = await providers.one(tx, name)
    if row is None:
        raise of_status(404, detail="No such provider.")
    provider: Provider = providers.decoded(row)
    short = Short(id=MessageId(trial_id), to=body.to, text=body.text, subject=body.text, language=body.language)
    line = Providers(timeout=_TIMEOUT)
    try:
        asked = await line.ask(provider, short, claim, repeatable=False)
    finally:
        await line.close()
    if isinstance(asked.outcome, Withdrawn):
        return
    trial = trial_of(provider, asked.outcome, asked.status, asked.body, to=body.to)
    async with database.transaction() as tx:
        await provider_trials.answered(tx, trial_id, trial)
    log.info("provider.tried", provider=name, outcome=trial.outcome, status=trial.status)
