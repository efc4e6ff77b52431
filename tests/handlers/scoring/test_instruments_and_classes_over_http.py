"""Ways of asking in all their versions, joined by people; and claims of vendors that contradict the score."""

import importlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from libs.events.database import Database
from libs.events.event import Event
from services.scoring.jobs import fold_counts

AnAnswer = Callable[..., Event[Any]]
Deliver = Callable[..., Coroutine[None, None, None]]
Rows = Callable[..., Awaitable[Sequence[Any]]]

OLDER = text("""
    WITH first AS (UPDATE instrument_versions SET fingerprint = '\\x01' RETURNING *)
    INSERT INTO instrument_versions
           (instrument_id, version, fingerprint, program, touchpoint, metric, question, scale_min, scale_max, kind,
            channel, sampling, branded, first_answered_at, registered_at)
    SELECT instrument_id, 2, '\\x02', program, touchpoint, metric, question || ' ', scale_min, scale_max, kind,
           channel, sampling, branded, first_answered_at, registered_at
      FROM first
""")
MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)


async def breaks(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get("/v1/metrics/nps")).json()["instrument_breaks"]
    return found


async def test_a_version_tells_how_many_answers_came_by_it_and_when_the_last(
    database: Database, an_answer: AnAnswer, deliver: Deliver, client: httpx.AsyncClient
) -> None:
    later = MONDAY + timedelta(days=3)
    await deliver(an_answer("r-1"), an_answer("r-2", answered_at=later), an_answer("r-3", score=None))
    await deliver(an_answer("r-4", customer_id=None, asked={"channel": "sms"}))
    while await fold_counts(database):
        pass
    found = (await client.get("/v1/instruments")).json()["items"]
    assert [(each["n"], each["last_answered_on"]) for each in found] == [(2, "2026-01-08"), (1, "2026-01-05")]


async def test_markup_and_blanks_make_no_new_version(
    an_answer: AnAnswer, deliver: Deliver, client: httpx.AsyncClient
) -> None:
    await deliver(an_answer(), an_answer("r-2", asked={"question": " <b>порекомендуете</b> ли вы нас  друзьям?"}))
    assert [each["version"] for each in (await client.get("/v1/instruments")).json()["items"]] == [1]
    assert await breaks(client) == []


async def test_the_direction_of_a_scale_makes_another_version_and_is_told(
    an_answer: AnAnswer, deliver: Deliver, client: httpx.AsyncClient
) -> None:
    ces = {"metric": "ces", "scale_min": 1, "scale_max": 5}
    await deliver(an_answer(asked=ces), an_answer("r-2", asked=ces | {"higher_is_worse": True}))
    found = (await client.get("/v1/instruments")).json()["items"]
    assert [(each["higher_is_worse"], each["good_scores"]) for each in found] in (
        [(False, [4, 5]), (True, [1, 2])],
        [(True, [1, 2]), (False, [4, 5])],
    )


async def test_a_corrected_typing_error_is_joined_and_parted_again(
    an_answer: AnAnswer, deliver: Deliver, client: httpx.AsyncClient
) -> None:
    await deliver(an_answer(asked={"question": "Порекомендуете ли вы нас друзям?"}))
    await deliver(an_answer("r-2", answered_at=MONDAY + timedelta(days=3)))
    (found,) = await breaks(client)
    assert found["changed"] == ["question"]
    path = f"/v1/instruments/{found['instrument_id']}/versions/2"
    answered = await client.put(path, json={"same_as": 1})
    assert (answered.status_code, answered.json()["same_as"]) == (200, 1)
    assert await breaks(client) == []
    assert (await client.get("/v1/instruments")).json()["items"][1]["same_as"] == 1
    assert (await client.put(path, json={"same_as": None})).json()["same_as"] is None
    assert len(await breaks(client)) == 1


async def test_nobody_overwrites_unseen_what_another_said_about_a_version(
    an_answer: AnAnswer, deliver: Deliver, client: httpx.AsyncClient
) -> None:
    await deliver(an_answer(asked={"question": "Порекомендуете ли вы нас друзям?"}))
    await deliver(an_answer("r-2", answered_at=MONDAY + timedelta(days=3)))
    id_ = (await client.get("/v1/instruments")).json()["items"][0]["id"]
    path = f"/v1/instruments/{id_}/versions/2"
    seen = (await client.get(path)).headers["ETag"]
    joined = await client.put(path, json={"same_as": 1}, headers={"If-Match": seen})
    assert (seen, joined.status_code, joined.headers["ETag"]) == ('"1"', 200, '"2"')
    late = await client.put(path, json={"same_as": None}, headers={"If-Match": seen})
    assert (late.status_code, late.headers["ETag"]) == (412, '"2"')
    assert (await client.get(path)).json()["same_as"] == 1
    parted = await client.put(path, json={"same_as": None}, headers={"If-Match": '"2"'})
    assert (parted.status_code, parted.json()["revision"]) == (200, 3)
    assert (await client.get(f"/v1/instruments/{id_}/versions/9")).status_code == 404


async def test_versions_of_other_scales_are_never_joined(
    an_answer: AnAnswer, deliver: Deliver, client: httpx.AsyncClient
) -> None:
    await deliver(an_answer())
    await deliver(an_answer("r-2", asked={"metric": "ces", "scale_min": 1, "scale_max": 7}))
    id_ = (await client.get("/v1/instruments")).json()["items"][0]["id"]
    refused = await client.put(f"/v1/instruments/{id_}/versions/2", json={"same_as": 1})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/same_as"
    assert (await client.put(f"/v1/instruments/{id_}/versions/3", json={"same_as": 1})).status_code == 404


async def test_those_who_only_read_join_nothing(
    an_answer: AnAnswer, deliver: Deliver, client: httpx.AsyncClient
) -> None:
    await deliver(an_answer())
    id_ = (await client.get("/v1/instruments")).json()["items"][0]["id"]
    agent = {"Otklik-Person": "p-1", "Otklik-Role": "agent"}
    refused = await client.put(f"/v1/instruments/{id_}/versions/1", json={"same_as": None}, headers=agent)
    assert refused.status_code == 403


async def test_claims_that_contradict_the_score_are_counted_by_source_with_examples(
    an_answer: AnAnswer, deliver: Deliver, client: httpx.AsyncClient
) -> None:
    await deliver(
        an_answer("r-1", score=9, claimed_class="passive"),
        an_answer("r-2", score=9, claimed_class="passive", answered_at=MONDAY + timedelta(hours=1)),
        an_answer("r-3", score=None, claimed_class="passive"),
        an_answer("r-4", score=9, claimed_class="promoter"),
        an_answer("r-5", score=2, claimed_class="delighted", source="delighted"),
    )
    found = (await client.get("/v1/class-mismatches")).json()
    assert found["n"] == 4
    told = [(each["source"], each["claimed_class"], each["nps_class"], each["n"]) for each in found["items"]]
    assert told == [
        ("typeform", "passive", "promoter", 2),
        ("delighted", "delighted", "detractor", 1),
        ("typeform", "passive", None, 1),
    ]
    assert found["items"][0]["examples"] == ["r-2", "r-1"]
    later = {"source": "typeform", "from": (MONDAY + timedelta(minutes=30)).isoformat()}
    assert (await client.get("/v1/class-mismatches", params=later)).json()["n"] == 1
    await deliver(an_answer("r-1", 2, score=9, claimed_class="promoter"))
    assert (await client.get("/v1/class-mismatches")).json()["n"] == 3


async def test_an_installation_that_knew_questions_to_the_letter_goes_on_with_its_versions(
    database: Database, an_answer: AnAnswer, deliver: Deliver, client: httpx.AsyncClient, rows: Rows
) -> None:
    await deliver(an_answer())
    async with database.transaction() as tx:
        # As an older release left it: by the letters, and with a second version that differs in a blank.
        await tx.execute(OLDER)
    async with database.engine.begin() as connection:
        await connection.run_sync(know_again)
    await deliver(an_answer("r-2"), an_answer("r-3", asked={"question": "Порекомендуете ли вы  нас друзьям?"}))
    assert [tuple(row) for row in await rows("SELECT version, same_as FROM instrument_versions ORDER BY version")] == [
        (1, None),
        (2, 1),
    ]
    assert {row.instrument_version for row in await rows("SELECT instrument_version FROM responses")} == {1}
    assert await breaks(client) == []


def know_again(connection: Connection) -> None:
    migration = importlib.import_module("services.scoring.migrations.versions.0007_priorities")
    with Operations.context(MigrationContext.configure(connection)):
        migration.know_by_wording()
