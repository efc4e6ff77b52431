"""Runs scoring: `python -m services.scoring api|worker|all|migrate`, and counts anew: `… recount`."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from libs.events.command_line import asked_role, migrate
from libs.events.database import Database
from libs.events.runtime import Runtime
from libs.events.topics import NOTIFY_MESSAGES, SURVEY_RESPONSES
from services.scoring.account_scores import compute_account_scores
from services.scoring.choices import handle_choices, wanted_choices
from services.scoring.comment_jobs import fold_mentions, read_anew, suggest_themes
from services.scoring.driver_jobs import DriverRuns, ask_nightly
from services.scoring.dry_run_jobs import DryRuns, forget_old_dry_runs
from services.scoring.handlers import score_responses
from services.scoring.jobs import (
    count_cut_points,
    count_tiers,
    fold_counts,
    forget_old_answers,
    recompute_tiers,
    recount,
)
from services.scoring.settings import Settings
from services.scoring.silences import judge, look_again

_MIGRATIONS: Final = Path(__file__).parent / "migrations"


def main() -> None:
    """Do as the command line says."""
    role = asked_role("scoring", "recount")
    settings = Settings()  # type: ignore[call-arg]  # from the environment
    if role == "migrate":
        migrate(settings.database_url, _MIGRATIONS)
        return
    database = Database.connect(settings.database_url, pool_size=settings.pool_size, name="scoring")
    if role == "recount":
        wrong = asyncio.run(_recount(database))
        sys.stdout.write(f"{wrong} counts were wrong, and are right now.\n")
        return
    runtime = Runtime(
        "scoring",
        database,
        bootstrap_servers=settings.kafka_bootstrap_servers,
        host=settings.host,
        port=settings.port,
    )
    if role in {"api", "all"}:
        # A worker has no use for what an API is made of, and it takes memory.
        from services.scoring.api import build_app  # noqa: PLC0415

        runtime.add_app(build_app(database, privacy_threshold=settings.privacy_threshold))
    if role in {"worker", "all"}:
        runtime.add_consumer("scoring.responses", SURVEY_RESPONSES, score_responses)
        runtime.add_consumer("scoring.messages", NOTIFY_MESSAGES, handle_choices, wanted=wanted_choices)
        runtime.add_loop("tiers", partial(recompute_tiers, database), idle=timedelta(seconds=1))
        runtime.add_loop("dry runs", DryRuns(database).step, idle=timedelta(seconds=1))
        runtime.add_loop("old dry runs", partial(forget_old_dry_runs, database), idle=timedelta(hours=1))
        runtime.add_loop("cut points", partial(count_cut_points, database), idle=timedelta(minutes=10))
        runtime.add_loop("tier totals", partial(count_tiers, database), idle=timedelta(minutes=10))
        runtime.add_loop("counts", partial(fold_counts, database), idle=timedelta(seconds=1))
        runtime.add_loop("comments", partial(read_anew, database), idle=timedelta(seconds=1))
        runtime.add_loop("theme suggestions", partial(suggest_themes, database), idle=timedelta(minutes=10))
        runtime.add_loop("mentions", partial(fold_mentions, database), idle=timedelta(seconds=1))
        runtime.add_loop("account scores", partial(compute_account_scores, database), idle=timedelta(seconds=1))
        silent_for = timedelta(days=settings.silence_after_days)
        runtime.add_loop("silences", partial(judge, database, silent_for), idle=timedelta(minutes=1))
        runtime.add_loop("invitations", partial(look_again, database), idle=timedelta(minutes=1))
        runtime.add_loop("answers", partial(forget_old_answers, database), idle=timedelta(hours=1))
        runtime.add_loop("drivers", DriverRuns(database, settings.database_url).step, idle=timedelta(seconds=1))
        runtime.add_loop("nightly drivers", partial(ask_nightly, database), idle=timedelta(minutes=10))
        runtime.add_relay()
    runtime.run()


async def _recount(database: Database) -> int:
    try:
        return await recount(database)
    finally:
        await database.close()


if __name__ == "__main__":
    main()
