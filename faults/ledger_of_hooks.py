"""Web hooks in the ledger: the events that the topics hold, and those that the receivers got."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid5

from faults.evidence import payload_of
from faults.subscribers import TYPES
from libs.events.topics import TOPICS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faults.evidence import Evidence
    from faults.verdicts import Findings

_IN_FLIGHT: Final = 64
"""How many may be on their way when a receiver says that it is gone."""
_HUNG: Final = 3
"""So often somebody has to have waited for the slow one before it is asked whether others waited, too."""


def check_hooks(evidence: Evidence, findings: Findings) -> None:
    """Every event reached every receiver that is there, under its own id; nobody waited for another."""
    sink = evidence.hooks
    published = {
        id_: record.type
        for id_, record in evidence.events(*(topic.name for topic in TOPICS)).items()
        if record.type.startswith(TYPES)
    }
    findings.none(8, "web hooks that are not what their signature says", sink.odd)
    for name in ("good", "slow"):
        got = {each.event_id: each.type for each in sink.taken[name]}
        findings.same(1, f"events on the topics and those that the {name} receiver got", published.items(), got.items())
    gone = evidence.subscriptions["gone"]
    told = [
        record for record in evidence.events("notify.messages").values() if record.type == "subscription.disabled.v1"
    ]
    if sink.is_gone:
        findings.none(3, "subscriptions to a receiver that is gone", [gone] if gone["enabled"] else [])
        findings.same(
            3,
            "receivers that are gone, and the events of that",
            [gone["id"]],
            (payload_of(each)["subscription_id"] for each in told),
        )
        findings.none(3, "subscriptions that were disabled twice", (each.event_id for each in told[1:]))
        late = sink.after_gone
        findings.none(3, "deliveries to a receiver that is gone", [late] if late > _IN_FLIGHT else [])
    enabled = {name: evidence.subscriptions[name]["enabled"] for name in ("good", "slow")}
    findings.none(
        3, "subscriptions that were disabled for no reason", (name for name, is_so in enabled.items() if not is_so)
    )
    waited = sink.hung >= _HUNG and not any(each.while_slow_hung for each in sink.taken["good"])
    findings.none(8, "receivers that waited for a slow one", ["good"] if waited else [])


def asked_for_by_hooks(evidence: Evidence) -> Iterator[str]:
    """The messages by which people hear that their subscription is disabled."""
    for event_id, record in evidence.events("notify.messages").items():
        if record.type == "subscription.disabled.v1":
            recipient = f"employee:{payload_of(record)['owner']['employee_id']}"
            yield uuid5(UUID(event_id), f"message/{recipient}").hex
