"""Runs notify: `python -m services.notify api|worker|all|migrate`."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from libs.events.command_line import asked_role, migrate
from libs.events.database import Database
from libs.events.runtime import Runtime
from libs.events.topics import CASEWORK_CASES, CASEWORK_INITIATIVES, CUSTOMERS, INBOX_RETENTION, SURVEY_SCORES, TOPICS
from services.notify import campaigns
from services.notify.api import HookRules, build_app
from services.notify.callback_handlers import (
    callbacks_handler,
    forget_old_callbacks,
    handle_erasures,
    remind,
    wanted_of_cases,
    wanted_of_customers,
)
from services.notify.casework import Casework
from services.notify.clients import MailServer, Receipts
from services.notify.digest_reports import Reports
from services.notify.digests import Digests
from services.notify.door import Door
from services.notify.handlers import cases_handler, handle_customers, handle_initiatives, handle_scores
from services.notify.hook_handlers import handle_for_hooks, wanted_types
from services.notify.hook_sending import HookSender, forget_old_deliveries
from services.notify.jobs import Attendant, Sender, forget_old_answers, forget_old_messages, forget_soft_bounces
from services.notify.journal import Journal
from services.notify.letters import Letters
from services.notify.links import ConfirmationLinks
from services.notify.presence import Presence
from services.notify.receivers import Receivers
from services.notify.settings import Settings
from services.notify.shipping import ship

_ATTEMPTS_IN_A_CLAIM: Final = 8
"""A web hook is ours for so many times the longest attempt; after a kill, that is how long it waits for another."""
_RELAY_PACE: Final = timedelta(milliseconds=50)
"""What became of mails is told many at a time: one by one it costs the broker half of what sending them does."""
_MIGRATIONS: Final = Path(__file__).parent / "migrations"


def main() -> None:
    """Do as the command line says."""
    role = asked_role("notify")
    settings = Settings()  # type: ignore[call-arg]  # from the environment
    if role == "migrate":
        migrate(settings.database_url, _MIGRATIONS)
        asyncio.run(ship(settings.database_url))
        return
    database = Database.connect(settings.database_url, pool_size=settings.pool_size, name="notify")
    links = ConfirmationLinks(settings.public_url, settings.link_secrets)
    runtime = Runtime(
        "notify",
        database,
        bootstrap_servers=settings.kafka_bootstrap_servers,
        host=settings.host,
        port=settings.port,
    )
    key = settings.casework_key
    casework = None if key is None else Casework(settings.casework_url, key.get_secret_value())
    reports = _reports(settings)
    if reports is not None:
        runtime.on_close(reports.close)
    if role in {"api", "all"}:
        runtime.add_app(
            build_app(
                database,
                links=links,
                sender=settings.mailbox,
                time_zone=settings.time_zone,
                portal_url=settings.portal_url,
                hooks=HookRules(settings.hooks_networks, plain_http=settings.hooks_plain_http),
                casework=casework,
                report_keys=settings.report_keys,
                reports=reports,
            )
        )
        if casework is not None:
            runtime.on_close(casework.close)
    if role in {"worker", "all"}:
        _add_work(runtime, database, links, settings)
        _add_hooks(runtime, database, settings)
        _add_callbacks(runtime, database, settings, offers=casework is not None)
        if reports is not None:
            digests = Digests(database, reports, time_zone=settings.time_zone)
            runtime.add_loop("digests", digests.step, idle=timedelta(minutes=1))
        runtime.add_relay(pace=_RELAY_PACE)
    runtime.run()


def _add_work(runtime: Runtime, database: Database, links: ConfirmationLinks, settings: Settings) -> None:
    letters = Letters(
        sender=settings.mailbox, links=links, portal_url=settings.portal_url, time_zone=settings.time_zone
    )
    server = MailServer(settings.smtp_url, connections=settings.smtp_connections, timeout=settings.smtp_timeout)
    sender = Sender(
        database=database,
        server=server,
        letters=letters,
        journal=Journal(database),
        presence=Presence(database),
        connections=settings.smtp_connections,
        return_path=settings.return_path,
    )
    if settings.returns_listen is not None:
        door = Door(database, settings.returns_listen)
        runtime.add_loop("returns", door.step, idle=timedelta(seconds=1))
        runtime.on_close(door.close)
    receipts = Receipts(settings.receipts_url, timeout=timedelta(seconds=10)) if settings.receipts_url else None
    attendant = Attendant(database=database, letters=letters, receipts=receipts, doubt_settles=settings.doubt_settles)
    runtime.add_consumer("notify.customers", CUSTOMERS, handle_customers)
    runtime.add_consumer("notify.cases", CASEWORK_CASES, cases_handler(profile_wait=settings.profile_wait))
    runtime.add_consumer("notify.scores", SURVEY_SCORES, handle_scores)
    runtime.add_consumer("notify.initiatives", CASEWORK_INITIATIVES, handle_initiatives)
    runtime.add_loop("campaigns", partial(campaigns.step, database), idle=timedelta(seconds=1))
    runtime.add_loop("sending", sender.step, idle=timedelta(milliseconds=500))
    runtime.add_loop("waiting", attendant.waiting, idle=timedelta(seconds=1))
    runtime.add_loop("recovery", attendant.recovery, idle=timedelta(seconds=2))
    if receipts is not None:
        runtime.add_loop("doubts", attendant.doubts, idle=timedelta(seconds=2))
        runtime.on_close(receipts.close)
    runtime.add_loop("answers", partial(forget_old_answers, database), idle=timedelta(hours=1))
    runtime.add_loop(
        "retention", partial(forget_old_messages, database, settings.messages_kept), idle=timedelta(hours=1)
    )
    runtime.add_loop("soft bounces", partial(forget_soft_bounces, database), idle=timedelta(hours=1))
    runtime.on_close(sender.close)


def _add_callbacks(runtime: Runtime, database: Database, settings: Settings, *, offers: bool) -> None:
    handle = callbacks_handler(profile_wait=settings.profile_wait, offers=offers)
    runtime.add_consumer("notify.callbacks", CASEWORK_CASES, handle, wanted=wanted_of_cases)
    runtime.add_consumer("notify.callbacks", CUSTOMERS, handle_erasures, wanted=wanted_of_customers)
    runtime.add_loop("reminders", partial(remind, database, settings.profile_wait), idle=timedelta(seconds=10))
    runtime.add_loop(
        "callbacks_retention",
        partial(forget_old_callbacks, database, settings.messages_kept),
        idle=timedelta(hours=1),
    )


def _reports(settings: Settings) -> Reports | None:
    """Who tells what digests say; None where notify has no keys to them."""
    if settings.casework_key is None or settings.scoring_key is None:
        return None
    return Reports(
        casework_url=settings.casework_url,
        casework_key=settings.casework_key.get_secret_value(),
        scoring_url=settings.scoring_url,
        scoring_key=settings.scoring_key.get_secret_value(),
    )


def _add_hooks(runtime: Runtime, database: Database, settings: Settings) -> None:
    receivers = Receivers(
        networks=settings.hooks_networks, in_flight=settings.hooks_in_flight, timeout=settings.hooks_timeout
    )
    sender = HookSender(
        database,
        receivers,
        in_flight=settings.hooks_in_flight,
        per_subscription=settings.hooks_per_subscription,
        ours_for=_ATTEMPTS_IN_A_CLAIM * settings.hooks_timeout,
    )
    for topic in TOPICS:
        runtime.add_consumer("notify.hooks", topic, handle_for_hooks, wanted=wanted_types)
    runtime.add_loop("hooks", sender.step, idle=timedelta(milliseconds=500))
    runtime.add_loop(
        "hooks_retention",
        partial(forget_old_deliveries, database, settings.hooks_kept, INBOX_RETENTION),
        idle=timedelta(hours=1),
    )
    runtime.on_close(sender.close)


if __name__ == "__main__":
    main()
