"""Initiatives, the cases behind them and their history; and what many cases have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import text

from libs.events.event import Event
from services.casework.domain.clocks import Stage
from services.casework.domain.initiatives import Evidence, Initiative, InitiativeId, Status

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Row

    from libs.events.database import Tx
    from services.casework.domain.initiatives import Moment
    from services.casework.domain.names import RootCauseId

SOURCE: Final = "/casework"

_LOCK: Final = text("""
    SELECT id, title, problem, root_causes, themes, department_id, owner_id, status, proposed_at, budget, currency,
           due_on, decision_reason, decided_at, started_at, shipped_at, learned, changed, next_steps, communicated_at,
           campaign_id, feedback_since, communicate_by, clock_stage, version
      FROM initiatives
     WHERE id = ANY(CAST(:ids AS uuid[]))
     ORDER BY id
       FOR UPDATE
""")

_CLAIM_FIRING: Final = text("""
    SELECT id, title, problem, root_causes, themes, department_id, owner_id, status, proposed_at, budget, currency,
           due_on, decision_reason, decided_at, started_at, shipped_at, learned, changed, next_steps, communicated_at,
           campaign_id, feedback_since, communicate_by, clock_stage, version
      FROM initiatives
     WHERE fires_at <= :now
     ORDER BY fires_at
     LIMIT :limit
       FOR UPDATE SKIP LOCKED
""")

_SAVE: Final = text("""
    INSERT INTO initiatives (
           id, title, problem, root_causes, themes, department_id, owner_id, status, proposed_at, budget, currency,
           due_on, decision_reason, decided_at, started_at, shipped_at, learned, changed, next_steps, communicated_at,
           campaign_id, feedback_since, communicate_by, clock_stage, fires_at, version)
    VALUES (:id, :title, :problem, CAST(:root_causes AS text[]), CAST(:themes AS text[]), :department_id, :owner_id,
            :status, :proposed_at, :budget, :currency, :due_on, :decision_reason, :decided_at, :started_at,
            :shipped_at, :learned, :changed, :next_steps, :communicated_at, :campaign_id, :feedback_since,
            :communicate_by, :clock_stage, :fires_at, :version)
        ON CONFLICT (id) DO UPDATE
       SET title = excluded.title, problem = excluded.problem, root_causes = excluded.root_causes,
           themes = excluded.themes, department_id = excluded.department_id, owner_id = excluded.owner_id,
           status = excluded.status, budget = excluded.budget, currency = excluded.currency,
           due_on = excluded.due_on, decision_reason = excluded.decision_reason, decided_at = excluded.decided_at,
           started_at = excluded.started_at, shipped_at = excluded.shipped_at, learned = excluded.learned,
           changed = excluded.changed, next_steps = excluded.next_steps, communicated_at = excluded.communicated_at,
           campaign_id = excluded.campaign_id, feedback_since = excluded.feedback_since,
           communicate_by = excluded.communicate_by, clock_stage = excluded.clock_stage,
           fires_at = excluded.fires_at, version = excluded.version
""")

_REMEMBER: Final = text("""
    INSERT INTO initiative_history (initiative_id, version, kind, at, actor_kind, actor_id, details, text)
    VALUES (:id, :version, :kind, :at, :actor_kind, :actor_id, CAST(:details AS json), :text)
""")

_ADD_BY_ROOT_CAUSE: Final = text("""
    WITH RECURSIVE below AS (
        SELECT id FROM root_causes WHERE id = ANY(CAST(:root_causes AS text[]))
         UNION
        SELECT root_causes.id FROM root_causes JOIN below ON root_causes.parent_id = below.id
    )
    INSERT INTO initiative_cases (initiative_id, case_id, added_at)
    SELECT :id, cases.id, :now
      FROM cases
     WHERE cases.root_cause_id IN (SELECT id FROM below) AND cases.opened_at >= :since
        ON CONFLICT DO NOTHING
""")

_ADD: Final = text("""
    INSERT INTO initiative_cases (initiative_id, case_id, added_at)
    SELECT :id, cases.id, :now
      FROM cases
     WHERE cases.id = ANY(CAST(:cases AS uuid[]))
        ON CONFLICT DO NOTHING
""")

_KNOWN_CASES: Final = text("SELECT id FROM cases WHERE id = ANY(CAST(:cases AS uuid[]))")
_KNOWN_CAUSES: Final = text("SELECT id FROM root_causes WHERE id = ANY(CAST(:ids AS text[]))")

_EVIDENCE: Final = text("""
    WITH behind AS MATERIALIZED (
        SELECT cases.customer_id, cases.answered_at
          FROM initiative_cases JOIN cases ON cases.id = initiative_cases.case_id
         WHERE initiative_cases.initiative_id = :id
    ), people AS (
        SELECT customers.current_value
          FROM (SELECT DISTINCT customer_id FROM behind WHERE customer_id IS NOT NULL) AS asked
          LEFT JOIN customers USING (customer_id)
    )
    SELECT (SELECT count(*) FROM behind) AS cases,
           (SELECT min(answered_at) FROM behind) AS earliest_feedback_at,
           (SELECT count(*) FROM people) AS customers,
           (SELECT sum(current_value) FROM people) AS value_at_stake
""")

# What one root cause has done to customers, in cases opened in the time asked for.
_IN_COMMON: Final = text("""
    WITH behind AS MATERIALIZED (
        SELECT root_cause_id, customer_id, level, reopenings, first_contact_stage, answered_at
          FROM cases
         WHERE root_cause_id IS NOT NULL AND opened_at >= :since
           AND (CAST(:until AS timestamptz) IS NULL OR opened_at < :until)
    ), counted AS (
        SELECT root_cause_id, count(*) AS cases, min(answered_at) AS earliest_feedback_at,
               count(*) FILTER (WHERE level <> 'frontline') AS escalated,
               count(*) FILTER (WHERE reopenings > 0) AS reopened,
               count(*) FILTER (WHERE first_contact_stage = 'breached') AS contacted_late
          FROM behind
         GROUP BY root_cause_id
    ), worth AS (
        SELECT asked.root_cause_id, count(*) AS customers, sum(customers.current_value) AS value_at_stake
          FROM (SELECT DISTINCT root_cause_id, customer_id FROM behind WHERE customer_id IS NOT NULL) AS asked
          LEFT JOIN customers USING (customer_id)
         GROUP BY asked.root_cause_id
    )
    SELECT counted.root_cause_id, root_causes.name_ru, root_causes.name_en, counted.cases, counted.escalated,
           counted.reopened, counted.contacted_late, counted.earliest_feedback_at,
           coalesce(worth.customers, 0) AS customers, worth.value_at_stake,
           ARRAY(SELECT initiatives.id FROM initiatives
                  WHERE counted.root_cause_id = ANY(initiatives.root_causes) AND initiatives.status <> 'declined'
                  ORDER BY initiatives.proposed_at, initiatives.id) AS initiatives
      FROM counted
      JOIN root_causes ON root_causes.id = counted.root_cause_id
      LEFT JOIN worth USING (root_cause_id)
     ORDER BY worth.value_at_stake DESC NULLS LAST, counted.cases DESC, counted.root_cause_id
""")

_LIST: Final = text("""
    SELECT initiatives.id, title, problem, root_causes, initiatives.themes, initiatives.department_id,
           departments.name AS department_name, owner_id, agents.name AS owner_name, status, proposed_at, budget,
           currency, due_on, decision_reason, decided_at, started_at, shipped_at, learned, changed, next_steps,
           communicated_at, campaign_id, feedback_since, communicate_by, clock_stage, initiatives.version
      FROM initiatives
      JOIN departments ON departments.id = initiatives.department_id
      JOIN agents ON agents.id = initiatives.owner_id
     WHERE (CAST(:status AS text) IS NULL OR status = :status)
       AND (CAST(:department_id AS text) IS NULL OR initiatives.department_id = :department_id)
       AND (CAST(:proposed_at AS timestamptz) IS NULL
            OR (proposed_at, initiatives.id) < (:proposed_at, CAST(:after AS uuid)))
     ORDER BY proposed_at DESC, initiatives.id DESC
     LIMIT :limit
""")

_ONE: Final = text("""
    SELECT initiatives.id, title, problem, root_causes, initiatives.themes, initiatives.department_id,
           departments.name AS department_name, owner_id, agents.name AS owner_name, status, proposed_at, budget,
           currency, due_on, decision_reason, decided_at, started_at, shipped_at, learned, changed, next_steps,
           communicated_at, campaign_id, feedback_since, communicate_by, clock_stage, initiatives.version
      FROM initiatives
      JOIN departments ON departments.id = initiatives.department_id
      JOIN agents ON agents.id = initiatives.owner_id
     WHERE initiatives.id = :id
""")

_HISTORY: Final = text("""
    SELECT history.version, history.kind, history.at, history.actor_kind, history.actor_id,
           agents.name AS actor_name, CAST(history.details AS text) AS details, history.text
      FROM initiative_history AS history
      LEFT JOIN agents ON agents.id = history.actor_id AND history.actor_kind = 'person'
     WHERE history.initiative_id = :id
     ORDER BY history.version
""")

_COMMENTS: Final = text("""
    SELECT answers.response_id, answers.score, answers.comment, answers.tier, answers.touchpoint, answers.answered_at
      FROM initiative_cases
      JOIN answers ON answers.case_id = initiative_cases.case_id
     WHERE initiative_cases.initiative_id = :id AND answers.comment IS NOT NULL
     ORDER BY answers.answered_at DESC, answers.response_id
     LIMIT :limit
""")

_CASES: Final = text("""
    SELECT cases.id, cases.customer_id, customers.name AS customer_name, cases.status, cases.tier, cases.score,
           cases.touchpoint, cases.root_cause_id, cases.answered_at, cases.level
      FROM initiative_cases
      JOIN cases ON cases.id = initiative_cases.case_id
      LEFT JOIN customers ON customers.customer_id = cases.customer_id
     WHERE initiative_cases.initiative_id = :id
       AND (CAST(:after AS uuid) IS NULL OR initiative_cases.case_id > :after)
     ORDER BY initiative_cases.case_id
     LIMIT :limit
""")

_json: Final = msgspec.json.Encoder().encode


async def lock(tx: Tx, ids: Collection[UUID]) -> list[Initiative]:
    """These initiatives, held until the end of the transaction."""
    return [initiative_of(row) for row in await tx.fetch(_LOCK, {"ids": list(ids)})]


async def claim_firing(tx: Tx, limit: int) -> list[Initiative]:
    """Initiatives whose quarter clock came to an end, held; those in other hands are passed over."""
    return [initiative_of(row) for row in await tx.fetch(_CLAIM_FIRING, {"now": tx.now, "limit": limit})]


async def save(tx: Tx, moment: Moment, *, part: str = "") -> None:
    """Write the initiative as it is now and its line of history, and publish its event.

    `part` tells the events apart that one cause has on several initiatives.
    """
    now = moment.initiative
    await tx.execute(
        _SAVE,
        {
            **msgspec.structs.asdict(now),
            "root_causes": list(now.root_causes),
            "themes": list(now.themes),
            "status": now.status.value,
            "clock_stage": now.clock_stage.value,
            "fires_at": now.fires_at,
        },
    )
    await tx.execute(
        _REMEMBER,
        {
            "id": now.id,
            "version": now.version,
            "kind": moment.kind,
            "at": moment.cause.at,
            "actor_kind": moment.cause.actor.kind,
            "actor_id": moment.cause.actor.id,
            "details": _json(moment.details).decode(),
            "text": moment.text,
        },
    )
    if moment.payload is not None:
        event = Event.caused_by_command(
            moment.cause.id,
            moment.payload,
            subject=str(now.id),
            time=moment.cause.at,
            source=SOURCE,
            part=part,
            traceparent=moment.cause.traceparent,
        )
        tx.emit(event, key=str(now.id))


async def add_by_root_cause(tx: Tx, id_: InitiativeId, root_causes: Collection[RootCauseId], since: datetime) -> int:
    """Put all cases opened since then with one of these root causes, or one below, behind it; how many were new."""
    return await tx.execute(
        _ADD_BY_ROOT_CAUSE, {"id": id_, "root_causes": list(root_causes), "since": since, "now": tx.now}
    )


async def add(tx: Tx, id_: InitiativeId, cases: Collection[UUID]) -> int:
    """Put these cases behind it; how many were new."""
    return await tx.execute(_ADD, {"id": id_, "cases": list(cases), "now": tx.now})


async def unknown_cases(tx: Tx, cases: Collection[UUID]) -> set[UUID]:
    """Those of them that are no cases."""
    return set(cases) - {row.id for row in await tx.fetch(_KNOWN_CASES, {"cases": list(cases)})}


async def unknown_root_causes(tx: Tx, ids: Collection[RootCauseId]) -> set[RootCauseId]:
    """Those of them that are no root causes."""
    return set(ids) - {row.id for row in await tx.fetch(_KNOWN_CAUSES, {"ids": list(ids)})}


async def evidence(tx: Tx, id_: InitiativeId) -> Evidence:
    """What stands behind the initiative by now."""
    row = await tx.fetch_one(_EVIDENCE, {"id": id_})
    if row is None:
        raise LookupError("a query without FROM gives one row")
    return Evidence(row.cases, row.customers, row.value_at_stake, row.earliest_feedback_at)


async def in_common(tx: Tx, since: datetime, until: datetime | None) -> Sequence[Row[Any]]:
    """What each root cause did to customers in cases opened from `since` on, the most value at stake first."""
    return await tx.fetch(_IN_COMMON, {"since": since, "until": until})


async def page(
    tx: Tx, *, status: str | None, department_id: str | None, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[Row[Any]]:
    """Initiatives, the latest proposed first."""
    return await tx.fetch(
        _LIST,
        {
            "status": status,
            "department_id": department_id,
            "proposed_at": None if after is None else after[0],
            "after": None if after is None else after[1],
            "limit": limit,
        },
    )


async def find(tx: Tx, id_: UUID) -> Row[Any] | None:
    """One initiative with the names of its owner and department."""
    return await tx.fetch_one(_ONE, {"id": id_})


async def history(tx: Tx, id_: UUID) -> Sequence[Row[Any]]:
    """Who did what to it, when and why."""
    return await tx.fetch(_HISTORY, {"id": id_})


async def comments(tx: Tx, id_: UUID, limit: int) -> Sequence[Row[Any]]:
    """What customers wrote in the cases behind it, the latest first."""
    return await tx.fetch(_COMMENTS, {"id": id_, "limit": limit})


async def cases(tx: Tx, id_: UUID, *, after: UUID | None, limit: int) -> Sequence[Row[Any]]:
    """The cases behind it, in the order of their ids."""
    return await tx.fetch(_CASES, {"id": id_, "after": after, "limit": limit})


def initiative_of(row: Row[Any]) -> Initiative:
    """The initiative in a row."""
    return Initiative(
        id=InitiativeId(row.id),
        title=row.title,
        problem=row.problem,
        root_causes=tuple(row.root_causes),
        themes=tuple(row.themes),
        department_id=row.department_id,
        owner_id=row.owner_id,
        status=Status(row.status),
        proposed_at=row.proposed_at,
        budget=row.budget,
        currency=row.currency,
        due_on=row.due_on,
        decision_reason=row.decision_reason,
        decided_at=row.decided_at,
        started_at=row.started_at,
        shipped_at=row.shipped_at,
        learned=row.learned,
        changed=row.changed,
        next_steps=row.next_steps,
        communicated_at=row.communicated_at,
        campaign_id=row.campaign_id,
        feedback_since=row.feedback_since,
        communicate_by=row.communicate_by,
        clock_stage=Stage(row.clock_stage),
        version=row.version,
    )
