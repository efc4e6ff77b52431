"""Runs the portal: `python -m services.portal api|worker|all|migrate`."""

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from libs.events.command_line import asked_role, migrate
from libs.events.database import Database, utc_now
from libs.events.kafka_log import kafka_log
from libs.events.runtime import Runtime
from libs.events.topics import CASEWORK_CASES, CASEWORK_INITIATIVES, CUSTOMERS, NOTIFY_MESSAGES, SURVEY_SCORES
from services.portal.accounts import Passwords
from services.portal.api import create
from services.portal.broadcast import POLL_EVERY, Broadcast
from services.portal.clients import Casework, Ingest, Notify, Scoring, Service
from services.portal.clients.dead_letters import PATIENCE, DeadLetters
from services.portal.handlers import EventsHandler, forget_customers
from services.portal.jobs import PRUNE_EVERY, Pruning
from services.portal.settings import Settings

_MIGRATIONS: Final = Path(__file__).parent / "migrations"


def main() -> None:
    """Do as the command line says."""
    role = asked_role("portal")
    settings = Settings()  # type: ignore[call-arg]  # from the environment
    if role == "migrate":
        migrate(settings.database_url, _MIGRATIONS)
        return
    database = Database.connect(settings.database_url, name="portal")
    runtime = Runtime(
        "portal",
        database,
        bootstrap_servers=settings.kafka_bootstrap_servers,
        host=settings.host,
        port=settings.port,
    )
    if role in {"api", "all"}:
        _add_api(runtime, settings, database)
    if role in {"worker", "all"}:
        _add_worker(runtime, settings, database)
    runtime.run()


def _add_api(runtime: Runtime, settings: Settings, database: Database) -> None:
    casework = Casework(Service("casework", url=settings.casework_url, key=settings.casework_key.get_secret_value()))
    scoring = Scoring(Service("scoring", url=settings.scoring_url, key=settings.scoring_key.get_secret_value()))
    ingest = Ingest(Service("ingest", url=settings.ingest_url, key=settings.ingest_key.get_secret_value()))
    notify = Notify(Service("notify", url=settings.notify_url, key=settings.notify_key.get_secret_value()))
    letters = DeadLetters(partial(kafka_log, settings.kafka_bootstrap_servers, patience=PATIENCE), clock=utc_now)
    broadcast = Broadcast(database)
    runtime.add_app(
        create(
            settings,
            database=database,
            casework=casework,
            scoring=scoring,
            ingest=ingest,
            notify=notify,
            letters=letters,
            broadcast=broadcast,
            passwords=Passwords(),
        )
    )
    runtime.add_loop("broadcast", broadcast.step, idle=POLL_EVERY)
    runtime.on_close(casework.close)
    runtime.on_close(scoring.close)
    runtime.on_close(ingest.close)
    runtime.on_close(notify.close)


def _add_worker(runtime: Runtime, settings: Settings, database: Database) -> None:
    handle = EventsHandler(settings.zone)
    for topic in (SURVEY_SCORES, CASEWORK_CASES, CASEWORK_INITIATIVES, NOTIFY_MESSAGES):
        runtime.add_consumer("portal.events", topic, handle)
    runtime.add_consumer("portal.customers", CUSTOMERS, forget_customers)
    pruning = Pruning(database, rules=settings.session_rules, events_kept=timedelta(days=settings.events_kept_days))
    runtime.add_loop("pruning", pruning.step, idle=PRUNE_EVERY)
    runtime.add_relay()


if __name__ == "__main__":
    main()
