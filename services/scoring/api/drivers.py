"""`/v1/metrics/drivers` and `/v1/driver-runs`: what moves the NPS, as far as answers can tell."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from libs.events.contracts.responses import SurveyKind
from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.problem import of_status
from libs.webapi.strict_json import Router
from services.scoring.api.access import MetricsReader, RulesWriter
from services.scoring.api.filters import Moment
from services.scoring.domain.customers import LONGEST_ID
from services.scoring.domain.drivers import Factor, Findings, Scope
from services.scoring.domain.drivers import Interval as Estimated
from services.scoring.domain.instruments import breaks
from services.scoring.store import driver_runs, instruments
from services.scoring.store.driver_runs import Run

router: Final = Router(prefix="/v1", tags=["drivers"])

CONFIDENCE: Final = 0.95
_LONGEST: Final = timedelta(days=3 * 366)
_MEANING: Final = (
    "Correlation is no cause: a share says how much of the differences between answers goes together with a driver, "
    "and not what changing it would do. It shows where to look first."
)

Program = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ID)]


class RunBody(BaseModel):
    """Which answers to compare."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    program: Program
    kind: SurveyKind
    since: Annotated[Moment, Field(alias="from", description="Answered at this moment or later.")]
    until: Annotated[Moment, Field(alias="to", description="Answered before this moment.")]

    @model_validator(mode="after")
    def _check_period(self) -> "RunBody":
        if not timedelta(0) < self.until - self.since <= _LONGEST:
            raise ValueError("the period has to begin before it ends, and to have three years at most")
        return self


class Interval(BaseModel):
    """A value with its interval."""

    value: float
    ci_low: float
    ci_high: float


class Stake(BaseModel):
    """What customers are worth who met or mentioned this and answered as detractors or passives.

    A customer may stand in several levels: these sums must not be added up.
    """

    customers: int
    valued: int = Field(description="Those of them whose current value is known: the sum is theirs.")
    current_value: float


class Level(BaseModel):
    """One touchpoint, one channel, one theme."""

    name: str = Field(description="`…` are the small ones together, `?` those of which it is not known.")
    n: int
    nps: Interval | None = Field(description="Of these answers, with nothing held equal.")
    effect: Interval = Field(
        description="Points of NPS, the other drivers held equal: of a level against the average answer, of a theme "
        "against answers that do not mention it, of the greatest effort against none."
    )
    at_stake: Stake | None = Field(description="Null where too few customers are concerned.")


class Driver(BaseModel):
    """A factor or a theme."""

    factor: Factor
    name: str | None = Field(description="Of a theme, its id.")
    share: Interval = Field(
        description="The part of `r_squared` that belongs to it (Shapley value, LMG). It is never below zero: whether "
        "there is anything at all is told by the intervals of the effects."
    )
    levels: list[Level]


class LeftOut(BaseModel):
    """What could not be compared."""

    factor: Factor
    name: str | None
    reason: Literal["all_alike", "too_few"]


class Refusal(BaseModel):
    """Why there is no result."""

    reason: Literal["too_few_answers", "all_of_one_class", "nothing_to_compare", "failed"]
    needed: int | None = Field(description="How many answers it takes.")


class Break(BaseModel):
    """Within the period the question was asked otherwise from here on: part of the differences may come from that."""

    at: datetime
    touchpoint: str | None
    version: int
    changed: list[str]


class DriverRun(BaseModel):
    """What was asked for, and what was found. Correlation is no cause: it shows where to look first."""

    id: UUID
    program: str
    kind: SurveyKind
    since: datetime = Field(serialization_alias="from")
    until: datetime = Field(serialization_alias="to")
    asked_at: datetime
    asked_by: str
    status: Literal["waiting", "refused", "found"]
    finished_at: datetime | None
    confidence: float = Field(description="Of the intervals: percentiles of resamples of the answers.")
    resamples: int | None
    meaning: str = Field(description="What these numbers say and what they do not.")
    n: int | None = Field(description="Answers that were compared.")
    answers: int | None = Field(description="Answers of the period; more than `n` where a sample was drawn.")
    refused: Refusal | None
    nps: Interval | None
    r_squared: Interval | None = Field(description="How much of the differences between answers the drivers explain.")
    drivers: list[Driver]
    left_out: list[LeftOut]
    instrument_breaks: list[Break]


@router.get("/metrics/drivers", summary="What moves the NPS", description=_MEANING)
async def get_drivers(
    request: Request,
    principal: MetricsReader,  # noqa: ARG001 - the rule
    program: Annotated[str, Query(min_length=1, max_length=LONGEST_ID)],
    kind: SurveyKind = "transactional",
    since: Annotated[Moment | None, Query(alias="from", description="Only a run of this very period.")] = None,
    until: Annotated[Moment | None, Query(alias="to", description="Only a run of this very period.")] = None,
) -> DriverRun:
    """The newest finished run; 404 where there is none yet: runs are made each night, and when somebody asks."""
    async with database_of(request).reading() as tx:
        run = await driver_runs.newest(tx, program, kind, since=since, until=until)
        if run is None:
            raise of_status(404, detail="There is no such run. POST /v1/driver-runs asks for one.")
        return await _body(tx, run)


@router.get("/driver-runs/{run_id}", summary="A run", description=_MEANING)
async def get_run(request: Request, principal: MetricsReader, run_id: UUID) -> DriverRun:  # noqa: ARG001 - the rule
    """The run, waiting or finished."""
    async with database_of(request).reading() as tx:
        run = await driver_runs.find(tx, run_id)
        if run is None:
            raise of_status(404, detail="No such run.")
        return await _body(tx, run)


@router.post(
    "/driver-runs",
    status_code=202,
    response_model=DriverRun,
    openapi_extra=REPEATABLE,
    summary="Ask what moves the NPS",
    description=_MEANING,
)
async def post_run(request: Request, principal: RulesWriter, body: RunBody) -> Response:
    """It is computed within moments, in a process of its own; `Location` tells where to look for it."""

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        scope = Scope(body.program, body.kind, body.since, body.until)
        await driver_runs.ask(tx, [(command_id, scope)], principal.subject)
        waiting = Run(command_id, scope, tx.now, principal.subject, None, None)
        return 202, await _body(tx, waiting), {"Location": f"/v1/driver-runs/{command_id}"}

    return await once(database_of(request), request, principal, command)


async def _body(tx: Tx, run: Run) -> DriverRun:
    scope, found = run.scope, run.findings
    versions = await instruments.of_series(tx, metric="nps", program=scope.program, touchpoint=None, kind=scope.kind)
    return DriverRun(
        id=run.id,
        program=scope.program,
        kind=scope.kind,
        since=scope.since,
        until=scope.until,
        asked_at=run.asked_at,
        asked_by=run.asked_by,
        status="waiting" if found is None else "found" if found.refused is None else "refused",
        finished_at=run.finished_at,
        confidence=CONFIDENCE,
        resamples=None if found is None else found.resamples,
        meaning=_MEANING,
        n=None if found is None else found.n,
        answers=None if found is None else found.answers,
        refused=None if found is None or found.refused is None else Refusal(**_members(found.refused)),
        nps=None if found is None else _interval(found.nps, 2),
        r_squared=None if found is None else _interval(found.r_squared, 4),
        drivers=[] if found is None else _drivers(found),
        left_out=[] if found is None else [LeftOut(**_members(each)) for each in found.left_out],
        instrument_breaks=[
            Break(
                at=each.began.first_answered_at,
                touchpoint=each.began.touchpoint,
                version=each.began.version,
                changed=list(each.changed),
            )
            for each in breaks(versions)
            if scope.since <= each.began.first_answered_at < scope.until
        ],
    )


def _drivers(found: Findings) -> list[Driver]:
    return [
        Driver(
            factor=driver.factor,
            name=driver.name,
            share=_rounded(driver.share, 4),
            levels=[
                Level(
                    name=level.name,
                    n=level.n,
                    nps=_interval(level.nps, 2),
                    effect=_rounded(level.effect, 2),
                    at_stake=None if level.at_stake is None else Stake(**_members(level.at_stake)),
                )
                for level in driver.levels
            ],
        )
        for driver in found.drivers
    ]


def _members(found: msgspec.Struct) -> dict[str, Any]:
    return msgspec.structs.asdict(found)


def _interval(found: Estimated | None, digits: int) -> Interval | None:
    return None if found is None else _rounded(found, digits)


def _rounded(found: Estimated, digits: int) -> Interval:
    return Interval(
        value=round(found.value, digits), ci_low=round(found.ci_low, digits), ci_high=round(found.ci_high, digits)
    )
