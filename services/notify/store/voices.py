"""What customers told the company, as far as audiences need it: answers with their themes, cases with their causes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from libs.events.contracts.cases import CaseResolved
    from libs.events.contracts.initiatives import InitiativeShipped
    from libs.events.contracts.scores import ResponseRescored, ResponseScored
    from libs.events.database import Tx

_PUT_ANSWERS: Final = text("""
    INSERT INTO answers (response_id, revision, customer_id, program, answered_at, themes)
    SELECT response_id, revision, customer_id, program, answered_at, string_to_array(themes, ' ')
      FROM unnest(CAST(:response_ids AS text[]), CAST(:revisions AS integer[]), CAST(:customer_ids AS text[]),
                  CAST(:programs AS text[]), CAST(:answered_ats AS timestamptz[]), CAST(:themes AS text[]))
           AS given (response_id, revision, customer_id, program, answered_at, themes)
     WHERE NOT EXISTS (SELECT FROM erasures e
                        WHERE e.customer_id = given.customer_id AND e.erased_at >= given.answered_at)
        ON CONFLICT (response_id) DO UPDATE
       SET revision = excluded.revision, customer_id = excluded.customer_id, program = excluded.program,
           answered_at = excluded.answered_at, themes = excluded.themes
     WHERE answers.revision <= excluded.revision
""")
_DROP_ANSWERS: Final = text("DELETE FROM answers WHERE response_id = ANY(CAST(:response_ids AS text[]))")
_PUT_RESOLUTIONS: Final = text("""
    INSERT INTO resolutions (case_id, version, customer_id, root_cause, answered_at)
    SELECT *
      FROM unnest(CAST(:case_ids AS text[]), CAST(:versions AS integer[]), CAST(:customer_ids AS text[]),
                  CAST(:root_causes AS text[]), CAST(:answered_ats AS timestamptz[]))
           AS given (case_id, version, customer_id, root_cause, answered_at)
     WHERE NOT EXISTS (SELECT FROM erasures e
                        WHERE e.customer_id = given.customer_id AND e.erased_at >= given.answered_at)
        ON CONFLICT (case_id) DO UPDATE
       SET version = excluded.version, customer_id = excluded.customer_id, root_cause = excluded.root_cause,
           answered_at = excluded.answered_at
     WHERE resolutions.version < excluded.version
""")
_PUT_INITIATIVE: Final = text("""
    INSERT INTO initiatives (initiative_id, version, title, root_causes, themes, department_id, learned, changed,
                             next_steps, shipped_at, communicate_by)
    VALUES (:initiative_id, :version, :title, CAST(:root_causes AS text[]), CAST(:themes AS text[]), :department_id,
            :learned, :changed, :next_steps, :shipped_at, :communicate_by)
        ON CONFLICT (initiative_id) DO UPDATE
       SET version = excluded.version, title = excluded.title, root_causes = excluded.root_causes,
           themes = excluded.themes, department_id = excluded.department_id, learned = excluded.learned,
           changed = excluded.changed, next_steps = excluded.next_steps, shipped_at = excluded.shipped_at,
           communicate_by = excluded.communicate_by
     WHERE initiatives.version < excluded.version
""")
_REMEMBER: Final = text("""
    INSERT INTO erasures (customer_id, erased_at)
    SELECT customer_id, :now FROM unnest(CAST(:customer_ids AS text[])) AS given (customer_id)
        ON CONFLICT (customer_id) DO UPDATE SET erased_at = excluded.erased_at
""")
_FORGET_ANSWERS: Final = text("DELETE FROM answers WHERE customer_id = ANY(CAST(:customer_ids AS text[]))")
_FORGET_RESOLUTIONS: Final = text("DELETE FROM resolutions WHERE customer_id = ANY(CAST(:customer_ids AS text[]))")
_FORGET_RECIPIENTS: Final = text(
    "DELETE FROM campaign_recipients WHERE customer_id = ANY(CAST(:customer_ids AS text[]))"
)


async def put_answers(tx: Tx, scored: Sequence[ResponseScored | ResponseRescored]) -> None:
    """Keep these answers (one per response) where they are not older than what is known."""
    known = [(each, each.customer_id) for each in scored if each.customer_id is not None]
    if not known:
        return
    await tx.execute(
        _PUT_ANSWERS,
        {
            "response_ids": [each.response_id for each, _ in known],
            "revisions": [each.revision for each, _ in known],
            "customer_ids": [customer_id for _, customer_id in known],
            "programs": [each.program for each, _ in known],
            "answered_ats": [each.answered_at for each, _ in known],
            # An array of arrays would need rows of one length; ids of themes have no blanks.
            "themes": [" ".join(each.themes) for each, _ in known],
        },
    )


async def drop_answers(tx: Tx, response_ids: Collection[str]) -> None:
    """These were withdrawn."""
    await tx.execute(_DROP_ANSWERS, {"response_ids": sorted(response_ids)})


async def put_resolutions(tx: Tx, resolved: Sequence[CaseResolved]) -> None:
    """Keep what these cases (each once) were found to come from."""
    known = [(each, each.customer_id) for each in resolved if each.customer_id is not None]
    if not known:
        return
    await tx.execute(
        _PUT_RESOLUTIONS,
        {
            "case_ids": [each.case_id for each, _ in known],
            "versions": [each.version for each, _ in known],
            "customer_ids": [customer_id for _, customer_id in known],
            "root_causes": [each.root_cause for each, _ in known],
            "answered_ats": [each.answered_at for each, _ in known],
        },
    )


async def put_initiative(tx: Tx, shipped: InitiativeShipped, shipped_at: datetime) -> None:
    """Keep what can be told of a change that is in force."""
    await tx.execute(
        _PUT_INITIATIVE,
        {
            "initiative_id": shipped.initiative_id,
            "version": shipped.version,
            "title": shipped.title,
            "root_causes": list(shipped.root_causes),
            "themes": list(shipped.themes),
            "department_id": shipped.department_id,
            "learned": shipped.learned,
            "changed": shipped.changed,
            "next_steps": shipped.next_steps,
            "shipped_at": shipped_at,
            "communicate_by": shipped.communicate_by,
        },
    )


async def forget(tx: Tx, customer_ids: Collection[str]) -> None:
    """Remove what these customers said until now, whether it has come already or not."""
    parameters = {"customer_ids": sorted(customer_ids)}
    await tx.execute(_REMEMBER, {**parameters, "now": tx.now})
    await tx.execute(_FORGET_ANSWERS, parameters)
    await tx.execute(_FORGET_RESOLUTIONS, parameters)
    await tx.execute(_FORGET_RECIPIENTS, parameters)
