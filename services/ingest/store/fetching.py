"""What is to be fetched from vendors' APIs, and how far polls have come: claimed, done, put off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from services.ingest.domain.responses import WITHDRAWN
from services.ingest.store.reasons import stored

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from libs.events.database import Tx
    from services.ingest.domain.reasons import Reason
    from services.ingest.domain.responses import ResponseId


@dataclass(frozen=True, slots=True)
class StoredAccount:
    """How a source's answers are asked for. `poll_every` None: only what a webhook announces."""

    source: str
    base_url: str
    token: str
    survey: str | None
    poll_every: timedelta | None

    def __repr__(self) -> str:
        return f"StoredAccount({self.source!r}, {self.base_url!r}, survey={self.survey!r})"


@dataclass(frozen=True, slots=True)
class Fetch:
    """One response to be fetched. `attempts` were made before this one."""

    source: str
    vendor_response_id: str
    delivery_id: UUID
    traceparent: str
    asked: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Poll:
    """One source to be polled for what was changed since `watermark`. `attempts` failed before this one."""

    source: str
    watermark: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class PollReport:
    """What polls of a source have found: `missed` of the `seen` responses had been lost by the webhooks."""

    source: str
    watermark: datetime
    polled_at: datetime | None
    seen: int
    missed: int
    error: str | None


_ACCOUNTS: Final = text("""
    SELECT source, base_url, token, survey, poll_every
      FROM vendor_accounts
     WHERE source = ANY(CAST(:sources AS text[]))
""")

_PUT_ACCOUNT: Final = text("""
    INSERT INTO vendor_accounts (source, base_url, token, survey, poll_every, updated_at)
    VALUES (:source, :base_url, :token, :survey, :poll_every, :now)
        ON CONFLICT (source) DO UPDATE
       SET base_url = excluded.base_url, token = excluded.token, survey = excluded.survey,
           poll_every = excluded.poll_every, updated_at = excluded.updated_at
""")

_START_POLLING: Final = text("""
    INSERT INTO polls (source, watermark, due_at, attempts, seen, missed)
    VALUES (:source, :since, :now, 0, 0, 0)
        ON CONFLICT (source) DO UPDATE SET due_at = excluded.due_at, attempts = 0
""")

_STOP_POLLING: Final = text("DELETE FROM polls WHERE source = :source")
_REMOVE_ACCOUNT: Final = text("DELETE FROM vendor_accounts WHERE source = :source")

_ASK: Final = text("""
    INSERT INTO fetches (source, vendor_response_id, delivery_id, traceparent, asked, attempts, due_at)
    SELECT DISTINCT ON (source, vendor_response_id)
           source, vendor_response_id, delivery_id, traceparent, 1, 0, CAST(:now AS timestamptz)
      FROM unnest(CAST(:sources AS text[]), CAST(:responses AS text[]), CAST(:deliveries AS uuid[]),
                  CAST(:traceparents AS text[])) AS wanted (source, vendor_response_id, delivery_id, traceparent)
     ORDER BY source, vendor_response_id, delivery_id DESC
        ON CONFLICT (source, vendor_response_id) DO UPDATE
       SET delivery_id = excluded.delivery_id, traceparent = excluded.traceparent, asked = fetches.asked + 1,
           attempts = 0, due_at = excluded.due_at
""")

_CONTENT: Final = text("SELECT content_hash FROM responses WHERE id = :id")

# A claim is a loan: whoever dies with it gives it back when its time is over.
_CLAIM: Final = text("""
    UPDATE fetches SET due_at = CAST(:now AS timestamptz) + CAST(:loan AS interval)
     WHERE (source, vendor_response_id) IN (
               SELECT source, vendor_response_id
                 FROM fetches
                WHERE due_at <= CAST(:now AS timestamptz)
                ORDER BY due_at
                LIMIT :limit
                  FOR UPDATE SKIP LOCKED
           )
    RETURNING source, vendor_response_id, delivery_id, traceparent, asked, attempts
""")

_DONE: Final = text("""
    DELETE FROM fetches
     WHERE source = :source AND vendor_response_id = :response AND asked = :asked
""")

# What was announced again meanwhile is due at once, whatever became of the attempt.
_PUT_OFF: Final = text("""
    UPDATE fetches SET due_at = :due_at, attempts = :attempts
     WHERE source = :source AND vendor_response_id = :response AND asked = :asked
""")

_PUT_OFF_SOURCE: Final = text("""
    UPDATE fetches SET due_at = greatest(due_at, CAST(:due_at AS timestamptz)) WHERE source = :source
""")

_GIVE_UP: Final = text("""
    UPDATE deliveries SET status = 'quarantined', reason = :reason, why = CAST(:why AS jsonb)
     WHERE id = :delivery AND status = 'accepted'
""")

_CLAIM_POLL: Final = text("""
    UPDATE polls SET due_at = CAST(:now AS timestamptz) + CAST(:loan AS interval)
     WHERE source = (
               SELECT polls.source
                 FROM polls JOIN sources ON sources.name = polls.source
                WHERE polls.due_at <= CAST(:now AS timestamptz) AND sources.enabled AND sources.deleted_at IS NULL
                ORDER BY polls.due_at
                LIMIT 1
                  FOR UPDATE OF polls SKIP LOCKED
           )
    RETURNING source, watermark, attempts
""")

_POLLED: Final = text("""
    UPDATE polls
       SET watermark = greatest(watermark, CAST(:watermark AS timestamptz)), seen = seen + :seen,
           missed = missed + :missed
     WHERE source = :source
""")

_END_POLL: Final = text("""
    UPDATE polls SET due_at = :due_at, attempts = :attempts, error = :error, polled_at = :now WHERE source = :source
""")

_REPORTS: Final = text("""
    SELECT source, watermark, polled_at, seen, missed, error FROM polls ORDER BY source
""")


async def accounts(tx: Tx, sources: Sequence[str]) -> dict[str, StoredAccount]:
    """The accounts of `sources`, by source; those that have none are left out."""
    rows = await tx.fetch(_ACCOUNTS, {"sources": list(sources)})
    return {row.source: StoredAccount(row.source, row.base_url, row.token, row.survey, row.poll_every) for row in rows}


async def put_account(tx: Tx, account: StoredAccount, *, since: datetime) -> None:
    """Store the account; polls, where wanted, begin with what was changed at `since`, or go on where they were."""
    await tx.execute(
        _PUT_ACCOUNT,
        {
            "source": account.source,
            "base_url": account.base_url,
            "token": account.token,
            "survey": account.survey,
            "poll_every": account.poll_every,
            "now": tx.now,
        },
    )
    if account.poll_every is None:
        await tx.execute(_STOP_POLLING, {"source": account.source})
    else:
        await tx.execute(_START_POLLING, {"source": account.source, "since": since, "now": tx.now})


async def remove_account(tx: Tx, source: str) -> None:
    """Forget the token and stop polling."""
    await tx.execute(_STOP_POLLING, {"source": source})
    await tx.execute(_REMOVE_ACCOUNT, {"source": source})


async def ask(tx: Tx, wanted: Sequence[tuple[str, str, UUID, str]]) -> None:
    """Have responses fetched: source, vendor's response id, the delivery that announced it, its traceparent."""
    await tx.execute(
        _ASK,
        {
            "sources": [source for source, _, _, _ in wanted],
            "responses": [response for _, response, _, _ in wanted],
            "deliveries": [delivery for _, _, delivery, _ in wanted],
            "traceparents": [traceparent for _, _, _, traceparent in wanted],
            "now": tx.now,
        },
    )


async def claim(tx: Tx, *, limit: int, loan: timedelta) -> list[Fetch]:
    """Some of what is due, on loan."""
    rows = await tx.fetch(_CLAIM, {"now": tx.now, "loan": loan, "limit": limit})
    return [
        Fetch(row.source, row.vendor_response_id, row.delivery_id, row.traceparent, row.asked, row.attempts)
        for row in rows
    ]


async def done(tx: Tx, fetch: Fetch) -> None:
    """It was fetched; unless it was announced again meanwhile, nothing is left to do."""
    await tx.execute(_DONE, {"source": fetch.source, "response": fetch.vendor_response_id, "asked": fetch.asked})


async def put_off(tx: Tx, fetch: Fetch, *, due_at: datetime, attempts: int) -> None:
    """Try again at `due_at`."""
    await tx.execute(
        _PUT_OFF,
        {
            "source": fetch.source,
            "response": fetch.vendor_response_id,
            "asked": fetch.asked,
            "due_at": due_at,
            "attempts": attempts,
        },
    )


async def put_off_source(tx: Tx, source: str, *, due_at: datetime) -> None:
    """Nothing of `source` before `due_at`."""
    await tx.execute(_PUT_OFF_SOURCE, {"source": source, "due_at": due_at})


async def is_withdrawn(tx: Tx, response: ResponseId) -> bool:
    """Whether the latest that is known of a response is that it is no more."""
    row = await tx.fetch_one(_CONTENT, {"id": response})
    return row is not None and row.content_hash == WITHDRAWN


async def give_up(tx: Tx, fetch: Fetch, reason: Reason) -> None:
    """Quarantine the delivery that announced it; replaying that one asks anew."""
    await tx.execute(_GIVE_UP, {"delivery": fetch.delivery_id, "reason": reason, "why": stored(reason)})
    await done(tx, fetch)


async def claim_poll(tx: Tx, *, loan: timedelta) -> Poll | None:
    """One source whose poll is due, on loan."""
    row = await tx.fetch_one(_CLAIM_POLL, {"now": tx.now, "loan": loan})
    return None if row is None else Poll(row.source, row.watermark, row.attempts)


async def polled(tx: Tx, source: str, *, watermark: datetime, seen: int, missed: int) -> None:
    """A page of a poll was taken: in the transaction that took it."""
    await tx.execute(_POLLED, {"source": source, "watermark": watermark, "seen": seen, "missed": missed})


async def end_poll(tx: Tx, source: str, *, due_at: datetime, attempts: int, error: str | None) -> None:
    """The poll came to its end, or failed."""
    await tx.execute(
        _END_POLL, {"source": source, "due_at": due_at, "attempts": attempts, "error": error, "now": tx.now}
    )


async def reports(tx: Tx) -> list[PollReport]:
    """What polls have found, by source."""
    return [
        PollReport(row.source, row.watermark, row.polled_at, row.seen, row.missed, row.error)
        for row in await tx.fetch(_REPORTS)
    ]
