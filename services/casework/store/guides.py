"""Conversation guides, as the company edits them and as they suit a case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from sqlalchemy import Row

    from libs.events.database import Tx
    from services.casework.domain.timeline import Actor

_LIST: Final = text("""
    SELECT id, themes, title_ru, title_en, opening_ru, opening_en, questions, closing_ru, closing_en, retired, version
      FROM conversation_guides
     WHERE id > :after
     ORDER BY id
     LIMIT :limit
""")

_FIND: Final = text("""
    SELECT id, themes, title_ru, title_en, opening_ru, opening_en, questions, closing_ru, closing_en, retired, version
      FROM conversation_guides
     WHERE id = :id
""")

_LOCK: Final = text("SELECT version FROM conversation_guides WHERE id = :id FOR UPDATE")

_PUT: Final = text("""
    INSERT INTO conversation_guides AS known (
           id, themes, title_ru, title_en, opening_ru, opening_en, questions, closing_ru, closing_en, retired, version)
    VALUES (:id, CAST(:themes AS text[]), :title_ru, :title_en, :opening_ru, :opening_en, CAST(:questions AS json),
            :closing_ru, :closing_en, :retired, 1)
        ON CONFLICT (id) DO UPDATE
       SET themes = excluded.themes, title_ru = excluded.title_ru, title_en = excluded.title_en,
           opening_ru = excluded.opening_ru, opening_en = excluded.opening_en, questions = excluded.questions,
           closing_ru = excluded.closing_ru, closing_en = excluded.closing_en, retired = excluded.retired,
           version = known.version + 1
""")

_KEEP: Final = text("""
    INSERT INTO guide_versions (guide_id, version, themes, title_ru, title_en, opening_ru, opening_en, questions,
                                closing_ru, closing_en, retired, at, actor_kind, actor_id)
    SELECT id, version, themes, title_ru, title_en, opening_ru, opening_en, questions, closing_ru, closing_en, retired,
           :now, :actor_kind, :actor_id
      FROM conversation_guides
     WHERE id = :id
""")

_VERSIONS: Final = text("""
    SELECT kept.version, kept.themes, title_ru, title_en, opening_ru, opening_en, questions, closing_ru, closing_en,
           retired, at, actor_kind, actor_id, agents.name AS actor_name
      FROM guide_versions AS kept
      LEFT JOIN agents ON agents.id = actor_id AND actor_kind = 'person'
     WHERE guide_id = :id
     ORDER BY kept.version DESC
     LIMIT 200
""")

# What the customer's answers are about, the guide that speaks of most of it first; then those for every conversation.
_FOR_CASE: Final = text("""
    WITH about AS (
        SELECT COALESCE(array_agg(DISTINCT theme), '{}') AS themes
          FROM answers CROSS JOIN unnest(answers.themes) AS theme
         WHERE case_id = :case_id
    )
    SELECT id, conversation_guides.themes, title_ru, title_en, opening_ru, opening_en, questions, closing_ru,
           closing_en, retired, version, matched.themes AS matched
      FROM conversation_guides
     CROSS JOIN about
     CROSS JOIN LATERAL (
           SELECT COALESCE(array_agg(theme ORDER BY theme), '{}') AS themes
             FROM unnest(conversation_guides.themes) AS theme
            WHERE theme = ANY(about.themes)) AS matched
     WHERE NOT retired AND (cardinality(conversation_guides.themes) = 0 OR cardinality(matched.themes) > 0)
     ORDER BY cardinality(matched.themes) DESC, id
""")

_json: Final = msgspec.json.Encoder().encode


async def list_guides(tx: Tx, *, after: str, limit: int) -> Sequence[Row[Any]]:
    """Guides in the order of their ids, after this one; retired ones too."""
    return await tx.fetch(_LIST, {"after": after, "limit": limit})


async def find_guide(tx: Tx, id_: str) -> Row[Any] | None:
    """The guide, retired or not."""
    return await tx.fetch_one(_FIND, {"id": id_})


async def lock_guide(tx: Tx, id_: str) -> int | None:
    """The guide's version, locked."""
    row = await tx.fetch_one(_LOCK, {"id": id_})
    return None if row is None else int(row.version)


async def put_guide(tx: Tx, id_: str, fields: Mapping[str, Any], by: Actor) -> None:
    """Create or replace the guide; how it reads now is kept as a version of its own, with who wrote it."""
    await tx.execute(_PUT, {"id": id_, **fields, "questions": _json(fields["questions"]).decode()})
    await tx.execute(_KEEP, {"id": id_, "now": tx.now, "actor_kind": by.kind, "actor_id": by.id})


async def versions(tx: Tx, id_: str) -> Sequence[Row[Any]]:
    """How the guide read at each version, the latest first."""
    return await tx.fetch(_VERSIONS, {"id": id_})


async def for_case(tx: Tx, case_id: UUID) -> Sequence[Row[Any]]:
    """The guides that suit what the case's answers are about, the closest first."""
    return await tx.fetch(_FOR_CASE, {"case_id": case_id})
