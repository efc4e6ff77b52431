"""Accounts by their score; who was invited, who answered, and whose silence is announced."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.events.contracts.responses import ResponseWithdrawn
from libs.events.contracts.scores import InvitationUnanswered
from libs.events.database import Database
from libs.events.event import Event, derived_id
from services.scoring.account_scores import compute_account_scores
from services.scoring.domain.invitations import ANSWERED_WITHIN, Invitation
from services.scoring.silences import judge, look_again
from services.scoring.store import invitations

ACustomer = Callable[..., dict[str, Any]]
AnAnswer = Callable[..., Event[Any]]
Clear = Callable[[], Awaitable[None]]
Deliver = Callable[..., Coroutine[None, None, None]]
Published = Callable[[], Awaitable[list[tuple[str, Event[Any]]]]]
Locked = Callable[[], Awaitable[None]]
Rows = Callable[..., Awaitable[Sequence[Any]]]

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
DAY = timedelta(days=1)
RELATIONSHIP = {"kind": "relationship"}


def an_invitation(id_: str = "i-1", **changes: object) -> dict[str, Any]:
    members = {
        "id": id_,
        "customer_id": "c-1",
        "program": "retail",
        "touchpoint": "branch",
        "channel": "email",
        "invited_at": MONDAY.isoformat(),
    }
    return members | changes


async def invite(client: httpx.AsyncClient, *items: dict[str, Any]) -> list[str]:
    answer = await client.post("/v1/invitations", json={"items": list(items)})
    assert answer.status_code == 200
    return [each["status"] for each in answer.json()["items"]]


async def load(client: httpx.AsyncClient, *items: dict[str, Any]) -> None:
    answer = await client.post("/v1/customers/batch", json={"items": list(items)})
    assert {each["status"] for each in answer.json()["items"]} <= {"created", "updated", "unchanged"}


async def settle(database: Database) -> None:
    while await compute_account_scores(database):
        pass


def withdrawn(answer: Event[Any]) -> Event[Any]:
    said = answer.payload
    payload = ResponseWithdrawn(
        response_id=said.response_id,
        revision=said.revision + 1,
        source=said.source,
        vendor_response_id=said.vendor_response_id,
        program=said.program,
        withdrawn_at=MONDAY,
        received_at=MONDAY,
    )
    id_ = derived_id(answer.id, payload.TYPE)
    return Event.root(id_, payload, subject=said.response_id, time=MONDAY, source="/ingest")


async def test_an_accounts_score_weighs_its_contacts_by_role(
    database: Database, client: httpx.AsyncClient, a_customer: ACustomer, an_answer: AnAnswer, deliver: Deliver
) -> None:
    await client.put("/v1/accounts/a-1", json={"name": "Ромашка"})
    await load(
        client,
        a_customer(id="user", account_id="a-1", account_role="end_user"),
        a_customer(id="decider", account_id="a-1", account_role="decision_maker"),
        a_customer(id="silent", account_id="a-1"),
        a_customer(id="other", account_id="a-2"),
    )
    now = datetime.now(UTC)
    await deliver(
        an_answer("old", customer_id="user", score=0, answered_at=now - 2 * DAY, asked=RELATIONSHIP),
        an_answer("user", customer_id="user", score=9, answered_at=now - DAY, asked=RELATIONSHIP),
        an_answer("decider", customer_id="decider", score=4, answered_at=now - DAY, asked=RELATIONSHIP),
        an_answer("long ago", customer_id="silent", score=1, answered_at=now - 400 * DAY, asked=RELATIONSHIP),
        an_answer("other", customer_id="other", score=7, answered_at=now, asked=RELATIONSHIP),
        an_answer("after a visit", customer_id="decider", score=10, answered_at=now),
    )
    found = (await client.get("/v1/account-scores/a-1")).json()
    assert (found["account_name"], [each["kind"] for each in found["scores"]]) == (
        "Ромашка",
        ["relationship", "transactional"],
    )
    score = found["scores"][0]
    assert (score["score"], score["n"], score["contacts"], score["flagged"]) == (5.25, 2, 3, True)
    assert [each["customer_id"] for each in score["unhappy_decision_makers"]] == ["decider"]
    # Weight 4 of 5 answered: n = 1.6 / 0.2 = 8, and Wilson's interval around 0.525.
    assert (score["ci_low"], score["ci_high"], score["confidence"]) == (2.32, 8.01, 0.95)
    await settle(database)
    listed = (await client.get("/v1/account-scores")).json()["items"]
    assert [(each["account_id"], each["score"], each["flagged"]) for each in listed] == [
        ("a-1", 5.25, True), ("a-2", 7.0, False),
    ]  # fmt: skip
    flagged = (await client.get("/v1/account-scores", params={"show": "flagged"})).json()["items"]
    assert [each["account_id"] for each in flagged] == ["a-1"]
    assert (await client.get("/v1/account-scores/nothing")).status_code == 404


async def test_the_list_follows_roles_weights_withdrawals_erasures_and_time(
    database: Database, client: httpx.AsyncClient, a_customer: ACustomer, an_answer: AnAnswer, deliver: Deliver
) -> None:
    async def listed() -> list[tuple[str, float, int]]:
        await settle(database)
        items = (await client.get("/v1/account-scores", params={"kind": "transactional"})).json()["items"]
        return [(each["account_id"], each["score"], each["n"]) for each in items]

    await load(client, *(a_customer(id=f"c-{n}", account_id="a-1") for n in (1, 2, 3)))
    now = datetime.now(UTC)
    answers = [an_answer(f"r-{n}", customer_id=f"c-{n}", score=n * 3, answered_at=now - n * DAY) for n in (1, 2, 3)]
    await deliver(*answers)
    assert await listed() == [("a-1", 6.0, 3)]
    await client.put("/v1/customers/c-1", json=a_customer(account_id="a-1", account_role="decision_maker"))
    assert await listed() == [("a-1", 4.8, 3)]
    await client.put("/v1/segment-rules", json={"accounts": {"decision_maker": 1}})
    assert await listed() == [("a-1", 6.0, 3)]
    await deliver(withdrawn(answers[0]))
    assert await listed() == [("a-1", 7.5, 2)]
    await client.put("/v1/customers/c-3", json=a_customer(account_id="a-2"))
    assert await listed() == [("a-1", 6.0, 1), ("a-2", 9.0, 1)]
    await client.delete("/v1/customers/c-2")
    assert await listed() == [("a-2", 9.0, 1)]
    database.clock = lambda: datetime.now(UTC) + timedelta(days=363)  # type: ignore[misc]  # time goes by
    assert await listed() == []


async def test_an_answer_answers_the_invitation_before_it(
    client: httpx.AsyncClient, an_answer: AnAnswer, deliver: Deliver, rows: Rows
) -> None:
    assert (
        await invite(
            client,
            an_invitation("early", invited_at=(MONDAY - 3 * DAY).isoformat()),
            an_invitation("app", invited_at=(MONDAY - DAY).isoformat(), touchpoint="app"),
            an_invitation("branch", invited_at=(MONDAY - 2 * DAY).isoformat()),
            an_invitation("later", invited_at=(MONDAY + DAY).isoformat()),
            an_invitation("other program", program="b2b"),
            an_invitation("somebody else", customer_id="c-2"),
            an_invitation("too early", customer_id="c-3", invited_at=(MONDAY - ANSWERED_WITHIN).isoformat()),
        )
        == ["created"] * 7
    )
    await deliver(an_answer("r-1"), an_answer("r-3", customer_id="c-3"), an_answer("r-0", customer_id=None))
    answered = "SELECT id, response_id FROM invitations WHERE answered_at IS NOT NULL ORDER BY id"
    assert [tuple(row) for row in await rows(answered)] == [("branch", "r-1")]
    await deliver(an_answer("r-1", 2, comment="ещё"))
    await deliver(an_answer("r-2", answered_at=MONDAY + 2 * DAY))
    # Of its own touchpoint, and nearest before it.
    assert [tuple(row) for row in await rows(answered)] == [("branch", "r-1"), ("later", "r-2")]
    await deliver(withdrawn(an_answer("r-1", 2)))
    assert [tuple(row) for row in await rows(answered)] == [("later", "r-2")]


async def test_two_revisions_in_one_batch_answer_one_invitation_though_their_times_differ(
    client: httpx.AsyncClient, an_answer: AnAnswer, deliver: Deliver, rows: Rows
) -> None:
    await invite(client, an_invitation("before"), an_invitation("between", invited_at=(MONDAY + DAY).isoformat()))
    await deliver(
        an_answer("r-1", answered_at=MONDAY + timedelta(hours=1)), an_answer("r-1", 2, answered_at=MONDAY + 2 * DAY)
    )
    found = await rows("SELECT id, response_id FROM invitations ORDER BY id")
    assert [tuple(row) for row in found] == [("before", None), ("between", "r-1")]


async def test_an_older_revision_that_comes_after_the_withdrawal_answers_nothing(
    client: httpx.AsyncClient, an_answer: AnAnswer, deliver: Deliver, rows: Rows
) -> None:
    await invite(client, an_invitation())
    await deliver(an_answer("r-1"))
    await deliver(withdrawn(an_answer("r-1", 3)))
    await deliver(an_answer("r-1", 2, comment="ещё"))
    assert [tuple(row) for row in await rows("SELECT id, response_id FROM invitations")] == [("i-1", None)]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(["i-1", "i-2", "r-1", "r-2", "r-3"]), together=st.booleans())
async def test_in_whatever_order_invitations_and_answers_come_the_same_ones_are_answered(
    client: httpx.AsyncClient,
    an_answer: AnAnswer,
    deliver: Deliver,
    clear: Clear,
    rows: Rows,
    order: list[str],
    together: bool,  # noqa: FBT001 - drawn
) -> None:
    await clear()
    told = {
        "i-1": an_invitation("i-1", invited_at=(MONDAY - 9 * DAY).isoformat()),
        "i-2": an_invitation("i-2", invited_at=(MONDAY - DAY).isoformat()),
    }
    answers = {
        "r-1": an_answer("r-1", answered_at=MONDAY - 5 * DAY),
        "r-2": an_answer("r-2", answered_at=MONDAY),
        "r-3": an_answer("r-3", answered_at=MONDAY + DAY),
    }
    if together:
        await invite(client, *(told[each] for each in order if each in told))
        await deliver(*(answers[each] for each in order if each in answers))
    else:
        for each in order:
            if each in told:
                await invite(client, told[each])
            else:
                await deliver(answers[each])
    found = await rows("SELECT id, answered_at FROM invitations ORDER BY id")
    if order.index("i-2") < min(order.index(each) for each in answers) or together:
        assert [row.answered_at for row in found] == [MONDAY - 5 * DAY, MONDAY]
    # An invitation that is told after its answer finds it, unless the answer was taken for the one before.
    assert all(row.answered_at is not None for row in found if row.id == "i-1")


async def test_one_answer_answers_one_invitation_of_two_that_are_told_at_the_same_moment(
    database: Database,
    client: httpx.AsyncClient,
    an_answer: AnAnswer,
    deliver: Deliver,
    rows: Rows,
    somebody_waits: Locked,
) -> None:
    await deliver(an_answer("r-1", answered_at=MONDAY + DAY))
    first = Invitation("first", "c-1", "retail", "branch", "email", MONDAY, None)
    async with database.transaction() as tx:
        await invitations.create(tx, [first], {"first": "standard"})
        await invitations.find_answers(tx, [("c-1", MONDAY)])
        telling = asyncio.create_task(invite(client, an_invitation("second")))
        await somebody_waits()
    assert await telling == ["created"]
    found = await rows("SELECT id, response_id FROM invitations ORDER BY id")
    assert [tuple(row) for row in found] == [("first", "r-1"), ("second", None)]


async def test_an_answer_that_was_being_stored_meanwhile_is_found_later(
    database: Database, client: httpx.AsyncClient, an_answer: AnAnswer, deliver: Deliver, rows: Rows
) -> None:
    await deliver(an_answer("r-1", answered_at=MONDAY + DAY))
    assert await invite(client, an_invitation()) == ["created"]
    async with database.transaction() as tx:
        from sqlalchemy import text  # noqa: PLC0415

        await tx.execute(text("UPDATE invitations SET answered_at = NULL, response_id = NULL"))
    assert await look_again(database) is False
    assert [row.answered_at for row in await rows("SELECT answered_at FROM invitations")] == [None]  # too early
    database.clock = lambda: datetime.now(UTC) + timedelta(minutes=6)  # type: ignore[misc]  # time goes by
    await look_again(database)
    assert [row.answered_at for row in await rows("SELECT answered_at FROM invitations")] == [MONDAY + DAY]


async def test_an_invitation_may_be_told_to_have_bounced_and_is_known_by_its_id(client: httpx.AsyncClient) -> None:
    bounced = an_invitation(bounced_at=(MONDAY + DAY).isoformat())
    assert await invite(client, an_invitation(), an_invitation("i-2")) == ["created", "created"]
    assert await invite(client, bounced, an_invitation("i-2", customer_id="c-9")) == ["updated", "conflict"]
    assert await invite(client, bounced, an_invitation("i-3", invited_at="yesterday")) == ["unchanged", "invalid"]


async def test_the_silence_of_important_contacts_is_announced_once(
    database: Database, client: httpx.AsyncClient, a_customer: ACustomer, published: Published, an_answer: AnAnswer,
    deliver: Deliver,
) -> None:  # fmt: skip
    await load(
        client,
        a_customer(id="key", account_id="a-1"),
        a_customer(id="decider", account_id="a-1", account_role="decision_maker", potential_value=500),
        a_customer(id="user", account_id="a-1", account_role="end_user", potential_value=500),
        a_customer(id="lonely", account_id="a-2", account_role="decision_maker", potential_value=500),
        a_customer(id="answers"),
    )
    now = datetime.now(UTC)
    long_ago = (now - 15 * DAY).isoformat()
    await invite(
        client,
        *(
            an_invitation(id_, customer_id=id_, invited_at=long_ago)
            for id_ in ("key", "decider", "user", "lonely", "answers", "nobody")
        ),
        an_invitation("just now", customer_id="key", invited_at=(now - 13 * DAY).isoformat()),
        an_invitation(
            "unreachable", customer_id="key", program="b2b", invited_at=now.isoformat(), bounced_at=now.isoformat()
        ),
    )
    await deliver(an_answer("r-1", customer_id="answers", answered_at=now - 14 * DAY))
    before = len(await published())
    for _ in range(3):
        assert await judge(database, timedelta(days=14)) is False
    told = [(key, event.payload) for key, event in (await published())[before:]]
    assert all(isinstance(payload, InvitationUnanswered) for _, payload in told)
    assert sorted((key, payload.invitation_id, payload.reason) for key, payload in told) == [
        ("decider", "decider", "unanswered"),
        ("key", "key", "unanswered"),
        ("key", "unreachable", "bounced"),
    ]
    listed = (await client.get("/v1/silences", params={"limit": 2})).json()
    rest = (await client.get("/v1/silences", params={"cursor": listed["next_cursor"]})).json()
    ids = [each["invitation_id"] for each in (*listed["items"], *rest["items"])]
    assert sorted(ids) == ["decider", "key", "unreachable"]
    await deliver(an_answer("r-2", customer_id="decider", answered_at=now))
    still = (await client.get("/v1/silences")).json()["items"]
    assert sorted(each["invitation_id"] for each in still) == ["key", "unreachable"]
    everything = (await client.get("/v1/silences", params={"still": False})).json()["items"]
    assert [each["answered_at"] is not None for each in everything if each["invitation_id"] == "decider"] == [True]


async def test_an_erasure_reaches_invitations(
    client: httpx.AsyncClient, a_customer: ACustomer, rows: Rows, database: Database
) -> None:
    await load(client, a_customer(id="c-1"))
    await invite(client, an_invitation("anna@example.org"))
    await client.delete("/v1/customers/c-1")
    (row,) = await rows("SELECT id, customer_id, program FROM invitations")
    assert (row.id.startswith("erased-"), row.customer_id, row.program) == (True, None, "retail")
    assert await invite(client, an_invitation("anna@example.org")) == ["forgotten"]
    assert await judge(database, timedelta(days=1)) is False
    assert (await client.get("/v1/silences", params={"still": False})).json()["items"] == []


async def test_response_rates_say_n_and_their_interval_and_hide_small_groups(
    discreet: httpx.AsyncClient, an_answer: AnAnswer, deliver: Deliver
) -> None:
    await invite(
        discreet,
        *(an_invitation(f"e-{n}", customer_id=f"c-{n}") for n in range(20)),
        *(an_invitation(f"s-{n}", customer_id=f"c-{n}", program="b2b", channel="sms") for n in range(6)),
        *(an_invitation(f"p-{n}", customer_id=f"c-{n}", program="c", channel="phone") for n in range(2)),
        an_invitation("b-1", customer_id="b-1", bounced_at=(MONDAY + DAY).isoformat()),
    )
    await deliver(*(an_answer(f"r-{n}", customer_id=f"c-{n}", answered_at=MONDAY + DAY) for n in range(5)))
    whole = (await discreet.get("/v1/metrics/response-rates", params={"program": "retail"})).json()["items"]
    assert whole == [
        {
            "group": None, "hidden": False, "invited": 21, "bounced": 1, "n": 20, "answered": 5, "waiting": 0,
            "rate": 0.25, "ci_low": 0.1119, "ci_high": 0.4687,
        }
    ]  # fmt: skip
    by_channel = (await discreet.get("/v1/metrics/response-rates", params={"by": "channel"})).json()["items"]
    # The two by phone are hidden, and the six by SMS, which the total less the rest would tell them by.
    assert [(each["group"], each["hidden"], each["invited"]) for each in by_channel] == [
        ("email", False, 21), ("phone", True, None), ("sms", True, None),
    ]  # fmt: skip
    # Nor does the filter tell what the group does not.
    (alone,) = (await discreet.get("/v1/metrics/response-rates", params={"channel": "sms"})).json()["items"]
    assert (alone["hidden"], alone["invited"]) == (True, None)
    (listed,) = (await discreet.get("/v1/metrics/response-rates", params={"channel": "email"})).json()["items"]
    assert (listed["hidden"], listed["invited"]) == (False, 21)
    months = (await discreet.get("/v1/metrics/response-rates", params={"by": "month"})).json()["items"]
    assert [(each["group"], each["invited"]) for each in months] == [("2026-01", 29)]
