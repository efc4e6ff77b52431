"""What is known of an address, and what its reader wants: two entries of the list, neither of which hides the other.

Code from before this cannot add to the list on this schema: it names the index that goes.
"""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0014"
down_revision = "0013"

_STATEMENTS: Final = (
    """
    CREATE UNIQUE INDEX suppressions_by_reason ON suppressions (mark, (reason = 'unsubscribed'))
     WHERE removed_at IS NULL
    """,
    "DROP INDEX suppressions_in_force",
    # As before, but of two entries for one address it takes what is known of the address.
    """
    CREATE OR REPLACE FUNCTION audience(which text, wanted_themes text[], wanted_causes text[], wanted_programs text[],
                             since timestamptz, until timestamptz, wanted_tiers text[], wanted_lists text[])
    RETURNS TABLE (recipient text, side text, customer_id text, answered_at timestamptz, name text, email text,
                   email_mark text, language text, held text)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        WITH told AS (
            SELECT a.customer_id, a.answered_at
              FROM answers a
             WHERE (which = 'respondents' OR (which = 'raised' AND a.themes && wanted_themes))
               AND a.answered_at >= since AND a.answered_at < until
               AND (wanted_programs = '{}' OR a.program = ANY(wanted_programs))
             UNION ALL
            SELECT r.customer_id, r.answered_at
              FROM resolutions r
             WHERE which = 'raised' AND r.root_cause = ANY(wanted_causes)
               AND r.answered_at >= since AND r.answered_at < until
        ), told_last AS (
            SELECT told.customer_id, max(told.answered_at) AS answered_at FROM told GROUP BY told.customer_id
        ), customers AS (
            SELECT t.customer_id, t.answered_at, p.tier, p.email, p.email_mark, p.email_consent, p.language
              FROM told_last t LEFT JOIN profiles p ON p.customer_id = t.customer_id
             UNION ALL
            SELECT p.customer_id, NULL, p.tier, p.email, p.email_mark, p.email_consent, p.language
              FROM profiles p
             WHERE which = 'everybody'
        ), chosen AS (
            SELECT DISTINCT ON (m.email_mark)
                   l.side, m.list_id, m.member_id, m.name, m.email, m.email_mark, m.language
              FROM members m JOIN lists l ON l.list_id = m.list_id
             WHERE m.list_id = ANY(wanted_lists)
             ORDER BY m.email_mark, m.list_id, m.member_id
        ), listed AS (
            SELECT DISTINCT ON (s.mark) s.mark, s.reason FROM suppressions s
             WHERE s.removed_at IS NULL AND (s.until IS NULL OR s.until > now())
             ORDER BY s.mark, s.reason = 'unsubscribed'
        )
        SELECT 'customer:' || c.customer_id, 'customers', c.customer_id, c.answered_at, NULL, NULL, NULL, c.language,
               CASE WHEN c.email_consent IS NULL THEN 'no_profile'
                    WHEN c.email IS NULL THEN 'no_address'
                    WHEN NOT c.email_consent THEN 'no_consent'
                    WHEN listed.reason IS NOT NULL THEN listed.reason
                    WHEN CAST(chose.choices #>> '{email/news,granted}' AS boolean) = false THEN 'unsubscribed' END
          FROM customers c
          LEFT JOIN listed ON listed.mark = c.email_mark
          LEFT JOIN contact_choices chose ON chose.customer_id = c.customer_id
         WHERE wanted_tiers = '{}' OR c.tier = ANY(wanted_tiers)
         UNION ALL
        SELECT c.side || ':' || c.list_id || '/' || c.member_id, c.side, NULL, NULL, c.name, c.email, c.email_mark,
               c.language, listed.reason
          FROM chosen c LEFT JOIN listed ON listed.mark = c.email_mark;
    END
    """,
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
