"""The customer's word by the link: it closes the case, or opens it again and sends it up."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import httpx
import pytest

from libs.events.database import Database
from libs.events.errors import PermanentError
from libs.events.event import Event
from services.casework.domain.names import CaseId, ResponseId, case_id_of
from services.casework.jobs import Clocks

Make = Callable[..., Event[Any]]
Deliver = Callable[..., Awaitable[None]]
Published = Callable[[], Awaitable[list[tuple[str, Event[Any]]]]]
Rows = Callable[..., Awaitable[Sequence[Any]]]
Resolved = Callable[..., Awaitable[CaseId]]


class Clock(Protocol):
    now: datetime


MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("staff")


@pytest.fixture
def resolved(scored: Make, deliver: Deliver, anna: httpx.AsyncClient) -> Resolved:
    """A case that Anna resolved, and whose customer is being asked."""

    async def make(response: str = "r-1", customer: str = "c-1") -> CaseId:
        await deliver(scored(response, customer_id=customer))
        return await resolve(case_id_of(ResponseId(response)))

    async def resolve(id_: CaseId) -> CaseId:
        for command, body in (("contact-attempts", {"outcome": "reached"}), ("resolve", {"root_cause_id": "service"})):
            response = await anna.post(f"/v1/cases/{id_}/{command}", json=body)
            assert response.is_success, response.text
        return id_

    return make


async def types(published: Published) -> list[str]:
    return [event.type for _, event in await published()]


async def test_a_yes_closes_the_case(
    resolved: Resolved, said: Make, deliver: Deliver, rows: Rows, published: Published
) -> None:
    id_ = await resolved()
    await deliver(said(id_, solved=True, comment="Спасибо!"))
    (case,) = await rows("SELECT status, outcome, fires_at FROM cases")
    assert tuple(case) == ("closed", "confirmed", None)
    last, heard = (await rows("SELECT kind, actor_kind, actor_id, text FROM timeline ORDER BY version DESC"))[:2]
    assert tuple(last) == ("closed", "customer", "c-1", None)
    assert tuple(heard) == ("confirmation_answered", "customer", "c-1", "Спасибо!")
    key, closed = (await published())[-1]
    assert (key, closed.type, closed.payload.outcome, closed.traceparent) == (
        "c-1",
        "case.closed.v1",
        "confirmed",
        "00-c-d-01",
    )


async def test_a_no_reopens_the_case_and_sends_it_up_with_new_clocks(
    resolved: Resolved, said: Make, deliver: Deliver, rows: Rows, published: Published
) -> None:
    id_ = await resolved()
    await deliver(said(id_, solved=False))
    (case,) = await rows("SELECT status, level, owner_id, first_contact_due_at, round FROM cases")
    assert tuple(case) == ("open", "management", "anna", MONDAY + timedelta(hours=25), 1)
    assert (await types(published))[-2:] == ["case.reopened.v1", "case.escalated.v1"]
    (load,) = await rows("SELECT running_cases FROM agent_loads")
    assert load.running_cases == 1


@pytest.mark.parametrize("solved", [True, False])
async def test_said_twice_it_happened_once(
    resolved: Resolved,
    said: Make,
    deliver: Deliver,
    published: Published,
    solved: bool,  # noqa: FBT001 - a parameter
) -> None:
    id_ = await resolved()
    await deliver(said(id_, solved=solved))
    once = await types(published)
    await deliver(said(id_, solved=solved), said(id_, solved=solved))
    assert await types(published) == once


async def test_a_yes_and_a_no_in_one_batch_are_taken_in_their_order(
    resolved: Resolved, said: Make, deliver: Deliver, rows: Rows
) -> None:
    id_ = await resolved()
    await deliver(said(id_, solved=True), said(id_, solved=False))
    (case,) = await rows("SELECT status, level FROM cases")
    assert tuple(case) == ("open", "management")


async def test_a_word_about_an_earlier_round_changes_nothing_but_the_timeline(
    resolved: Resolved, said: Make, deliver: Deliver, rows: Rows, published: Published, anna: httpx.AsyncClient
) -> None:
    id_ = await resolved()
    await anna.post(f"/v1/cases/{id_}/reopen", json={})
    await anna.post(f"/v1/cases/{id_}/contact-attempts", json={"outcome": "reached"})
    await anna.post(f"/v1/cases/{id_}/resolve", json={"root_cause_id": "service"})
    before = await types(published)
    await deliver(said(id_, solved=False, round_=1))
    assert await types(published) == before
    (case,) = await rows("SELECT status, round FROM cases")
    assert tuple(case) == ("resolved", 2)
    (last,) = await rows("SELECT kind FROM timeline ORDER BY version DESC LIMIT 1")
    assert last.kind == "confirmation_answered"
    await deliver(said(id_, solved=True, round_=2))
    (case,) = await rows("SELECT status FROM cases")
    assert case.status == "closed"


async def test_a_late_yes_confirms_and_a_late_no_reopens(
    resolved: Resolved, said: Make, deliver: Deliver, rows: Rows, database: Database, clock: Clock
) -> None:
    yes = await resolved("r-1", "c-1")
    no = await resolved("r-2", "c-2")
    clock.now += timedelta(days=7)
    await Clocks(database, batch=10).step()
    assert {row.outcome for row in await rows("SELECT outcome FROM cases")} == {"unconfirmed"}
    await deliver(said(yes, solved=True), said(no, solved=False, customer="c-2"))
    cases = await rows("SELECT status, outcome FROM cases ORDER BY customer_id")
    assert [tuple(case) for case in cases] == [("closed", "confirmed"), ("open", None)]


async def test_a_no_about_a_closed_case_of_a_customer_with_an_open_one_is_heard_there(
    resolved: Resolved, scored: Make, said: Make, deliver: Deliver, rows: Rows, database: Database, clock: Clock
) -> None:
    closed = await resolved("r-1")
    clock.now += timedelta(days=7)
    await Clocks(database, batch=10).step()
    await deliver(scored("r-2", answered_at=clock.now))
    await deliver(said(closed, solved=False, comment="Всё то же"))
    cases = await rows("SELECT status FROM cases ORDER BY opened_at")
    assert [case.status for case in cases] == ["closed", "open"]
    heard = await rows("SELECT case_id, text FROM timeline WHERE kind = 'confirmation_answered'")
    assert {(row.case_id, row.text) for row in heard} == {
        (closed, "Всё то же"),
        (case_id_of(ResponseId("r-2")), "Всё то же"),
    }


async def test_a_word_about_no_case_of_ours_is_set_aside(said: Make, deliver: Deliver) -> None:
    with pytest.raises(PermanentError):
        await deliver(said(case_id_of(ResponseId("r-404")), solved=True))
    with pytest.raises(PermanentError):
        await deliver(said("not-a-case", solved=True))


async def test_a_batch_of_words_takes_a_constant_number_of_statements(
    resolved: Resolved,
    said: Make,
    deliver: Deliver,
    statements: Callable[[], AbstractContextManager[list[str]]],
) -> None:
    counts = []
    for first, size in ((0, 2), (10, 12)):
        numbers = range(first, first + size)
        words = [
            said(await resolved(f"r-{number}", f"c-{number}"), solved=number % 2 == 0, customer=f"c-{number}")
            for number in numbers
        ]
        with statements() as seen:
            await deliver(*words)
        counts.append(len(seen))
    assert counts[0] == counts[1] <= 12
