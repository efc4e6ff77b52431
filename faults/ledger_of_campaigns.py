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


def asked_for_by_campaigns(evidence: Evidence) -> Iterator[str]:
    """The ids of the messages that campaigns must have put into the ledger: one for each of their audiences."""
    for campaign in evidence.said.people.campaigns.told:
        for recipient in campaign.audience:
            yield _message(campaign, recipient)


def check_campaigns(evidence: Evidence, findings: Findings) -> None:
    """Each is over; each of its audience has one fate, which the mail server's own count confirms."""
    messages = {row["id"].hex: row for row in evidence["messages"]}
    received = {mail.message_id: mail for mail in evidence.sink.kept}
    not_over, other_people, elsewhere, unlisted, moved = [], [], [], [], []
    for campaign in evidence.said.people.campaigns.told:
        state, recipients = evidence.campaigns[campaign.id]
        if (state["status"], state["recipients"]) != ("completed", len(campaign.audience)):
            not_over.append(f"{campaign.id} is {state['status']}, for {state['recipients']} people")
        listed = {each["recipient"]: each for each in recipients}
        other_people += [f"{campaign.id} {each}" for each in listed.keys() ^ campaign.audience.keys()]
        other_people += [f"{campaign.id} twice" for _ in range(len(recipients) - len(listed))]
        for recipient, address in campaign.audience.items():
            id_ = _message(campaign, recipient)
            mail = received.get(id_)
            status = messages[id_]["status"] if id_ in messages else "nowhere"
            if recipient in listed and listed[recipient]["status"] != status:
                unlisted.append(f"{campaign.id} {recipient} is {listed[recipient]['status']} and {status}")
            if mail is not None and mail.recipient.casefold() != address:
                elsewhere.append(f"{campaign.id} {recipient} at {mail.recipient}")
            if (mail is not None) != (status == "sent"):
                unlisted.append(f"{campaign.id} {recipient} is {status}, and {'' if mail else 'not '}received")
            if status == "suppressed" and not messages[id_]["reason"]:
                unlisted.append(f"{campaign.id} {recipient} was held back for no reason")
        if campaign.resumed_at != campaign.paused_at:
            moved.append(f"{campaign.id}: {campaign.paused_at} when it was paused, {campaign.resumed_at} afterwards")
    findings.none(3, "campaigns that are not over, or not for their audience", not_over)
    findings.none(
        3, "recipients of campaigns who are not in the audience that was frozen, or are missing", other_people
    )
    findings.none(3, "recipients of campaigns whose fate is not what the mail server says", unlisted)
    findings.none(3, "mails of campaigns to another address", elsewhere)
    findings.none(3, "campaigns that went on while they were paused", moved)
    _check_stages(evidence, findings)
    _check_refusals(evidence, messages, findings)


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
    """Each campaign is told to be completed once, and stops the quarter clock of its initiative once."""
    campaigns = evidence.said.people.campaigns.told
    stages = [
        f"{record.type} {payload_of(record)['campaign_id']}"
        for record in evidence.events("notify.messages").values()
        if record.type in ("campaign.started.v1", "campaign.completed.v1")
    ]
    findings.all_once(3, "stages of campaigns that were told twice", stages)
    due = [f"{type_} {each.id}" for each in campaigns for type_ in ("campaign.started.v1", "campaign.completed.v1")]
    findings.same(3, "campaigns that began and ended, and the events of that", due, stages)
    stopped = [
        "{initiative_id} by {campaign_id}".format(**payload_of(record))
        for record in evidence.events("casework.initiatives").values()
        if record.type == "initiative.communicated.v1"
    ]
    findings.all_once(6, "quarter clocks that were stopped twice", stopped)
    by = {f"{each.initiative_id} by {each.id}" for each in campaigns}
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
            row = messages.get(_message(campaign, recipient))
            if row is None or row["status"] != "suppressed":
                told_all_the_same.append(f"{recipient} in {campaign.id}: {row and row['status']}")
    findings.none(7, "campaigns that told people who had unsubscribed before they began", told_all_the_same)


def _message(campaign: Campaign, recipient: str) -> str:
    return uuid5(UUID(campaign.id), f"message/{recipient}").hex
