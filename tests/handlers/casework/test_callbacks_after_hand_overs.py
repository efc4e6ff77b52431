"""A case changes its owner while a callback is agreed: casework says so, notify tells everybody whom it concerns."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest
from sqlalchemy import text

from libs.events.database import Database
from libs.events.event import Event
from services.casework.domain.names import ResponseId, case_id_of
from services.notify.callback_handlers import callbacks_handler, wanted_of_cases
from services.notify.handlers import handle_customers

Make = Callable[..., Event[Any]]
Deliver = Callable[..., Coroutine[None, None, None]]
Published = Callable[[], Awaitable[list[tuple[str, Event[Any]]]]]
LogIn = Callable[..., Awaitable[httpx.AsyncClient]]
Hire = Callable[..., Awaitable[None]]

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
AT = MONDAY + timedelta(hours=30)
PATH = f"/v1/cases/{case_id_of(ResponseId('r-1'))}"

pytestmark = pytest.mark.usefixtures("staff")

_TOLD = text("""
    SELECT recipient, CAST(facts AS text) AS facts, status FROM messages ORDER BY case_version, recipient
""")


@pytest.fixture
async def notify(service_database: Callable[[str], str], clock: Callable[[], datetime]) -> AsyncIterator[Database]:
    database = Database.connect(service_database("notify"), pool_size=3, clock=clock)
    yield database
    await database.close()


async def told(
    notify: Database, published: Published, known: Sequence[Event[Any]]
) -> list[tuple[str, str, int, str | None, str | None]]:
    """All that casework says, to notify's consumer, one by one; whom notify tells what, with whose name."""
    handle = callbacks_handler(profile_wait=timedelta(minutes=15), offers=False)
    async with notify.transaction() as tx:
        await handle_customers(tx, known)
    for _, event in await published():
        async with notify.transaction() as tx:
            if event.type in await wanted_of_cases(tx):
                await handle(tx, [event])
    async with notify.reading() as tx:
        rows = await tx.fetch(_TOLD)
    found = []
    for row in rows:
        facts = msgspec.json.decode(row.facts)
        found.append((row.recipient, facts["reason"], facts["sequence"], facts["agent"], facts.get("taken_by")))
    return found


@pytest.fixture
async def agreed(anna: httpx.AsyncClient, deliver: Deliver, profile: Make, scored: Make, hire: Hire) -> Event[Any]:
    """Anna has spoken with the customer, who has been promised a call; then Dmitri is hired."""
    customer = profile()
    await deliver(customer, scored("r-1"))
    reached = await anna.post(f"{PATH}/contact-attempts", json={"outcome": "reached"})
    assert reached.status_code == 201, reached.text
    promised = await anna.post(f"{PATH}/callbacks", json={"at": AT.isoformat(), "channel": "phone"})
    assert promised.status_code == 201, promised.text
    await hire("dmitri")
    return customer


HANDED = [
    ("customer:c-1", "agreed", 0, "Anna", None),
    ("employee:anna", "agreed", 0, "Anna", None),
    ("customer:c-1", "handed", 1, "Dmitri", None),
    ("employee:anna", "cancelled", 1, "Dmitri", "Dmitri"),
    ("employee:dmitri", "handed", 1, "Dmitri", None),
]


async def test_after_a_hand_over(agreed: Event[Any], log_in: LogIn, published: Published, notify: Database) -> None:
    boris = await log_in("boris", "manager")
    body = {"reason": "leaves", "preview": False, "to_id": "dmitri"}
    assert (await boris.post("/v1/agents/anna/hand-over", json=body)).status_code == 200
    assert await told(notify, published, [agreed]) == HANDED
    assert await told(notify, published, [agreed]) == HANDED, "told again, it changes nothing"


async def test_after_a_reassignment_by_hand_and_back(
    agreed: Event[Any], log_in: LogIn, published: Published, notify: Database
) -> None:
    boris = await log_in("boris", "manager")
    for owner in ("dmitri", "anna"):
        assert (await boris.post(f"{PATH}/assign", json={"owner_id": owner})).status_code == 200
    assert await told(notify, published, [agreed]) == [
        *HANDED,
        ("customer:c-1", "handed", 2, "Anna", None),
        ("employee:anna", "handed", 2, "Anna", None),
        ("employee:dmitri", "cancelled", 2, "Anna", "Anna"),
    ]


async def test_an_escalation_leaves_the_contact_and_so_the_invitation(
    agreed: Event[Any], anna: httpx.AsyncClient, published: Published, notify: Database
) -> None:
    escalated = await anna.post(f"{PATH}/escalate", json={"reason": "no_authority"})
    assert escalated.status_code == 200, escalated.text
    assert await told(notify, published, [agreed]) == HANDED[:2]
