"""`/v1/outreach-rules`: which answers of passives and promoters open light cases, and who is thanked."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import Row

from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.etag import IfMatch, etag
from libs.webapi.idempotency import REPEATABLE
from libs.webapi.strict_json import Router
from services.casework.api import editing
from services.casework.api.access import ID_PATTERN, SettingsReader, SettingsWriter, actor_of
from services.casework.api.views import Who
from services.casework.domain.answers import Answer
from services.casework.domain.names import NpsClass, Tier
from services.casework.domain.outreach import OutreachRules, Then, try_on
from services.casework.store import outreach

router: Final = Router(prefix="/v1/outreach-rules", tags=["rules"])

_TRIED_ON: Final = 20_000
_EXAMPLES: Final = 20
_SPAN: Final = timedelta(days=30)
_Name = Annotated[str, Field(min_length=1, max_length=512)]
_Score = Annotated[int | None, Field(strict=True, ge=0, le=10)]


class RuleBody(BaseModel):
    """What to do with answers that meet all that it names; an empty list leaves nothing out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern=ID_PATTERN)]
    then: Then
    nps_classes: Annotated[tuple[NpsClass, ...], Field(max_length=3)] = ()
    tiers: Annotated[tuple[Tier, ...], Field(max_length=4)] = ()
    programs: Annotated[tuple[_Name, ...], Field(max_length=200)] = ()
    touchpoints: Annotated[tuple[_Name, ...], Field(max_length=200)] = ()
    themes: Annotated[
        tuple[Annotated[str, Field(pattern=ID_PATTERN)], ...],
        Field(max_length=100, description="Any of these themes of the comment."),
    ] = ()
    score_from: _Score = None
    score_to: _Score = None

    @model_validator(mode="after")
    def _can_be_met(self) -> "RuleBody":
        if self.score_from is not None and self.score_to is not None and self.score_from > self.score_to:
            raise ValueError("score_to is at least score_from")
        if self.nps_classes == ("detractor",):
            raise ValueError("a detractor's answer opens a case whatever the rules say")
        return self


class OutreachBody(BaseModel):
    """Rules in their order: the first that an answer meets decides."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: Annotated[tuple[RuleBody, ...], Field(max_length=100)]
    otherwise: Annotated[
        Literal["thanks", "nothing"], Field(description="What becomes of answers that meet no rule.")
    ] = "thanks"
    thank_after_minutes: Annotated[
        int, Field(strict=True, ge=0, le=7 * 24 * 60, description="Second thoughts come within minutes: wait for them.")
    ] = 60

    @model_validator(mode="after")
    def _each_has_its_name(self) -> "OutreachBody":
        if len({rule.id for rule in self.rules}) < len(self.rules):
            raise ValueError("rules have ids of their own")
        return self

    def as_rules(self) -> OutreachRules:
        """The same for the domain."""
        return msgspec.convert(self.model_dump(), OutreachRules)


class Outreach(OutreachBody):
    """The rules in force."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    version: int
    at: datetime
    by: Who

    @model_validator(mode="before")
    @classmethod
    def _of_row(cls, row: Any) -> Any:  # noqa: ANN401 - a row, or what a test gives
        if not isinstance(row, Row):
            return row
        document = msgspec.to_builtins(msgspec.json.decode(row.document, type=OutreachRules))
        by = Who(kind=row.actor_kind, id=row.actor_id, name=row.actor_name)
        return {**document, "version": row.version, "at": row.at, "by": by}


class RuleTried(BaseModel):
    """How many answers a rule would have decided about."""

    id: str
    then: Then
    answers: int


class WouldOpen(BaseModel):
    """An answer that a rule would have opened a case for."""

    rule: str
    customer_id: str | None
    customer_name: str | None
    tier: Tier
    score: int | None
    program: str
    touchpoint: str | None
    answered_at: datetime
    has_case: bool
    """The customer has a case that is not closed: the answer would have joined it instead."""


class OutreachTried(BaseModel):
    """What the rules would have done with the latest answers that are no detractors', as if nobody had a case."""

    since: datetime
    answers: int
    rules: list[RuleTried]
    cases: int
    thanks: int
    nothing: int
    opening: list[WouldOpen]
    """The latest 20 of those that would open a case."""


@router.get("", summary="The rules for passives and promoters")
async def get_rules(request: Request, response: Response, principal: SettingsReader) -> Outreach:  # noqa: ARG001 - the rule
    """There are always some, and detractors are not their business."""
    async with database_of(request).reading() as tx:
        row = await outreach.find(tx)
    response.headers["ETag"] = etag(row.version)
    return Outreach.model_validate(row)


@router.put("", responses=editing.stored(Outreach), openapi_extra=REPEATABLE, summary="Replace the rules")
async def put_rules(request: Request, principal: SettingsWriter, body: OutreachBody, seen: IfMatch) -> Response:
    """Hold for answers that come from now on. Earlier versions are kept."""

    async def write(tx: Tx) -> Row[Any] | None:
        await outreach.put(tx, body.as_rules(), actor_of(principal))
        return await outreach.find(tx)

    return await editing.put(request, principal, seen, Outreach, outreach.lock, write)


@router.post("/dry-run", summary="What rules would have done")
async def dry_run(request: Request, principal: SettingsWriter, body: OutreachBody) -> OutreachTried:  # noqa: ARG001 - the rule
    """On the answers of the last 30 days, 20,000 at most. Nothing is changed by it."""
    rules = body.as_rules()
    async with database_of(request).reading() as tx:
        since = tx.now - _SPAN
        tried = try_on(rules, await outreach.latest(tx, since, _TRIED_ON), _EXAMPLES)
        customers = await outreach.known(
            tx, {answer.customer_id for _, answer in tried.opening if answer.customer_id is not None}
        )
    return OutreachTried(
        since=since,
        answers=tried.answers,
        rules=[RuleTried(id=rule.id, then=rule.then, answers=tried.by_rule[rule.id]) for rule in rules.rules],
        cases=tried.cases,
        thanks=tried.thanks,
        nothing=tried.nothing,
        opening=[_would_open(rule, answer, customers) for rule, answer in tried.opening],
    )


def _would_open(rule: str, answer: Answer, customers: dict[str, tuple[str | None, bool]]) -> WouldOpen:
    name, has_case = customers.get(answer.customer_id or "", (None, False))
    return WouldOpen(
        rule=rule,
        customer_id=answer.customer_id,
        customer_name=name,
        tier=answer.tier,
        score=answer.score,
        program=answer.program,
        touchpoint=answer.touchpoint,
        answered_at=answer.answered_at,
        has_case=has_case,
    )
