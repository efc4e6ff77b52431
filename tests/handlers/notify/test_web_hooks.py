"""Web hooks out: from an event to a receiver that answers well, badly, slowly, too much, or not at all."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from aiohttp.abc import AbstractResolver, ResolveResult
from sqlalchemy import text

from libs.events import crashpoint
from services.notify.domain.addresses import Networks
from services.notify.domain.hook_signatures import key_of, signature
from services.notify.hook_handlers import wanted_types
from services.notify.hook_sending import forget_old_deliveries
from tests.handlers.notify.web_hooks import CONTACT, Hooks, Receiver, answers, goes_on_for_ever, hangs
from tests.handlers.notify.world import Clock, World

ROOT = Path(__file__).parents[3]
_BODIES = text("SELECT * FROM hook_bodies")
_FILL = text("""
    INSERT INTO hook_deliveries (subscription_id, event_id, type, sees, status, due_at, created_at, changed_at)
    SELECT :subscription_id, gen_random_uuid(), 'case.opened.v1', 'facts', 'pending', :now, :now, :now
      FROM generate_series(1, :amount)
""")
_FILL_BODIES = text("""
    INSERT INTO hook_bodies (event_id, sees, body, created_at)
    SELECT event_id, sees, CAST('{}' AS bytea), created_at FROM hook_deliveries ON CONFLICT DO NOTHING
""")


async def test_an_event_is_delivered_once_signed_with_what_the_subscriber_may_see(
    hooks: Hooks, world: World, receiver: Receiver, clock: Clock
) -> None:
    made = await hooks.subscribe(receiver.url, types=["case.*"])
    assert made["secret"].startswith("whsec_")
    opened, profile = world.assigned(), world.profile()
    await hooks.happen(opened, profile)
    await hooks.happen(opened)
    await hooks.rest()
    await hooks.rest()
    ((headers, body),) = receiver.got
    assert headers["webhook-id"] == str(opened.id)
    assert headers["webhook-timestamp"] == str(int(clock.now.timestamp()))
    assert headers["webhook-signature"] == signature(
        [key_of(made["secret"])], id_=str(opened.id), timestamp=int(clock.now.timestamp()), body=body
    )
    told = json.loads(body)
    assert (told["type"], told["id"], told["subject"]) == ("case.assigned.v1", str(opened.id), "case-1")
    assert told["data"]["case_id"] == "case-1"
    assert told["data"]["owner"] == {"employee_id": "e-anna", "language": "ru"}
    assert await hooks.statuses() == [("delivered", None, 204)]
    (shown,) = (await hooks.client.get("/v1/subscriptions")).json()["items"]
    assert "secret" not in shown


async def test_only_what_somebody_asked_for_is_taken_from_the_streams(hooks: Hooks, world: World) -> None:
    async with world.database.reading() as tx:
        assert await wanted_types(tx) == {"customer.erased.v1"}
    await hooks.subscribe("http://127.0.0.1:9/", types=["case.opened.v1", "initiative.*"])
    async with world.database.reading() as tx:
        wanted = await wanted_types(tx)
    assert {"case.opened.v1", "customer.erased.v1", "initiative.shipped.v1"} <= wanted
    assert "case.closed.v1" not in wanted


async def test_who_sees_people_gets_their_names_and_one_body_serves_all_that_see_the_same(
    hooks: Hooks, world: World, receiver: Receiver
) -> None:
    await hooks.subscribe(receiver.url)
    await hooks.subscribe(receiver.url, name="again")
    await hooks.subscribe(receiver.url, name="people", sees=["facts", "people"])
    await hooks.happen(world.profile())
    async with world.database.reading() as tx:
        assert len(await tx.fetch(_BODIES)) == 2
    await hooks.rest()
    names = [body["data"].get("name") for body in receiver.bodies()]
    assert sorted(name or "" for name in names) == ["", "", "Иван Иванов"]


async def test_a_failure_is_tried_again_on_the_schedule_and_the_log_says_why(
    hooks: Hooks, world: World, receiver: Receiver, clock: Clock
) -> None:
    made = await hooks.subscribe(receiver.url)
    receiver.script = [answers(500), answers(302, Location="http://127.0.0.1:9/"), answers(503, Retry_After="900")]
    await hooks.happen(opened := world.assigned())
    for wait in (timedelta(0), timedelta(seconds=6), timedelta(minutes=6)):
        clock.move(wait)
        await hooks.rest()
    assert await hooks.statuses() == [("pending", "status", 503)]
    clock.move(timedelta(minutes=14))
    await hooks.rest()
    assert len(receiver.got) == 3
    clock.move(timedelta(minutes=30))
    await hooks.rest()
    assert receiver.ids == [str(opened.id)] * 4
    seen = (await hooks.client.get(f"/v1/subscriptions/{made['id']}/deliveries/{opened.id}")).json()
    assert (seen["status"], seen["attempts"]) == ("delivered", 4)
    failed = [(each["trouble"], each["status_code"]) for each in seen["failed_attempts"]]
    assert failed == [("status", 500), ("redirect", 302), ("status", 503)]
    assert seen["body"]["id"] == str(opened.id)


async def test_410_disables_and_says_so_by_event_and_mail(hooks: Hooks, world: World, receiver: Receiver) -> None:
    made = await hooks.subscribe(receiver.url)
    receiver.usually = answers(410)
    await hooks.happen(world.assigned())
    await hooks.rest()
    shown = (await hooks.client.get(f"/v1/subscriptions/{made['id']}")).json()
    assert (shown["enabled"], shown["disabled_reason"]) == (False, "gone")
    assert await hooks.statuses() == [("failed", "status", 410)]
    row = await world.row()
    assert (row.kind, row.address, row.status) == ("subscription_disabled", CONTACT["email"], "queued")
    disabled, queued = await world.published()
    assert (disabled.payload.subscription_id, disabled.payload.reason) == (made["id"], "gone")
    assert queued.payload.cause_id == str(disabled.id)
    # Nothing more is written for it; when it is enabled again, it gets what happens from then on.
    await hooks.happen(world.breached())
    assert len(await hooks.deliveries()) == 1
    receiver.usually = None
    assert (await hooks.client.post(f"/v1/subscriptions/{made['id']}/enable")).json()["enabled"] is True
    await hooks.happen(closed := world.closed())
    await hooks.rest()
    assert receiver.ids[-1] == str(closed.id)


async def test_days_of_failure_disable_and_one_success_forgets_them(
    hooks: Hooks, world: World, receiver: Receiver, clock: Clock
) -> None:
    made = await hooks.subscribe(receiver.url)
    receiver.usually = answers(500)
    await hooks.happen(world.assigned())
    await hooks.rest()
    clock.move(timedelta(days=4))
    receiver.script = [answers(200)]
    await hooks.happen(world.breached())
    await hooks.rest()
    clock.move(timedelta(days=2))
    await hooks.happen(world.warned())
    await hooks.rest()
    assert (await hooks.client.get(f"/v1/subscriptions/{made['id']}")).json()["enabled"] is True
    clock.move(timedelta(days=6))
    await hooks.happen(world.reopened())
    await hooks.rest()
    assert (await hooks.client.get(f"/v1/subscriptions/{made['id']}")).json()["disabled_reason"] == "failing"
    assert [event.type for event in await world.published()] == ["subscription.disabled.v1", "message.queued.v1"]


async def test_a_receiver_that_hangs_or_talks_without_end_is_cut_off(
    hooks: Hooks, world: World, a_receiver: Callable[[], Awaitable[Receiver]]
) -> None:
    hanging, talking = await a_receiver(), await a_receiver()
    hanging.usually, talking.usually = hangs, goes_on_for_ever
    await hooks.subscribe(hanging.url)
    await hooks.subscribe(talking.url, name="talking")
    await hooks.happen(world.assigned())
    await hooks.rest(hooks.a_sender(timeout=timedelta(seconds=1)))
    # Its yes was read, and nothing else of its answer counts.
    assert sorted(await hooks.statuses()) == [("delivered", None, 200), ("pending", "timeout", None)]


async def test_a_slow_receiver_does_not_slow_the_others(
    hooks: Hooks, world: World, a_receiver: Callable[[], Awaitable[Receiver]], clock: Clock
) -> None:
    slow, quick = await a_receiver(), await a_receiver()
    slow.usually = hangs
    first, second = await hooks.subscribe(slow.url), await hooks.subscribe(quick.url, name="quick")
    async with world.database.transaction() as tx:
        for made, amount in ((first, 2_000), (second, 1_000)):
            await tx.execute(_FILL, {"subscription_id": UUID(made["id"]), "amount": amount, "now": clock.now})
        await tx.execute(_FILL_BODIES)
    async with asyncio.timeout(60):
        while len(quick.got) < 1_000:
            await hooks.sender.step()
    assert slow.most_at_once <= 8
    assert len(slow.got) <= 8
    assert len(set(quick.ids)) == 1_000


class ChangingNames(AbstractResolver):
    """A name that is public until it is connected to."""

    def __init__(self, port: int) -> None:
        self.asked = 0
        self._port = port

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:  # noqa: ARG002
        self.asked += 1
        return [
            ResolveResult(hostname=host, host="127.0.0.1", port=self._port, family=socket.AF_INET, proto=0, flags=0)
        ]

    async def close(self) -> None:
        """Nothing to close."""


async def test_a_name_that_turns_out_to_be_private_is_not_connected_to(
    hooks: Hooks, world: World, receiver: Receiver
) -> None:
    await hooks.subscribe(f"http://rebinding.example:{receiver.port}/")
    await hooks.happen(world.assigned())
    names = ChangingNames(receiver.port)
    await hooks.rest(hooks.a_sender(networks=Networks(), resolver=names))
    assert names.asked == 1
    assert await hooks.statuses() == [("pending", "forbidden_address", None)]
    assert receiver.got == []


async def test_a_literal_private_address_is_refused_when_told_and_when_connected_to(
    hooks: Hooks, world: World, receiver: Receiver
) -> None:
    body = {"name": "x", "url": "http://10.0.0.1/", "types": ["*"], "contact": CONTACT}
    refused = await hooks.client.post("/v1/subscriptions", json=body)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/url"
    await hooks.subscribe(receiver.url)  # while loopback was allowed
    await hooks.happen(world.assigned())
    await hooks.rest(hooks.a_sender(networks=Networks()))
    assert await hooks.statuses() == [("pending", "forbidden_address", None)]


async def test_nobody_there_is_tried_again(hooks: Hooks, world: World, receiver: Receiver) -> None:
    await hooks.subscribe("http://127.0.0.1:1/")
    await hooks.happen(world.assigned())
    await hooks.rest()
    assert await hooks.statuses() == [("pending", "connection", None)]
    assert receiver.got == []


async def test_an_erasure_empties_what_waits_and_what_was_sent_and_is_told_itself(
    hooks: Hooks, world: World, receiver: Receiver, clock: Clock
) -> None:
    made = await hooks.subscribe(receiver.url, sees=["facts", "people"])
    late = world.warned()
    await hooks.happen(sent := world.profile())
    await hooks.rest()
    receiver.script = [answers(500)]
    await hooks.happen(world.assigned())
    await hooks.rest()
    await hooks.happen(erased := world.erasure())
    # What happened before, and comes later, as topics have no order among themselves.
    await hooks.happen(late)
    clock.move(timedelta(days=1))
    await hooks.rest()
    assert receiver.ids[-1] == str(erased.id)
    async with world.database.reading() as tx:
        (body,) = [row for row in await tx.fetch(_BODIES) if row.body is not None]
    assert body.event_id == erased.id
    assert sorted(status for status, _, _ in await hooks.statuses()) == ["delivered", "delivered", "erased"]
    log = f"/v1/subscriptions/{made['id']}/deliveries"
    assert (await hooks.client.get(f"{log}/{sent.id}")).json()["body"] is None
    assert (await hooks.client.post(f"{log}/{sent.id}/replay")).status_code == 404


async def test_one_or_a_range_is_delivered_anew_under_the_same_ids(
    hooks: Hooks, world: World, receiver: Receiver, clock: Clock
) -> None:
    made = await hooks.subscribe(receiver.url)
    log = f"/v1/subscriptions/{made['id']}/deliveries"
    began = clock.now
    events = []
    for _ in range(4):
        events.append(world.breached())
        await hooks.happen(events[-1])
        clock.move(timedelta(minutes=1))
    await hooks.rest()
    ids = [str(event.id) for event in events]
    assert receiver.ids == ids
    assert (await hooks.client.post(f"{log}/{ids[0]}/replay")).status_code == 202
    await hooks.rest()
    assert receiver.ids[4:] == ids[:1]
    span = {"since": (began + timedelta(minutes=1)).isoformat(), "until": (began + timedelta(minutes=3)).isoformat()}
    assert (await hooks.client.post(f"{log}/replay", json=span)).json() == {"replayed": 0, "more": False}
    again = await hooks.client.post(f"{log}/replay", json={**span, "statuses": ["delivered"]})
    assert again.json() == {"replayed": 2, "more": False}
    await hooks.rest()
    assert sorted(receiver.ids[5:]) == sorted(ids[1:3])
    first = (await hooks.client.get(log, params={"limit": 3})).json()
    rest = (await hooks.client.get(log, params={"limit": 3, "cursor": first["next_cursor"]})).json()
    assert [each["event_id"] for each in first["items"] + rest["items"]] == ids[::-1]
    assert rest["next_cursor"] is None


async def test_old_deliveries_are_forgotten(hooks: Hooks, world: World, receiver: Receiver, clock: Clock) -> None:
    await hooks.subscribe(receiver.url)
    await hooks.happen(world.assigned(), world.profile())
    await hooks.rest()
    clock.move(timedelta(days=31))
    await hooks.happen(world.breached())
    assert await forget_old_deliveries(world.database, timedelta(days=30), timedelta(days=120)) is False
    assert len(await hooks.deliveries()) == 1
    async with world.database.reading() as tx:
        assert len(await tx.fetch(_BODIES)) == 1


async def test_stopped_in_order_it_gives_back_what_it_did_not_send(
    hooks: Hooks, world: World, receiver: Receiver, clock: Clock
) -> None:
    made = await hooks.subscribe(receiver.url)
    async with world.database.transaction() as tx:
        await tx.execute(_FILL, {"subscription_id": UUID(made["id"]), "amount": 300, "now": clock.now})
        await tx.execute(_FILL_BODIES)
    stopping = hooks.a_sender()
    await stopping.step()
    await stopping.close()
    assert not [row for row in await hooks.deliveries() if row.claimed_until is not None]
    await hooks.rest()
    assert len(set(receiver.ids)) == len(receiver.ids) == 300


async def test_killed_between_the_receivers_yes_and_our_note_it_comes_once_more_under_the_same_id(
    hooks: Hooks, world: World, receiver: Receiver, clock: Clock, tmp_path: Path
) -> None:
    await hooks.subscribe(receiver.url)
    await hooks.happen(opened := world.assigned())
    (tmp_path / "notify.after_hook_accepted").touch()
    url = world.database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("web_hook_process.py")),
        url,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), crashpoint.VARIABLE: str(tmp_path)},
    )
    async with asyncio.timeout(60):
        assert await process.wait() == -signal.SIGKILL
    assert receiver.ids == [str(opened.id)]
    (row,) = await hooks.deliveries()
    assert row.status == "pending"
    # As long as it might still be that process's, nobody else takes it.
    clock.now = row.claimed_until - timedelta(seconds=1)
    await hooks.rest()
    assert len(receiver.got) == 1
    clock.move(timedelta(seconds=1))
    await hooks.rest()
    assert receiver.ids == [str(opened.id)] * 2
    assert await hooks.statuses() == [("delivered", None, 204)]
