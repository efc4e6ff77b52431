"""Mails that came back, in the ledger: each known once, at its worst, and nothing sent afterwards to who is gone."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final
from uuid import UUID

from faults.evidence import payload_of
from faults.ledger_of_campaigns import IN_FLIGHT_S, message_of
from faults.returns import BOUNCES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faults.evidence import Evidence
    from faults.returns import Return
    from faults.verdicts import Findings

_REASONS: Final = frozenset({"undeliverable", "complained"})


def check_returns(evidence: Evidence, findings: Findings) -> None:
    """What was told however often and in whatever order took effect once, and holds."""
    told = evidence.said.people.returns.told
    messages = {row["id"].hex: row for row in evidence["messages"]}
    findings.none(
        3,
        "mails that came back, of which something else is known",
        (
            f"{each.message_id} is {messages[each.message_id]['bounce']} and not {each.worst}"
            for each in told
            if messages[each.message_id]["bounce"] != each.worst
        ),
    )
    _check_events(evidence, told, findings)
    final = [each for each in told if each.worst != "soft"]
    due = {messages[each.message_id]["address_mark"] for each in final}
    # A mail server may say so, too, while something is sent.
    refused = {row["address_mark"] for row in messages.values() if row["status"] == "failed"}
    current = [row for row in evidence["suppressions"] if row["removed_at"] is None]
    for_good = [row for row in current if row["until"] is None]
    sorts = ((row["mark"], row["reason"] == "unsubscribed") for row in current)
    findings.all_once(7, "addresses that are on the list twice", sorts)
    findings.none(
        7,
        "addresses that are gone, or whose owner complained, and are not on the list",
        due - {row["mark"] for row in for_good if row["reason"] != "unsubscribed"},
    )
    findings.none(
        7,
        "addresses that are on the list, and nobody said why",
        {row["mark"] for row in for_good if row["reason"] in _REASONS} - due - refused,
    )
    findings.same(
        7,
        "addresses on the list in the table and over HTTP",
        (row["id"] for row in current),
        evidence.listed["suppressions"],
    )
    _check_silence(evidence, final, findings)


def _check_events(evidence: Evidence, told: Sequence[Return], findings: Findings) -> None:
    """Each return is told once, and from bad to worse."""
    events: dict[str, list[str]] = defaultdict(list)
    for record in evidence.events("notify.messages").values():
        if record.type == "message.bounced.v1":
            payload = payload_of(record)
            events[UUID(payload["message_id"]).hex].append(payload["bounce"])
    findings.none(
        3,
        "returns that were told twice, or after a worse one",
        (f"{id_}: {bounces}" for id_, bounces in events.items() if bounces != sorted(set(bounces), key=BOUNCES.index)),
    )
    findings.same(
        3,
        "mails that came back, and the events of that",
        ((each.message_id, each.worst) for each in told),
        ((id_, bounces[-1]) for id_, bounces in events.items()),
    )


def _check_silence(evidence: Evidence, final: Sequence[Return], findings: Findings) -> None:
    """Nothing to who is gone but what was in flight, and none of a campaign that began after that."""
    since: dict[str, float] = {}
    for each in final:
        since[each.recipient] = min(each.acknowledged, since.get(each.recipient, each.acknowledged))
    findings.none(
        7,
        "mails to addresses that were on the list",
        (
            f"{mail.recipient}, {mail.at - since[mail.recipient]:.1f} s after it was put there"
            for mail in evidence.sink.kept
            if mail.recipient in since and mail.at > since[mail.recipient] + IN_FLIGHT_S
        ),
    )
    status = {row["id"].hex: row["status"] for row in evidence["messages"]}
    findings.none(
        7,
        "campaigns that told addresses which were on the list before they began",
        (
            f"{recipient} in {campaign.id}"
            for campaign in evidence.said.people.campaigns.told
            for recipient, address in campaign.audience.items()
            if since.get(address, campaign.started) < campaign.started
            and status.get(message_of(campaign, recipient), "suppressed") != "suppressed"
        ),
    )
