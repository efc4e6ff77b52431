"""Rules for passives and promoters, and the thanks that are due."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import text

from services.casework.domain.outreach import OutreachRules
from services.casework.store.answers import answer_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy import Row

    from libs.events.database import Tx
    from services.casework.domain.answers import Answer
    from services.casework.domain.outreach import ThanksResult
    from services.casework.domain.timeline import Actor

_CURRENT: Final = text("""
    SELECT version, CAST(document AS text) AS document, at, actor_kind, actor_id, agents.name AS actor_name
      FROM (SELECT * FROM outreach_rules ORDER BY version DESC LIMIT 1) AS current
      LEFT JOIN (SELECT id, name FROM agents) AS agents ON agents.id = actor_id AND actor_kind = 'person'
""")

# Two edits at once could both be the next version.
_LOCK: Final = text("LOCK TABLE outreach_rules IN SHARE ROW EXCLUSIVE MODE")

_PUT: Final = text("""
    INSERT INTO outreach_rules (version, document, at, actor_kind, actor_id)
    SELECT max(version) + 1, CAST(:document AS json), :now, :actor_kind, :actor_id FROM outreach_rules
""")

_LATEST: Final = text("""
    SELECT response_id, revision, customer_id, program, touchpoint, kind, metric, score, nps_class, comment, tier,
           language, themes, answered_at, cause_id, traceparent, case_id, waits_for_owner
      FROM answers
     WHERE answered_at >= :since
     LIMIT :limit
""")

_KNOWN: Final = text("""
    SELECT customers.customer_id, customers.name,
           EXISTS (SELECT FROM cases WHERE cases.customer_id = customers.customer_id AND status <> 'closed') AS has_case
      FROM customers
     WHERE customers.customer_id = ANY(CAST(:ids AS text[]))
""")

# Who is to be thanked already, or was, is not thanked again.
_OWE: Final = text("""
    INSERT INTO thanks (response_id, customer_id, due_at)
    SELECT response_id, customer_id, :due_at
      FROM unnest(CAST(:responses AS text[]), CAST(:customers AS text[])) AS owed (response_id, customer_id)
        ON CONFLICT (response_id) DO NOTHING
""")

_CLAIM: Final = text("""
    SELECT answers.response_id, revision, thanks.customer_id, program, touchpoint, kind, metric, score, nps_class,
           comment, answers.tier, answers.language, themes, answered_at, cause_id, traceparent, case_id,
           waits_for_owner, customers.erased_at
      FROM thanks
      JOIN answers ON answers.response_id = thanks.response_id
      LEFT JOIN customers ON customers.customer_id = thanks.customer_id
     WHERE due_at <= :now AND settled_at IS NULL
     ORDER BY due_at, thanks.response_id
     LIMIT :limit
       FOR UPDATE OF thanks SKIP LOCKED
""")

_SETTLE: Final = text("""
    UPDATE thanks
       SET settled_at = :now, result = settled.result
      FROM unnest(CAST(:responses AS text[]), CAST(:results AS text[])) AS settled (response_id, result)
     WHERE thanks.response_id = settled.response_id
""")

_document: Final = msgspec.json.Decoder(OutreachRules).decode


async def load(tx: Tx) -> OutreachRules:
    """The rules in force."""
    return _document((await find(tx)).document)


async def find(tx: Tx) -> Row[Any]:
    """The rules in force, with their version."""
    (row,) = await tx.fetch(_CURRENT)
    return row


async def lock(tx: Tx) -> int:
    """Be the only one who edits them until the end of the transaction; their version."""
    await tx.execute(_LOCK)
    return int((await find(tx)).version)


async def put(tx: Tx, rules: OutreachRules, by: Actor) -> None:
    """Put these rules in force."""
    document = msgspec.json.encode(rules).decode()
    await tx.execute(_PUT, {"document": document, "now": tx.now, "actor_kind": by.kind, "actor_id": by.id})


async def latest(tx: Tx, since: datetime, limit: int) -> list[Answer]:
    """Answers given since then, at most so many, to try rules on."""
    return [answer_of(row) for row in await tx.fetch(_LATEST, {"since": since, "limit": limit})]


async def known(tx: Tx, customers: Collection[str]) -> dict[str, tuple[str | None, bool]]:
    """What these customers are called, and whether they have a case that is not closed."""
    rows = await tx.fetch(_KNOWN, {"ids": list(customers)})
    return {row.customer_id: (row.name, row.has_case) for row in rows}


async def owe(tx: Tx, answers: Sequence[Answer], due_at: datetime) -> None:
    """These answers are to be thanked for at `due_at`, each once."""
    if answers:
        answers = sorted(answers, key=lambda answer: answer.response_id)
        parameters = {
            "responses": [answer.response_id for answer in answers],
            "customers": [answer.customer_id for answer in answers],
            "due_at": due_at,
        }
        await tx.execute(_OWE, parameters)


async def claim(tx: Tx, limit: int) -> list[tuple[Answer, datetime | None]]:
    """Answers that are to be thanked for by now, and when the customer asked to be forgotten, if they did."""
    rows = await tx.fetch(_CLAIM, {"now": tx.now, "limit": limit})
    return [(answer_of(row), row.erased_at) for row in rows]


async def settle(tx: Tx, results: Sequence[tuple[str, ThanksResult]]) -> None:
    """What became of each of these."""
    if results:
        responses, said = zip(*results, strict=True)
        await tx.execute(_SETTLE, {"responses": list(responses), "results": list(said), "now": tx.now})
