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
from faults.ledger_of_callbacks import check_callbacks
from faults.ledger_of_campaigns import IN_FLIGHT_S, check_campaigns, check_terminal_events
from faults.ledger_of_hooks import check_hooks
from faults.mailsink import Mail
from faults.streams import Told
from faults.verdicts import Findings

NOW = datetime.now(UTC)
CAMPAIGN = Campaign("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "i-1", {}, started=100.0, paused_at=1, resumed_at=1)
CAMPAIGN.audience.update({"customer:c-1": "c-1@mail.example", "partners:p/2": "p-2@mail.example"})
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
]
INVITED = uuid5(UUID(int=19), "message/customer:c-1").hex


def a_mail(id_: str, recipient: str, *, at: float = 110.0, invitation: tuple[str, int, str] | None = None) -> Mail:
    unsubscribe = None if invitation else "http://127.0.0.1/u/1"
    return Mail(id_, recipient, None, unsubscribe, None, invitation, at)


def a_picture() -> Evidence:
    """One campaign to two people, one event for two receivers, and two callbacks of one case."""
    got = [
        Got(each.event_id, each.type, True)
        for each in RECORDS
        if each.type.startswith(("case", "campaign", "message.s"))
    ]
    got = [each for each in got if each.type != "message.suppressed.v1"]
    people = SimpleNamespace(
        campaigns=SimpleNamespace(told=[CAMPAIGN], refusals={}),
        bookings=SimpleNamespace(contests=[], chosen={CASE: NOW + timedelta(days=1)}),
    )
    timeline = [
        {"case_id": CASE, "kind": "callback_missed", "reason": None, "at_the_top": None},
        {"case_id": CASE, "kind": "escalated", "reason": "callback_missed", "at_the_top": None},
    ]
    messages = [
        {"id": SENT, "status": "sent", "reason": None},
        {"id": HELD, "status": "suppressed", "reason": "unsubscribed"},
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
        for recipient, row in zip(CAMPAIGN.audience, messages, strict=True)
    ]
    at = (NOW + timedelta(days=1)).isoformat()
    picture: Any = {
        "services": (),
        "said": SimpleNamespace(people=people),
        "sink": SimpleNamespace(
            kept=[
                a_mail(SENT.hex, "c-1@mail.example"),
                a_mail(INVITED, "c-1@mail.example", invitation=(str(AGREED), 0, "REQUEST")),
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
        },
        "inboxes": {},
        "listed": {},
        "nps": None,
        "campaigns": {CAMPAIGN.id: ({"status": "completed", "recipients": 2}, recipients)},
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
    ],
)
def test_what_is_wrong_is_seen(wrong: Callable[[Evidence], None], what: str) -> None:
    picture = a_picture()
    wrong(picture)
    assert what in seen(picture)
