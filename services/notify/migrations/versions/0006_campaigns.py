"""Campaigns: what changed, for whom, and how far each has come; what audiences are computed from."""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0006"
down_revision = "0005"

_STATEMENTS: Final = (
    # What can be told: shipped initiatives. Times are those of their events.
    """
    CREATE TABLE initiatives (
        initiative_id text PRIMARY KEY,
        version integer NOT NULL,
        title text NOT NULL,
        root_causes text[] NOT NULL,
        themes text[] NOT NULL,
        department_id text NOT NULL,
        learned text NOT NULL,
        changed text NOT NULL,
        next_steps text,
        shipped_at timestamptz NOT NULL,
        communicate_by timestamptz
    )
    """,
    "ALTER TABLE profiles ADD COLUMN tier text",
    # The latest revision of each answer of a known customer, and of each case's resolution: who raised what, and when.
    """
    CREATE TABLE answers (
        response_id text PRIMARY KEY,
        revision integer NOT NULL,
        customer_id text NOT NULL,
        program text NOT NULL,
        answered_at timestamptz NOT NULL,
        themes text[] NOT NULL
    )
    """,
    "CREATE INDEX answers_by_time ON answers (answered_at)",
    "CREATE INDEX answers_of_customer ON answers (customer_id)",
    """
    CREATE TABLE resolutions (
        case_id text PRIMARY KEY,
        version integer NOT NULL,
        customer_id text NOT NULL,
        root_cause text NOT NULL,
        answered_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX resolutions_by_cause ON resolutions (root_cause, answered_at)",
    "CREATE INDEX resolutions_of_customer ON resolutions (customer_id)",
    # What an erased customer had said may come later than the word to forget them.
    "CREATE TABLE erasures (customer_id text PRIMARY KEY, erased_at timestamptz NOT NULL)",
    # People who are no customers.
    """
    CREATE TABLE lists (
        list_id text PRIMARY KEY,
        side text NOT NULL CHECK (side IN ('employees', 'partners')),
        name text NOT NULL,
        created_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE members (
        list_id text NOT NULL REFERENCES lists ON DELETE CASCADE,
        member_id text NOT NULL,
        name text NOT NULL,
        email text NOT NULL,
        email_mark text NOT NULL,
        language text NOT NULL,
        PRIMARY KEY (list_id, member_id)
    )
    """,
    """
    CREATE TABLE campaigns (
        id uuid PRIMARY KEY,
        version integer NOT NULL,
        status text NOT NULL CHECK (status IN (
            'draft', 'approved', 'starting', 'running', 'paused', 'completed', 'cancelled')),
        plan jsonb NOT NULL,
        created_at timestamptz NOT NULL,
        edited_by text NOT NULL,
        approved_by text,
        approved_at timestamptz,
        started_at timestamptz,
        ended_at timestamptz,
        recipients integer,
        told_up_to integer NOT NULL,
        pace_from timestamptz,
        pace_base integer NOT NULL,
        counts jsonb,
        counted_at timestamptz
    )
    """,
    "CREATE INDEX campaigns_newest ON campaigns (created_at, id)",
    "CREATE INDEX campaigns_at_work ON campaigns (status) WHERE status IN ('starting', 'running', 'paused')",
    """
    CREATE INDEX campaigns_public ON campaigns (started_at, id)
     WHERE started_at IS NOT NULL AND CAST(plan ->> 'is_public' AS boolean) AND status <> 'cancelled'
    """,
    """
    CREATE TABLE campaign_history (
        campaign_id uuid NOT NULL REFERENCES campaigns,
        version integer NOT NULL,
        at timestamptz NOT NULL,
        act text NOT NULL,
        by_whom text NOT NULL,
        reason text,
        PRIMARY KEY (campaign_id, version)
    )
    """,
    # The frozen audience of a campaign that is under way; who was told stands in the ledger.
    """
    CREATE TABLE campaign_recipients (
        campaign_id uuid NOT NULL REFERENCES campaigns,
        position integer NOT NULL,
        recipient text NOT NULL,
        side text NOT NULL,
        customer_id text,
        answered_at timestamptz,
        name text,
        email text,
        email_mark text,
        language text,
        PRIMARY KEY (campaign_id, position)
    )
    """,
    "CREATE INDEX recipients_of_customer ON campaign_recipients (customer_id) WHERE customer_id IS NOT NULL",
    # Who is meant: customers, with the latest answer that they are meant for, and members of lists, each address once;
    # `held`: why somebody would not be written to.
    """
    CREATE FUNCTION audience(which text, wanted_themes text[], wanted_causes text[], wanted_programs text[],
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
            SELECT s.mark, s.reason FROM suppressions s
             WHERE s.removed_at IS NULL AND (s.until IS NULL OR s.until > now())
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
