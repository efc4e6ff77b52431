"""The HTTP app of casework: cases and what people do with them, and how the company has set itself up for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libs.webapi.app import create_app
from services.casework.api import (
    bulk,
    calendars,
    callbacks,
    cases,
    commands,
    comments,
    contact_rules,
    effects,
    escalation,
    exporting,
    filters,
    guides,
    handing_over,
    initiatives,
    measures,
    outreach,
    people,
    policies,
    recomputing,
    resolving,
    rules,
    slots,
    tasks,
)

if TYPE_CHECKING:
    from fastapi import FastAPI

    from libs.events.database import Database


def build_app(database: Database) -> FastAPI:
    """The app over `database`."""
    app = create_app(
        "Otklik casework",
        database,
        description="Cases of unhappy customers, from the answer that opened them to the word that it is solved.",
    )
    for part in (
        cases,
        commands,
        bulk,
        exporting,
        filters,
        escalation,
        tasks,
        callbacks,
        slots,
        contact_rules,
        resolving,
        comments,
        guides,
        effects,
        initiatives,
        measures,
        people,
        handing_over,
        rules,
        outreach,
        recomputing,
        policies,
        calendars,
    ):
        app.include_router(part.router)
    return app
