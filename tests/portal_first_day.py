"""How the company of the portal's tests is on its first day: who works there, and what is emptied to get back to it."""

from __future__ import annotations

from typing import Final

from argon2 import PasswordHasher
from sqlalchemy import text

LARGEST_FILE: Final = 200_000
"""Bytes of a file that somebody attaches to a case."""
QUICK: Final = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)
PEOPLE: Final = (
    ("irina", "Ирина Соколова", "agent", "ru"),
    ("pavel", "Pavel Orlov", "agent", "en"),
    ("olga", "Ольга Лебедева", "manager", "ru"),
    ("viktor", "Victor Gromov", "executive", "en"),
    ("anna", "Анна Котова", "employee", "ru"),
    ("oleg", "Oleg Sidorov", "operator", "en"),
    ("ada", "Ada Root", "administrator", "en"),
)
EMPTY: Final = {
    "portal": text(
        "TRUNCATE people, sessions, invitations, login_attempts, events, forgotten_customers, daily_counts, inbox,"
        " outbox"
    ),
    "casework": text(
        "TRUNCATE customers, answers, cases, timeline, mentions, resolutions, attachments, agent_loads, initiatives,"
        " initiative_cases, initiative_history, recomputations, recomputed_breaches, saved_filters, idempotency_keys,"
        " recognitions, recognition_months, recognition_choices,"
        " inbox, outbox CASCADE"
    ),
    "scoring": text(
        "TRUNCATE responses, instrument_versions, tallies, day_counts, month_counts, driver_runs, customers,"
        " segment_dry_runs, theme_suggestions, theme_tallies, theme_day_counts, theme_month_counts,"
        " inbox, outbox CASCADE"
    ),
    "notify": text(
        "TRUNCATE profiles, messages, confirmations, waits, suppressions, soft_bounces, contact_choices, initiatives,"
        " answers, resolutions, erasures, lists, members, campaigns, campaign_history, campaign_recipients,"
        " digests, digest_quotes, digest_refusals, providers,"
        " subscriptions, hook_bodies, hook_deliveries, contact_rules, idempotency_keys, inbox, outbox CASCADE"
    ),
    "ingest": text(
        "TRUNCATE imports, import_errors, sources, source_secrets, vendor_accounts, polls, fetches, deliveries,"
        " responses, idempotency_keys, outbox CASCADE"
    ),
}
UNORGANISED: Final = (
    text(
        "UPDATE agents SET team_id = NULL, department_id = NULL, capacity = 20, disabled = false, absent_from = NULL,"
        " languages = '{}', programs = '{}', touchpoints = '{}', themes = '{}', absences = '{}', calendar_id = NULL"
    ),
    text("DELETE FROM teams"),
    text("DELETE FROM departments"),
    text("DELETE FROM agents WHERE id NOT IN ('irina', 'pavel', 'olga', 'viktor')"),
    text("DELETE FROM calendars"),
    text("DELETE FROM outreach_rules WHERE version > 1"),
    text("DELETE FROM program_policies WHERE program <> '~light'"),
    text("DELETE FROM conversation_guides WHERE id LIKE 'own-%'"),
)
FIRST_SETTINGS: Final = (
    text("DELETE FROM theme_taxonomies WHERE version > 1"),
    text("DELETE FROM segment_rules WHERE version > 1"),
    text("DELETE FROM segment_valuations WHERE rules_version > 1"),
)
AGENTS: Final = {"irina": 3, "pavel": 1, "olga": 3, "viktor": 3}
LINKS: Final = "a secret of links in the tests that is long enough"
