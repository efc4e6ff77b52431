"""Signs lift cases by themselves, each once and said why; the levels see their queues, and give cases back."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest

from libs.events.event import Event
from services.casework.domain.names import ResponseId, case_id_of

Make = Callable[..., Event[Any]]
Deliver = Callable[..., Awaitable[None]]
Published = Callable[[], Awaitable[list[tuple[str, Event[Any]]]]]
Rows = Callable[..., Awaitable[Sequence[Any]]]
LogIn = Callable[..., Awaitable[httpx.AsyncClient]]
CASE = case_id_of(ResponseId("r-1"))
PATH = f"/v1/cases/{CASE}"

pytestmark = pytest.mark.usefixtures("staff")


async def climbs(published: Published) -> list[tuple[str, str]]:
    return [
        (event.payload.to_level, event.payload.reason)
        for _, event in await published()
        if event.type in ("case.escalated.v1", "case.deescalated.v1")
    ]


async def test_a_key_customers_low_score_is_heard_by_management_at_once_and_once(
    scored: Make, deliver: Deliver, published: Published, anna: httpx.AsyncClient, rows: Rows
) -> None:
    await deliver(scored("r-1", tier="key", score=3, urgent=("leaving",)), scored("r-2", customer_id="c-2", score=2))
    await deliver(scored("r-1", tier="key", score=3, urgent=("leaving",)))
    await deliver(scored("r-1", 2, tier="key", score=1, urgent=("leaving", "legal")))
    assert await climbs(published) == [("management", "urgent")]
    case = (await anna.get(PATH)).json()
    assert (case["level"], case["signals"], case["responsible_id"]) == (
        "management",
        ["urgent", "key_customer"],
        "boris",
    )
    told = [(entry["kind"], entry["actor"]["kind"]) for entry in case["timeline"]]
    assert told == [
        ("opened", "customer"),
        ("assigned", "customer"),
        ("escalated", "clock"),
        ("signalled", "clock"),
        ("revised", "customer"),
    ]
    assert [row.level for row in await rows("SELECT level FROM cases ORDER BY opening_response_id")] == [
        "management",
        "frontline",
    ]


async def test_unhappy_answers_about_several_places_lift_the_case(
    scored: Make, deliver: Deliver, published: Published
) -> None:
    await deliver(scored("r-1", touchpoint="branch"), scored("r-2", touchpoint="app", score=9))
    assert await climbs(published) == []
    await deliver(
        scored("r-3", touchpoint="branch"), scored("r-4", touchpoint="app"), scored("r-5", touchpoint="claim")
    )
    assert await climbs(published) == [("management", "several_touchpoints")]


async def test_signs_take_no_statement_more_however_many_cases_show_them(
    scored: Make, deliver: Deliver, statements: Callable[[], AbstractContextManager[list[str]]]
) -> None:
    counts = []
    for first, size in ((0, 1), (100, 40)):
        with statements() as seen:
            await deliver(
                *(
                    scored(f"r-{n}", customer_id=f"c-{n}", tier="key", score=0, urgent=("legal",))
                    for n in range(first, first + size)
                )
            )
        counts.append(len(seen))
    assert counts[0] == counts[1]


async def test_after_so_many_attempts_in_a_row_without_an_answer_the_case_climbs(
    scored: Make, deliver: Deliver, published: Published, anna: httpx.AsyncClient
) -> None:
    await deliver(scored("r-1"))
    for outcome in ("no_answer", "no_answer", "call_later", "no_answer", "wrong_number"):
        await anna.post(f"{PATH}/contact-attempts", json={"outcome": outcome})
    assert await climbs(published) == []
    for _ in range(3):
        await anna.post(f"{PATH}/contact-attempts", json={"outcome": "no_answer"})
    assert await climbs(published) == [("management", "no_answer")]


async def test_how_many_attempts_is_for_the_company_to_say(
    scored: Make, deliver: Deliver, published: Published, anna: httpx.AsyncClient, log_in: LogIn
) -> None:
    head = await log_in("olga", "administrator")
    policy = (await head.get("/v1/sla-policies/standard")).json()
    assert policy["unanswered_attempts"] == 3
    kept = {name: value for name, value in policy.items() if name not in ("tier", "version", "warn_after")}
    await head.put("/v1/sla-policies/standard", json=kept | {"unanswered_attempts": 1})
    await deliver(scored("r-1"))
    await anna.post(f"{PATH}/contact-attempts", json={"outcome": "no_answer"})
    assert await climbs(published) == [("management", "no_answer")]


async def test_the_third_reopening_lifts_the_case_from_where_it_is(
    scored: Make, deliver: Deliver, published: Published, anna: httpx.AsyncClient
) -> None:
    await deliver(scored("r-1"))
    await anna.post(f"{PATH}/escalate", json={"reason": "no_authority"})
    for _ in range(4):
        await anna.post(f"{PATH}/contact-attempts", json={"outcome": "reached"})
        await anna.post(f"{PATH}/resolve", json={"root_cause_id": "service"})
        await anna.post(f"{PATH}/reopen", json={})
    assert await climbs(published) == [("management", "no_authority"), ("executive", "reopened_again")]


async def test_a_no_that_is_the_third_reopening_lifts_one_level_only(
    scored: Make, said: Make, deliver: Deliver, published: Published, anna: httpx.AsyncClient
) -> None:
    await deliver(scored("r-1"))
    for round_ in (1, 2, 3):
        await anna.post(f"{PATH}/contact-attempts", json={"outcome": "reached"})
        await anna.post(f"{PATH}/resolve", json={"root_cause_id": "service"})
        if round_ < 3:
            await anna.post(f"{PATH}/reopen", json={})
    await deliver(said(CASE, solved=False, round_=3))
    assert await climbs(published) == [("management", "not_solved")]
    case = (await anna.get(PATH)).json()
    assert (case["signals"], case["owner_id"]) == (["reopened_again"], "anna")


async def test_levels_see_what_they_were_asked_and_give_it_back_with_a_reason(
    scored: Make, deliver: Deliver, published: Published, anna: httpx.AsyncClient, log_in: LogIn
) -> None:
    boris, vera = await log_in("boris", "manager"), await log_in("vera", "executive")
    await deliver(*(scored(f"r-{n}", customer_id=f"c-{n}", tier="key", score=1) for n in (1, 2, 3)))
    await anna.post(f"{PATH}/escalate", json={"reason": "customer_asked", "note": "Просит директора"})
    queue = (await boris.get("/v1/queues/management", params={"limit": 1})).json()
    rest = (
        await boris.get("/v1/queues/management", params={"cursor": queue["next_cursor"], "responsible": "boris"})
    ).json()
    assert [each["came_because"] for each in (*queue["items"], *rest["items"])] == ["key_customer", "key_customer"]
    assert (await boris.get("/v1/queues/management", params={"responsible": "vera"})).json()["items"] == []
    (asked,) = (await vera.get("/v1/queues/executive")).json()["items"]
    assert (asked["id"], asked["came_because"], asked["came_with"], asked["owner_name"]) == (
        str(CASE),
        "customer_asked",
        "Просит директора",
        "Anna",
    )

    back = {"reason": "authority_given", "note": "Можно вернуть деньги"}
    assert (await anna.post(f"{PATH}/de-escalate", json=back)).status_code == 403
    assert (await boris.post(f"{PATH}/de-escalate", json=back)).status_code == 403
    returned = (await vera.post(f"{PATH}/de-escalate", json=back)).json()
    assert (returned["level"], returned["responsible_id"], returned["owner_id"]) == ("management", "boris", "anna")
    assert returned["escalation_due_at"] is not None
    assert (await vera.get("/v1/queues/executive")).json()["items"] == []
    lowered = (await boris.post(f"{PATH}/de-escalate", json=back)).json()
    assert (lowered["level"], lowered["responsible_id"], lowered["escalation_due_at"]) == ("frontline", None, None)
    refused = await boris.post(f"{PATH}/de-escalate", json=back)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:otklik:problem:case-at-lowest-level")
    assert (await climbs(published))[-2:] == [("management", "authority_given"), ("frontline", "authority_given")]

    # Known signs lift it no more; a breach still does.
    await deliver(scored("r-1", 2, tier="key", score=0))
    assert (await anna.get(PATH)).json()["level"] == "frontline"
