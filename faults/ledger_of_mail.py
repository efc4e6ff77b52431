"""Mail in the ledger: what cases ask for, what notify says that it sent, and what the mail server says that it got."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid5

from faults.deliveries import WITHOUT_CONSENT, address_of, customer_id
from faults.evidence import payload_of
from faults.ledger_of_callbacks import allowed_by_callbacks, asked_for_by_callbacks
from faults.ledger_of_campaigns import asked_for_by_campaigns, check_campaigns, check_terminal_events
from faults.ledger_of_digests import allowed_by_digests, asked_for_by_digests
from faults.ledger_of_hooks import asked_for_by_hooks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faults.evidence import Evidence
    from faults.verdicts import Findings

_ENDS: Final = frozenset({"sent", "failed", "suppressed"})


def check_mail(evidence: Evidence, findings: Findings) -> None:
    """One message per cause and recipient, one end of each, one mail per message that was sent."""
    messages = {row["id"].hex: row for row in evidence["messages"]}
    findings.all_once(
        3, "messages of one cause to one recipient", ((row["cause_id"], row["recipient"]) for row in messages.values())
    )
    asked_for = set(_asked_for(evidence))
    allowed = {*allowed_by_callbacks(evidence), *allowed_by_digests(evidence)} - asked_for
    findings.same(3, "messages in the ledger and those that events ask for", messages.keys() - allowed, asked_for)
    check_terminal_events(evidence, findings)
    check_campaigns(evidence, findings)
    findings.same(
        3, "messages in the table and over HTTP", messages, (UUID(id_).hex for id_ in evidence.listed["messages"])
    )
    findings.none(
        3,
        "messages without an end",
        (f"{id_} {row['status']} {row['reason']}" for id_, row in messages.items() if row["status"] not in _ENDS),
    )
    received = [mail.message_id for mail in evidence.sink.kept]
    findings.all_once(3, "mails that were received twice", received)
    sent = {id_ for id_, row in messages.items() if row["status"] == "sent"}
    findings.same(3, "messages sent and mails received", sent, received)
    failed = Counter(row["status"] for row in messages.values())["failed"]
    findings.same(3, "messages that failed and mails refused for good", [failed], [len(evidence.sink.refused)])
    unwilling = {address_of(customer_id(number)) for number in range(WITHOUT_CONSENT)}
    findings.none(
        7,
        "mails to customers who agreed to none",
        (mail.recipient for mail in evidence.sink.kept if mail.recipient in unwilling),
    )


def _asked_for(evidence: Evidence) -> Iterator[str]:
    """The ids of the messages that must be in the ledger, by the topic alone."""
    for event_id, record in evidence.events("casework.cases").items():
        for recipient in _recipients(record.type, payload_of(record)):
            yield uuid5(UUID(event_id), f"message/{recipient}").hex
    yield from asked_for_by_campaigns(evidence)
    yield from asked_for_by_hooks(evidence)
    yield from asked_for_by_callbacks(evidence)
    yield from asked_for_by_digests(evidence)


def _recipients(type_: str, case: dict[str, Any]) -> Iterator[str]:
    match type_:
        case "case.assigned.v1" | "case.reopened.v1" | "case.clock.warned.v1":
            yield _employee(case["owner"])
        case "case.clock.breached.v1":
            yield _employee(case["owner"])
            if case["responsible"] is not None and case["responsible"] != case["owner"]:
                yield _employee(case["responsible"])
        case "case.escalated.v1" if case["responsible"] is not None and case["reason"] != "clock_breached":
            if case["owner"] is None or case["owner"]["employee_id"] != case["responsible"]["employee_id"]:
                yield _employee(case["responsible"])
        case "case.contact.changed.v1" if case["customer_id"] is not None:
            yield f"customer:{case['customer_id']}"
        case "case.resolved.v1":
            customer = case["customer_id"]
            yield f"case:{case['case_id']}" if customer is None else f"customer:{customer}"
        case _:
            return


def _employee(employee: dict[str, Any]) -> str:
    return f"employee:{employee['employee_id']}"
