"""Runs ingest: `python -m services.ingest api|worker|all|migrate`."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from libs.events.command_line import asked_role, migrate
from libs.events.database import Database
from libs.events.runtime import Runtime
from libs.events.topics import CUSTOMERS
from services.ingest.api import build_app
from services.ingest.arrivals import DeliveryIds
from services.ingest.clients.api import new_client
from services.ingest.fetching import Fetcher
from services.ingest.handlers import handle_customers
from services.ingest.intake import Bounds
from services.ingest.jobs import forget_old_answers, sweep_erased, sweep_old
from services.ingest.settings import Settings
from services.ingest.sources import SourceBook

_MIGRATIONS: Final = Path(__file__).parent / "migrations"


def main() -> None:
    """Do as the command line says."""
    role = asked_role("ingest")
    settings = Settings()  # type: ignore[call-arg]  # from the environment
    if role == "migrate":
        migrate(settings.database_url, _MIGRATIONS)
        return
    database = Database.connect(settings.database_url, pool_size=settings.pool_size, name="ingest")
    runtime = Runtime(
        "ingest",
        database,
        bootstrap_servers=settings.kafka_bootstrap_servers,
        host=settings.host,
        port=settings.port,
        trusted_proxies=settings.proxies,
    )
    book, ids = SourceBook(database), DeliveryIds()
    if role in {"api", "all"}:
        bounds = Bounds(waiting=settings.waiting_deliveries, waiting_bytes=settings.waiting_bytes)
        app = build_app(
            database,
            webhook_bytes=settings.webhook_bytes,
            bounds=bounds,
            book=book,
            ids=ids,
            plain_http=settings.plain_http,
        )
        runtime.add_app(app)
    if role in {"worker", "all"}:
        runtime.add_loop("answers", partial(forget_old_answers, database), idle=timedelta(hours=1))
        runtime.add_loop("erasures", partial(sweep_erased, database), idle=timedelta(minutes=1))
        runtime.add_loop(
            "retention", partial(sweep_old, database, keep_days=settings.keep_days), idle=timedelta(hours=1)
        )
        runtime.add_consumer("ingest.customers", CUSTOMERS, handle_customers)
        client = new_client()
        runtime.on_close(client.aclose)
        fetcher = Fetcher(database, book, ids, client)
        runtime.add_loop("fetches", fetcher.fetch_some, idle=timedelta(seconds=5))
        runtime.add_loop("polls", fetcher.poll_one, idle=timedelta(seconds=15))
        runtime.add_relay()
    runtime.run()


if __name__ == "__main__":
    main()
