"""The rounds of confirmation: asked, answered, over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from services.notify.store.ledger import entries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from libs.events.database import Tx
    from services.notify.domain.messages import Entry, MessageId
    from services.notify.domain.rounds import Ended, Ending, Round

_BEGIN: Final = text("""
    INSERT INTO confirmations (case_id, round, case_version, message_id, customer_id, agent_name, asked_about,
                               confirm_by, ended)
    SELECT * FROM unnest(CAST(:case_ids AS text[]), CAST(:rounds AS integer[]), CAST(:case_versions AS integer[]),
                         CAST(:message_ids AS uuid[]), CAST(:customer_ids AS text[]), CAST(:agent_names AS text[]),
                         CAST(:asked_abouts AS timestamptz[]), CAST(:confirm_bys AS timestamptz[]),
                         CAST(:endings AS text[]))
        ON CONFLICT DO NOTHING
""")
# The same order of endings as `domain.rounds.stronger`.
_END: Final = text("""
    UPDATE confirmations c SET ended = over.how
      FROM unnest(CAST(:case_ids AS text[]), CAST(:befores AS integer[]), CAST(:hows AS text[]))
           AS over (case_id, before, how)
     WHERE c.case_id = over.case_id AND c.case_version < over.before
       AND (c.ended IS NULL OR c.ended IN ('confirmed', 'unconfirmed')
            OR (c.ended = 'reopened' AND over.how IN ('reopened', 'asked_again')))
""")
_FIND: Final = text("""
    SELECT c.message_id, c.case_id, c.round, c.customer_id, c.agent_name, c.asked_about, c.confirm_by, c.ended,
           c.solved, c.answers, m.traceparent, p.language, p.time_zone
      FROM confirmations c
      LEFT JOIN messages m ON m.id = c.message_id
      LEFT JOIN profiles p ON p.customer_id = c.customer_id
     WHERE c.message_id = :message_id
""")
_LOCK: Final = text("SELECT FROM confirmations WHERE message_id = :message_id FOR UPDATE")
_ANSWER: Final = text("""
    UPDATE confirmations
       SET solved = :solved, comment = coalesce(:comment, comment), answered_at = :now, answers = answers + 1
     WHERE message_id = :message_id
""")
_ARRIVED: Final = text("""
    UPDATE messages SET status = 'sent', changed_at = :now WHERE id = :message_id AND status = 'doubtful'
 RETURNING id, cause_id, kind, case_id, customer_id, employee_id, attempt, traceparent
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A round as its page shows it."""

    message_id: MessageId
    case_id: str
    round: int
    customer_id: str | None
    agent_name: str
    asked_about: datetime
    confirm_by: datetime
    ended: Ending | None
    solved: bool | None
    answers: int
    traceparent: str | None
    language: str | None
    time_zone: str | None
    """None, as is the language, where the customer's profile is not here."""


async def begin(tx: Tx, rounds: Sequence[Round]) -> None:
    """Keep the rounds that a batch begins."""
    await tx.execute(
        _BEGIN,
        {
            "case_ids": [each.case_id for each in rounds],
            "rounds": [each.round for each in rounds],
            "case_versions": [each.case_version for each in rounds],
            "message_ids": [each.message_id for each in rounds],
            "customer_ids": [each.customer_id for each in rounds],
            "agent_names": [each.agent_name for each in rounds],
            "asked_abouts": [each.answered_at for each in rounds],
            "confirm_bys": [each.confirm_by for each in rounds],
            "endings": [each.ended for each in rounds],
        },
    )


async def end(tx: Tx, ended: Sequence[Ended]) -> None:
    """Note that the open rounds of these cases are over."""
    await tx.execute(
        _END,
        {
            "case_ids": [each.case_id for each in ended],
            "befores": [each.before for each in ended],
            "hows": [each.how for each in ended],
        },
    )


async def find(tx: Tx, message_id: MessageId) -> Asked | None:
    """The round that a message asked about."""
    row = await tx.fetch_one(_FIND, {"message_id": message_id})
    return None if row is None else Asked(**row._mapping)  # noqa: SLF001 - its public name in SQLAlchemy


async def find_locked(tx: Tx, message_id: MessageId) -> Asked | None:
    """The round that a message asked about, to be answered: of two answers at once, one waits here for the other."""
    await tx.execute(_LOCK, {"message_id": message_id})
    return await find(tx, message_id)


async def answer(tx: Tx, message_id: MessageId, *, solved: bool, comment: str | None) -> None:
    """Keep the customer's answer."""
    await tx.execute(_ANSWER, {"message_id": message_id, "solved": solved, "comment": comment, "now": tx.now})


async def arrived(tx: Tx, message_id: MessageId) -> Entry | None:
    """Settle the doubt about a message whose link was just used: it must have arrived."""
    row = await tx.fetch_one(_ARRIVED, {"message_id": message_id, "now": tx.now})
    return None if row is None else entries([row])[0]
