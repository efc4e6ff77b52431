"""`/v1/touchpoints`: which department answers for what happens where."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field

from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.etag import IfMatch, changed, etag
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.problem import Problem
from libs.webapi.strict_json import Router
from services.scoring.api.access import MetricsReader, RulesWriter
from services.scoring.domain.customers import LONGEST_ID
from services.scoring.domain.departments import Responsibility, doubled
from services.scoring.store import departments, locks
from services.scoring.store.departments import TouchpointMap

router: Final = Router(prefix="/v1/touchpoints", tags=["touchpoints"])

_MOST: Final = 2000
Name = Annotated[str, Field(min_length=1, max_length=LONGEST_ID, pattern=r"^[^\x00]+$")]


class Touchpoint(BaseModel):
    """A department answers for a touchpoint: of one program, or of every program that names no other."""

    model_config = ConfigDict(extra="forbid")

    touchpoint: Name
    program: Name | None = None
    department: Name


class Touchpoints(BaseModel):
    """All of them."""

    model_config = ConfigDict(extra="forbid")

    items: Annotated[list[Touchpoint], Field(max_length=_MOST)]


class TouchpointsInForce(Touchpoints):
    """All of them, with their version. An answer has the department of the moment when it was scored."""

    version: int
    created_at: datetime
    created_by: str


@router.get("", summary="Touchpoints and their departments")
async def get(request: Request, response: Response, principal: MetricsReader) -> TouchpointsInForce:  # noqa: ARG001 - the rule
    """Their version as `ETag`."""
    async with database_of(request).reading() as tx:
        in_force = await departments.current(tx)
    response.headers["ETag"] = etag(in_force.version)
    return _body(in_force)


@router.put(
    "",
    responses={200: {"model": TouchpointsInForce}},
    openapi_extra=REPEATABLE,
    summary="Put touchpoints and their departments",
)
async def put(request: Request, principal: RulesWriter, body: Touchpoints, seen: IfMatch) -> Response:
    """All of them at once. What was scored before keeps the department that it had."""
    wanted = [Responsibility(each.touchpoint, each.program, each.department) for each in body.items]
    twice = doubled(wanted)
    if twice:
        raise Problem(
            422,
            "doubled-touchpoints",
            "A touchpoint of a program has one department",
            errors=[{"pointer": f"/items/{place}", "detail": "was named before"} for place in twice],
        )

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:  # noqa: ARG001 - nothing to announce
        await locks.changing_rules(tx)
        in_force = await departments.current(tx)
        if seen not in {None, in_force.version}:
            raise changed(in_force.version)
        if sorted(wanted, key=_place) != in_force.responsibilities:
            in_force = TouchpointMap(in_force.version + 1, sorted(wanted, key=_place), tx.now, principal.subject)
            await departments.add(tx, in_force)
        return 200, _body(in_force), {"ETag": etag(in_force.version)}

    return await once(database_of(request), request, principal, command)


def _place(each: Responsibility) -> tuple[str, str]:
    return each.touchpoint, each.program or ""


def _body(in_force: TouchpointMap) -> TouchpointsInForce:
    return TouchpointsInForce(
        items=[
            Touchpoint(touchpoint=each.touchpoint, program=each.program, department=each.department)
            for each in in_force.responsibilities
        ],
        version=in_force.version,
        created_at=in_force.created_at,
        created_by=in_force.created_by,
    )
