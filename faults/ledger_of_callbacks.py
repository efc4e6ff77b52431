"""Callbacks in the ledger: no half hour twice, each missed one noticed and climbed once, each told to both sides."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid5

from faults.bookings import GRACE
from faults.evidence import payload_of
from libs.events.event import derived_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from faults.evidence import Evidence
    from faults.streams import Told
    from faults.verdicts import Findings

_TOLD: Final = frozenset(
    {"case.callback.agreed.v1", "case.callback.moved.v1", "case.callback.cancelled.v1", "case.callback.missed.v1"}
)
"""What people are told; that a callback was kept they know."""
_UNANSWERED: Final = frozenset({"no_answer", "busy", "voicemail", "third_person"})
_HALF_HOUR: Final = timedelta(minutes=30)
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_SETTLES: Final = timedelta(seconds=10)


def check_callbacks(evidence: Evidence, findings: Findings, late_at_most: timedelta) -> None:
    """What was agreed stands, once for each half hour of an agent; what was missed was noticed, and climbed."""
    bookings = evidence.said.people.bookings
    listed = evidence.callbacks
    agreed = {each["case_id"]: each for each in listed if each["state"] == "agreed"}
    cells = ((each["owner_id"], _half_hour(datetime.fromisoformat(each["at"]))) for each in agreed.values())
    findings.all_once(3, "half hours of an agent that two customers have", cells)
    findings.none(
        3,
        "half hours that two customers were told is theirs",
        (f"{each.agent} {each.at}" for each in bookings.contests if list(each.told.values()).count("done") > 1),
    )
    stands = {case_id: datetime.fromisoformat(each["at"]) for case_id, each in agreed.items()}
    findings.none(
        1,
        "times that customers were told are theirs, and are not",
        (
            f"{case_id}: {at} and not {stands.get(str(case_id))}"
            for case_id, at in bookings.chosen.items()
            if at is not None and stands.get(str(case_id)) != at
        ),
    )
    _check_missed(evidence, findings, late_at_most)
    _check_invitations(evidence, findings)


def asked_for_by_callbacks(evidence: Evidence) -> Iterator[str]:
    """The messages that must be there: what happened last to each callback, and one offer of times for each case."""
    for events in _by_callback(evidence).values():
        yield from _messages(events[-1])
    for record in evidence.events("casework.cases").values():
        payload = payload_of(record) if record.type == "case.contacted.v1" else None
        if payload and payload["outcome"] in _UNANSWERED and payload["customer_id"] is not None:
            cause = derived_id(UUID(payload["case_id"]), "callback.offer")
            yield uuid5(cause, f"message/customer:{payload['customer_id']}").hex


def allowed_by_callbacks(evidence: Evidence) -> Iterator[str]:
    """The messages that may be there: of several changes at once, people are told the last alone."""
    for events in _by_callback(evidence).values():
        for record in events[:-1]:
            yield from _messages(record)


def _check_missed(evidence: Evidence, findings: Findings, late_at_most: timedelta) -> None:
    now = datetime.now(UTC)
    rows = {str(row["id"]): row for row in evidence["callbacks"]}
    overdue = now - GRACE - _SETTLES
    findings.none(
        6,
        "callbacks that nobody made, and nobody missed",
        (id_ for id_, row in rows.items() if row["state"] == "agreed" and row["at"] < overdue),
    )
    missed = [record for record in _events(evidence) if record.type == "case.callback.missed.v1"]
    findings.all_once(6, "callbacks that were missed twice", (payload_of(each)["callback_id"] for each in missed))
    findings.same(
        6,
        "callbacks that were missed, and the events of that",
        (id_ for id_, row in rows.items() if row["state"] == "missed"),
        (payload_of(each)["callback_id"] for each in missed),
    )
    early, late = [], []
    for record in missed:
        payload = payload_of(record)
        due = datetime.fromisoformat(payload["at"]) + GRACE
        at = datetime.fromisoformat(record.headers["ce_time"].decode())
        if at < due:
            early.append(f"{payload['callback_id']}: due {due}, missed {at}")
        if at - due > late_at_most:
            late.append(f"{payload['callback_id']}: due {due}, missed {at}")
    findings.none(6, "callbacks that were missed before their time", early)
    findings.none(6, "callbacks whose miss was noticed late", late)
    # What was made up for, or agreed anew, does not climb; nor what has its time still before it.
    due_to_climb = Counter(
        str(row["case_id"])
        for row in rows.values()
        if row["state"] == "missed" and row["settled_at"] is None and (row["fires_at"] or overdue) <= overdue
    )
    climbed = Counter(
        str(line["case_id"])
        for line in evidence["timeline"]
        if (line["kind"] == "escalated" and line["reason"] == "callback_missed")
        or (line["kind"] == "callback_missed" and line["at_the_top"])
    )
    findings.same(6, "missed callbacks and how often their cases climbed", due_to_climb.items(), climbed.items())


def _check_invitations(evidence: Evidence, findings: Findings) -> None:
    """Each mail invites to what its event says, and nobody has two of one callback and sequence."""
    mails = {mail.message_id: mail for mail in evidence.sink.kept if mail.invitation is not None}
    findings.all_once(
        3, "invitations that somebody got twice", ((mail.recipient, mail.invitation) for mail in mails.values())
    )
    wrong = []
    due = set()
    for id_, events in _by_callback(evidence).items():
        for record in events:
            payload = payload_of(record)
            if record.type == "case.callback.missed.v1":
                continue
            method = "CANCEL" if record.type == "case.callback.cancelled.v1" else "REQUEST"
            for message in _messages(record):
                due.add(message)
                mail = mails.get(message)
                sequence = payload.get("moves", 0)
                if mail is None or mail.invitation is None:
                    continue
                uid, told, how = mail.invitation
                if (uid, how) != (id_, method) or (method == "REQUEST" and told != sequence):
                    wrong.append(f"{mail.invitation} of {id_}, {sequence}, {method}")
    findings.none(3, "invitations to another callback, or of another sequence", wrong)
    sent = {row["id"].hex for row in evidence["messages"] if row["status"] == "sent"}
    findings.none(3, "mails about callbacks without an invitation", due & sent - mails.keys())


def _events(evidence: Evidence) -> Iterator[Told]:
    for record in evidence.events("casework.cases").values():
        if record.type.startswith("case.callback."):
            yield record


def _by_callback(evidence: Evidence) -> Mapping[str, list[Told]]:
    """By callback: what happened to it, in its order, as far as people are told of it; a kept one has no last word."""
    found: dict[str, list[Told]] = defaultdict(list)
    for record in sorted(_events(evidence), key=lambda each: int(payload_of(each)["version"])):
        found[payload_of(record)["callback_id"]].append(record)
    return found


def _messages(record: Told) -> Iterator[str]:
    if record.type not in _TOLD:
        return
    payload: dict[str, Any] = payload_of(record)
    if payload["customer_id"] is not None:
        yield uuid5(UUID(record.event_id), f"message/customer:{payload['customer_id']}").hex
    yield uuid5(UUID(record.event_id), f"message/employee:{payload['owner']['employee_id']}").hex


def _half_hour(at: datetime) -> datetime:
    return _EPOCH + (at - _EPOCH) // _HALF_HOUR * _HALF_HOUR
