"""All services' HTTP apps over no database and nobody's secrets: made to be described, not to be served."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

from libs.events.database import Database, utc_now
from libs.events.kafka_log import kafka_log
from services.casework.api import build_app as casework_app
from services.ingest.api import build_app as ingest_app
from services.notify.api import build_app as notify_app
from services.notify.links import ConfirmationLinks
from services.notify.mime import Mailbox
from services.portal.accounts import Passwords
from services.portal.api import create as portal_app
from services.portal.broadcast import Broadcast
from services.portal.clients import Casework, Ingest, Notify, Scoring, Service
from services.portal.clients.dead_letters import DeadLetters
from services.portal.settings import Settings as PortalSettings
from services.scoring.api import build_app as scoring_app

if TYPE_CHECKING:
    from fastapi import FastAPI

_NOWHERE: Final = "postgresql://nobody@localhost/nothing"
_ANY: Final = "x" * 32


def apps() -> dict[str, FastAPI]:
    """By service. None of them opens a connection before it is asked something."""
    database = Database.connect(_NOWHERE)
    settings = PortalSettings(
        database_url=_NOWHERE,
        session_secret=SecretStr(_ANY),
        casework_key=SecretStr(_ANY),
        scoring_key=SecretStr(_ANY),
        ingest_key=SecretStr(_ANY),
        notify_key=SecretStr(_ANY),
    )
    return {
        "ingest": ingest_app(database),
        "scoring": scoring_app(database),
        "casework": casework_app(database),
        "notify": notify_app(
            database,
            links=ConfirmationLinks("http://localhost", [_ANY]),
            sender=Mailbox("Otklik", "otklik@localhost"),
            time_zone="Europe/Moscow",
        ),
        "portal": portal_app(
            settings,
            database=database,
            casework=Casework(Service("casework", url=settings.casework_url, key=_ANY)),
            scoring=Scoring(Service("scoring", url=settings.scoring_url, key=_ANY)),
            ingest=Ingest(Service("ingest", url=settings.ingest_url, key=_ANY)),
            notify=Notify(Service("notify", url=settings.notify_url, key=_ANY)),
            letters=DeadLetters(partial(kafka_log, settings.kafka_bootstrap_servers), clock=utc_now),
            broadcast=Broadcast(database),
            passwords=Passwords(),
        ),
    }
