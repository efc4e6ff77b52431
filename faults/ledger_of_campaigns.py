"""Campaigns in the ledger: whom each was for, what notify says of each of them, and what the mail server received."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid5

from faults.evidence import payload_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from faults.campaigns import Campaign
    from faults.evidence import Evidence
    from faults.verdicts import Findings

IN_FLIGHT_S: Final = 25.0
"""A mail in hand when somebody unsubscribes may arrive so much later: a process is paused, or its line is slow."""
_TERMINAL: Final[Mapping[str, str]] = {
    "message.sent.v1": "sent",
    "message.failed.v1": "failed",
    "message.suppressed.v1": "suppressed",
}
_WRONG: Final[Mapping[str, str]] = {
    "not over": "campaigns that are not over, or not for their audience",
    "others": "recipients of campaigns who are not in the audience that was frozen, or are missing",
    "fate": "recipients of campaigns whose fate is not what the mail server says",
    "elsewhere": "mails of campaigns to another address",
    "moved": "campaigns that went on while they were paused",
    "too late": "mails of campaigns that had been cancelled",
}
_ENDS: Final = {False: "campaign.completed.v1", True: "campaign.cancelled.v1"}
"""By whether it was cancelled."""


def asked_for_by_campaigns(evidence: Evidence) -> Iterator[str]:
    """The ids of the messages that campaigns must have put into the ledger: one for each of their audiences.

    Of a cancelled one, for those whom it lists as told.
    """
    for campaign in evidence.said.people.campaigns.told:
        listed = {each["recipient"] for each in evidence.campaigns[campaign.id][1]}
        for recipient in campaign.audience if campaign.cancelled is None else campaign.audience.keys() & listed:
            yield message_of(campaign, recipient)


def check_campaigns(evidence: Evidence, findings: Findings) -> None:
    """Each is over; each of its audience has one fate, which the mail server's own count confirms."""
    messages = {row["id"].hex: row for row in evidence["messages"]}
    wrong: dict[str, list[str]] = {what: [] for what in _WRONG}
    for campaign in evidence.said.people.campaigns.told:
        _check_people(campaign, evidence, messages, wrong)
        if campaign.resumed_at != campaign.paused_at:
            wrong["moved"].append(
                f"{campaign.id}: {campaign.paused_at} when it was paused, {campaign.resumed_at} afterwards"
            )
    for name, what in _WRONG.items():
        findings.none(3, what, wrong[name])
    _check_stages(evidence, findings)
    _check_refusals(evidence, messages, findings)


def _check_people(
    campaign: Campaign, evidence: Evidence, messages: Mapping[str, Any], wrong: Mapping[str, list[str]]
) -> None:
    """Who is listed, and each of them; whom a cancelled campaign had not come to has no message at all."""
    state, recipients = evidence.campaigns[campaign.id]
    is_cancelled = campaign.cancelled is not None
    due = "cancelled" if is_cancelled else "completed"
    if (state["status"], state["recipients"]) != (due, len(campaign.audience)):
        wrong["not over"].append(f"{campaign.id} is {state['status']}, for {state['recipients']} people")
    listed = {each["recipient"]: each for each in recipients}
    others = listed.keys() - campaign.audience.keys()
    if not is_cancelled:
        others |= campaign.audience.keys() - listed.keys()
    elif state["told"] != len(listed):
        wrong["others"].append(f"{campaign.id} was cancelled after {state['told']}, and {len(listed)} are listed")
    wrong["others"] += [f"{campaign.id} {each}" for each in others]
    wrong["others"] += [f"{campaign.id} twice" for _ in range(len(recipients) - len(listed))]
    received = {mail.message_id: mail for mail in evidence.sink.kept}
    for recipient, address in campaign.audience.items():
        id_ = message_of(campaign, recipient)
        who, mail, message = f"{campaign.id} {recipient}", received.get(id_), messages.get(id_)
        status = "nowhere" if message is None else message["status"]
        told = listed[recipient]["status"] if recipient in listed else "nowhere"
        if told != status:
            wrong["fate"].append(f"{who} is {told} and {status}")
        if (mail is not None) != (status == "sent"):
            wrong["fate"].append(f"{who} is {status}, and {'' if mail else 'not '}received")
        if message is not None and status == "suppressed" and not message["reason"]:
            wrong["fate"].append(f"{who} was held back for no reason")
        if mail is not None and mail.recipient.casefold() != address:
            wrong["elsewhere"].append(f"{who} at {mail.recipient}")
        if mail is not None and campaign.cancelled is not None and mail.at > campaign.cancelled + IN_FLIGHT_S:
            wrong["too late"].append(f"{who}, {mail.at - campaign.cancelled:.1f} s after it was cancelled")


def check_terminal_events(evidence: Evidence, findings: Findings) -> None:
    """What became of each message was told once, and it is what the ledger of notify says."""
    told = Counter(
        f"{UUID(payload['message_id']).hex} {_TERMINAL[record.type]}"
        for record in evidence.events("notify.messages").values()
        if record.type in _TERMINAL and not (payload := payload_of(record)).get("doubtful")
    )
    findings.none(3, "messages whose end was told more than once", (each for each, count in told.items() if count > 1))
    ended = (f"{row['id'].hex} {row['status']}" for row in evidence["messages"] if row["status"] in _TERMINAL.values())
    findings.same(3, "ends of messages in the table and on the topic", ended, told)


def _check_stages(evidence: Evidence, findings: Findings) -> None:
    """Each campaign is told to be over once; one that was completed stops the quarter clock of its initiative once."""
    campaigns = evidence.said.people.campaigns.told
    stages = [
        f"{record.type} {payload_of(record)['campaign_id']}"
        for record in evidence.events("notify.messages").values()
        if record.type in ("campaign.started.v1", *_ENDS.values())
    ]
    findings.all_once(3, "stages of campaigns that were told twice", stages)
    due = [
        f"{type_} {each.id}"
        for each in campaigns
        for type_ in ("campaign.started.v1", _ENDS[each.cancelled is not None])
    ]
    findings.same(3, "campaigns that began and ended, and the events of that", due, stages)
    stopped = [
        "{initiative_id} by {campaign_id}".format(**payload_of(record))
        for record in evidence.events("casework.initiatives").values()
        if record.type == "initiative.communicated.v1"
    ]
    findings.all_once(6, "quarter clocks that were stopped twice", stopped)
    by = {f"{each.initiative_id} by {each.id}" for each in campaigns if each.cancelled is None}
    findings.same(6, "campaigns and the quarter clocks that they stopped", by, stopped)
    known = (f"{row['id']} by {row['campaign_id']}" for row in evidence["initiatives"] if row["communicated_at"])
    findings.same(6, "campaigns and the initiatives that were communicated", by, known)


def _check_refusals(evidence: Evidence, messages: Mapping[str, Any], findings: Findings) -> None:
    """Whoever wants no news gets none but what was in flight; of no campaign that began after that."""
    refusals = evidence.said.people.campaigns.refusals
    late = []
    for mail in evidence.sink.kept:
        refusal = refusals.get(mail.recipient)
        if refusal is not None and mail.unsubscribe is not None and mail.at > refusal.answered + IN_FLIGHT_S:
            late.append(f"{mail.recipient}, {mail.at - refusal.answered:.1f} s after they unsubscribed")
    findings.none(7, "mails to people who had unsubscribed", late)
    told_all_the_same = []
    for campaign in evidence.said.people.campaigns.told:
        for recipient, address in campaign.audience.items():
            refusal = refusals.get(address)
            if refusal is None or refusal.answered > campaign.started:
                continue
            row = messages.get(message_of(campaign, recipient))
            if row is None and campaign.cancelled is not None:
                continue
            if row is None or row["status"] != "suppressed":
                told_all_the_same.append(f"{recipient} in {campaign.id}: {row and row['status']}")
    findings.none(7, "campaigns that told people who had unsubscribed before they began", told_all_the_same)


def message_of(campaign: Campaign, recipient: str) -> str:
    """The id of the message that a campaign has for somebody."""
    return uuid5(UUID(campaign.id), f"message/{recipient}").hex
