"""The HTTP app of casework: cases and what people do with them, and how the company has set itself up for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libs.webapi.app import create_app
from services.casework.api import (
    attachments,
    bulk,
    calendars,
    callbacks,
    cases,
    commands,
    comments,
    contact_rules,
    deeds,
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
    recognition,
    recomputing,
    resolving,
    rules,
    slots,
    tasks,
)

if TYPE_CHECKING:
    from fastapi import FastAPI

    from libs.events.database import Database
    from services.casework.store.attachment_files import AttachmentFiles


def build_app(database: Database, files: AttachmentFiles | None = None) -> FastAPI:
    """The app over `database`. `files`: where attachments are; None: there are none, and none can be sent."""
    app = create_app(
        "Otklik casework",
        database,
        description="Cases of unhappy customers, from the answer that opened them to the word that it is solved.",
        body_limits={} if files is None else {attachments.UPLOADS: files.size_limit},
    )
    app.state.attachment_files = files
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
        attachments,
        guides,
        effects,
        initiatives,
        measures,
        deeds,
        recognition,
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
