"""Digests in the ledger: one for each period, told once to everybody who works here."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faults.evidence import Evidence
    from faults.verdicts import Findings


def check_digests(evidence: Evidence, findings: Findings) -> None:
    """Each digest that was due was made once and told; each reader has one message of each."""
    readers = evidence.said.people.readers
    made = [(each["kind"], each["ends"]) for each in evidence.digests]
    findings.all_once(3, "digests that were made twice", made)
    findings.same(3, "digests that were due, and those that were made", readers.due, made)
    findings.none(
        3, "digests that were not told to the end", (each for each in evidence.digests if not each["told_at"])
    )
    told: dict[str, list[str]] = defaultdict(list)
    for row in evidence["messages"]:
        if row["kind"] == "digest":
            told[str(row["cause_id"])].append(row["recipient"])
    findings.same(
        3, "digests that were made, and those that somebody was told", (d["id"] for d in evidence.digests), told
    )
    for id_, recipients in told.items():
        findings.all_once(3, "people who were told a digest twice", (f"{id_} {each}" for each in recipients))
        known = (f"{id_} {each}" for each in recipients if each not in readers.perhaps)
        due = (f"{id_} {each}" for each in readers.recipients)
        findings.same(3, "people who read digests, and those who were told one", due, known)


def asked_for_by_digests(evidence: Evidence) -> Iterator[str]:
    """One message of each digest to everybody who works here."""
    for digest in evidence.digests:
        for recipient in evidence.said.people.readers.recipients:
            yield uuid5(UUID(digest["id"]), f"message/{recipient}").hex


def allowed_by_digests(evidence: Evidence) -> Iterator[str]:
    """Who comes and goes may have been here, or not."""
    for digest in evidence.digests:
        for recipient in evidence.said.people.readers.perhaps:
            yield uuid5(UUID(digest["id"]), f"message/{recipient}").hex
