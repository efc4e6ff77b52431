"""Who handles what, in which language and when, from the settings to the owner of a case."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import httpx

from libs.events.event import Event

LogIn = Callable[..., Awaitable[httpx.AsyncClient]]
ALWAYS = [{"start": "00:00", "end": "24:00"}]


async def put(client: httpx.AsyncClient, path: str, **body: object) -> httpx.Response:
    return await client.put(path, json=body)


async def test_settings_decide_who_owns_and_the_case_says_why(
    log_in: LogIn,
    deliver: Callable[..., Awaitable[None]],
    scored: Callable[..., Event[Any]],
    rows: Callable[..., Awaitable[Sequence[Any]]],
    statements: Callable[[], AbstractContextManager[list[str]]],
) -> None:
    head = await log_in("olga", "administrator")
    days = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    calendar = await put(
        head, "/v1/calendars/always", name="Always", zone="Europe/Moscow", week=dict.fromkeys(days, ALWAYS)
    )
    assert calendar.status_code == 201, calendar.text
    team = await put(head, "/v1/teams/claims", name="Claims", touchpoints=["claim"], calendar_id="always")
    assert (team.status_code, team.json()["touchpoints"]) == (201, ["claim"])
    who = {"email": "a@example.org", "language": "ru"}
    away = {"absent_from": "2026-01-05T00:00:00Z", "absent_until": "2026-01-06T00:00:00Z"}
    for id_, more in (
        ("anna", {"team_id": "claims"}),
        ("boris", {"touchpoints": ["branch"], "languages": ["DE"]}),
        ("galina", {"touchpoints": ["branch"]}),
        ("zoya", {"touchpoints": ["branch"], "languages": ["de"], "absences": [away]}),
    ):
        answer = await head.put(f"/v1/agents/{id_}", json={"name": id_.title(), **who, **more})
        assert answer.status_code == 201, answer.text
    zoya = (await head.get("/v1/agents/zoya")).json()
    assert (zoya["languages"], zoya["absences"]) == (["de"], [away])

    with statements() as one:
        await deliver(scored("r-1", touchpoint="claim", customer_id="c-1"))
    with statements() as many:
        await deliver(*(scored(f"r-{n}", touchpoint="branch", language="de", customer_id=f"c-{n}") for n in (2, 3, 4)))
    assert len(many) == len(one)

    found = await rows("SELECT opening_response_id, owner_id, owner_reason_details FROM cases ORDER BY 1")
    assert [(row.opening_response_id, row.owner_id) for row in found] == [
        ("r-1", "anna"),
        ("r-2", "boris"),
        ("r-3", "boris"),
        ("r-4", "boris"),
    ]
    assert found[1].owner_reason_details == {
        "seniority": 1,
        "load": 0,
        "capacity": 20,
        "skilled": True,
        "language": "de",
    }


async def test_a_calendar_that_does_not_exist_is_refused_and_one_in_use_stays(log_in: LogIn) -> None:
    head = await log_in("olga", "administrator")
    refused = await put(head, "/v1/teams/claims", name="Claims", calendar_id="nowhere")
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/calendar_id")
    days = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    await put(head, "/v1/calendars/always", name="Always", zone="Europe/Moscow", week=dict.fromkeys(days, ALWAYS))
    await put(head, "/v1/teams/claims", name="Claims", calendar_id="always")
    kept = await head.delete("/v1/calendars/always")
    assert kept.status_code == 409


async def test_planned_absences_end_after_they_begin(log_in: LogIn) -> None:
    head = await log_in("olga", "administrator")
    backwards = {"absent_from": "2026-01-06T00:00:00Z", "absent_until": "2026-01-05T00:00:00Z"}
    refused = await put(
        head, "/v1/agents/anna", name="Anna", email="a@example.org", language="ru", absences=[backwards]
    )
    assert refused.status_code == 422
