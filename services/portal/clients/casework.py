"""Casework, as the portal asks it: cases, their timelines, and what people do with them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from services.portal.clients.attachments import CaseFiles
from services.portal.clients.case_lists import CaseLists
from services.portal.clients.contact import Callback, Contact
from services.portal.clients.contact_rules import ContactRules
from services.portal.clients.guides import Guides
from services.portal.clients.initiatives import Initiatives
from services.portal.clients.loop import Loop
from services.portal.clients.outreach import Outreach
from services.portal.clients.people import People
from services.portal.clients.policies import Policies
from services.portal.clients.recognition import Recognition
from services.portal.clients.root_causes import RootCauses
from services.portal.clients.service import Listed
from services.portal.clients.tasks import Task, Tasks
from services.portal.domain import casefile
from services.portal.domain.casefile import Action, Outcome, Running, Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.portal.clients.service import Service
    from services.portal.domain.people import Language, Person

PAGE: Final = 30


class Waiting(msgspec.Struct, frozen=True):
    """The case waits for its customer, and the resolution is paused meanwhile."""

    since: datetime
    until: datetime
    reason: str


class CaseLine(msgspec.Struct, frozen=True, kw_only=True):
    """A case in a list."""

    id: str
    version: int
    status: Status
    outcome: Outcome | None
    level: str
    tier: str
    score: int
    program: str
    touchpoint: str | None
    customer_id: str | None
    customer_name: str | None
    owner_id: str
    owner_name: str | None
    responsible_name: str | None
    answered_at: datetime
    opened_at: datetime
    first_contact_due_at: datetime
    first_contacted_at: datetime | None
    resolution_due_at: datetime
    resolved_at: datetime | None
    root_cause_id: str | None
    confirm_by: datetime | None
    closed_at: datetime | None
    escalation_due_at: datetime | None = None
    waiting: Waiting | None = None
    priority: int | None = None
    """Whom to call first, 0 to 100."""
    kind: Literal["full", "light"] = "full"
    """`light`: opened by a rule for an answer that is no detractor's."""

    @property
    def steps_done(self) -> int:
        """How many arcs of the loop are done."""
        return casefile.steps_done(self.status, self.outcome)

    @property
    def running(self) -> Running | None:
        """The clock that counts."""
        return casefile.running(
            self.status,
            first_contact_due_at=self.first_contact_due_at,
            resolution_due_at=self.resolution_due_at,
            confirm_by=self.confirm_by,
            escalation_due_at=self.escalation_due_at,
            waiting_until=None if self.waiting is None else self.waiting.until,
        )


class QueuedCase(CaseLine, frozen=True, kw_only=True):
    """A case on which a level has yet to act, and why it came there."""

    came_at: datetime | None
    came_because: str | None
    came_with: str | None


class CasePage(msgspec.Struct, frozen=True):
    """One page of the list, what is due first on top."""

    items: list[CaseLine]
    next_cursor: str | None = None


class Customer(msgspec.Struct, frozen=True):
    """Whose case it is."""

    id: str
    name: str | None
    tier: str | None
    language: str | None
    account_name: str | None
    erased: bool = False


class Who(msgspec.Struct, frozen=True):
    """Who did something."""

    kind: str
    id: str
    name: str | None


class Reason(msgspec.Struct, frozen=True):
    """Why this owner was chosen."""

    code: str


class PriorityPart(msgspec.Struct, frozen=True):
    """What one factor adds to the priority, and the fact that it adds it for."""

    factor: str
    points: int
    fact: str


class Entry(msgspec.Struct, frozen=True):
    """One line of the timeline. `details` are codes; `text` is what somebody wrote."""

    version: int
    kind: str
    at: datetime
    actor: Who
    details: dict[str, str | int | bool | None]
    text: str | None


class Response(msgspec.Struct, frozen=True):
    """One answer of the customer."""

    response_id: str
    program: str
    touchpoint: str | None
    kind: str
    metric: str
    score: int | None
    nps_class: str | None
    comment: str | None
    answered_at: datetime


class ContactAttempt(msgspec.Struct, frozen=True):
    """One try to reach the customer."""

    outcome: str
    at: datetime
    by: Who


class EarlierCase(msgspec.Struct, frozen=True):
    """Another case of the customer."""

    id: str
    status: Status
    outcome: Outcome | None
    score: int
    touchpoint: str | None
    root_cause_id: str | None
    owner_name: str | None
    opened_at: datetime

    @property
    def steps_done(self) -> int:
        """How many arcs of the loop are done."""
        return casefile.steps_done(self.status, self.outcome)


class CaseFile(CaseLine, frozen=True, kw_only=True):
    """One case with everything that belongs to it."""

    customer: Customer | None
    owner_reason: Reason
    priority_parts: list[PriorityPart] = []
    responses: list[Response]
    contact_attempts: list[ContactAttempt] = []
    callbacks: list[Callback] = []
    tasks: list[Task] = []
    timeline: list[Entry]
    earlier_cases: list[EarlierCase]
    earlier_responses: list[Response]

    @property
    def offered(self) -> tuple[Action, ...]:
        """What can be done with it."""
        return casefile.offered(
            self.status, self.level, waiting=self.waiting is not None, agreed=self.agreed is not None
        )

    @property
    def agreed(self) -> Callback | None:
        """The contact that is agreed with the customer and still ahead, or due."""
        return next((each for each in self.callbacks if each.state == "agreed"), None)

    @property
    def awaited(self) -> bool:
        """Whether a department has yet to answer before the case can be solved."""
        return any(task.kind == "department" and task.state == "open" for task in self.tasks)

    @property
    def reached(self) -> int:
        """How many of the tries reached the customer."""
        return sum(each.outcome == "reached" for each in self.contact_attempts)

    @property
    def pauses(self) -> list[tuple[datetime, datetime]]:
        """From when to when the case has waited for its customer, in this round."""
        found: list[tuple[datetime, datetime]] = []
        for entry in self.timeline:
            if entry.kind == "reopened":
                found.clear()
            since = entry.details.get("waited_since")
            if entry.kind == "resumed" and isinstance(since, str):
                found.append((datetime.fromisoformat(since), entry.at))
        return found


class Agent(msgspec.Struct, frozen=True):
    """Somebody who may own a case."""

    id: str
    name: str
    role: str
    disabled: bool = False


class RootCause(msgspec.Struct, frozen=True):
    """Something that may be behind an unhappy answer; `parent_id` makes it a tree."""

    id: str
    parent_id: str | None
    name_ru: str
    name_en: str
    retired: bool = False

    def name(self, language: Language) -> str:
        """Its name in a language."""
        return self.name_ru if language == "ru" else self.name_en


class ClockCheck(msgspec.Struct, frozen=True):
    """Whether the clocks are being checked; `alarm` says what is wrong, if anything is."""

    checked_at: datetime
    late_seconds: float
    alarm: str | None

    @property
    def late(self) -> timedelta:
        """For how long the longest overdue clock has waited to be dealt with."""
        return timedelta(seconds=self.late_seconds)


class Casework:
    """The casework service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.policies: Final = Policies(service)
        self.loop: Final = Loop(service)
        self.initiatives: Final = Initiatives(service)
        self.people: Final = People(service)
        self.outreach: Final = Outreach(service)
        self.contact_rules: Final = ContactRules(service)
        self.contact: Final = Contact(service)
        self.files: Final = CaseFiles(service)
        self.guides: Final = Guides(service)
        self.lists: Final = CaseLists(service)
        self.causes: Final = RootCauses(service)
        self.tasks: Final = Tasks(service)
        self.recognition: Final = Recognition(service)

    async def close(self) -> None:
        """Close the connections."""
        await self._service.close()

    async def cases(
        self, person: Person, filters: Mapping[str, str], *, limit: int = PAGE, cursor: str | None = None
    ) -> CasePage:
        """A page of the cases that fit the filters."""
        params = {**filters, "limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        return await self._service.get("/v1/cases", CasePage, person=person, params=params)

    async def queue(
        self, person: Person, level: str, *, limit: int = PAGE, cursor: str | None = None
    ) -> Listed[QueuedCase]:
        """The cases that a level was asked about and has not acted on, by when it has to."""
        params = {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        return await self._service.get(f"/v1/queues/{level}", Listed[QueuedCase], person=person, params=params)

    async def case(self, person: Person, case_id: str) -> CaseFile:
        """One case with everything that belongs to it."""
        return await self._service.get(f"/v1/cases/{case_id}", CaseFile, person=person)

    async def clocks(self, person: Person) -> ClockCheck:
        """Whether the clocks are being checked."""
        return await self._service.get("/v1/clocks", ClockCheck, person=person)

    async def agents(self, person: Person) -> list[Agent]:
        """Everybody who owns cases or did."""
        return await self._service.everything("/v1/agents", Listed[Agent], person=person)

    async def root_causes(self, person: Person) -> list[RootCause]:
        """The company's taxonomy of what goes wrong."""
        return await self._service.everything("/v1/root-causes", Listed[RootCause], person=person)

    async def act(
        self,
        person: Person,
        case_id: str,
        path: str,
        body: Mapping[str, object],
        *,
        command_id: str,
        version: int | None,
    ) -> None:
        """Do something with a case that the person has seen at `version`."""
        await self._service.post(
            f"/v1/cases/{case_id}/{path}", body, person=person, command_id=command_id, version=version
        )
