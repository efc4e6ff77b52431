"""The ledger's part about scoring: mentions, tiers by the last rules, invitations, and nothing left of the erased."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from faults.deliveries import CUSTOMERS, customer_id
from faults.evidence import payload_of

if TYPE_CHECKING:
    from faults.evidence import Evidence
    from faults.verdicts import Findings

_UNANSWERED: Final = "survey.invitation.unanswered.v1"
_PUBLISHED_WITHIN: Final = timedelta(seconds=20)
_CLASSES: Final = ("promoters", "passives", "detractors")
_PROMOTER: Final = 9
_PASSIVE: Final = 7


def check_scoring(evidence: Evidence, findings: Findings) -> None:
    """Everything that follows from what staff told scoring, and what the sender's comments say."""
    _check_themes(evidence, findings)
    _check_tiers(evidence, findings)
    _check_invitations(evidence, findings)
    findings.none(9, "left of somebody who was erased", evidence.traces)


def _check_themes(evidence: Evidence, findings: Findings) -> None:
    """Each comment's themes are those of the last taxonomy, and are counted once."""
    staff = evidence.said.people.staff
    said = {id_: content for id_, content in evidence.said.latest().items() if not content.withdrawn}
    rows = {row["vendor_response_id"]: row for row in evidence["scored"]}
    findings.none(
        2,
        "comments of which something else is told than the last taxonomy says",
        (
            f"{id_}: {list(rows[id_]['themes'])} instead of {due}"
            for id_, content in said.items()
            if id_ in rows and list(rows[id_]["themes"]) != (due := staff.themes_of(content.comment))
        ),
    )
    mentions: Counter[tuple[str, str]] = Counter()
    for content in said.values():
        class_ = (
            "nobody"
            if content.score is None
            else _CLASSES[0 if content.score >= _PROMOTER else 1 if content.score >= _PASSIVE else 2]
        )
        for theme in staff.themes_of(content.comment):
            mentions[theme, "mentions"] += 1
            mentions[theme, class_] += 1
    counted = {
        (item["theme"], name): item[name]
        for item in evidence.themes
        if not item["hidden"]
        for name in ("mentions", *_CLASSES)
        if item[name]
    }
    shown = {theme for theme, _ in counted}
    due_to_be_shown = {(theme, name): n for (theme, name), n in mentions.items() if theme in shown and name != "nobody"}
    findings.same(2, "mentions over HTTP and as the sender counts them", due_to_be_shown.items(), counted.items())


def _check_tiers(evidence: Evidence, findings: Findings) -> None:
    """All have the tier that the last rules give them."""
    staff = evidence.said.people.staff
    due = {customer_id(number): staff.tier_of(number) for number in range(CUSTOMERS)}
    if evidence.has("casework"):  # else nobody is known
        tiers = {row["id"]: row["tier"] for row in evidence["customers"]}
        findings.same(5, "tiers by the last rules and as they are stored", due.items(), tiers.items())


def _check_invitations(evidence: Evidence, findings: Findings) -> None:
    """What was taken is kept; a silence is told once and of those only who are silent; an answer answers once."""
    staff = evidence.said.people.staff
    rows = {row["id"]: row for row in evidence["invitations"]}
    erased = set(staff.erased)
    kept = {id_ for id_, customer in staff.invited.items() if customer not in erased}
    findings.same(1, "invitations taken and kept", kept, rows.keys() & staff.invited.keys())
    findings.none(
        2,
        "invitations of others than were told",
        (id_ for id_ in kept & rows.keys() if rows[id_]["customer_id"] != staff.invited[id_]),
    )
    answering = [row["response_id"] for row in rows.values() if row["response_id"] is not None]
    findings.all_once(3, "responses that answer two invitations", answering)
    customer_of = {row["id"]: row["customer_id"] for row in evidence["scored"] if not row["withdrawn"]}
    findings.none(
        2,
        "invitations answered by somebody else's response, or by none",
        (
            id_
            for id_, row in rows.items()
            if row["response_id"] is not None
            and (row["response_id"] not in customer_of or customer_of[row["response_id"]] != row["customer_id"])
        ),
    )
    told = [
        payload_of(record)["invitation_id"]
        for record in evidence.events("survey.scores").values()
        if record.type == _UNANSWERED
    ]
    findings.all_once(3, "silences that were told twice", told)
    # Judged at any time, at rest too: what came a moment ago may not have been published before the topics were read.
    silent = {id_: row["judged_at"] for id_, row in rows.items() if row["silence"] in ("unanswered", "bounced")}
    findings.none(3, "silences told of others than of those who are silent", kept & set(told) - silent.keys())
    before = evidence.begun_at - _PUBLISHED_WITHIN
    findings.none(3, "silences that nobody was told of", {id_ for id_, at in silent.items() if at < before} - set(told))
