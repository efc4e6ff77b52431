"""The HTTP app of scoring: customers and accounts in, tiers and numbers out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from libs.webapi.app import create_app
from services.scoring.api import accounts, customers, drivers, instruments, metrics, mismatches, responses, rules

if TYPE_CHECKING:
    from fastapi import FastAPI

    from libs.events.database import Database

_BATCH_BYTES: Final = 16 * 1_048_576
"""Ten thousand items of a kilobyte and a half."""


def build_app(database: Database) -> FastAPI:
    """The app over `database`."""
    app = create_app(
        "Otklik scoring",
        database,
        description="Customers, accounts, what they are worth, and what their answers say.",
        body_limits={"/v1/customers/batch": _BATCH_BYTES, "/v1/accounts/batch": _BATCH_BYTES},
    )
    for part in (customers, accounts, rules, responses, instruments, mismatches, metrics, drivers):
        app.include_router(part.router)
    return app
