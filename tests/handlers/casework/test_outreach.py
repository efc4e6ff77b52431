"""Everybody who answered gets the loop closed: light cases by rules, thanks for all others, each once."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import httpx
import pytest

from libs.events.database import Database
from libs.events.event import Event
from services.casework.contact_jobs import Thanks
from services.casework.domain.names import ResponseId, case_id_of

LogIn = Callable[..., Awaitable[httpx.AsyncClient]]
Make = Callable[..., Event[Any]]
Deliver = Callable[..., Coroutine[None, None, None]]
Published = Callable[[], Awaitable[list[tuple[str, Event[Any]]]]]
Rows = Callable[..., Awaitable[Sequence[Any]]]


class Clock(Protocol):
    now: datetime


MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("staff")


def case_of(response: str) -> str:
    return f"/v1/cases/{case_id_of(ResponseId(response))}"


async def test_a_passive_of_the_key_tier_gets_a_light_case_that_turns_serious_with_a_detractors_answer(
    anna: httpx.AsyncClient, deliver: Deliver, scored: Make, published: Published
) -> None:
    await deliver(scored("r-1", score=8, tier="key"), scored("r-2", score=8, customer_id="c-2"))
    case = (await anna.get(case_of("r-1"))).json()
    assert (case["kind"], case["status"], case["score"]) == ("light", "open", 8)
    # Five days for a light case, whatever the tier.
    assert case["first_contact_due_at"] == (MONDAY + timedelta(hours=120)).isoformat().replace("+00:00", "Z")
    assert (await anna.get(case_of("r-2"))).status_code == 404
    opened = [event.payload.kind for _, event in await published() if event.type == "case.opened.v1"]
    assert opened == ["light"]
    await deliver(scored("r-3", score=2, tier="key"))
    case = (await anna.get(case_of("r-1"))).json()
    assert (case["kind"], case["score"]) == ("full", 2)
    assert case["first_contact_due_at"] == (MONDAY + timedelta(hours=48)).isoformat().replace("+00:00", "Z")
    assert (await anna.get(case_of("r-3"))).status_code == 404


async def test_who_needs_nothing_else_is_thanked_once_and_not_before_second_thoughts_had_their_time(
    database: Database,
    deliver: Deliver,
    scored: Make,
    erased: Make,
    published: Published,
    rows: Rows,
    clock: Clock,
) -> None:
    names = ("kept", "worse", "gone", "forgotten")
    await deliver(
        *(scored(f"r-{name}", score=10, customer_id=f"c-{name}") for name in names),
        scored("r-nobody", score=10, customer_id=None),
        scored("r-silent", score=None, customer_id="c-silent"),
        scored("r-unhappy", score=1, customer_id="c-unhappy"),
    )
    loop = Thanks(database, batch=10)
    await loop.step()
    clock.now += timedelta(minutes=30)
    await deliver(
        scored("r-kept", 2, score=10, customer_id="c-kept", comment="Спасибо!"),
        scored("r-worse", 2, score=2, customer_id="c-worse"),
        scored("r-gone", 2, score=None, customer_id="c-gone", withdrawn=True),
        erased("c-forgotten", at=clock.now),
    )
    assert [event for _, event in await published() if event.type == "thanks.requested.v1"] == []
    clock.now += timedelta(minutes=31)
    await asyncio.gather(loop.step(), Thanks(database, batch=10).step())
    await loop.step()
    asked = [
        (key, event.payload.response_id) for key, event in await published() if event.type == "thanks.requested.v1"
    ]
    assert asked == [("c-kept", "r-kept")]
    results = {row.response_id: row.result for row in await rows("SELECT response_id, result FROM thanks")}
    assert results == {"r-kept": "asked", "r-worse": "case", "r-gone": "withdrawn", "r-forgotten": "erased"}
    await deliver(scored("r-kept", 3, score=9, customer_id="c-kept"))
    clock.now += timedelta(days=1)
    await loop.step()
    assert len([event for _, event in await published() if event.type == "thanks.requested.v1"]) == 1


async def test_the_company_tries_rules_on_what_came_before_it_puts_them_in_force(
    log_in: LogIn, anna: httpx.AsyncClient, deliver: Deliver, scored: Make
) -> None:
    admin = await log_in("root", "administrator")
    await deliver(
        scored("r-1", score=9, themes=("reference",), customer_id="c-1"),
        scored("r-2", score=7, customer_id="c-2"),
        scored("r-3", score=3, customer_id="c-3"),
    )
    assert (await anna.get(case_of("r-1"))).json()["kind"] == "light"
    rules = (await admin.get("/v1/outreach-rules")).json()
    assert [rule["id"] for rule in rules["rules"]] == ["passive_key", "promoter_reference"]
    body: dict[str, Any] = {
        "rules": [{"id": "lukewarm", "then": "case", "nps_classes": ["passive"], "score_to": 7}],
        "otherwise": "nothing",
    }
    tried = (await admin.post("/v1/outreach-rules/dry-run", json=body)).json()
    assert tried["rules"] == [{"id": "lukewarm", "then": "case", "answers": 1}]
    assert (tried["answers"], tried["cases"], tried["thanks"], tried["nothing"]) == (2, 1, 0, 1)
    (opening,) = tried["opening"]
    assert (opening["rule"], opening["customer_id"], opening["score"], opening["has_case"]) == (
        "lukewarm",
        "c-2",
        7,
        False,
    )
    assert (await admin.get("/v1/outreach-rules")).json()["version"] == 1
    twice = {"rules": [*body["rules"], *body["rules"]]}
    headers = {"If-Match": '"1"'}
    assert (await admin.put("/v1/outreach-rules", json=twice, headers=headers)).status_code == 422
    assert (await anna.put("/v1/outreach-rules", json=body, headers=headers)).status_code == 403
    put = await admin.put("/v1/outreach-rules", json=body, headers=headers)
    assert (put.status_code, put.json()["version"], put.json()["by"]["id"]) == (200, 2, "root")
    await deliver(scored("r-4", score=7, customer_id="c-4"), scored("r-5", score=8, customer_id="c-5", tier="key"))
    assert (await anna.get(case_of("r-4"))).json()["kind"] == "light"
    assert (await anna.get(case_of("r-5"))).status_code == 404
    # Light cases have policies of their own, which are edited like those of a program.
    policies = (await admin.get("/v1/programs/~light/sla-policies")).json()["items"]
    assert [policy["first_contact_hours"] for policy in policies] == [120, 120, 120, 120]
