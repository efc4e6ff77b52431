"""The ledger at rest: what went in is compared with what every part says that it has, set by set."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Final

from faults.evidence import fate_due, fates, payload_of
from faults.ledger_of_callbacks import check_callbacks
from faults.ledger_of_cases import check_cases, check_clocks
from faults.ledger_of_digests import check_digests
from faults.ledger_of_hooks import check_hooks
from faults.ledger_of_leaving import check_leaving
from faults.ledger_of_mail import check_mail
from faults.ledger_of_returns import check_returns
from faults.ledger_of_scoring import check_scoring
from faults.poison import mark_of
from faults.streams import dead_letter_topics
from faults.verdicts import Broken, Findings
from libs.events.topics import TOPICS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import timedelta

    from faults.evidence import Evidence
    from faults.streams import Streams, Told

_STATES: Final[Mapping[str, frozenset[str]]] = {
    "response": frozenset({"accepted", "ignored"}),
    "revision": frozenset({"accepted", "ignored"}),
    "conflict": frozenset({"duplicate"}),
    "nonsense": frozenset({"quarantined"}),
    "part": frozenset({"accepted", "duplicate", "ignored"}),
    "announcement": frozenset({"accepted"}),
    "withdrawal": frozenset({"accepted"}),
}
"""In which states a delivery of each kind may be kept. Ignored: a later revision came first.

A part that adds nothing to what is known is a duplicate.
"""
_VERSIONED: Final[Mapping[str, tuple[str, str]]] = {
    "survey.responses": ("response_id", "revision"),
    "survey.scores": ("response_id", "revision"),
    "customers": ("customer_id", "version"),
    "casework.cases": ("case_id", "version"),
}
_UNVERSIONED: Final = frozenset({"survey.customer.unsubscribed.v1", "survey.invitation.unanswered.v1"})
"""Nothing comes after them: they are told once."""
_PROMOTER: Final = 9
_PASSIVE: Final = 7
_PORTAL_READS: Final = tuple(topic.name for topic in TOPICS if "portal.events" in topic.consumers)
_COUNTED: Final[Mapping[str, str]] = {
    "answered": "survey.response.scored.v1",
    "opened": "case.opened.v1",
    "resolved": "case.resolved.v1",
    "reopened": "case.reopened.v1",
    "breached": "case.clock.breached.v1",
    "mail_failed": "message.failed.v1",
    "mail_held": "message.suppressed.v1",
}


def check(evidence: Evidence, streams: Streams, *, late_at_most: timedelta) -> list[Broken]:
    """Everything that must hold at rest. `late_at_most`: how late clocks of cases may have fired."""
    findings = Findings()
    check_deliveries(evidence, findings)
    check_files(evidence, findings)
    if evidence.has("scoring"):
        check_scores(evidence, findings)
        check_scoring(evidence, findings)
    check_conservation(evidence, streams, findings)
    check_order(evidence, findings)
    if evidence.has("portal"):
        check_portal(evidence, findings)
    if evidence.has("scoring", "casework"):
        check_cases(evidence, findings)
        check_clocks(evidence, findings, late_at_most)
        check_leaving(evidence, findings)
    if evidence.has("casework", "notify"):
        check_mail(evidence, findings)
        check_hooks(evidence, findings)
        check_returns(evidence, findings)
        check_digests(evidence, findings)
        check_callbacks(evidence, findings, late_at_most)
    return findings.broken


def sizes(evidence: Evidence) -> dict[str, int]:
    """How much there was to compare."""
    return {
        "answers 202": len(evidence.said.log.receipts),
        "deliveries": len(evidence["deliveries"]),
        "rows of files": sum(file.accepted + file.duplicates + file.errors for file in evidence.said.files.imported),
        "responses that were only announced": len(evidence.said.thin.contents),
        "of them, lost by webhooks": len(evidence.said.thin.lost),
        "withdrawn": sum(content.withdrawn for content in evidence.said.thin.contents.values()),
        "responses": len(evidence["scored"]),
        "invitations": len(evidence["invitations"]),
        "mentions of themes": sum(len(row["themes"]) for row in evidence["scored"]),
        "erased": len(evidence.said.people.staff.erased),
        "cases": len(evidence["cases"]),
        "mails": len(evidence.sink.kept),
        "campaigns": len(evidence.said.people.campaigns.told),
        "of them, cancelled": sum(each.cancelled is not None for each in evidence.said.people.campaigns.told),
        "messages of campaigns": sum(len(each.audience) for each in evidence.said.people.campaigns.told),
        "of them, sent": sum(each.unsubscribe is not None for each in evidence.sink.kept),
        "web hooks received": sum(len(taken) for taken in evidence.hooks.taken.values()),
        "web hooks that hung": evidence.hooks.hung,
        "callbacks": len(evidence["callbacks"]),
        "of them, missed": sum(row["state"] == "missed" for row in evidence["callbacks"]),
        "half hours that two wanted at once": len(evidence.said.people.bookings.contests),
        "mails that came back": len(evidence.said.people.returns.told),
        "reports of that": evidence.said.people.returns.reports,
        "addresses on the list": len(evidence["suppressions"]),
        "times that somebody left": evidence.said.people.leaving.leavings,
        "cases handed over": len(evidence.said.people.leaving.handed),
        "digests": len(evidence.digests),
        "unsubscribed": len(evidence.said.people.campaigns.refusals),
        "records": len(evidence.records),
        "dead letters": len(_set_aside(evidence.records)),
    }


def check_deliveries(evidence: Evidence, findings: Findings) -> None:
    """Whatever was answered 202 is kept once, with its bytes, in one state; nothing else is kept."""
    log = evidence.said.log
    everything = {str(row["id"]): row for row in evidence["deliveries"]}
    kept = {id_: row for id_, row in everything.items() if row["via"] == "webhook"}
    missing, other_bytes, wrong_state = [], [], []
    events: set[str] = set()
    for receipt in log.receipts:
        row = kept.get(receipt.delivery_id)
        events.update(receipt.event_ids)
        if row is None:
            missing.append(f"{receipt.delivery.id} ({receipt.delivery_id})")
            continue
        if row["hash"] != receipt.delivery.hash:
            other_bytes.append(receipt.delivery.id)
        if row["status"] not in _STATES[receipt.delivery.kind]:
            wrong_state.append(f"{receipt.delivery.id}: a {receipt.delivery.kind} is {row['status']}")
    findings.none(1, "answered 202 and not kept", missing)
    findings.none(1, "kept with other bytes", other_bytes)
    findings.none(1, "kept in a state that it cannot have", wrong_state)
    findings.all_once(
        1,
        "kept more than once",
        ((row["source"], row["delivery_key"], row["hash"]) for row in everything.values()),
    )
    sent = {(receipt.delivery.id, receipt.delivery.hash) for receipt in log.receipts}
    stored = {(row["delivery_key"], row["hash"]) for row in kept.values()}
    bad = {(delivery.id, delivery.hash) for delivery in log.refused}
    findings.none(8, "rows of deliveries with a bad signature", stored & bad)
    findings.same(1, "deliveries answered 202 and deliveries kept", sent, stored)
    findings.same(1, "deliveries in the table and over HTTP", everything, evidence.listed["deliveries"])
    findings.none(
        8,
        "answers that nobody should get",
        (*log.odd, *evidence.said.people.odd, *evidence.said.files.odd),
    )
    published = evidence.events("survey.responses")
    findings.none(1, "events that were told to the sender and not published", events - published.keys())


def check_files(evidence: Evidence, findings: Findings) -> None:
    """Each row of each file counts once, whatever struck between its pieces; what APIs told is understood."""
    findings.none(
        2,
        "files of which rows were lost or counted twice",
        (
            f"{file.state.get('id')}: {found} instead of {due}"
            for file in evidence.said.files.imported
            if (found := tuple(file.state.get(name) for name in ("accepted", "duplicates", "errors", "ignored")))
            != (due := (file.accepted, file.duplicates, file.errors, 0))
        ),
    )
    findings.none(
        2,
        "fetched and not understood",
        (row["id"] for row in evidence["deliveries"] if row["via"] == "api" and row["status"] == "quarantined"),
    )
    rows = [row for row in evidence["deliveries"] if row["via"] == "file"]
    findings.same(
        2,
        "rows of files that are none, and those in quarantine",
        [sum(file.errors for file in evidence.said.files.imported)],
        [sum(row["status"] == "quarantined" for row in rows)],
    )


def check_scores(evidence: Evidence, findings: Findings) -> None:
    """Distinct responses in are responses scored, each with its latest revision, each counted once."""
    latest = evidence.said.latest()
    said = {id_: content for id_, content in latest.items() if not content.withdrawn}
    rows = evidence["scored"]
    findings.all_once(2, "scored more than once", (row["vendor_response_id"] for row in rows))
    scored = {row["vendor_response_id"]: row for row in rows}
    standing = [id_ for id_, row in scored.items() if not row["withdrawn"]]
    findings.same(2, "responses accepted and responses scored", said, standing)
    # What was withdrawn before anybody knew of it was never scored.
    revisions_of = {row["vendor_response_id"]: row["revision"] for row in evidence["revised"]}
    gone = {id_ for id_, content in latest.items() if content.withdrawn}
    findings.same(2, "responses that came and those that ingest knows", latest, revisions_of)
    findings.same(
        2,
        "responses withdrawn after they were known, and taken back by scoring",
        (id_ for id_ in gone if revisions_of.get(id_, 0) > 1),
        (id_ for id_, row in scored.items() if row["withdrawn"]),
    )
    findings.none(
        2,
        "withdrawn and still saying something",
        (id_ for id_ in gone & scored.keys() if (scored[id_]["score"], scored[id_]["comment"]) != (None, None)),
    )
    findings.none(
        2,
        "scored otherwise than the latest revision says",
        (
            f"{id_}: {scored[id_]['score']} {scored[id_]['comment']!r} instead of {content.score} {content.comment!r}"
            for id_, content in said.items()
            if id_ in scored and (scored[id_]["score"], scored[id_]["comment"]) != (content.score, content.comment)
        ),
    )
    revisions = {str(row["id"]): row["revision"] for row in evidence["revised"]}
    findings.none(
        5,
        "scored at another revision than ingest's latest",
        (f"{row['id']}: {row['revision']}" for row in rows if revisions.get(row["id"]) != row["revision"]),
    )
    expected = Counter(
        "promoters" if content.score >= _PROMOTER else "passives" if content.score >= _PASSIVE else "detractors"
        for content in said.values()
        if content.score is not None
    )
    told = (evidence.nps or {"items": []})["items"]
    counted = {name: sum(item[name] for item in told) for name in ("promoters", "passives", "detractors")}
    findings.same(2, "NPS over HTTP and as the sender counts it", Counter(expected).items(), counted.items())


def check_conservation(evidence: Evidence, streams: Streams, findings: Findings) -> None:
    """Every record is handled, passed over for a reason or set aside, in exactly one of these; all were read."""
    wrong: dict[int, list[str]] = defaultdict(list)
    readers: dict[str, list[str]] = defaultdict(list)
    for consumer, topic in streams.consumers:
        readers[topic.name].append(consumer)
    set_aside = _set_aside(evidence.records)
    for record in evidence.records:
        for consumer in readers.get(record.topic, ()):
            due = fate_due(record, consumer)
            found = fates(record, consumer, evidence.inboxes[consumer.partition(".")[0]])
            if found != [due]:
                wrong[2].append(f"{consumer} at {record.place} {record.type}: {found or 'nothing'} instead of {due}")
            if due == "dead-lettered" and (consumer, *record.place) not in set_aside:
                wrong[2].append(f"{consumer} at {record.place}: not in the topic of dead letters")
            if due != "dead-lettered" and (consumer, *record.place) in set_aside:
                wrong[8].append(f"{consumer} at {record.place} {record.type}: a good record is a dead letter")
            place = (consumer, record.topic, record.partition)
            if evidence.committed.get(place, 0) <= record.offset:
                wrong[4].append(f"{consumer} at {record.place}: not committed at rest")
    findings.none(2, "records without exactly one fate", wrong[2])
    findings.none(8, "neighbours of poison", wrong[8])
    findings.none(4, "offsets that stayed behind at rest", wrong[4])


def _set_aside(records: Iterable[Told]) -> set[tuple[str, str, int, int]]:
    """Where the dead letters come from: consumer, topic, partition, offset."""
    aside = dead_letter_topics()
    return {
        (
            record.headers["dlq_consumer"].decode(),
            record.headers["dlq_topic"].decode(),
            int(record.headers["dlq_partition"]),
            int(record.headers["dlq_offset"]),
        )
        for record in records
        if record.topic in aside and "dlq_consumer" in record.headers
    }


def check_order(evidence: Evidence, findings: Findings) -> None:
    """Per key, a version never goes down, whatever was published twice; and what was said last is known everywhere."""
    down = []
    for topic, (subject, version) in _VERSIONED.items():
        last: dict[Any, int] = {}
        seen: set[str] = set()
        for record in evidence.records:
            if record.topic != topic or mark_of(record) or record.value is None or record.event_id in seen:
                continue
            seen.add(record.event_id)
            if record.type in _UNVERSIONED:
                continue
            payload = payload_of(record)
            if payload[version] < last.get(payload[subject], 0):
                down.append(f"{record.place}: {payload[subject]} {payload[version]} after {last[payload[subject]]}")
            last[payload[subject]] = payload[version]
    findings.none(5, "versions that go down on a topic", down)
    if not evidence.has("scoring", "casework", "notify"):
        return
    customers = {row["id"]: (row["version"], row["name"]) for row in evidence["customers"]}
    names = {id_: name for id_, (_, name) in customers.items()}
    findings.none(
        5,
        "customers who are not called as they said last",
        (
            f"{id_}: {names.get(id_)!r} instead of {name!r}"
            for id_, name in evidence.said.people.names.items()
            if names.get(id_) != name
        ),
    )
    for table in ("known_customers", "profiles"):
        known = {row["customer_id"]: (row["version"], row["name"]) for row in evidence[table]}
        findings.same(5, f"customers in scoring and {table}", customers.items(), known.items())


def check_portal(evidence: Evidence, findings: Findings) -> None:
    """The portal's stream and its counts hold each event once."""
    published = evidence.events(*_PORTAL_READS)
    findings.all_once(
        3, "events that are twice in the portal's stream", (row["event_id"] for row in evidence["stream"])
    )
    findings.same(
        2, "events published and events in the portal", published, (row["event_id"] for row in evidence["stream"])
    )
    types = Counter(record.type for record in published.values())
    expected = {step: types[type_] for step, type_ in _COUNTED.items() if types[type_]}
    counted = {row["step"]: int(row["n"]) for row in evidence["steps"] if row["step"] in _COUNTED}
    findings.same(2, "the portal's counts and the topics", expected.items(), counted.items())
