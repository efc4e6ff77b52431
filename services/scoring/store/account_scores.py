"""The scores of accounts, and which of them have to be computed anew."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

from services.scoring.domain.account_scores import ContactAnswer, account_score, role_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Row

    from libs.events.contracts.responses import SurveyKind
    from libs.events.database import Tx
    from services.scoring.domain.account_scores import AccountScore, Role
    from services.scoring.domain.segments import AccountScoring

_DUE: Final = text("INSERT INTO account_scores_due (account_id) SELECT unnest(CAST(:ids AS text[]))")
_ALL_DUE: Final = text("INSERT INTO account_scores_due (account_id) SELECT DISTINCT account_id FROM account_scores")
_DUE_OF_CUSTOMER: Final = text("""
    INSERT INTO account_scores_due (account_id)
    SELECT account_id FROM customers WHERE id = :id AND account_id IS NOT NULL
""")
_ANY_DUE: Final = text("""
    SELECT EXISTS (SELECT FROM account_scores_due)
        OR EXISTS (SELECT FROM account_scores WHERE good_until <= :now) AS due
""")
_TAKE_DUE: Final = text("""
    DELETE FROM account_scores_due
     WHERE id IN (SELECT id FROM account_scores_due ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED)
    RETURNING account_id
""")
_ENDED: Final = text("""
    SELECT DISTINCT account_id
      FROM (SELECT account_id FROM account_scores WHERE good_until <= :now ORDER BY good_until LIMIT :limit) AS ended
""")
# Contact by contact, from the index by customer: joined as a whole, all responses are read where contacts are many.
_ANSWERS: Final = text("""
    SELECT customers.account_id, customers.id AS customer_id, customers.name, account_role, latest.kind,
           latest.id AS response_id, program, score, nps_class, answered_at
      FROM customers
     CROSS JOIN LATERAL (SELECT DISTINCT ON (kind) kind, id, program, score, nps_class, answered_at
                           FROM responses
                          WHERE customer_id = customers.id AND metric = 'nps' AND nps_class IS NOT NULL
                            AND answered_at > :since
                          ORDER BY kind, answered_at DESC, id) AS latest
     WHERE customers.account_id = ANY(CAST(:ids AS text[]))
     ORDER BY customers.id
""")
_CONTACTS: Final = text("""
    SELECT account_id, account_role, count(*) AS contacts
      FROM customers
     WHERE account_id = ANY(CAST(:ids AS text[]))
     GROUP BY account_id, account_role
""")
_FORGET: Final = text("DELETE FROM account_scores WHERE account_id = ANY(CAST(:ids AS text[]))")
_STORE: Final = text("""
    INSERT INTO account_scores (account_id, kind, score, ci_low, ci_high, answered, contacts, flagged, good_until,
                                computed_at)
    SELECT account_id, kind, score, ci_low, ci_high, answered, contacts, flagged, good_until, :now
      FROM unnest(CAST(:account_ids AS text[]), CAST(:kinds AS text[]), CAST(:scores AS float8[]),
                  CAST(:lows AS float8[]), CAST(:highs AS float8[]), CAST(:answereds AS integer[]),
                  CAST(:contacts AS integer[]), CAST(:flaggeds AS boolean[]), CAST(:good_untils AS timestamptz[]))
           AS given (account_id, kind, score, ci_low, ci_high, answered, contacts, flagged, good_until)
""")
_PAGE: Final = text("""
    SELECT account_id, name, score, ci_low, ci_high, answered, contacts, flagged, computed_at
      FROM account_scores LEFT JOIN accounts ON accounts.id = account_id
     WHERE kind = :kind AND (score, account_id) > (CAST(:score AS float8), CAST(:account_id AS text))
     ORDER BY score, account_id
     LIMIT :limit
""")
_PAGE_OF_FLAGGED: Final = text("""
    SELECT account_id, name, score, ci_low, ci_high, answered, contacts, flagged, computed_at
      FROM account_scores LEFT JOIN accounts ON accounts.id = account_id
     WHERE kind = :kind AND flagged AND (score, account_id) > (CAST(:score AS float8), CAST(:account_id AS text))
     ORDER BY score, account_id
     LIMIT :limit
""")


async def due(tx: Tx, account_ids: Iterable[str | None]) -> None:
    """Something changed that the scores of these accounts follow from."""
    ids = sorted({id_ for id_ in account_ids if id_})
    if ids:
        await tx.execute(_DUE, {"ids": ids})


async def all_due(tx: Tx) -> None:
    """The weights changed."""
    await tx.execute(_ALL_DUE)


async def due_of_customer(tx: Tx, customer_id: str) -> None:
    """A customer is about to be erased."""
    await tx.execute(_DUE_OF_CUSTOMER, {"id": customer_id})


async def any_due(tx: Tx) -> bool:
    """Whether a score may have changed."""
    row = await tx.fetch_one(_ANY_DUE, {"now": tx.now})
    return row is not None and bool(row.due)


async def take_due(tx: Tx, limit: int) -> set[str]:
    """Up to `limit` accounts to be computed anew, those among them whose answers grew too old."""
    changed = {row.account_id for row in await tx.fetch(_TAKE_DUE, {"limit": limit})}
    if len(changed) < limit:
        changed |= {row.account_id for row in await tx.fetch(_ENDED, {"now": tx.now, "limit": limit - len(changed)})}
    return changed


async def compute(
    tx: Tx, account_ids: Iterable[str], scoring: AccountScoring
) -> dict[str, dict[SurveyKind, AccountScore]]:
    """The scores of these accounts as they are now, by the kind of survey; none where nobody answered."""
    asked = {"ids": sorted(account_ids)}
    answers: dict[tuple[str, SurveyKind], list[ContactAnswer]] = {}
    for row in await tx.fetch(_ANSWERS, {**asked, "since": tx.now - timedelta(days=scoring.days)}):
        answers.setdefault((row.account_id, row.kind), []).append(
            ContactAnswer(
                row.customer_id,
                row.name,
                role_of(row.account_role),
                row.response_id,
                row.program,
                row.score,
                row.nps_class,
                row.answered_at,
            )
        )
    contacts: dict[str, dict[Role, int]] = {}
    for row in await tx.fetch(_CONTACTS, asked):
        of_account = contacts.setdefault(row.account_id, {})
        role = role_of(row.account_role)
        of_account[role] = of_account.get(role, 0) + row.contacts
    found: dict[str, dict[SurveyKind, AccountScore]] = {}
    for (account_id, kind), latest in answers.items():
        score = account_score(kind, latest, contacts[account_id], scoring)
        if score is not None:
            found.setdefault(account_id, {})[kind] = score
    return found


async def replace(tx: Tx, account_ids: Iterable[str], found: dict[str, dict[SurveyKind, AccountScore]]) -> None:
    """Store these instead of what was known of the accounts; one transaction at a time."""
    await tx.execute(_FORGET, {"ids": sorted(account_ids)})
    rows = [(account_id, each) for account_id, kinds in found.items() for each in kinds.values()]
    if not rows:
        return
    await tx.execute(
        _STORE,
        {
            "account_ids": [account_id for account_id, _ in rows],
            "kinds": [each.kind for _, each in rows],
            "scores": [each.score for _, each in rows],
            "lows": [each.low for _, each in rows],
            "highs": [each.high for _, each in rows],
            "answereds": [each.answered for _, each in rows],
            "contacts": [each.contacts for _, each in rows],
            "flaggeds": [each.flagged for _, each in rows],
            "good_untils": [each.good_until for _, each in rows],
            "now": tx.now,
        },
    )


async def page(tx: Tx, *, kind: SurveyKind, flagged: bool, after: tuple[float, str], limit: int) -> Sequence[Row[Any]]:
    """The next accounts, the worst first; or only those where a decision maker is a detractor."""
    asked = {"kind": kind, "score": after[0], "account_id": after[1], "limit": limit}
    return await tx.fetch(_PAGE_OF_FLAGGED if flagged else _PAGE, asked)
