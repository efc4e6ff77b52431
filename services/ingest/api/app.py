"""The HTTP app of ingest: signed deliveries of vendors, responses over REST, sources, and what was kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from libs.webapi.app import create_app
from services.ingest.api import accounts, deliveries, dry_runs, imports, responses, sources
from services.ingest.api.import_models import LARGEST_FILE
from services.ingest.api.webhooks import PREFIX, WebhookDoor, WebhookRoute, WebhooksFirst, probe
from services.ingest.arrivals import DeliveryIds
from services.ingest.imports import Importer
from services.ingest.intake import Bounds, Intake
from services.ingest.sources import SourceBook

if TYPE_CHECKING:
    from fastapi import FastAPI

    from libs.events.database import Database

WEBHOOK_BYTES: Final = 1_048_576
_REST_BYTES: Final = 4 * 1_048_576


def build_app(
    database: Database,
    *,
    webhook_bytes: int = WEBHOOK_BYTES,
    bounds: Bounds = Bounds(),  # noqa: B008 - it is frozen
    book: SourceBook | None = None,
    ids: DeliveryIds | None = None,
    plain_http: bool = False,
) -> FastAPI:
    """The app over `database`. `book` and `ids` are shared with what else takes deliveries in this process.

    With `plain_http` vendors' APIs may be asked without TLS: for a vendor that is played on this machine.
    """
    app = create_app(
        "Otklik ingest",
        database,
        description="Takes survey responses: signed webhooks of survey vendors, and our own shape over REST.",
        body_limits={"/v1/responses": _REST_BYTES, imports.PREFIX: LARGEST_FILE},
        kind=WebhooksFirst,
    )
    app.state.book = book or SourceBook(database)
    app.state.ids = ids or DeliveryIds()
    app.state.importer = Importer(database, app.state.ids)
    app.state.plain_http = plain_http
    app.door = WebhookDoor(
        app.state.book, Intake(database, bounds), app.state.ids, clock=database.clock, most_bytes=webhook_bytes
    )
    app.router.routes.append(WebhookRoute(app.door))
    app.add_route(PREFIX + "{source}", probe, methods=["GET"], include_in_schema=False)
    for part in (responses, imports, sources, accounts, dry_runs, deliveries):
        app.include_router(part.router)
    return app
