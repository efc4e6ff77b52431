"""Digests: frozen once, told page by page, and turned off by those who want none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import msgspec
from sqlalchemy import text

from services.notify.domain.digests import Colleague, Content, Digest, Kind, Period, Quote
from services.notify.domain.masking import masked

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Row

    from libs.events.database import Tx
    from services.notify.domain.messages import MessageId

_BEGIN: Final = text("SELECT at FROM digests_begin")
_IS_THERE: Final = text("SELECT EXISTS (SELECT FROM digests WHERE id = :id) AS found")
_FREEZE: Final = text("""
    INSERT INTO digests (id, kind, starts, ends, zone, content, frozen_at, stage)
    VALUES (:id, :kind, :starts, :ends, :zone, CAST(:content AS jsonb), :now, 'people')
        ON CONFLICT DO NOTHING
""")
# Locked against an erasure that comes meanwhile: it either finds the quotes, or there are none.
_WRITERS: Final = text("""
    SELECT customer_id, name, email, phone FROM profiles
     WHERE customer_id = ANY(CAST(:customer_ids AS text[]))
     ORDER BY customer_id
       FOR KEY SHARE
""")
_QUOTE: Final = text("""
    INSERT INTO digest_quotes (digest_id, place, customer_id, score, touchpoint, said)
    SELECT :digest_id, place, customer_id, score, touchpoint, said
      FROM unnest(CAST(:places AS integer[]), CAST(:customer_ids AS text[]), CAST(:scores AS integer[]),
                  CAST(:touchpoints AS text[]), CAST(:said AS text[]))
           AS given (place, customer_id, score, touchpoint, said)
""")
_BEING_TOLD: Final = text("SELECT id, kind, stage, position FROM digests WHERE stage <> 'told' ORDER BY frozen_at, id")
_LOCK: Final = text("SELECT id, kind, stage, position FROM digests WHERE id = :id FOR UPDATE SKIP LOCKED")
_MOVE: Final = text("""
    UPDATE digests
       SET stage = :stage, position = :position,
           told_at = CASE WHEN CAST(:stage AS text) = 'told' THEN CAST(:now AS timestamptz) END
     WHERE id = :id
""")
# One of each address, and none whom casework has named already: people stand in several lists, under several ids.
_LISTED: Final = text("""
    WITH page AS MATERIALIZED (
        SELECT m.list_id, m.member_id, m.name, m.email, m.email_mark, m.language
          FROM members m JOIN lists l USING (list_id)
         WHERE l.side = 'employees' AND (m.list_id, m.member_id) > (:list_id, :member_id)
         ORDER BY m.list_id, m.member_id
         LIMIT :limit)
    SELECT page.list_id, page.member_id, page.name, page.email, page.language,
           NOT EXISTS (SELECT FROM messages told WHERE told.cause_id = :id AND told.address_mark = page.email_mark)
             AND row_number() OVER (PARTITION BY page.email_mark ORDER BY page.list_id, page.member_id) = 1 AS is_new
      FROM page
     ORDER BY page.list_id, page.member_id
""")
_FIND: Final = text("""
    SELECT id, kind, starts, ends, zone, CAST(content AS text) AS content, frozen_at, told_at
      FROM digests WHERE id = ANY(CAST(:ids AS uuid[]))
""")
_PAGE: Final = text("""
    SELECT id, kind, starts, ends, zone, CAST(content AS text) AS content, frozen_at, told_at
      FROM digests
     WHERE CAST(:kind AS text) IS NULL OR kind = :kind
     ORDER BY ends DESC, kind
     LIMIT :limit
""")
_QUOTES: Final = text("""
    SELECT digest_id, customer_id, score, touchpoint, said FROM digest_quotes
     WHERE digest_id = ANY(CAST(:ids AS uuid[])) ORDER BY digest_id, place
""")
_FORGET: Final = text("DELETE FROM digest_quotes WHERE customer_id = ANY(CAST(:customer_ids AS text[]))")
_READER: Final = text("""
    SELECT m.employee_id, m.language, d.kind FROM messages m JOIN digests d ON d.id = m.cause_id
     WHERE m.id = :id AND m.kind = 'digest' AND m.employee_id IS NOT NULL
""")
_REFUSED: Final = text("SELECT kind FROM digest_refusals WHERE employee_id = :employee_id")
_WHO_REFUSED: Final = text("""
    SELECT employee_id, kind FROM digest_refusals WHERE employee_id = ANY(CAST(:employee_ids AS text[]))
""")
_REFUSE: Final = text("""
    INSERT INTO digest_refusals (employee_id, kind, at) VALUES (:employee_id, :kind, :now) ON CONFLICT DO NOTHING
""")
_WANT: Final = text("DELETE FROM digest_refusals WHERE employee_id = :employee_id AND kind = :kind")


class Telling(NamedTuple):
    """How far a digest was told."""

    id: UUID
    kind: Kind
    stage: str
    """`people`: casework's, by its pages; then `lists`: those in our lists of employees."""
    position: str | None
    """After which the next page begins; None at the beginning of a stage."""


class Reader(NamedTuple):
    """Who got a digest, and of which kind."""

    employee_id: str
    language: str | None
    kind: Kind


async def begin(tx: Tx) -> datetime:
    """Since when there have been digests here."""
    (row,) = await tx.fetch(_BEGIN)
    return cast("datetime", row.at)


async def is_there(tx: Tx, period: Period) -> bool:
    """Whether the digest of a period was frozen."""
    row = await tx.fetch_one(_IS_THERE, {"id": period.id})
    return row is not None and bool(row.found)


async def freeze(tx: Tx, period: Period, zone: str, content: Content, quotes: Sequence[Quote]) -> bool:
    """Keep a digest, its quotes masked; False where there is one.

    A customer who is erased, or of whom no profile has come, is not quoted: nobody knows what to mask.
    """
    parameters = {"id": period.id, "kind": period.kind, "starts": period.starts, "ends": period.ends, "zone": zone}
    document = msgspec.json.encode(content).decode()
    if await tx.execute(_FREEZE, {**parameters, "content": document, "now": tx.now}) == 0:
        return False
    kept = await masked_quotes(tx, quotes)
    if kept:
        await tx.execute(
            _QUOTE,
            {
                "digest_id": period.id,
                "places": list(range(len(kept))),
                "customer_ids": [each.customer_id for each in kept],
                "scores": [each.score for each in kept],
                "touchpoints": [each.touchpoint for each in kept],
                "said": [each.said for each in kept],
            },
        )
    return True


async def masked_quotes(tx: Tx, quotes: Sequence[Quote]) -> list[Quote]:
    """What customers wrote, without what tells who they are; those of whom nobody knows what to mask are left out."""
    named = {each.customer_id for each in quotes if each.customer_id is not None}
    known = {
        row.customer_id: [each for each in (row.name, row.email and row.email.partition("@")[0], row.phone) if each]
        for row in (await tx.fetch(_WRITERS, {"customer_ids": sorted(named)}) if named else ())
    }
    return [
        replace(each, said=masked(each.said, known.get(each.customer_id or "", ())))
        for each in quotes
        if each.customer_id is None or each.customer_id in known
    ]


async def being_told(tx: Tx) -> list[Telling]:
    """The digests that not everybody was told, the oldest first."""
    return [Telling(row.id, row.kind, row.stage, row.position) for row in await tx.fetch(_BEING_TOLD)]


async def lock(tx: Tx, id_: UUID) -> Telling | None:
    """How far a digest was told, locked; None where somebody else is telling it at this moment."""
    row = await tx.fetch_one(_LOCK, {"id": id_})
    return None if row is None else Telling(row.id, row.kind, row.stage, row.position)


async def move(tx: Tx, id_: UUID, stage: str, position: str | None) -> None:
    """Note how far it was told."""
    await tx.execute(_MOVE, {"id": id_, "stage": stage, "position": position, "now": tx.now})


async def listed(tx: Tx, id_: UUID, position: str | None, *, limit: int) -> tuple[list[Colleague], str | None]:
    """The next of those in our lists of employees who were not told yet; and the position after them, if there is."""
    list_id, member_id = ("", "") if position is None else msgspec.json.decode(position, type=tuple[str, str])
    rows = await tx.fetch(_LISTED, {"id": id_, "list_id": list_id, "member_id": member_id, "limit": limit})
    found = [
        Colleague(id=row.member_id, name=row.name, email=row.email, language=row.language, role="employee")
        for row in rows
        if row.is_new
    ]
    if len(rows) < limit:
        return found, None
    return found, msgspec.json.encode((rows[-1].list_id, rows[-1].member_id)).decode()


async def find(tx: Tx, ids: Collection[UUID]) -> dict[UUID, Digest]:
    """These digests, with what is left of their quotes."""
    return {each.id: each for each in await _digests(tx, await tx.fetch(_FIND, {"ids": list(ids)}))}


async def latest(tx: Tx, kind: Kind | None, limit: int) -> list[Digest]:
    """The latest digests, of this kind or of both."""
    return await _digests(tx, await tx.fetch(_PAGE, {"kind": kind, "limit": limit}))


async def _digests(tx: Tx, rows: Sequence[Row[Any]]) -> list[Digest]:
    quotes: dict[UUID, list[Quote]] = {row.id: [] for row in rows}
    for row in await tx.fetch(_QUOTES, {"ids": list(quotes)}) if quotes else ():
        quote = Quote(customer_id=row.customer_id, score=row.score, touchpoint=row.touchpoint, said=row.said)
        quotes[row.digest_id].append(quote)
    return [
        Digest(
            id=row.id,
            period=Period(row.kind, row.starts, row.ends),
            zone=row.zone,
            content=msgspec.json.decode(row.content, type=Content),
            quotes=tuple(quotes[row.id]),
            frozen_at=row.frozen_at,
            told_at=row.told_at,
        )
        for row in rows
    ]


async def forget(tx: Tx, customer_ids: Collection[str]) -> None:
    """Take out what these customers wrote."""
    await tx.execute(_FORGET, {"customer_ids": list(customer_ids)})


async def reader(tx: Tx, message_id: MessageId) -> Reader | None:
    """Who got this message; None where it is no digest, or the ledger does not know it any more."""
    row = await tx.fetch_one(_READER, {"id": message_id})
    return None if row is None else Reader(row.employee_id, row.language, row.kind)


async def refused(tx: Tx, employee_id: str) -> set[Kind]:
    """Which digests somebody does not want."""
    return {row.kind for row in await tx.fetch(_REFUSED, {"employee_id": employee_id})}


async def who_refused(tx: Tx, employee_ids: Collection[str]) -> set[tuple[str, Kind]]:
    """Who of these does not want which."""
    rows = await tx.fetch(_WHO_REFUSED, {"employee_ids": list(employee_ids)})
    return {(row.employee_id, row.kind) for row in rows}


async def choose(tx: Tx, employee_id: str, kind: Kind, *, wanted: bool) -> None:
    """Keep whether somebody wants digests of a kind."""
    parameters = {"employee_id": employee_id, "kind": kind}
    await (tx.execute(_WANT, parameters) if wanted else tx.execute(_REFUSE, {**parameters, "now": tx.now}))
