"""Root causes over HTTP: their versions, what a retirement would touch, and the effort recorded with a resolution."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import httpx
import pytest

from libs.events.event import Event
from services.casework.domain.names import ResponseId, case_id_of

LogIn = Callable[..., Awaitable[httpx.AsyncClient]]
Make = Callable[..., Event[Any]]
Deliver = Callable[..., Awaitable[None]]
Published = Callable[[], Awaitable[list[tuple[str, Event[Any]]]]]
Rows = Callable[..., Awaitable[Sequence[Any]]]

CASE = f"/v1/cases/{case_id_of(ResponseId('r-1'))}"
SERVICE = {"name_ru": "Сервис", "name_en": "Service", "retired": True}

pytestmark = pytest.mark.usefixtures("staff")


@pytest.fixture
async def admin(log_in: LogIn) -> httpx.AsyncClient:
    return await log_in("root", "administrator")


async def resolved(anna: httpx.AsyncClient, **body: object) -> httpx.Response:
    reached = await anna.post(f"{CASE}/contact-attempts", json={"outcome": "reached"})
    assert reached.status_code == 201
    return await anna.post(f"{CASE}/resolve", json={"root_cause_id": "service.waiting"} | body)


async def test_a_retirement_is_tried_before_it_is_done_and_old_cases_stay_readable(
    admin: httpx.AsyncClient, anna: httpx.AsyncClient, deliver: Deliver, scored: Make
) -> None:
    await deliver(scored("r-1"))
    assert (await resolved(anna, customer_contacts=4, passed_on=True)).status_code == 200
    preview = await admin.post("/v1/root-causes/service/preview", json=SERVICE)
    assert preview.status_code == 200
    told = preview.json()
    assert told["changed"] == ["name_ru", "retired"]
    assert told["no_longer_choosable"] == [
        "service",
        "service.attitude",
        "service.not_helped",
        "service.passed_on",
        "service.repeat_contact",
        "service.waiting",
    ]
    assert (told["cases_resolved"], told["cases_closed"], told["initiatives"]) == (1, 0, [])
    # Nothing was done by it.
    assert (await admin.get("/v1/root-causes/service")).json()["version"] == 1
    refused = await admin.post("/v1/root-causes/service/preview", json=SERVICE | {"parent_id": "service.waiting"})
    assert refused.status_code == 422

    renamed = {"parent_id": "service", "name_ru": "Очередь", "name_en": "Queue"}
    headers = {"If-Match": '"1"'}
    assert (await admin.put("/v1/root-causes/service.waiting", json=renamed, headers=headers)).status_code == 200
    assert (await admin.put("/v1/root-causes/service", json=SERVICE, headers=headers)).status_code == 200
    below = (await admin.get("/v1/root-causes/service.waiting")).json()
    assert (below["retired"], below["choosable"]) == (False, False)
    assert [each["name_en"] for each in (await admin.get("/v1/root-causes/service.waiting/versions")).json()] == [
        "Queue",
        "Long wait",
    ]
    versions = (await admin.get("/v1/root-causes/service.waiting/versions")).json()
    assert versions[0]["by"]["id"] == "root"
    (resolution,) = (await anna.get(CASE)).json()["resolutions"]
    assert (resolution["name_en"], resolution["customer_contacts"], resolution["passed_on"]) == ("Long wait", 4, True)
    assert (await admin.get("/v1/root-causes/moon/versions")).status_code == 404


async def test_nothing_is_resolved_without_a_cause_that_may_be_chosen(
    admin: httpx.AsyncClient, anna: httpx.AsyncClient, deliver: Deliver, scored: Make, rows: Rows
) -> None:
    await deliver(scored("r-1"))
    assert (await admin.put("/v1/root-causes/service", json=SERVICE, headers={"If-Match": '"1"'})).status_code == 200
    assert (await resolved(anna)).json()["type"] == "urn:otklik:problem:root-cause-retired"
    assert (await anna.post(f"{CASE}/resolve", json={})).status_code == 422
    again = await anna.post(f"{CASE}/resolve", json={"root_cause_id": "price.high", "customer_contacts": 0})
    assert again.status_code == 422
    assert await rows("SELECT * FROM resolutions") == []
    assert (await anna.post(f"{CASE}/resolve", json={"root_cause_id": "price.high"})).status_code == 200


async def test_the_effort_is_told_measured_and_not_guessed_where_nobody_asked(
    anna: httpx.AsyncClient, deliver: Deliver, scored: Make, said: Make, published: Published
) -> None:
    await deliver(scored("r-1"))
    assert (await resolved(anna, customer_contacts=3, passed_on=False)).status_code == 200
    await deliver(said(case_id_of(ResponseId("r-1")), solved=False))
    assert (await resolved(anna)).status_code == 200
    events = [event.payload for _, event in await published() if event.type == "case.resolved.v1"]
    assert [(each.customer_contacts, each.passed_on) for each in events] == [(3, False), (None, None)]
    assert [each["round"] for each in (await anna.get(CASE)).json()["resolutions"]] == [1, 2]
    # The latest resolution counts, and there nobody asked.
    times = {"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z", "by": "root_cause"}
    (group,) = (await anna.get("/v1/measures/effort", params=times)).json()
    assert (group["group"], group["resolutions"], group["contacts"]["n"]) == ("service.waiting", 1, 0)
    assert group["passed_on"]["value"] is None
    await deliver(said(case_id_of(ResponseId("r-1")), solved=False, round_=2))
    assert (await resolved(anna, customer_contacts=1, passed_on=True)).status_code == 200
    (group,) = (await anna.get("/v1/measures/effort", params=times)).json()
    assert (group["contacts"]["value"], group["once"]["value"], group["passed_on"]["value"]) == (1.0, 1.0, 1.0)
