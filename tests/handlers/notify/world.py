"""What happens outside notify in its tests, and what can be seen of it; and the clock that all look at."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from sqlalchemy import Row, text

from libs.events import inbox, outbox
from libs.events.codec import Record, decode
from libs.events.contracts.cases import (
    CaseAssigned,
    CaseClockBreached,
    CaseClockWarned,
    CaseClosed,
    CaseEscalated,
    CaseReopened,
    CaseResolved,
    Employee,
)
from libs.events.contracts.customers import CustomerErased, CustomerProfileChanged
from libs.events.contracts.initiatives import InitiativeShipped
from libs.events.contracts.scores import ResponseScored
from libs.events.database import Database, Tx
from libs.events.event import Contract, Event
from services.notify.domain.messages import Notice, Status, message_id
from services.notify.handlers import cases_handler, handle_customers, handle_initiatives, handle_scores
from services.notify.store import ledger

MONDAY: Final = datetime(2026, 3, 2, 9, tzinfo=UTC)
ANNA: Final = Employee(employee_id="e-anna", name="Анна Петрова", email="anna@company.example", language="ru")
BOSS: Final = Employee(employee_id="e-boss", name="Mary Boss", email="mary@company.example", language="en")
PROFILE_WAIT: Final = timedelta(minutes=15)

Handle = Callable[[Tx, Sequence[Event[Any]]], Awaitable[None]]

_ROWS = text("SELECT *, CAST(facts AS text) AS facts_text FROM messages ORDER BY created_at, id")
_ROUNDS = text("SELECT * FROM confirmations ORDER BY case_id, round")
_CLEAR = text(
    "TRUNCATE profiles, messages, confirmations, inbox, outbox, waits, suppressions, soft_bounces, contact_choices, "
    "contact_rules, providers, employee_chats"
)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = MONDAY

    def __call__(self) -> datetime:
        return self.now

    def move(self, by: timedelta) -> None:
        self.now += by


class World:
    """What happens outside notify, and what can be seen of it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.handle_cases = cases_handler(profile_wait=PROFILE_WAIT)
        self._versions: dict[str, int] = {}
        self._profiles = 0

    def event(self, payload: Contract, subject: str, name: str | None = None) -> Event[Any]:
        """An event; `name` makes two of them the same one."""
        named = name or f"{payload.TYPE}/{subject}/{getattr(payload, 'version', self._profiles)}"
        id_ = uuid5(NAMESPACE_URL, named)
        return Event.root(id_, payload, subject=subject, time=MONDAY, source="/test", traceparent=f"00-{'a' * 32}-b-01")

    def profile(self, customer_id: str = "c-1", **changes: object) -> Event[Any]:
        self._profiles += 1
        members: dict[str, Any] = {
            "customer_id": customer_id,
            "version": self._profiles,
            "name": "Иван Иванов",
            "email": f"{customer_id}@mail.example",
            "phone": None,
            "language": "ru",
            "time_zone": "Europe/Moscow",
            "account_id": None,
            "account_name": None,
            "account_role": None,
            "tier": "key",
            "tier_reason": "value",
        }
        return self.event(CustomerProfileChanged(**(members | changes)), customer_id)

    def erasure(self, customer_id: str = "c-1") -> Event[Any]:
        self._profiles += 1
        return self.event(CustomerErased(customer_id=customer_id), customer_id)

    def assigned(self, case_id: str = "case-1", **changes: object) -> Event[Any]:
        members: dict[str, Any] = {
            "owner": ANNA,
            "previous_owner_id": None,
            "reason": "load",
            "tier": "key",
            "score": 3,
            "first_contact_due_at": MONDAY + timedelta(hours=48),
        }
        return self._case(CaseAssigned, case_id, members | changes)

    def warned(self, case_id: str = "case-1", **changes: object) -> Event[Any]:
        members: dict[str, Any] = {"clock": "first_contact", "due_at": MONDAY + timedelta(hours=48), "owner": ANNA}
        return self._case(CaseClockWarned, case_id, members | changes)

    def breached(self, case_id: str = "case-1", **changes: object) -> Event[Any]:
        members: dict[str, Any] = {"clock": "first_contact", "due_at": MONDAY, "owner": ANNA, "responsible": BOSS}
        return self._case(CaseClockBreached, case_id, members | changes)

    def resolved(self, case_id: str = "case-1", **changes: object) -> Event[Any]:
        members: dict[str, Any] = {
            "round": 1,
            "root_cause": "billing",
            "agent_id": "e-anna",
            "agent_name": "Анна Петрова",
            "answered_at": MONDAY - timedelta(days=9),
            "confirm_by": MONDAY + timedelta(days=7),
        }
        return self._case(CaseResolved, case_id, members | changes)

    def reopened(self, case_id: str = "case-1", **changes: object) -> Event[Any]:
        members: dict[str, Any] = {"round": 1, "reason": "by_hand", "owner": ANNA}
        return self._case(CaseReopened, case_id, members | changes)

    def escalated(self, case_id: str = "case-1", **changes: object) -> Event[Any]:
        members: dict[str, Any] = {
            "from_level": "frontline",
            "to_level": "management",
            "reason": "not_solved",
            "responsible": BOSS,
            "owner": ANNA,
        }
        return self._case(CaseEscalated, case_id, members | changes)

    def closed(self, case_id: str = "case-1", **changes: object) -> Event[Any]:
        return self._case(CaseClosed, case_id, {"outcome": "unconfirmed", **changes})

    def _case(self, contract: type[Contract], case_id: str, members: dict[str, Any]) -> Event[Any]:
        version = self._versions[case_id] = self._versions.get(case_id, 0) + 1
        whole = {"case_id": case_id, "customer_id": "c-1", "version": version, **members}
        return self.event(contract(**whole), case_id)

    def thanks(self, customer_id: str, name: str) -> Notice:
        """A message that customers can do without."""
        cause = uuid5(NAMESPACE_URL, name)
        recipient = f"customer:{customer_id}"
        return Notice(
            id=message_id(cause, recipient),
            cause_id=cause,
            kind="thanks",
            recipient=recipient,
            case_id=None,
            case_version=1,
            customer_id=customer_id,
            employee_id=None,
            employee=None,
            facts={"agent": None, "answered_at": MONDAY.isoformat()},
        )

    async def thank(self, *names: str, customer_id: str = "c-1") -> None:
        """Put messages of thanks into the ledger, one for each name."""
        async with self.database.transaction() as tx:
            noted = [(self.thanks(customer_id, name), Status.QUEUED, None) for name in names]
            await ledger.write(tx, noted, profile_by=tx.now)

    async def cases(self, *events: Event[Any]) -> None:
        """A batch of the topic of cases."""
        await self._deliver("notify.cases", self.handle_cases, events)

    async def customers(self, *events: Event[Any]) -> None:
        """A batch of the topic of customers."""
        await self._deliver("notify.customers", handle_customers, events)

    async def scores(self, *events: Event[Any]) -> None:
        """A batch of the topic of scores."""
        await self._deliver("notify.scores", handle_scores, events)

    async def initiatives(self, *events: Event[Any]) -> None:
        """A batch of the topic of initiatives."""
        await self._deliver("notify.initiatives", handle_initiatives, events)

    def scored(self, response_id: str, customer_id: str | None, **changes: object) -> Event[Any]:
        members: dict[str, Any] = {
            "response_id": response_id,
            "revision": 1,
            "program": "relationship",
            "touchpoint": None,
            "kind": "relationship",
            "metric": "nps",
            "score": 3,
            "nps_class": "detractor",
            "comment": None,
            "customer_id": customer_id,
            "account_id": None,
            "tier": "key",
            "tier_reason": "value",
            "language": "ru",
            "instrument_id": "i",
            "instrument_version": 1,
            "answered_at": MONDAY - timedelta(days=9),
        }
        whole = members | changes
        return self.event(ResponseScored(**whole), response_id, f"scored/{response_id}/{whole['revision']}")

    def shipped(self, initiative_id: str = "i-1", **changes: object) -> Event[Any]:
        members: dict[str, Any] = {
            "initiative_id": initiative_id,
            "version": 5,
            "title": "Перезваниваем сами",
            "root_causes": ("no-callback",),
            "themes": ("waiting",),
            "department_id": "care",
            "owner": ANNA,
            "communicate_by": MONDAY + timedelta(days=30),
            "learned": "Ждали долго.",
            "changed": "Перезваниваем.",
            "next_steps": None,
        }
        return self.event(InitiativeShipped(**(members | changes)), initiative_id)

    async def _deliver(self, consumer: str, handle: Handle, events: Sequence[Event[Any]]) -> None:
        async with self.database.transaction() as tx:
            new = await inbox.mark(tx, consumer, [(event.id, event.id) for event in events])
            fresh = [event for event in events if event.id in new]
            if fresh:
                await handle(tx, fresh)

    async def rows(self) -> Sequence[Row[Any]]:
        """The ledger."""
        async with self.database.reading() as tx:
            return await tx.fetch(_ROWS)

    async def row(self) -> Row[Any]:
        """The only message of the ledger."""
        (row,) = await self.rows()
        return row

    async def rounds(self) -> Sequence[Row[Any]]:
        async with self.database.reading() as tx:
            return await tx.fetch(_ROUNDS)

    async def questions(self) -> list[Row[Any]]:
        """Of the ledger, what customers are asked."""
        return [row for row in await self.rows() if row.kind == "confirmation_request"]

    async def statuses_of_questions(self) -> list[tuple[str, str, str | None]]:
        return [(row.recipient, row.status, row.reason) for row in await self.questions()]

    async def statuses(self) -> list[tuple[str, str, str | None]]:
        return [(row.recipient, row.status, row.reason) for row in await self.rows()]

    async def published(self) -> list[Event[Any]]:
        """What waits in the outbox, in order; it stays there."""
        async with self.database.engine.connect() as connection:
            waiting = await outbox.oldest(connection, 10_000)
        events = []
        for row in waiting:
            record = Record(row.record.topic, 0, row.id, row.record.key.encode(), row.record.value, row.record.headers)
            event = decode(record)
            assert event is not None
            events.append(event)
        return events

    async def published_types(self) -> list[str]:
        return [event.type.removesuffix(".v1") for event in await self.published()]

    async def clear(self) -> None:
        """Begin anew, for each example of a property."""
        async with self.database.transaction() as tx:
            await tx.execute(_CLEAR)
