"""Profiles are shown on cases; a customer who asks to be forgotten leaves no word behind."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from libs.events.database import Database
from libs.events.event import Event
from services.casework.domain.names import ResponseId, case_id_of
from services.casework.handlers import handle_customers, handle_scores

Make = Callable[..., Event[Any]]
Deliver = Callable[..., Coroutine[None, None, None]]
Published = Callable[[], Awaitable[list[tuple[str, Event[Any]]]]]
Rows = Callable[..., Awaitable[Sequence[Any]]]

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
CASE = case_id_of(ResponseId("r-1"))

pytestmark = pytest.mark.usefixtures("staff")


async def test_a_profile_that_comes_first_or_last_is_shown_on_the_case(
    scored: Make, profile: Make, deliver: Deliver, anna: httpx.AsyncClient
) -> None:
    await deliver(profile("c-1"), scored("r-1"), scored("r-2", customer_id="c-2"), profile("c-2", name="Пётр Ильин"))
    page = (await anna.get("/v1/cases")).json()
    assert {case["customer_id"]: case["customer_name"] for case in page["items"]} == {
        "c-1": "Ольга Смирнова",
        "c-2": "Пётр Ильин",
    }
    customer = (await anna.get(f"/v1/cases/{CASE}")).json()["customer"]
    assert customer == {
        "id": "c-1",
        "name": "Ольга Смирнова",
        "tier": "high",
        "language": "ru",
        "account_name": "ООО «Ромашка»",
        "erased": False,
    }


async def test_an_older_version_of_a_profile_never_overwrites_a_newer_one(
    profile: Make, deliver: Deliver, rows: Rows
) -> None:
    await deliver(profile(version=1), profile(version=3, name="Ольга Кузнецова"), profile(version=2))
    await deliver(profile(version=2))
    (customer,) = await rows("SELECT version, name FROM customers")
    assert tuple(customer) == (3, "Ольга Кузнецова")


async def test_an_erasure_removes_name_comments_and_notes_and_says_so(
    scored: Make, profile: Make, erased: Make, deliver: Deliver, rows: Rows, anna: httpx.AsyncClient
) -> None:
    await deliver(profile("c-1"), profile("c-2"), scored("r-1"), scored("r-2", customer_id="c-2"))
    for path, body in (
        ("notes", {"text": "Ольга просит звонить после шести"}),
        ("contact-attempts", {"outcome": "reached", "note": "Ольга расстроена"}),
        ("resolve", {"root_cause_id": "service", "note": "Ольге вернули деньги"}),
    ):
        response = await anna.post(f"/v1/cases/{CASE}/{path}", json=body, headers={"Idempotency-Key": path})
        assert response.is_success
    await deliver(erased("c-1"))
    for table, everything in (
        ("customers", "SELECT CAST(t.* AS text) AS row FROM customers AS t"),
        ("answers", "SELECT CAST(t.* AS text) AS row FROM answers AS t"),
        ("cases", "SELECT CAST(t.* AS text) AS row FROM cases AS t"),
        ("timeline", "SELECT CAST(t.* AS text) AS row FROM timeline AS t"),
        ("idempotency_keys", "SELECT convert_from(body, 'UTF8') AS row FROM idempotency_keys"),
    ):
        dump = [row.row for row in await rows(everything) if "c-2" not in row.row]
        assert dump, table
        assert "Ольг" not in str(dump), table
        assert "сорок минут" not in str(dump), table
    (other,) = await rows("SELECT comment FROM answers WHERE customer_id = 'c-2'")
    assert other.comment == "Ждала сорок минут"
    case = (await anna.get(f"/v1/cases/{CASE}")).json()
    assert case["customer"]["erased"] is True
    assert [entry["kind"] for entry in case["timeline"]][-2:] == ["customer_erased", "closed"]
    assert (case["status"], case["outcome"], case["customer_name"]) == ("closed", "unconfirmed", None)


async def test_an_answer_that_arrives_after_the_erasure_leaves_no_word_and_opens_nothing(
    scored: Make, erased: Make, deliver: Deliver, rows: Rows
) -> None:
    await deliver(erased("c-1", at=MONDAY + timedelta(minutes=5)), scored("r-1"))
    (answer,) = await rows("SELECT score, comment, case_id FROM answers")
    assert tuple(answer) == (3, None, None)


async def test_a_customer_who_comes_back_is_a_customer_again(
    scored: Make, profile: Make, erased: Make, deliver: Deliver, rows: Rows
) -> None:
    at = MONDAY + timedelta(minutes=5)
    await deliver(profile(version=7), erased("c-1", at=at))
    await deliver(profile(version=1, name="Ольга Новая"), scored("r-1", answered_at=at + timedelta(minutes=1)))
    (customer,) = await rows("SELECT version, name FROM customers")
    assert tuple(customer) == (1, "Ольга Новая")
    assert len(await rows("SELECT id FROM cases WHERE status = 'open'")) == 1


async def test_profile_erasure_and_new_profile_in_one_batch_leave_the_new_one(
    profile: Make, erased: Make, deliver: Deliver, rows: Rows
) -> None:
    await deliver(profile(version=7), erased("c-1"), profile(version=1, name="Ольга Новая"))
    (customer,) = await rows("SELECT version, name FROM customers")
    assert tuple(customer) == (1, "Ольга Новая")


async def test_the_word_of_a_forgotten_customer_reopens_nothing(
    scored: Make, said: Make, erased: Make, deliver: Deliver, rows: Rows, anna: httpx.AsyncClient
) -> None:
    await deliver(scored("r-1"))
    await anna.post(f"/v1/cases/{CASE}/contact-attempts", json={"outcome": "reached"})
    await anna.post(f"/v1/cases/{CASE}/resolve", json={"root_cause_id": "service"})
    await deliver(erased("c-1"), said(CASE, solved=False, comment="Ольга недовольна"))
    (case,) = await rows("SELECT status FROM cases")
    assert case.status == "closed"
    assert await rows("SELECT case_id FROM timeline WHERE text IS NOT NULL") == []


async def test_an_answer_in_hand_while_the_customer_is_erased_leaves_no_comment(
    scored: Make, erased: Make, rows: Rows, database: Database, somebody_waits: Callable[[], Awaitable[None]]
) -> None:
    async def erase() -> None:
        async with database.transaction() as tx:
            await handle_customers(tx, [erased("c-1")])

    async with database.transaction() as tx:
        await handle_scores(tx, [scored("r-1")])
        erasing = asyncio.create_task(erase())
        await somebody_waits()
    await erasing
    (answer,) = await rows("SELECT comment FROM answers")
    (case,) = await rows("SELECT status FROM cases")
    assert (answer.comment, case.status) == (None, "closed")


async def test_an_erasure_in_hand_while_an_answer_comes_leaves_no_comment(
    scored: Make,
    erased: Make,
    deliver: Deliver,
    rows: Rows,
    database: Database,
    somebody_waits: Callable[[], Awaitable[None]],
) -> None:
    async with database.transaction() as tx:
        await handle_customers(tx, [erased("c-1")])
        answering = asyncio.create_task(deliver(scored("r-1")))
        await somebody_waits()
    await answering
    (answer,) = await rows("SELECT comment, case_id FROM answers")
    assert tuple(answer) == (None, None)


async def test_profiles_and_erasures_take_a_constant_number_of_statements(
    scored: Make,
    profile: Make,
    erased: Make,
    deliver: Deliver,
    statements: Callable[[], AbstractContextManager[list[str]]],
) -> None:
    counts = []
    for first, size in ((0, 1), (100, 60)):
        numbers = range(first, first + size)
        await deliver(*(scored(f"r-{number}", customer_id=f"c-{number}") for number in numbers))
        with statements() as seen:
            await deliver(*(profile(f"c-{number}") for number in numbers))
            await deliver(*(erased(f"c-{number}") for number in numbers))
        counts.append(len(seen))
    assert counts[0] == counts[1] <= 16
