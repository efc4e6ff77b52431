"""Hand-overs in the ledger: what was answered has happened once, was told once, and nothing stayed with who left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faults.evidence import payload_of
from faults.leaving import LEAVER

if TYPE_CHECKING:
    from faults.evidence import Evidence
    from faults.verdicts import Findings


def check_leaving(evidence: Evidence, findings: Findings) -> None:
    """Each case that was handed over has one event of that; whoever has it now is told by it (see `ledger_of_mail`)."""
    handed = [(each.case_id, each.owner_id, each.version) for each in evidence.said.people.leaving.handed]
    told = [
        (payload["case_id"], payload["owner"]["employee_id"], payload["version"])
        for record in evidence.events("casework.cases").values()
        if record.type == "case.assigned.v1" and (payload := payload_of(record))["previous_owner_id"] == LEAVER
    ]
    findings.all_once(3, "cases that were handed over twice at once", handed)
    findings.all_once(3, "hand-overs that were told twice", told)
    findings.same(3, "cases that were handed over, and the events of that", handed, told)
    findings.none(
        3,
        "cases that stayed with somebody who has left",
        (row["id"] for row in evidence["cases"] if row["owner_id"] == LEAVER and row["status"] != "closed"),
    )
