"""The eyes of the ledger: where everything is right nothing is found, and each thing that is wrong is seen."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid5

import pytest

from faults.campaigns import Campaign, Refusal
from faults.evidence import Evidence
from faults.hooksink import Got
from faults.leaving import LEAVER, HandedOver
from faults.ledger_of_callbacks import check_callbacks
from faults.ledger_of_campaigns import IN_FLIGHT_S, check_campaigns, check_terminal_events
from faults.ledger_of_digests import check_digests
from faults.ledger_of_hooks import check_hooks
from faults.ledger_of_leaving import check_leaving
from faults.ledger_of_returns import check_returns
from faults.mailsink import Mail
from faults.returns import Return
from faults.streams import Told
from faults.subscribers import TYPES
from faults.verdicts import Findings

NOW = datetime.now(UTC)
CAMPAIGN = Campaign("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "i-1", {}, started=100.0, paused_at=1, resumed_at=1)
CAMPAIGN.audience.update({"customer:c-1": "c-1@mail.example", "partners:p/2": "p-2@mail.example"})
CANCELLED = Campaign("6ba7b811-9dad-11d1-80b4-00c04fd430c8", "i-2", {}, started=90.0, cancelled=99.0)
CANCELLED.audience.update({"customer:c-3": "c-3@mail.example", "customer:c-4": "c-4@mail.example"})
TOLD = uuid5(UUID(CANCELLED.id), "message/customer:c-3")
BACK = Return(TOLD.hex, "c-3@mail.example", "hard", acknowledged=100.0)
DIGEST = {"id": str(UUID(int=4)), "kind": "weekly", "ends": "2026-11-16", "told_at": "2026-11-16T05:00:00Z"}
READER = uuid5(UUID(int=4), "message/employee:anna")
SENT, HELD = (uuid5(UUID(CAMPAIGN.id), f"message/{each}") for each in CAMPAIGN.audience)
CASE, MISSED, AGREED = (UUID(int=number) for number in (1, 2, 3))
OWNER = {"employee_id": "anna"}


def told(number: int, topic: str, type_: str, **payload: Any) -> Told:  # noqa: ANN401
    headers = {"ce_id": str(UUID(int=number)), "ce_type": type_, "ce_time": NOW.isoformat()}
    encoded = {name: value.encode() for name, value in headers.items()}
    return Told(topic, 0, number, None, json.dumps(payload).encode(), encoded)


def a_call(number: int, what: str, callback: UUID, version: int, at: datetime) -> Told:
    about = {"callback_id": str(callback), "case_id": str(CASE), "customer_id": "c-1", "owner": OWNER, "moves": 0}
    return told(number, "casework.cases", f"case.callback.{what}.v1", **about, version=version, at=at.isoformat())


RECORDS = [
    told(11, "notify.messages", "campaign.started.v1", campaign_id=CAMPAIGN.id),
    told(12, "notify.messages", "campaign.completed.v1", campaign_id=CAMPAIGN.id),
    told(13, "notify.messages", "message.sent.v1", message_id=str(SENT)),
    told(14, "notify.messages", "message.suppressed.v1", message_id=str(HELD)),
    told(15, "casework.initiatives", "initiative.communicated.v1", initiative_id="i-1", campaign_id=CAMPAIGN.id),
    told(16, "notify.messages", "subscription.disabled.v1", subscription_id="s-gone", owner=OWNER),
    a_call(17, "agreed", MISSED, 2, NOW - timedelta(minutes=5)),
    a_call(18, "missed", MISSED, 3, NOW - timedelta(minutes=5)),
    a_call(19, "agreed", AGREED, 5, NOW + timedelta(days=1)),
    told(20, "notify.messages", "campaign.started.v1", campaign_id=CANCELLED.id),
    told(31, "notify.messages", "campaign.cancelled.v1", campaign_id=CANCELLED.id),
    told(32, "notify.messages", "message.sent.v1", message_id=str(TOLD)),
    told(33, "notify.messages", "message.sent.v1", message_id=str(READER)),
    told(34, "notify.messages", "message.bounced.v1", message_id=str(TOLD), bounce="soft"),
    told(35, "notify.messages", "message.bounced.v1", message_id=str(TOLD), bounce="hard"),
    told(36, "casework.cases", "case.assigned.v1", case_id="c", owner=OWNER, previous_owner_id=LEAVER, version=3),
]
INVITED = uuid5(UUID(int=19), "message/customer:c-1").hex


def a_mail(id_: str, recipient: str, *, at: float = 110.0, invitation: tuple[str, int, str] | None = None) -> Mail:
    unsubscribe = None if invitation else "http://127.0.0.1/u/1"
    return Mail(id_, recipient, None, unsubscribe, None, invitation, at)


def a_message(id_: UUID, status: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    usual = {"reason": None, "kind": "changes_for_customers", "cause_id": None, "bounce": None, "address_mark": None}
    return {**usual, "id": id_, "status": status, **more}


def a_picture() -> Evidence:
    """A campaign to two people and one that was cancelled, two receivers, two callbacks of one case, a mail that came
    back, a digest, and a case of somebody who left."""
    got = [Got(each.event_id, each.type, True) for each in RECORDS if each.type.startswith(TYPES)]
    people = SimpleNamespace(
        campaigns=SimpleNamespace(told=[CAMPAIGN, CANCELLED], refusals={}),
        returns=SimpleNamespace(told=[BACK]),
        leaving=SimpleNamespace(handed=[HandedOver("c", "anna", 3)]),
        readers=SimpleNamespace(
            due={("weekly", "2026-11-16")},
            recipients=frozenset({"employee:anna"}),
            perhaps=frozenset({f"employee:{LEAVER}"}),
        ),
        bookings=SimpleNamespace(contests=[], chosen={CASE: NOW + timedelta(days=1)}),
    )
    timeline = [
        {"case_id": CASE, "kind": "callback_missed", "reason": None, "at_the_top": None},
        {"case_id": CASE, "kind": "escalated", "reason": "callback_missed", "at_the_top": None},
    ]
    messages = [
        a_message(SENT, "sent"),
        a_message(HELD, "suppressed", reason="unsubscribed"),
        a_message(TOLD, "sent", bounce="hard", address_mark="mark of c-3"),
        a_message(READER, "sent", kind="digest", cause_id=UUID(int=4), recipient="employee:anna"),
    ]
    callbacks = [
        {
            "id": MISSED,
            "case_id": CASE,
            "at": NOW - timedelta(minutes=5),
            "state": "missed",
            "settled_at": None,
            "fires_at": None,
        },
        {
            "id": AGREED,
            "case_id": CASE,
            "at": NOW + timedelta(days=1),
            "state": "agreed",
            "settled_at": None,
            "fires_at": None,
        },
    ]
    recipients = [
        {"recipient": recipient, "status": row["status"]}
        for recipient, row in zip(CAMPAIGN.audience, messages[:2], strict=True)
    ]
    at = (NOW + timedelta(days=1)).isoformat()
    picture: Any = {
        "services": (),
        "said": SimpleNamespace(people=people),
        "sink": SimpleNamespace(
            kept=[
                a_mail(SENT.hex, "c-1@mail.example"),
                a_mail(INVITED, "c-1@mail.example", invitation=(str(AGREED), 0, "REQUEST")),
                a_mail(TOLD.hex, "c-3@mail.example", at=95.0),
                a_mail(READER.hex, "anna@company.example"),
            ]
        ),
        "hooks": SimpleNamespace(
            odd=[], taken={"good": list(got), "slow": list(got)}, is_gone=True, after_gone=0, hung=5
        ),
        "subscriptions": {name: {"id": f"s-{name}", "enabled": name != "gone"} for name in ("good", "slow", "gone")},
        "records": list(RECORDS),
        "committed": {},
        "tables": {
            "messages": messages,
            "initiatives": [{"id": "i-1", "campaign_id": CAMPAIGN.id, "communicated_at": NOW}],
            "callbacks": callbacks,
            "timeline": timeline,
            "cases": [{"id": CASE, "owner_id": "anna", "status": "open"}],
            "suppressions": [
                {"id": 7, "mark": "mark of c-3", "reason": "undeliverable", "until": None, "removed_at": None}
            ],
        },
        "inboxes": {},
        "listed": {"suppressions": {"7"}},
        "nps": None,
        "campaigns": {
            CAMPAIGN.id: ({"status": "completed", "recipients": 2}, recipients),
            CANCELLED.id: (
                {"status": "cancelled", "recipients": 2, "told": 1},
                [{"recipient": "customer:c-3", "status": "sent"}],
            ),
        },
        "digests": [DIGEST],
        "callbacks": [{"case_id": str(CASE), "state": "agreed", "owner_id": "anna", "at": at}],
        "themes": [],
        "traces": [],
        "begun_at": NOW,
    }
    return Evidence(**picture)


def seen(picture: Evidence) -> set[str]:
    """What the ledger finds."""
    findings = Findings()
    check_campaigns(picture, findings)
    check_terminal_events(picture, findings)
    check_hooks(picture, findings)
    check_callbacks(picture, findings, timedelta(minutes=30))
    check_returns(picture, findings)
    check_digests(picture, findings)
    check_leaving(picture, findings)
    return {each.what for each in findings.broken}


def test_where_everything_is_right_nothing_is_found() -> None:
    assert seen(a_picture()) == set()


def no_mail(picture: Evidence) -> None:
    del picture.sink.kept[0]


def another_address(picture: Evidence) -> None:
    picture.sink.kept[0] = replace(picture.sink.kept[0], recipient="c-9@mail.example")


def mailed_though_held_back(picture: Evidence) -> None:
    picture.sink.kept.append(a_mail(HELD.hex, "p-2@mail.example"))


def somebody_joined_after_the_start(picture: Evidence) -> None:
    recipients: Any = picture.campaigns[CAMPAIGN.id][1]
    recipients.append({"recipient": "partners:p/3", "status": "sent"})


def mailed_after_a_refusal(picture: Evidence) -> None:
    picture.said.people.campaigns.refusals["c-1@mail.example"] = Refusal("c-1@mail.example", 109.0 - IN_FLIGHT_S)


def completed_twice(picture: Evidence) -> None:
    records: Any = picture.records
    records.append(told(21, "notify.messages", "campaign.completed.v1", campaign_id=CAMPAIGN.id))


def the_quarter_clock_runs_on(picture: Evidence) -> None:
    picture["initiatives"].clear()


def an_end_told_twice(picture: Evidence) -> None:
    records: Any = picture.records
    records.append(told(22, "notify.messages", "message.sent.v1", message_id=str(SENT)))


def an_event_that_one_receiver_never_got(picture: Evidence) -> None:
    picture.hooks.taken["slow"].pop()


def a_receiver_that_is_gone_and_still_subscribed(picture: Evidence) -> None:
    subscriptions: Any = picture.subscriptions
    subscriptions["gone"]["enabled"] = True


def everybody_waits_for_the_slow_one(picture: Evidence) -> None:
    picture.hooks.taken["good"][:] = [replace(each, while_slow_hung=False) for each in picture.hooks.taken["good"]]


def one_half_hour_for_two(picture: Evidence) -> None:
    callbacks: Any = picture.callbacks
    callbacks.append({**callbacks[0], "case_id": "another"})


def a_choice_that_does_not_stand(picture: Evidence) -> None:
    picture.said.people.bookings.chosen[CASE] = NOW + timedelta(days=2)


def missed_and_never_climbed(picture: Evidence) -> None:
    picture["timeline"].pop()


def climbed_twice(picture: Evidence) -> None:
    picture["timeline"].append(picture["timeline"][-1])


def missed_and_forgotten(picture: Evidence) -> None:
    missed_and_never_climbed(picture)
    callbacks: Any = picture["callbacks"]
    callbacks[0]["fires_at"] = NOW - timedelta(minutes=4)


def missed_twice(picture: Evidence) -> None:
    records: Any = picture.records
    records.append(a_call(23, "missed", MISSED, 4, NOW - timedelta(minutes=5)))


def nobody_noticed(picture: Evidence) -> None:
    callbacks: Any = picture["callbacks"]
    callbacks[0]["state"] = "agreed"


def invited_twice(picture: Evidence) -> None:
    picture.sink.kept.append(replace(picture.sink.kept[1], message_id="1" * 32))


def mailed_long_after_it_was_cancelled(picture: Evidence) -> None:
    late = 99.0 + IN_FLIGHT_S + 1
    picture.sink.kept[2] = replace(picture.sink.kept[2], at=late)


def told_of_a_campaign_behind_its_back(picture: Evidence) -> None:
    id_ = uuid5(UUID(CANCELLED.id), "message/customer:c-4")
    picture["messages"].append(a_message(id_, "suppressed", reason="cancelled"))


def never_cancelled(picture: Evidence) -> None:
    state: Any = picture.campaigns[CANCELLED.id][0]
    state["status"] = "running"


def a_cancelled_campaign_that_was_completed(picture: Evidence) -> None:
    records: Any = picture.records
    records.append(told(24, "notify.messages", "campaign.completed.v1", campaign_id=CANCELLED.id))


def a_return_that_was_forgotten(picture: Evidence) -> None:
    picture["suppressions"].clear()


def a_return_of_which_better_is_known(picture: Evidence) -> None:
    row: Any = next(each for each in picture["messages"] if each["id"] == TOLD)
    row["bounce"] = "soft"


def a_return_told_twice(picture: Evidence) -> None:
    records: Any = picture.records
    records.append(told(25, "notify.messages", "message.bounced.v1", message_id=str(TOLD), bounce="hard"))


def listed_twice(picture: Evidence) -> None:
    picture["suppressions"].append({**picture["suppressions"][0], "id": 8})


def listed_for_no_reason(picture: Evidence) -> None:
    picture["suppressions"].append({**picture["suppressions"][0], "mark": "mark of c-9"})


def mailed_after_it_came_back(picture: Evidence) -> None:
    picture.sink.kept.append(a_mail("2" * 32, "c-3@mail.example", at=101.0 + IN_FLIGHT_S))


def told_by_a_campaign_after_it_came_back(picture: Evidence) -> None:
    returns: Any = picture.said.people.returns
    returns.told.append(Return(SENT.hex, "c-1@mail.example", "complaint", acknowledged=99.0))


def a_digest_made_twice(picture: Evidence) -> None:
    digests: Any = picture.digests
    digests.append({**DIGEST, "id": str(UUID(int=5))})


def nobody_was_told_the_digest(picture: Evidence) -> None:
    digests: Any = picture.digests
    digests[0] = {**DIGEST, "told_at": None}


def somebody_was_left_out_of_the_digest(picture: Evidence) -> None:
    readers: Any = picture.said.people.readers
    readers.recipients |= {"employee:boris"}


def handed_over_and_not_told(picture: Evidence) -> None:
    handed: Any = picture.said.people.leaving.handed
    handed.append(HandedOver("d", "anna", 4))


def handed_over_and_told_twice(picture: Evidence) -> None:
    records: Any = picture.records
    records.append(replace(records[-1], headers={**records[-1].headers, "ce_id": str(UUID(int=26)).encode()}))


def left_with_a_case(picture: Evidence) -> None:
    cases: Any = picture["cases"]
    cases[0]["owner_id"] = LEAVER


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        (no_mail, "recipients of campaigns whose fate is not what the mail server says"),
        (another_address, "mails of campaigns to another address"),
        (mailed_though_held_back, "recipients of campaigns whose fate is not what the mail server says"),
        (
            somebody_joined_after_the_start,
            "recipients of campaigns who are not in the audience that was frozen, or are missing",
        ),
        (mailed_after_a_refusal, "mails to people who had unsubscribed"),
        (mailed_after_a_refusal, "campaigns that told people who had unsubscribed before they began"),
        (completed_twice, "stages of campaigns that were told twice"),
        (the_quarter_clock_runs_on, "campaigns and the initiatives that were communicated: missing"),
        (an_end_told_twice, "messages whose end was told more than once"),
        (
            an_event_that_one_receiver_never_got,
            "events on the topics and those that the slow receiver got: missing",
        ),
        (a_receiver_that_is_gone_and_still_subscribed, "subscriptions to a receiver that is gone"),
        (everybody_waits_for_the_slow_one, "receivers that waited for a slow one"),
        (one_half_hour_for_two, "half hours of an agent that two customers have"),
        (a_choice_that_does_not_stand, "times that customers were told are theirs, and are not"),
        (missed_and_never_climbed, "missed callbacks and how often their cases climbed: missing"),
        (missed_and_forgotten, "missed callbacks and how often their cases climbed: missing"),
        (climbed_twice, "missed callbacks and how often their cases climbed: too many"),
        (missed_twice, "callbacks that were missed twice"),
        (nobody_noticed, "callbacks that nobody made, and nobody missed"),
        (invited_twice, "invitations that somebody got twice"),
        (mailed_long_after_it_was_cancelled, "mails of campaigns that had been cancelled"),
        (told_of_a_campaign_behind_its_back, "recipients of campaigns whose fate is not what the mail server says"),
        (never_cancelled, "campaigns that are not over, or not for their audience"),
        (a_cancelled_campaign_that_was_completed, "campaigns that began and ended, and the events of that: too many"),
        (a_return_that_was_forgotten, "addresses that are gone, or whose owner complained, and are not on the list"),
        (a_return_of_which_better_is_known, "mails that came back, of which something else is known"),
        (a_return_told_twice, "returns that were told twice, or after a worse one"),
        (listed_twice, "addresses that are on the list twice"),
        (listed_for_no_reason, "addresses that are on the list, and nobody said why"),
        (mailed_after_it_came_back, "mails to addresses that were on the list"),
        (
            told_by_a_campaign_after_it_came_back,
            "campaigns that told addresses which were on the list before they began",
        ),
        (a_digest_made_twice, "digests that were made twice"),
        (nobody_was_told_the_digest, "digests that were not told to the end"),
        (somebody_was_left_out_of_the_digest, "people who read digests, and those who were told one: missing"),
        (handed_over_and_not_told, "cases that were handed over, and the events of that: missing"),
        (handed_over_and_told_twice, "hand-overs that were told twice"),
        (left_with_a_case, "cases that stayed with somebody who has left"),
    ],
)
def test_what_is_wrong_is_seen(wrong: Callable[[Evidence], None], what: str) -> None:
    picture = a_picture()
    wrong(picture)
    assert what in seen(picture)
