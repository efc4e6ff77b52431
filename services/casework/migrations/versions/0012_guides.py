"""Conversation guides by theme, and who was mentioned in which comment."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Final

from alembic import op
from sqlalchemy import text

revision = "0012"
down_revision = "0011"

_FIRST_GUIDES: Final = Path(__file__).parent.parent / "first_guides.toml"

_STATEMENTS: Final[tuple[str, ...]] = (
    # No themes: for every conversation. `questions`: a list of {ru, en}.
    """
    CREATE TABLE conversation_guides (
        id text PRIMARY KEY,
        themes text[] NOT NULL,
        title_ru text NOT NULL,
        title_en text NOT NULL,
        opening_ru text NOT NULL,
        opening_en text NOT NULL,
        questions json NOT NULL,
        closing_ru text NOT NULL,
        closing_en text NOT NULL,
        retired boolean NOT NULL,
        version integer NOT NULL
    )
    """,
    # The comment itself is the case's line of the timeline at that version.
    """
    CREATE TABLE mentions (
        case_id uuid NOT NULL,
        version integer NOT NULL,
        person_id text NOT NULL,
        at timestamptz NOT NULL,
        read_at timestamptz,
        PRIMARY KEY (case_id, version, person_id)
    )
    """,
    "CREATE INDEX mentions_of_person ON mentions (person_id, at DESC, case_id, version)",
)

_GUIDE: Final = text("""
    INSERT INTO conversation_guides (id, themes, title_ru, title_en, opening_ru, opening_en, questions, closing_ru,
                                     closing_en, retired, version)
    VALUES (:id, CAST(:themes AS text[]), :title_ru, :title_en, :opening_ru, :opening_en, CAST(:questions AS json),
            :closing_ru, :closing_en, false, 1)
""")


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
    for guide in tomllib.loads(_FIRST_GUIDES.read_text("utf-8"))["guides"]:
        questions = [{"ru": ru, "en": en} for ru, en in zip(guide["questions_ru"], guide["questions_en"], strict=True)]
        for name in ("questions_ru", "questions_en"):
            del guide[name]
        op.execute(_GUIDE.bindparams(**guide, questions=json.dumps(questions, ensure_ascii=False)))
