"""Invitations: who was asked, stamped with the answer that came, and judged once where none did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from sqlalchemy import text

from services.scoring.domain.invitations import ANSWERED_WITHIN, Contact, Invitation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Row

    from libs.events.contracts.scores import Tier
    from libs.events.database import Tx
    from services.scoring.domain.invitations import Silence
    from services.scoring.store.responses import ResponseRow

Grouping = Literal["program", "tier", "channel", "month"]

LOOK_AGAIN_AFTER: Final = timedelta(minutes=5)
"""Longer than any transaction: an answer that was being stored while its invitation was is there by then."""

_CREATE: Final = text("""
    INSERT INTO invitations (id, customer_id, program, touchpoint, channel, tier, invited_at, bounced_at, loaded_at)
    SELECT id, customer_id, program, touchpoint, channel, tier, invited_at, bounced_at, :now
      FROM unnest(CAST(:ids AS text[]), CAST(:customer_ids AS text[]), CAST(:programs AS text[]),
                  CAST(:touchpoints AS text[]), CAST(:channels AS text[]), CAST(:tiers AS text[]),
                  CAST(:invited_ats AS timestamptz[]), CAST(:bounced_ats AS timestamptz[]))
           AS given (id, customer_id, program, touchpoint, channel, tier, invited_at, bounced_at)
     ORDER BY id
        ON CONFLICT (id) DO NOTHING
    RETURNING id
""")
_LOCK: Final = text("""
    SELECT id, customer_id, program, touchpoint, channel, invited_at, bounced_at
      FROM invitations
     WHERE id = ANY(CAST(:ids AS text[]))
     ORDER BY id
       FOR UPDATE
""")
_BOUNCE: Final = text("""
    UPDATE invitations SET bounced_at = given.bounced_at
      FROM unnest(CAST(:ids AS text[]), CAST(:times AS timestamptz[])) AS given (id, bounced_at)
     WHERE invitations.id = given.id
""")
# Each answer answers the latest invitation before it, one to its own touchpoint first; of several answers to one, the
# first counts, in whatever order they come.
_ANSWER: Final = text("""
    WITH chosen AS (
        SELECT given.response_id, given.answered_at, invitation.id
          FROM unnest(CAST(:response_ids AS text[]), CAST(:customer_ids AS text[]), CAST(:programs AS text[]),
                      CAST(:touchpoints AS text[]), CAST(:answered_ats AS timestamptz[]))
               AS given (response_id, customer_id, program, touchpoint, answered_at)
         CROSS JOIN LATERAL (SELECT id
                               FROM invitations
                              WHERE customer_id = given.customer_id AND program = given.program
                                AND invited_at <= given.answered_at
                                AND invited_at > given.answered_at - CAST(:within AS interval)
                              ORDER BY touchpoint IS NOT DISTINCT FROM given.touchpoint DESC, invited_at DESC, id
                              LIMIT 1) AS invitation
         WHERE NOT EXISTS (SELECT FROM invitations AS taken WHERE taken.response_id = given.response_id)
    ), first AS (
        SELECT DISTINCT ON (id) id, response_id, answered_at FROM chosen ORDER BY id, answered_at, response_id
    )
    UPDATE invitations
       SET answered_at = first.answered_at, response_id = first.response_id
      FROM first
     WHERE invitations.id = first.id
       AND (invitations.answered_at IS NULL OR invitations.answered_at > first.answered_at)
""")
_TAKE_BACK: Final = text("""
    UPDATE invitations SET answered_at = NULL, response_id = NULL
     WHERE response_id = ANY(CAST(:response_ids AS text[]))
""")
_TO_LOOK_AGAIN: Final = text("""
    SELECT id, customer_id, invited_at
      FROM invitations
     WHERE NOT looked_again AND loaded_at < :before
     ORDER BY loaded_at
     LIMIT :limit
       FOR UPDATE SKIP LOCKED
""")
_LOOKED_AGAIN: Final = text("UPDATE invitations SET looked_again = true WHERE id = ANY(CAST(:ids AS text[]))")
# Held until the end, as those are that are being stored: a response that others find free at this moment would answer
# their invitation, too. Once they have committed, `_ANSWER` sees that it is taken.
_ANSWERS_OF: Final = text("""
    SELECT id, customer_id, program, touchpoint, answered_at
      FROM responses
     WHERE customer_id = ANY(CAST(:customer_ids AS text[])) AND answered_at >= :since AND NOT withdrawn
       AND NOT EXISTS (SELECT FROM invitations AS taken WHERE taken.response_id = responses.id)
     ORDER BY answered_at, id
       FOR NO KEY UPDATE OF responses
""")
_TO_JUDGE: Final = text("""
    SELECT id, customer_id, program, touchpoint, channel, invited_at, bounced_at
      FROM invitations
     WHERE silence IS NULL AND answered_at IS NULL AND customer_id IS NOT NULL
       AND (CASE WHEN bounced_at IS NULL THEN invited_at ELSE '-infinity'::timestamptz END) < :before
     ORDER BY (CASE WHEN bounced_at IS NULL THEN invited_at ELSE '-infinity'::timestamptz END)
     LIMIT :limit
       FOR UPDATE SKIP LOCKED
""")
_JUDGED: Final = text("""
    UPDATE invitations SET silence = given.silence, judged_at = :now
      FROM unnest(CAST(:ids AS text[]), CAST(:silences AS text[])) AS given (id, silence)
     WHERE invitations.id = given.id
""")
_CONTACTS: Final = text("""
    SELECT id, tier, tier_reason, account_id, account_role,
           EXISTS (SELECT FROM customers AS colleague
                    WHERE colleague.account_id = customers.account_id AND colleague.tier = 'key') AS key_account
      FROM customers
     WHERE id = ANY(CAST(:ids AS text[]))
""")
_SILENT: Final = text("""
    SELECT invitations.id, customer_id, customers.name AS customer_name, account_id, accounts.name AS account_name,
           account_role, customers.tier, program, touchpoint, channel, invited_at, bounced_at, answered_at, silence,
           judged_at
      FROM invitations
      LEFT JOIN customers ON customers.id = invitations.customer_id
      LEFT JOIN accounts ON accounts.id = customers.account_id
     WHERE silence IN ('unanswered', 'bounced') AND customer_id IS NOT NULL
       AND (NOT CAST(:still AS boolean) OR answered_at IS NULL)
       AND (judged_at, invitations.id) < (CAST(:judged_at AS timestamptz), CAST(:id AS text))
     ORDER BY judged_at DESC, invitations.id DESC
     LIMIT :limit
""")
# Read from the index `invitations_in_time` alone.
_RATES: Final = text("""
    SELECT CASE CAST(:by AS text)
               WHEN 'program' THEN program
               WHEN 'tier' THEN tier
               WHEN 'channel' THEN channel
               WHEN 'month' THEN to_char(invited_at AT TIME ZONE 'UTC', 'YYYY-MM')
           END AS grouped,
           count(*) AS invited,
           count(*) FILTER (WHERE bounced_at IS NOT NULL AND answered_at IS NULL) AS bounced,
           count(*) FILTER (WHERE answered_at IS NOT NULL) AS answered,
           count(*) FILTER (WHERE answered_at IS NULL AND bounced_at IS NULL AND invited_at > :open_since) AS waiting
      FROM invitations
     WHERE invited_at >= :since AND invited_at < :until
       AND (CAST(:program AS text) IS NULL OR program = :program)
       AND (CAST(:tier AS text) IS NULL OR tier = :tier)
       AND (CAST(:channel AS text) IS NULL OR channel = :channel)
     GROUP BY 1
     ORDER BY 1
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Invited:
    """Which invitations are counted; None means any."""

    since: datetime
    until: datetime
    program: str | None = None
    tier: Tier | None = None
    channel: str | None = None


class Count(NamedTuple):
    """What became of the invitations of one group."""

    group: str | None
    invited: int
    bounced: int
    answered: int
    waiting: int


async def create(tx: Tx, invitations: Sequence[Invitation], tiers: Mapping[str, Tier]) -> set[str]:
    """Store those that are new; their ids. `tiers` by the invitation's id: the customer's when they were asked."""
    rows = await tx.fetch(
        _CREATE,
        {
            "ids": [each.id for each in invitations],
            "customer_ids": [each.customer_id for each in invitations],
            "programs": [each.program for each in invitations],
            "touchpoints": [each.touchpoint for each in invitations],
            "channels": [each.channel for each in invitations],
            "tiers": [tiers[each.id] for each in invitations],
            "invited_ats": [each.invited_at for each in invitations],
            "bounced_ats": [each.bounced_at for each in invitations],
            "now": tx.now,
        },
    )
    return {row.id for row in rows}


async def lock(tx: Tx, ids: Iterable[str]) -> dict[str, Invitation]:
    """Those of `ids` that are known, held until the end of `tx`; in one order, so that two batches cannot deadlock."""
    return {row.id: _invitation(row) for row in await tx.fetch(_LOCK, {"ids": list(ids)})}


async def bounce(tx: Tx, times: Mapping[str, datetime | None]) -> None:
    """Note that these did not reach anybody; the caller holds them."""
    await tx.execute(_BOUNCE, {"ids": list(times), "times": list(times.values())})


async def answer(tx: Tx, rows: Iterable[ResponseRow]) -> None:
    """Note which invitations these responses answer."""
    told = [(row.id, row.customer_id, row.program, row.touchpoint, row.answered_at) for row in rows if row.customer_id]
    await _answer(tx, told)


async def take_back(tx: Tx, response_ids: Iterable[str]) -> None:
    """These responses are no answers any more."""
    await tx.execute(_TAKE_BACK, {"response_ids": list(response_ids)})


async def find_answers(tx: Tx, asked: Iterable[tuple[str, datetime]]) -> None:
    """Look whether these customers, each invited at that time, have answered already."""
    invited = list(asked)
    if not invited:
        return
    known = {"customer_ids": sorted({id_ for id_, _ in invited}), "since": min(at for _, at in invited)}
    rows = await tx.fetch(_ANSWERS_OF, known)
    await _answer(tx, [(row.id, row.customer_id, row.program, row.touchpoint, row.answered_at) for row in rows])


async def look_again(tx: Tx, limit: int) -> int:
    """Look once more for answers to some that were loaded a while ago; how many there were."""
    rows = await tx.fetch(_TO_LOOK_AGAIN, {"before": tx.now - LOOK_AGAIN_AFTER, "limit": limit})
    if rows:
        await tx.execute(_LOOKED_AGAIN, {"ids": [row.id for row in rows]})
        await find_answers(tx, [(row.customer_id, row.invited_at) for row in rows if row.customer_id is not None])
    return len(rows)


async def claim_to_judge(tx: Tx, silent_for: timedelta, limit: int) -> list[Invitation]:
    """Some that bounced, or were not answered for so long, and were not judged yet; held until the end of `tx`."""
    rows = await tx.fetch(_TO_JUDGE, {"before": tx.now - silent_for, "limit": limit})
    return [_invitation(row) for row in rows]


async def judged(tx: Tx, silences: Mapping[str, Silence | Literal["passed"]]) -> None:
    """Note what was decided of them."""
    await tx.execute(_JUDGED, {"ids": list(silences), "silences": list(silences.values()), "now": tx.now})


async def contacts(tx: Tx, customer_ids: Iterable[str]) -> dict[str, Contact]:
    """Those of these customers who are known."""
    rows = await tx.fetch(_CONTACTS, {"ids": sorted(set(customer_ids))})
    return {
        row.id: Contact(row.tier, row.tier_reason, row.account_id, row.account_role, row.key_account) for row in rows
    }


async def silent(tx: Tx, *, before: tuple[datetime, str], limit: int, still: bool) -> Sequence[Row[Any]]:
    """Whose silence was noticed, the latest first; with `still`, only who has not answered since."""
    return await tx.fetch(_SILENT, {"judged_at": before[0], "id": before[1], "limit": limit, "still": still})


async def rates(tx: Tx, invited: Invited, by: Grouping | None) -> list[Count]:
    """The groups in which anybody was invited."""
    rows = await tx.fetch(
        _RATES,
        {
            "by": by,
            "since": invited.since,
            "until": invited.until,
            "program": invited.program,
            "tier": invited.tier,
            "channel": invited.channel,
            "open_since": tx.now - ANSWERED_WITHIN,
        },
    )
    return [Count(row.grouped, row.invited, row.bounced, row.answered, row.waiting) for row in rows]


async def _answer(tx: Tx, told: Sequence[tuple[str, str | None, str, str | None, datetime]]) -> None:
    if not told:
        return
    response_ids, customer_ids, programs, touchpoints, answered_ats = map(list, zip(*told, strict=True))
    await tx.execute(
        _ANSWER,
        {
            "response_ids": response_ids,
            "customer_ids": customer_ids,
            "programs": programs,
            "touchpoints": touchpoints,
            "answered_ats": answered_ats,
            "within": ANSWERED_WITHIN,
        },
    )


def _invitation(row: Row[Any]) -> Invitation:
    return Invitation(
        row.id, row.customer_id or "", row.program, row.touchpoint, row.channel, row.invited_at, row.bounced_at
    )
