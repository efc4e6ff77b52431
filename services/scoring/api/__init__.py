"""The HTTP app of scoring: customers and accounts in, tiers and numbers out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from libs.webapi.app import create_app
from services.scoring.api import (
    account_scores,
    accounts,
    comparisons,
    contact_changes,
    customers,
    drivers,
    dry_runs,
    instruments,
    invitations,
    metrics,
    mismatches,
    response_rates,
    responses,
    rules,
    theme_metrics,
    theme_suggestions,
    themes,
    touchpoints,
)
from services.scoring.domain.privacy import PRIVACY_THRESHOLD

if TYPE_CHECKING:
    from fastapi import FastAPI

    from libs.events.database import Database

_BATCH_BYTES: Final = 16 * 1_048_576
"""Ten thousand items of a kilobyte and a half."""


def build_app(database: Database, *, privacy_threshold: int = PRIVACY_THRESHOLD) -> FastAPI:
    """The app over `database`. Groups in which fewer than `privacy_threshold` answered are not shown."""
    app = create_app(
        "Otklik scoring",
        database,
        description="Customers, accounts, what they are worth, and what their answers say.",
        body_limits={f"/v1/{each}": _BATCH_BYTES for each in ("customers/batch", "accounts/batch", "invitations")},
    )
    app.state.privacy_threshold = privacy_threshold
    about_customers = (customers, contact_changes, accounts, account_scores, invitations, dry_runs, rules, touchpoints)
    about_answers = (responses, instruments, mismatches, metrics, comparisons, response_rates, drivers)
    about_comments = (themes, theme_suggestions, theme_metrics)
    for part in (*about_customers, *about_answers, *about_comments):
        app.include_router(part.router)
    return app
