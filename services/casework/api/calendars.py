"""`/v1/calendars`: when each region works, for the policies that count in business hours."""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from typing import Annotated, Any, Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from fastapi import Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from sqlalchemy import Row

from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.etag import IfMatch, expect
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.paging import Cursor, Limit, Page
from libs.webapi.problem import Problem, of_status
from libs.webapi.strict_json import Router
from services.casework.api import editing
from services.casework.api.access import Id, SettingsReader, SettingsWriter
from services.casework.domain.calendars import MINUTES_OF_DAY, Calendar, CalendarId, Day, Shift
from services.casework.store import policies

router: Final = Router(prefix="/v1/calendars", tags=["policies"])

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_WEEKDAYS: Final[tuple[Weekday, ...]] = (
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def known_zone(name: str) -> str:
    """The name, if it is that of an IANA zone; ValueError else."""
    if name not in _zones():
        raise ValueError("an IANA time zone, such as Europe/Moscow")
    return name


def _written_day(text: str) -> str:
    date.fromisoformat(text)
    return text


_Time = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$")]
_Date = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"), AfterValidator(_written_day)]


class Hours(BaseModel):
    """From one time of the wall clock to another of the same day; 24:00 is its end."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start: _Time
    end: _Time


DayHours = Annotated[list[Hours], Field(max_length=10, description="In their order, apart; none: nobody works.")]


class SpecialDay(BaseModel):
    """A day with hours of its own, whatever the week says: a working Saturday, a short eve."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    date: _Date
    hours: DayHours


class CalendarBody(BaseModel):
    """When a region works: its week, its holidays, and days with hours of their own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    zone: Annotated[str, Field(max_length=100), AfterValidator(known_zone)]
    week: Annotated[dict[Weekday, DayHours], Field(description="A weekday that is not named is off.")]
    holidays: Annotated[list[_Date], Field(max_length=2_000)] = []
    special_days: Annotated[list[SpecialDay], Field(max_length=500)] = []

    @model_validator(mode="after")
    def _can_be_counted_by(self) -> "CalendarBody":
        if len({day.date for day in self.special_days}) < len(self.special_days):
            raise ValueError("special_days names a date once")
        self.calendar("checked")
        return self

    def calendar(self, id_: str) -> Calendar:
        """The calendar that the body describes; ValueError says what is wrong with it."""
        return Calendar(
            id=CalendarId(id_),
            zone=ZoneInfo(self.zone),
            week=week_of(self.week),
            holidays=frozenset(date.fromisoformat(day) for day in self.holidays),
            special_days={date.fromisoformat(day.date): shifts_of(day.hours) for day in self.special_days},
        )


class CalendarView(BaseModel):
    """A calendar as stored."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    zone: str
    week: dict[Weekday, list[Hours]]
    holidays: list[str]
    special_days: list[SpecialDay]
    version: int

    @model_validator(mode="before")
    @classmethod
    def _of_row(cls, row: Any) -> Any:  # noqa: ANN401 - a row, or what a test gives
        if not isinstance(row, Row):
            return row
        return {
            "id": row.id,
            "name": row.name,
            "zone": row.zone,
            "week": shown_week(row.week),
            "holidays": [day.isoformat() for day in row.holidays],
            "special_days": _special_days(row.special_days),
            "version": row.version,
        }


def week_of(hours: Mapping[Weekday, Sequence[Hours]]) -> tuple[Day, Day, Day, Day, Day, Day, Day]:
    """The week from Monday on; ValueError says what is wrong with a shift."""
    monday, tuesday, wednesday, thursday, friday, saturday, sunday = (
        shifts_of(hours.get(weekday, [])) for weekday in _WEEKDAYS
    )
    return monday, tuesday, wednesday, thursday, friday, saturday, sunday


def shown_week(week: Sequence[Sequence[Sequence[int]]]) -> dict[Weekday, list[dict[str, str]]]:
    """A stored week as it is shown."""
    return {weekday: _hours(day) for weekday, day in zip(_WEEKDAYS, week, strict=True)}


def shifts_of(hours: Sequence[Hours]) -> Day:
    """The shifts of one day."""
    return tuple(Shift(_minute(each.start), _minute(each.end)) for each in hours)


def _minute(written: str) -> int:
    return MINUTES_OF_DAY if written == "24:00" else int(written[:2]) * 60 + int(written[3:])


def _hours(day: Sequence[Sequence[int]]) -> list[dict[str, str]]:
    return [{"start": _written(start), "end": _written(end)} for start, end in day]


def _special_days(stored: Mapping[str, Sequence[Sequence[int]]]) -> list[dict[str, object]]:
    return [{"date": day, "hours": _hours(stored[day])} for day in sorted(stored)]


def _written(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@router.get("", summary="Calendars")
async def list_calendars(
    request: Request,
    principal: SettingsReader,  # noqa: ARG001 - the rule
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[CalendarView]:
    """All regions, in the order of their ids."""
    async with database_of(request).reading() as tx:
        rows = await policies.list_calendars(tx, after=editing.after(cursor), limit=limit + 1)
    return editing.page(CalendarView, rows, limit)


@router.get("/{calendar_id}", summary="One calendar")
async def get_calendar(
    request: Request,
    response: Response,
    principal: SettingsReader,  # noqa: ARG001 - the rule
    calendar_id: Id,
) -> CalendarView:
    """Its week, holidays and special days."""
    async with database_of(request).reading() as tx:
        row = await policies.find_calendar(tx, calendar_id)
    return editing.one(CalendarView, row, response)


@router.put(
    "/{calendar_id}",
    responses=editing.stored(CalendarView),
    openapi_extra=REPEATABLE,
    summary="Create or replace a calendar",
)
async def put_calendar(
    request: Request, principal: SettingsWriter, calendar_id: Id, body: CalendarBody, seen: IfMatch
) -> Response:
    """Holds for clocks that start from now on. Clocks that run keep their instants, until they are recomputed."""

    async def write(tx: Tx) -> Row[Any] | None:
        await policies.put_calendar(tx, body.calendar(calendar_id), body.name)
        return await policies.find_calendar(tx, calendar_id)

    return await editing.put(
        request, principal, seen, CalendarView, lambda tx: policies.lock_calendar(tx, calendar_id), write
    )


@router.delete(
    "/{calendar_id}",
    status_code=204,
    responses=editing.deleted()
    | {409: {"description": "A policy, a team or an agent names it.", "content": {"application/problem+json": {}}}},
    openapi_extra=REPEATABLE,
    summary="Take a calendar away",
)
async def delete_calendar(request: Request, principal: SettingsWriter, calendar_id: Id, seen: IfMatch) -> Response:
    """Not while a policy, a team or an agent names it."""

    async def command(tx: Tx, _command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        version = await policies.lock_calendar(tx, calendar_id)
        if version is None:
            raise of_status(404)
        expect(version, seen)
        if not await policies.delete_calendar(tx, calendar_id):
            raise Problem(409, "calendar-in-use", "A policy, a team or an agent names this calendar")
        return 204, None, {}

    return await once(database_of(request), request, principal, command)
