"""Cases and clocks in the ledger: one case per unhappy answer, always with an owner, each clock once and in time."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from faults.evidence import payload_of

if TYPE_CHECKING:
    from faults.evidence import Evidence
    from faults.streams import Told
    from faults.verdicts import Findings

LATE_AT_MOST: Final = timedelta(seconds=120)
"""A clock may be late by the longest outage and the time to come back from it."""
_WARNED: Final = "case.clock.warned.v1"
_BREACHED: Final = "case.clock.breached.v1"


def check_cases(evidence: Evidence, findings: Findings) -> None:
    """Every answer is known to casework as it was scored; every unhappy one has its case, and only one."""
    scored = {row["id"]: row for row in evidence["scored"]}
    answers = {row["response_id"]: row for row in evidence["answers"]}
    findings.same(
        2,
        "answers as scored and as casework knows them",
        ((id_, row["revision"], row["score"], row["comment"], row["nps_class"]) for id_, row in scored.items()),
        ((id_, row["revision"], row["score"], row["comment"], row["nps_class"]) for id_, row in answers.items()),
    )
    cases = {str(row["id"]): row for row in evidence["cases"]}
    findings.none(
        3,
        "unhappy answers without a case",
        (
            id_
            for id_, row in answers.items()
            if row["nps_class"] == "detractor" and (row["case_id"] is None or str(row["case_id"]) not in cases)
        ),
    )
    findings.all_once(3, "responses with more than one case", (row["opening_response_id"] for row in cases.values()))
    findings.none(3, "cases without an owner", (id_ for id_, row in cases.items() if not row["owner_id"]))
    findings.all_once(
        3,
        "customers with more than one open case",
        (row["customer_id"] for row in cases.values() if row["customer_id"] and row["status"] != "closed"),
    )
    findings.same(3, "cases in the table and over HTTP", cases, evidence.listed["cases"])
    opened = [payload_of(record)["case_id"] for record in _events(evidence, "case.opened.v1")]
    findings.all_once(3, "cases that were opened twice", opened)
    findings.same(3, "cases and the events of their opening", cases, opened)
    _check_timelines(evidence, cases, findings)
    _check_taken_back(evidence, cases, findings)


def _check_taken_back(evidence: Evidence, cases: dict[str, Any], findings: Findings) -> None:
    """A case that no answer makes any more, and in which nobody has acted, does not stay open."""
    touched = {str(row["case_id"]) for row in evidence["timeline"] if row["actor_kind"] in ("person", "key")}
    # A light case rests on any answer: rules of the company open it, and not the score alone.
    light = {id_ for id_, row in cases.items() if row["kind"] == "light"}
    resting = {
        str(row["case_id"])
        for row in evidence["answers"]
        if row["nps_class"] == "detractor" or str(row["case_id"]) in light
    }
    findings.none(
        3,
        "cases that were not taken back with the answer that made them",
        (id_ for id_, row in cases.items() if row["status"] == "open" and id_ not in touched | resting),
    )
    taken = [id_ for id_, row in cases.items() if row["status"] == "closed" and id_ not in touched]
    findings.none(3, "cases that were taken back though an answer makes them", (id_ for id_ in taken if id_ in resting))


def _check_timelines(evidence: Evidence, cases: dict[str, Any], findings: Findings) -> None:
    lines: dict[str, list[int]] = defaultdict(list)
    attempts: Counter[str] = Counter()
    for row in evidence["timeline"]:
        lines[str(row["case_id"])].append(row["version"])
        attempts[str(row["case_id"])] += row["kind"] == "contacted"
    findings.none(
        3,
        "timelines with a gap or a doubled line",
        (id_ for id_, row in cases.items() if lines[id_] != list(range(1, row["version"] + 1))),
    )
    commanded = {case: len(keys) for case, keys in evidence.said.people.attempts.items()}
    findings.same(
        3,
        "attempts to reach a customer that were answered with success, and those in the timelines",
        commanded.items(),
        ((case, count) for case, count in attempts.items() if count),
    )


def check_clocks(evidence: Evidence, findings: Findings, late_at_most: timedelta) -> None:
    """Never early, exactly once, late by at most a bound; silent after the close."""
    cases = {str(row["id"]): row for row in evidence["cases"]}
    early, late, fired = [], [], []
    for record in (*_events(evidence, _WARNED), *_events(evidence, _BREACHED)):
        payload = payload_of(record)
        case = cases.get(payload["case_id"])
        if case is None or payload["clock"] == "confirmation":
            continue
        at = datetime.fromisoformat(record.headers["ce_time"].decode())
        due = datetime.fromisoformat(payload["due_at"])
        fired.append(f"{record.type} {payload['case_id']} {payload['clock']} {due}")
        of_first_round = case["reopenings"] == 0
        if record.type == _WARNED:
            # A level's clock is replaced by the next level's, and what it stored with it.
            if not of_first_round or payload["clock"] == "escalation":
                continue
            due = case[f"{payload['clock']}_warn_at"]
        what = f"{payload['case_id']} {payload['clock']} {record.type}: due {due}, fired {at}"
        if at < due:
            early.append(what)
        if at - max(due, case["opened_at"]) > late_at_most:
            late.append(what)
    findings.none(6, "clocks that fired early", early)
    findings.none(6, "clocks that fired late", late)
    findings.all_once(6, "clocks that fired twice", fired)
    _check_silence(evidence, cases, findings)


def _check_silence(evidence: Evidence, cases: dict[str, Any], findings: Findings) -> None:
    """No clock keeps silent that should have spoken, and none speaks that should not."""
    overdue = datetime.now(UTC) - timedelta(seconds=10)
    findings.none(
        6,
        "clocks that did not fire",
        (
            id_
            for id_, row in cases.items()
            if row["status"] == "open"
            and row["first_contacted_at"] is None
            and row["first_contact_due_at"] < overdue
            and row["first_contact_stage"] != "breached"
        ),
    )
    closed: set[str] = set()
    spoke = []
    for line in evidence["timeline"]:
        case_id = str(line["case_id"])
        if line["kind"] == "closed":
            closed.add(case_id)
        elif line["kind"] in ("opened", "reopened"):
            closed.discard(case_id)
        elif line["kind"].startswith("clock_") and case_id in closed:
            spoke.append(f"{case_id} {line['kind']} {line['at']}")
    findings.none(6, "clocks that spoke after the close", spoke)


def _events(evidence: Evidence, type_: str) -> list[Told]:
    return [record for record in evidence.events("casework.cases").values() if record.type == type_]
