"""Runs casework: `python -m services.casework api|worker|all|migrate`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from libs.events.command_line import asked_role, migrate
from libs.events.database import Database
from libs.events.runtime import Runtime
from libs.events.topics import CUSTOMERS, NOTIFY_MESSAGES, SURVEY_SCORES
from services.casework.api import build_app
from services.casework.attachment_jobs import Orphans, Removals
from services.casework.contact_jobs import CallbackClocks, Thanks
from services.casework.handlers import handle_customers, handle_messages, handle_scores
from services.casework.jobs import Clocks, Forgetting, QuarterClocks, Recomputing, WaitingAnswers, Watchdog
from services.casework.recognition_jobs import Recognitions
from services.casework.settings import Settings
from services.casework.store.attachment_files import AttachmentFiles
from services.casework.task_jobs import TaskClocks

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_CLOCK_HANDS: Final = 2
"""More have nothing to do: one decides, in this process, while the database writes for the other."""

_INITIATIVES: Final = 100
_CALLBACKS: Final = 100


def main() -> None:
    """Do as the command line says."""
    role = asked_role("casework")
    settings = Settings()  # type: ignore[call-arg]  # from the environment
    if role == "migrate":
        migrate(settings.database_url, _MIGRATIONS)
        return
    database = Database.connect(settings.database_url, pool_size=settings.pool_size, name="casework")
    runtime = Runtime(
        "casework",
        database,
        bootstrap_servers=settings.kafka_bootstrap_servers,
        host=settings.host,
        port=settings.port,
    )
    files = None
    if settings.attachments_dir is not None:
        files = AttachmentFiles(
            settings.attachments_dir, size_limit=settings.attachment_bytes, per_case=settings.attachments_per_case
        )
    if role in {"api", "all"}:
        runtime.add_app(build_app(database, files))
    if role in {"worker", "all"}:
        runtime.add_consumer("casework.scores", SURVEY_SCORES, handle_scores)
        runtime.add_consumer("casework.customers", CUSTOMERS, handle_customers)
        runtime.add_consumer("casework.messages", NOTIFY_MESSAGES, handle_messages)
        clocks = Clocks(database, batch=settings.clock_batch, hands=_CLOCK_HANDS)
        runtime.add_loop("clocks", clocks.step, idle=timedelta(milliseconds=500))
        task_clocks = TaskClocks(database, batch=settings.clock_batch)
        runtime.add_loop("task_clocks", task_clocks.step, idle=timedelta(seconds=1))
        runtime.add_loop(
            "waiting_answers", WaitingAnswers(database, batch=settings.clock_batch).step, idle=timedelta(seconds=2)
        )
        callbacks = CallbackClocks(database, batch=_CALLBACKS)
        runtime.add_loop("thanks", Thanks(database, batch=settings.clock_batch).step, idle=timedelta(seconds=5))
        runtime.add_loop("callbacks", callbacks.step, idle=timedelta(seconds=2))
        # A quarter is long: an hour more or less says nothing, a minute keeps the page true.
        runtime.add_loop("quarter_clocks", QuarterClocks(database, batch=_INITIATIVES).step, idle=timedelta(minutes=1))
        runtime.add_loop(
            "recomputing", Recomputing(database, batch=settings.clock_batch).step, idle=timedelta(seconds=2)
        )
        if files is not None:
            removals = Removals(database, files, batch=settings.clock_batch)
            runtime.add_loop("attachment_removals", removals.step, idle=timedelta(seconds=5))
            runtime.add_loop("attachment_orphans", Orphans(database, files).step, idle=timedelta(hours=1))
        recognitions = Recognitions(database, where=ZoneInfo(settings.time_zone))
        runtime.add_loop("recognition", recognitions.step, idle=timedelta(minutes=10))
        runtime.add_loop("forgetting", Forgetting(database).step, idle=timedelta(hours=1))
        runtime.add_relay()
    # In each process: where no worker runs, somebody has to say so.
    runtime.add_loop("watchdog", Watchdog(database).step, idle=timedelta(seconds=15))
    runtime.run()


if __name__ == "__main__":
    main()
