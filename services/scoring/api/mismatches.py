"""`/v1/class-mismatches`: where vendors claim another class than the score has."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import Query, Request
from pydantic import BaseModel, Field

from libs.events.contracts.scores import NpsClass
from libs.webapi.app import database_of
from libs.webapi.strict_json import Router
from services.scoring.api.access import MetricsReader
from services.scoring.api.filters import Moment
from services.scoring.domain.customers import LONGEST_ID
from services.scoring.store import mismatches

router: Final = Router(prefix="/v1/class-mismatches", tags=["responses"])


class ClassMismatch(BaseModel):
    """What a source claims about answers whose scores say something else."""

    source: str
    claimed_class: str = Field(description="In the vendor's words.")
    nps_class: NpsClass | None = Field(description="By the score; null where there is none: it is never passive.")
    n: int
    last_answered_at: datetime
    examples: list[str] = Field(description="Ids of the latest responses.")


class ClassMismatches(BaseModel):
    """The most frequent ones first."""

    n: int = Field(description="All of them, those included that are not listed.")
    items: list[ClassMismatch]


@router.get("", summary="Claimed classes that contradict the score")
async def list_mismatches(
    request: Request,
    principal: MetricsReader,  # noqa: ARG001 - the rule
    source: Annotated[str | None, Query(max_length=LONGEST_ID)] = None,
    since: Annotated[Moment | None, Query(alias="from", description="Answered at this moment or later.")] = None,
    until: Annotated[Moment | None, Query(alias="to", description="Answered before this moment.")] = None,
) -> ClassMismatches:
    """A vendor's claim is never used: the class follows from the score. Many mismatches show a wrong scale or map."""
    async with database_of(request).reading() as tx:
        found = await mismatches.count(tx, source=source, since=since, until=until)
    return ClassMismatches(
        n=found.n,
        items=[ClassMismatch.model_validate(each, from_attributes=True) for each in found.items],
    )
