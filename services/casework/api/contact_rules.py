"""`/v1/contact-rules`: when customers may be called, and how strictly the company keeps to what it agrees with them."""

from datetime import timedelta
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from fastapi import Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import Row

from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.etag import IfMatch
from libs.webapi.idempotency import REPEATABLE
from libs.webapi.strict_json import Router
from services.casework.api import editing
from services.casework.api.access import SettingsReader, SettingsWriter
from services.casework.api.calendars import DayHours, Weekday, known_zone, shifts_of, shown_week, week_of
from services.casework.domain.calendars import Calendar, CalendarId
from services.casework.store import callbacks

router: Final = Router(prefix="/v1/contact-rules", tags=["contact"])

_A_DAY: Final = 24 * 60
_Minutes = Annotated[int, Field(strict=True, ge=0, le=_A_DAY)]


class ContactRulesBody(BaseModel):
    """When customers may be called, and what happens around an agreed callback."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    zone: Annotated[
        str,
        Field(max_length=100, description="The clock of customers whose own is not known."),
        AfterValidator(known_zone),
    ]
    week: Annotated[
        dict[Weekday, DayHours],
        Field(description="Calling hours on the customer's clock; on a weekday that is not named nobody is called."),
    ]
    early_minutes: Annotated[
        _Minutes, Field(description="How long before the agreed time a call counts as the agreed one.")
    ] = 30
    grace_minutes: Annotated[_Minutes, Field(description="How long after the agreed time a callback is missed.")] = 15
    climbs_after_minutes: Annotated[
        _Minutes, Field(description="How long after that a missed callback that nobody made up for climbs.")
    ] = 120
    pause_minutes: Annotated[
        _Minutes, Field(description="How long a customer is left in peace after a failed attempt.")
    ] = 180

    @model_validator(mode="after")
    def _can_be_counted_by(self) -> "ContactRulesBody":
        Calendar(id=CalendarId("calling"), zone=ZoneInfo(self.zone), week=week_of(self.week))
        if not any(
            timedelta(minutes=shift.end - shift.start) >= timedelta(hours=1)
            for hours in self.week.values()
            for shift in shifts_of(hours)
        ):
            raise ValueError("week has an hour in one piece")
        return self


class ContactRulesView(BaseModel):
    """The rules as stored."""

    model_config = ConfigDict(frozen=True)

    zone: str
    week: dict[Weekday, DayHours]
    early_minutes: int
    grace_minutes: int
    climbs_after_minutes: int
    pause_minutes: int
    version: int

    @model_validator(mode="before")
    @classmethod
    def _of_row(cls, row: Any) -> Any:  # noqa: ANN401 - a row, or what a test gives
        if not isinstance(row, Row):
            return row
        return {**row._asdict(), "week": shown_week(row.week)}


@router.get("", summary="The rules of contact")
async def get_rules(request: Request, response: Response, principal: SettingsReader) -> ContactRulesView:  # noqa: ARG001 - the rule
    """There are always some."""
    async with database_of(request).reading() as tx:
        row = await callbacks.find_rules(tx)
    return editing.one(ContactRulesView, row, response)


@router.put(
    "", responses=editing.stored(ContactRulesView), openapi_extra=REPEATABLE, summary="Replace the rules of contact"
)
async def put_rules(request: Request, principal: SettingsWriter, body: ContactRulesBody, seen: IfMatch) -> Response:
    """Holds for what is agreed from now on; callbacks that are agreed keep their instants."""

    async def write(tx: Tx) -> Row[Any] | None:
        week = [[(shift.start, shift.end) for shift in day] for day in week_of(body.week)]
        await callbacks.put_rules(tx, body.model_dump(exclude={"week"}), week)
        return await callbacks.find_rules(tx)

    return await editing.put(request, principal, seen, ContactRulesView, callbacks.lock_rules, write)
