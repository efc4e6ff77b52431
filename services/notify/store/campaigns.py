"""Campaigns as they are stored: plans, acts, where each stands in its audience, and what became of its messages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import text

from libs.events.contracts.responses import address_mark
from services.notify.domain.campaigns import ENDED, Campaign, Plan, Status
from services.notify.store.ledger import entries

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from uuid import UUID

    from sqlalchemy import Row

    from libs.events.contracts.customers import Language
    from libs.events.database import Tx
    from services.notify.domain.campaigns import Act, CampaignId, Side
    from services.notify.domain.messages import Entry, Facts, MessageId

_INSERT: Final = text("""
    INSERT INTO campaigns (id, version, status, plan, created_at, edited_by, told_up_to, pace_base)
    VALUES (:id, :version, :status, CAST(:plan AS jsonb), :created_at, :edited_by, :told_up_to, :pace_base)
""")
_UPDATE: Final = text("""
    UPDATE campaigns
       SET version = :version, status = :status, plan = CAST(:plan AS jsonb), edited_by = :edited_by,
           approved_by = :approved_by, approved_at = :approved_at, started_at = :started_at, ended_at = :ended_at,
           recipients = :recipients, told_up_to = :told_up_to, pace_from = :pace_from, pace_base = :pace_base
     WHERE id = :id
""")
_NOTE: Final = text("""
    INSERT INTO campaign_history (campaign_id, version, at, act, by_whom, reason)
    VALUES (:campaign_id, :version, :at, :act, :by_whom, :reason)
""")
_ONE: Final = text("""
    SELECT id, version, status, CAST(plan AS text) AS plan, created_at, edited_by, approved_by, approved_at, started_at,
           ended_at, recipients, told_up_to, pace_from, pace_base, CAST(counts AS text) AS counts, counted_at
      FROM campaigns WHERE id = :id
""")
_LOCK: Final = text("""
    SELECT id, version, status, CAST(plan AS text) AS plan, created_at, edited_by, approved_by, approved_at, started_at,
           ended_at, recipients, told_up_to, pace_from, pace_base, CAST(counts AS text) AS counts, counted_at
      FROM campaigns WHERE id = :id
       FOR UPDATE
""")
_PAGE: Final = text("""
    SELECT id, version, status, CAST(plan AS text) AS plan, created_at, edited_by, approved_by, approved_at, started_at,
           ended_at, recipients, told_up_to, pace_from, pace_base, CAST(counts AS text) AS counts, counted_at
      FROM campaigns
     WHERE (CAST(:status AS text) IS NULL OR status = :status)
       AND (CAST(:after_at AS timestamptz) IS NULL OR (created_at, id) < (:after_at, CAST(:after_id AS uuid)))
     ORDER BY created_at DESC, id DESC
     LIMIT :limit
""")
_HISTORY: Final = text("""
    SELECT version, at, act, by_whom, reason FROM campaign_history WHERE campaign_id = :id ORDER BY version
""")
_AT_WORK: Final = text("SELECT id FROM campaigns WHERE status IN ('starting', 'running', 'paused') ORDER BY id")
_CLAIM: Final = text("""
    SELECT id, version, status, CAST(plan AS text) AS plan, created_at, edited_by, approved_by, approved_at, started_at,
           ended_at, recipients, told_up_to, pace_from, pace_base, CAST(counts AS text) AS counts, counted_at
      FROM campaigns WHERE id = :id AND status IN ('starting', 'running')
       FOR UPDATE SKIP LOCKED
""")
_NEXT: Final = text("""
    SELECT position, recipient
      FROM campaign_recipients
     WHERE campaign_id = :id AND position > :after
     ORDER BY position
     LIMIT :limit
""")
# What a message says is read from its campaign when it is sent, and a customer's address from the profile.
_TELL: Final = text("""
    INSERT INTO messages (id, cause_id, recipient, kind, customer_id, address, address_mark, name, language, facts,
                          status, due_at, created_at, changed_at)
    SELECT given.id, r.campaign_id, r.recipient, 'changes_for_' || r.side, r.customer_id, r.email, r.email_mark, r.name,
           r.language,
           CASE WHEN r.answered_at IS NULL THEN '{}'
                ELSE jsonb_build_object('answered_at', to_char(r.answered_at AT TIME ZONE 'UTC',
                                                               'YYYY-MM-DD"T"HH24:MI:SS"+00:00"')) END,
           'queued', :now, :now, :now
      FROM unnest(CAST(:ids AS uuid[]), CAST(:positions AS integer[])) AS given (id, position)
      JOIN campaign_recipients r ON r.campaign_id = :campaign_id AND r.position = given.position
        ON CONFLICT (cause_id, recipient) DO NOTHING
 RETURNING id, cause_id, kind, case_id, customer_id, employee_id, attempt, traceparent
""")
_TRIAL: Final = text("""
    INSERT INTO messages (id, cause_id, recipient, kind, address, address_mark, name, language, facts, status, due_at,
                          created_at, changed_at)
    VALUES (:id, :cause_id, :recipient, 'changes_for_' || CAST(:side AS text), :address, :mark, :name, :language,
            CAST(:facts AS jsonb), 'queued', :now, :now, :now)
 RETURNING id, cause_id, kind, case_id, customer_id, employee_id, attempt, traceparent
""")
_MOVE: Final = text("UPDATE campaigns SET told_up_to = :told_up_to WHERE id = :id")
_QUEUED: Final = text("""
    SELECT count(*) AS queued
      FROM (SELECT FROM messages WHERE status = 'queued' AND due_at <= :now LIMIT :enough) AS ready
""")
# Paused: put off for ever, until it is resumed. A message that was on the line meanwhile and has to be tried again is
# found in the next round.
_PARK: Final = text("""
    UPDATE messages SET due_at = :never
     WHERE status = 'queued' AND due_at < :never
       AND cause_id IN (SELECT id FROM campaigns WHERE status = 'paused')
""")
_UNPARK: Final = text("""
    UPDATE messages SET due_at = :now WHERE status = 'queued' AND due_at = :never AND cause_id = :id
""")
# What may come back into the queue is held by whoever cancels and by whoever puts it back, each before they look at the
# other's work: one of them sees it. In one order, so that they do not wait for each other.
_HOLD_UNSETTLED: Final = text("""
    SELECT id FROM messages
     WHERE cause_id = :id AND (status = 'queued' OR status IN ('sending', 'transmitting') OR status = 'doubtful')
     ORDER BY id
       FOR UPDATE
""")
_HOLD_MESSAGES: Final = text("""
    SELECT id FROM messages WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE
""")
_RECALLED: Final = text("""
    SELECT m.id FROM messages m JOIN campaigns c ON c.id = m.cause_id
     WHERE m.id = ANY(CAST(:ids AS uuid[])) AND c.status = 'cancelled'
""")
# A message in `transmitting` is beyond recall. One in `sending` is not: it finds itself withdrawn before its last dot.
_RECALL: Final = text("""
    UPDATE messages SET status = 'suppressed', reason = 'cancelled', sender = NULL, changed_at = :now
     WHERE cause_id = :id AND (status = 'queued' OR status = 'sending')
 RETURNING id, cause_id, kind, case_id, customer_id, employee_id, attempt, traceparent
""")
_CAMPAIGN_OF: Final = text("""
    SELECT c.status FROM campaigns c JOIN messages m ON m.cause_id = c.id WHERE m.id = :id FOR SHARE OF c
""")
_UNSETTLED: Final = text("""
    SELECT EXISTS (SELECT FROM messages
                    WHERE cause_id = :id AND status IN ('waiting', 'queued', 'sending', 'transmitting')) AS unsettled
""")
_TALLY: Final = text("""
    SELECT status, CASE WHEN status = 'suppressed' THEN reason END AS reason, count(*) AS messages
      FROM messages WHERE cause_id = :id
     GROUP BY 1, 2
""")
_KEEP_TALLY: Final = text("UPDATE campaigns SET counts = CAST(:counts AS jsonb), counted_at = :now WHERE id = :id")
_FORGET_AUDIENCE: Final = text("DELETE FROM campaign_recipients WHERE campaign_id = :id")
_PLANS: Final = text("""
    SELECT id, CAST(plan AS text) AS plan FROM campaigns WHERE id = ANY(CAST(:ids AS uuid[]))
""")
_TOLD: Final = text("""
    SELECT m.id, m.recipient, m.customer_id, m.status, m.reason, m.attempt, m.changed_at
      FROM messages m
     WHERE m.cause_id = :id AND m.recipient > :after
       AND (CAST(:status AS text) IS NULL OR m.status = :status)
     ORDER BY m.recipient
     LIMIT :limit
""")
# Of a million recipients few are among these; the statement says so, that the index of these few is used.
_NOT_SENT: Final = frozenset(("failed", "doubtful", "suppressed"))
_TOLD_IN_VAIN: Final = text("""
    SELECT m.id, m.recipient, m.customer_id, m.status, m.reason, m.attempt, m.changed_at
      FROM messages m
     WHERE m.cause_id = :id AND m.recipient > :after AND m.status = :status
       AND m.status IN ('failed', 'doubtful', 'suppressed')
     ORDER BY m.recipient
     LIMIT :limit
""")
_PUBLISHED: Final = text("""
    SELECT id, CAST(plan AS text) AS plan, started_at
      FROM campaigns
     WHERE started_at IS NOT NULL AND CAST(plan ->> 'is_public' AS boolean) AND status <> 'cancelled'
       AND (CAST(:before_at AS timestamptz) IS NULL OR (started_at, id) < (:before_at, CAST(:before_id AS uuid)))
     ORDER BY started_at DESC, id DESC
     LIMIT :limit
""")
_PUBLISHED_ONE: Final = text("""
    SELECT id, CAST(plan AS text) AS plan, started_at
      FROM campaigns
     WHERE id = :id AND started_at IS NOT NULL AND CAST(plan ->> 'is_public' AS boolean) AND status <> 'cancelled'
""")
_TELLABLE: Final = text("""
    SELECT initiative_id, title, root_causes, themes, department_id, learned, changed, next_steps, shipped_at,
           communicate_by,
           EXISTS (SELECT FROM campaigns c
                    WHERE c.status IN ('starting', 'running', 'paused', 'completed')
                      AND jsonb_exists(c.plan -> 'initiative_ids', initiative_id)) AS is_told
      FROM initiatives
     WHERE CAST(:ids AS text[]) IS NULL OR initiative_id = ANY(CAST(:ids AS text[]))
     ORDER BY communicate_by NULLS LAST, shipped_at, initiative_id
     LIMIT 200
""")
_NEVER: Final = datetime(9000, 1, 1, tzinfo=UTC)


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a campaign's messages so far."""

    queued: int = 0
    sent: int = 0
    failed: int = 0
    doubtful: int = 0
    held_back: dict[str, int] = {}
    """By reason."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A campaign, and how far it had come when that was last counted."""

    campaign: Campaign
    tally: Tally | None
    counted_at: datetime | None


@dataclass(frozen=True, slots=True)
class Published:
    """A campaign that the page for everybody tells."""

    id: CampaignId
    plan: Plan
    started_at: datetime


async def add(tx: Tx, campaign: Campaign, who: str) -> None:
    """Keep a new campaign."""
    await tx.execute(_INSERT, _columns(campaign))
    await _note(tx, campaign, "created", who, None)


async def save(tx: Tx, campaign: Campaign, act: Act, who: str, reason: str | None = None) -> None:
    """Keep the campaign after an act; the caller holds it."""
    await tx.execute(_UPDATE, _columns(campaign))
    await _note(tx, campaign, act, who, reason)
    if campaign.status in ENDED:
        await tx.execute(_FORGET_AUDIENCE, {"id": campaign.id})


async def one(tx: Tx, campaign_id: CampaignId) -> Stored | None:
    """A campaign."""
    return _stored(await tx.fetch_one(_ONE, {"id": campaign_id}))


async def lock(tx: Tx, campaign_id: CampaignId) -> Stored | None:
    """A campaign, held until the end of `tx`."""
    return _stored(await tx.fetch_one(_LOCK, {"id": campaign_id}))


async def page(tx: Tx, *, status: Status | None, after: tuple[datetime, UUID] | None, limit: int) -> list[Stored]:
    """Campaigns, the newest first."""
    after_at, after_id = after or (None, None)
    rows = await tx.fetch(_PAGE, {"status": status, "after_at": after_at, "after_id": after_id, "limit": limit})
    return [found for row in rows if (found := _stored(row)) is not None]


async def history(tx: Tx, campaign_id: CampaignId) -> Sequence[Row[Any]]:
    """Who did what with it, the oldest first."""
    return await tx.fetch(_HISTORY, {"id": campaign_id})


async def at_work(tx: Tx) -> list[CampaignId]:
    """Those that have something to do."""
    return [row.id for row in await tx.fetch(_AT_WORK)]


async def claim(tx: Tx, campaign_id: CampaignId) -> Stored | None:
    """A starting or running campaign, if nobody else holds it."""
    return _stored(await tx.fetch_one(_CLAIM, {"id": campaign_id}))


async def next_recipients(tx: Tx, campaign: Campaign, limit: int) -> list[tuple[int, str]]:
    """Who comes next in the audience: positions and recipients. Erased customers left gaps."""
    rows = await tx.fetch(_NEXT, {"id": campaign.id, "after": campaign.told_up_to, "limit": limit})
    return [(row.position, row.recipient) for row in rows]


async def tell(tx: Tx, campaign: Campaign, recipients: Sequence[tuple[MessageId, int]]) -> list[Entry]:
    """Put messages to these positions into the ledger, and write down that they are told."""
    written = await tx.fetch(
        _TELL,
        {
            "ids": [message_id for message_id, _ in recipients],
            "positions": [position for _, position in recipients],
            "campaign_id": campaign.id,
            "now": tx.now,
        },
    )
    await tx.execute(_MOVE, {"id": campaign.id, "told_up_to": recipients[-1][1]})
    return entries(written)


async def add_trial(
    tx: Tx,
    id_: MessageId,
    *,
    cause_id: UUID,
    recipient: str,
    side: Side,
    address: str,
    name: str,
    language: Language,
    facts: Facts,
) -> Entry:
    """Put a trial into the ledger; it brings its own text."""
    rows = await tx.fetch(
        _TRIAL,
        {
            "id": id_,
            "cause_id": cause_id,
            "recipient": recipient,
            "side": side,
            "address": address,
            "mark": address_mark(address),
            "name": name,
            "language": language,
            "facts": msgspec.json.encode(facts).decode(),
            "now": tx.now,
        },
    )
    return entries(rows)[0]


async def queued(tx: Tx, enough: int) -> int:
    """How many messages of any kind wait to be sent now; counted to `enough`."""
    row = await tx.fetch_one(_QUEUED, {"now": tx.now, "enough": enough})
    return 0 if row is None else int(row.queued)


async def park(tx: Tx) -> int:
    """Put off what paused campaigns have in the queue."""
    return await tx.execute(_PARK, {"never": _NEVER})


async def unpark(tx: Tx, campaign_id: CampaignId) -> None:
    """Queue again what was put off."""
    await tx.execute(_UNPARK, {"id": campaign_id, "now": tx.now, "never": _NEVER})


async def recall(tx: Tx, campaign_id: CampaignId) -> list[Entry]:
    """Hold back what a campaign that was cancelled by `tx` has in the queue or in hand."""
    await tx.fetch(_HOLD_UNSETTLED, {"id": campaign_id})
    return entries(await tx.fetch(_RECALL, {"id": campaign_id, "now": tx.now}))


async def recalled(tx: Tx, ids: Collection[MessageId]) -> set[MessageId]:
    """Which of these messages, that are to come back into the queue, are a cancelled campaign's."""
    await tx.fetch(_HOLD_MESSAGES, {"ids": list(ids)})
    return {row.id for row in await tx.fetch(_RECALLED, {"ids": list(ids)})}


async def is_recalled(tx: Tx, message_id: MessageId) -> bool:
    """Whether the message is a cancelled campaign's; until the end of `tx` nobody cancels it."""
    row = await tx.fetch_one(_CAMPAIGN_OF, {"id": message_id})
    return row is not None and row.status == Status.CANCELLED


async def is_settled(tx: Tx, campaign_id: CampaignId) -> bool:
    """Whether no message of it waits or is on its way."""
    row = await tx.fetch_one(_UNSETTLED, {"id": campaign_id})
    return row is not None and not row.unsettled


async def tally(tx: Tx, campaign_id: CampaignId) -> Tally:
    """Count what became of its messages, and keep the count. It looks at each of them."""
    rows = await tx.fetch(_TALLY, {"id": campaign_id})
    by_status: dict[str, int] = {}
    for row in rows:
        by_status[row.status] = by_status.get(row.status, 0) + row.messages
    counted = Tally(
        queued=sum(by_status.get(each, 0) for each in ("waiting", "queued", "sending", "transmitting")),
        sent=by_status.get("sent", 0),
        failed=by_status.get("failed", 0),
        doubtful=by_status.get("doubtful", 0),
        held_back={row.reason or "": row.messages for row in rows if row.status == "suppressed"},
    )
    encoded = msgspec.json.encode(counted).decode()
    await tx.execute(_KEEP_TALLY, {"id": campaign_id, "counts": encoded, "now": tx.now})
    return counted


async def plans(tx: Tx, campaign_ids: Collection[UUID]) -> dict[UUID, Plan]:
    """What these campaigns say."""
    rows = await tx.fetch(_PLANS, {"ids": list(campaign_ids)})
    return {row.id: _PLAN.decode(row.plan) for row in rows}


async def told(tx: Tx, campaign_id: CampaignId, *, status: str | None, after: str, limit: int) -> Sequence[Row[Any]]:
    """Its messages in the ledger, by recipient."""
    statement = _TOLD_IN_VAIN if status in _NOT_SENT else _TOLD
    return await tx.fetch(statement, {"id": campaign_id, "status": status, "after": after, "limit": limit})


async def published(tx: Tx, *, before: tuple[datetime, UUID] | None, limit: int) -> list[Published]:
    """What everybody may read, the newest first."""
    before_at, before_id = before or (None, None)
    rows = await tx.fetch(_PUBLISHED, {"before_at": before_at, "before_id": before_id, "limit": limit})
    return [Published(row.id, _PLAN.decode(row.plan), row.started_at) for row in rows]


async def published_one(tx: Tx, campaign_id: UUID) -> Published | None:
    """One of them; None where there is none that everybody may read."""
    row = await tx.fetch_one(_PUBLISHED_ONE, {"id": campaign_id})
    return None if row is None else Published(row.id, _PLAN.decode(row.plan), row.started_at)


async def tellable(tx: Tx, ids: Collection[str] | None = None) -> Sequence[Row[Any]]:
    """Shipped initiatives, those first whose quarter ends first, and whether a campaign tells each."""
    return await tx.fetch(_TELLABLE, {"ids": None if ids is None else sorted(ids)})


_PLAN: Final = msgspec.json.Decoder(Plan)
_DECODE_TALLY: Final = msgspec.json.Decoder(Tally)


async def _note(tx: Tx, campaign: Campaign, act: Act, who: str, reason: str | None) -> None:
    await tx.execute(
        _NOTE,
        {
            "campaign_id": campaign.id,
            "version": campaign.version,
            "at": tx.now,
            "act": act,
            "by_whom": who,
            "reason": reason,
        },
    )


def _columns(campaign: Campaign) -> dict[str, Any]:
    columns = {name: getattr(campaign, name) for name in campaign.__struct_fields__}
    columns["status"] = str(campaign.status)
    columns["plan"] = msgspec.json.encode(campaign.plan).decode()
    return columns


def _stored(row: Row[Any] | None) -> Stored | None:
    if row is None:
        return None
    campaign = Campaign(
        id=row.id,
        plan=_PLAN.decode(row.plan),
        status=Status(row.status),
        created_at=row.created_at,
        edited_by=row.edited_by,
        approved_by=row.approved_by,
        approved_at=row.approved_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        recipients=row.recipients,
        told_up_to=row.told_up_to,
        pace_from=row.pace_from,
        pace_base=row.pace_base,
        version=row.version,
    )
    return Stored(campaign, None if row.counts is None else _DECODE_TALLY.decode(row.counts), row.counted_at)
