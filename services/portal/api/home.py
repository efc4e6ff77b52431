"""The overview: for each role what it needs first. A part that cannot be reached says so and spares the others."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final, TypeVar

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from libs.events.database import Database
from libs.events.dead_letters import Queue
from services.portal import store
from services.portal.api.access import Visit, needs
from services.portal.api.view import Pages
from services.portal.clients import Casework, Refusal, Scoring, ServiceAwayError
from services.portal.clients.casework import CaseLine, ClockCheck
from services.portal.clients.contact import CallbackOfList, Mentions
from services.portal.clients.dead_letters import DeadLetters
from services.portal.clients.initiatives import Initiative
from services.portal.clients.scoring import Group
from services.portal.clients.tasks import Task
from services.portal.domain.health import AROUND, TROUBLE, LoopStep
from services.portal.domain.people import Person, Right, Role
from services.portal.domain.period import Period, span_of
from services.portal.store import TypeCount
from services.portal.texts import Words

FIRST: Final = 6
_LAST_HOUR: Final = timedelta(hours=1)
_TOMORROW: Final = timedelta(hours=36)
_WEEK: Final = timedelta(days=6)
_SEES_CLOCKS: Final = frozenset({Role.MANAGER, Role.EXECUTIVE, Role.OPERATOR, Role.ADMINISTRATOR})

PartT = TypeVar("PartT")


@dataclass(frozen=True, slots=True)
class Desk:
    """Cases that somebody should look at: under which heading, how to see all of them, and the first few."""

    heading: str
    address: str
    cases: list[CaseLine] | None
    """None where casework cannot be reached."""


@dataclass(frozen=True, slots=True)
class LoopHealth:
    """How the loop has been doing, the last seven days: each step with its share of the opened cases."""

    counts: dict[LoopStep, int]

    def count(self, step: LoopStep) -> int:
        """How often the step was taken."""
        return self.counts.get(step, 0)

    @property
    def around(self) -> list[tuple[LoopStep, int, float]]:
        """The way round the loop: step, how many, and how long its bar is, in percent of the longest."""
        longest = max((self.count(step) for step in AROUND), default=0) or 1
        return [(step, self.count(step), 100 * self.count(step) / longest) for step in AROUND]

    @property
    def trouble(self) -> list[tuple[LoopStep, int]]:
        """What went wrong on the way, without what did not."""
        return [(step, self.count(step)) for step in TROUBLE if self.count(step)]


@dataclass(frozen=True, slots=True)
class SetAside:
    """How many dead letters are open, by queue; None where Kafka cannot be reached."""

    counts: dict[Queue, int] | None

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts.values()) if self.counts else 0


@dataclass(frozen=True, slots=True)
class Today:
    """What somebody has agreed to, was asked for, and should look at; None where casework cannot be reached."""

    callbacks: list[CallbackOfList]
    tasks: list[Task]
    mentions: Mentions


def routes(database: Database, pages: Pages, casework: Casework, scoring: Scoring, letters: DeadLetters) -> APIRouter:
    """`/`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def home(request: Request, visit: Annotated[Visit, needs()]) -> Response:
        person = visit.person
        words = pages.words(request, person)
        desks, clocks, today, week, health, traffic, set_aside, own, changes = await asyncio.gather(
            _desks(casework, person),
            _clocks(casework, person),
            _or_none(_nps(scoring, person, Period.TODAY, words)),
            _or_none(_nps(scoring, person, Period.WEEK, words)),
            _health(database, words),
            _traffic(database, person, words),
            _set_aside(letters, person),
            _or_none(_own(casework, person, words)),
            _changes(casework, person),
        )
        return pages.page(
            request,
            visit,
            "home.html",
            desks=desks,
            clocks=clocks,
            scores=(("today", today), ("week", week)),
            health=health,
            traffic=traffic,
            set_aside=set_aside,
            own=own,
            changes=changes,
            LoopStep=LoopStep,
        )

    return router


async def _desks(casework: Casework, person: Person) -> list[Desk]:
    if not person.may(Right.CASES):
        return []
    wanted: list[tuple[str, dict[str, str], str]] = []
    match person.role:
        case Role.AGENT:
            wanted.append(("mine", {"owner": person.id}, "/cases?whose=mine"))
        case Role.MANAGER:
            wanted.append(("management", {"level": "management"}, "/queues/management"))
            wanted.append(("mine", {"owner": person.id}, "/cases?whose=mine"))
        case Role.EXECUTIVE:
            wanted.append(("executive", {"level": "executive"}, "/queues/executive"))
        case _:
            wanted.append(("all", {}, "/cases?whose=all"))
    found = await asyncio.gather(*(_or_none(_first_of(casework, person, filters)) for _, filters, _ in wanted))
    return [
        Desk(heading, address, None if cases is None else [case for case in cases if case.running])
        for (heading, _, address), cases in zip(wanted, found, strict=True)
    ]


async def _first_of(casework: Casework, person: Person, filters: Mapping[str, str]) -> Sequence[CaseLine]:
    """What a level was asked and has not answered, or the cases that fit."""
    level = filters.get("level")
    if level is not None:
        return (await casework.queue(person, level, limit=FIRST)).items
    return (await casework.cases(person, filters, limit=FIRST)).items


async def _own(casework: Casework, person: Person, words: Words) -> Today | None:
    """What waits for the person besides their cases; for those who close loops."""
    if not person.may(Right.CASES):
        return None
    callbacks, tasks, mentions = await asyncio.gather(
        casework.contact.agreed(person, until=words.now + _TOMORROW, limit=FIRST),
        casework.tasks.page(person, {"owner": person.id}, limit=FIRST),
        casework.contact.mentions(person, limit=FIRST),
    )
    return Today(callbacks, tasks.items, mentions)


async def _changes(casework: Casework, person: Person) -> list[Initiative] | None:
    """For executives, the changes that wait for their decision; for managers, those that are being made."""
    if not person.may(Right.LEAD):
        return None
    status = "proposed" if person.may(Right.DECIDE) else "in_progress"
    found = await _or_none(casework.initiatives.page(person, {"status": status}, limit=FIRST))
    return None if found is None else found.items


async def _clocks(casework: Casework, person: Person) -> ClockCheck | None:
    """What is wrong with the checking of clocks, if anything is; for those who lead and those who run the system."""
    if person.role not in _SEES_CLOCKS:
        return None
    found = await _or_none(casework.clocks(person))
    return None if found is None or found.alarm is None else found


async def _nps(scoring: Scoring, person: Person, period: Period, words: Words) -> list[Group]:
    span = span_of(period, now=words.now, zone=words.zone)
    measured = await scoring.nps(person, since=span.since, until=span.until)
    return measured.answered


async def _health(database: Database, words: Words) -> LoopHealth:
    today = words.now.astimezone(words.zone).date()
    async with database.reading() as tx:
        return LoopHealth(await store.steps_between(tx, today - _WEEK, today))


async def _traffic(database: Database, person: Person, words: Words) -> list[TypeCount] | None:
    """What came over the topics in the last hour; for those who run the system."""
    if person.role not in (Role.OPERATOR, Role.ADMINISTRATOR):
        return None
    async with database.reading() as tx:
        return await store.event_counts(tx, since=words.now - _LAST_HOUR)


async def _set_aside(letters: DeadLetters, person: Person) -> SetAside | None:
    """What services could not handle and nobody has decided about; for those who can."""
    if not person.may(Right.DEAD_LETTERS):
        return None
    return SetAside(await _or_none(letters.count()))


async def _or_none(part: Awaitable[PartT]) -> PartT | None:
    """The part, or None where its service is away or refuses: the page says so in that part's place."""
    try:
        return await part
    except (ServiceAwayError, Refusal):
        return None
