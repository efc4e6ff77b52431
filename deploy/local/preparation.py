"""What must be there before the services start: database, roles, schemas, tables, topics, and the callers' keys."""

from collections.abc import Mapping, Sequence
from typing import Final

import asyncpg
from sqlalchemy.exc import SQLAlchemyError

from deploy.local.schemas import as_role, bootstrap, ensure_database
from deploy.local.secrets_file import StackSecrets
from deploy.local.settings import ROOT
from libs.events.database import Database
from libs.events.errors import Unavailable
from libs.events.kafka import create_topics
from libs.events.migrate import upgrade
from libs.webapi.keys import create_key
from services.notify.shipping import ship

PORTAL_KEY: Final = "portal"
NOTIFY_KEY: Final = "notify"
NOTIFY_SCOPES: Final = ("cases:read", "cases:write", "settings:read")
"""For the page on which customers choose when they are called, and for what digests tell of work."""
NOTIFY_SCORING_SCOPES: Final = ("customers:read", "metrics:read")
"""For what customers said, in the digest."""
OPERATORS_KEY: Final = "operators"
"""With which `otklik sources` and `otklik deliveries` ask."""
INGEST_SCOPES: Final = ("sources:read", "sources:write", "deliveries:read", "deliveries:write")
PORTAL_SCOPES: Final[Mapping[str, tuple[str, ...]]] = {
    "casework": ("cases:read", "cases:write", "settings:read", "settings:write", "on-behalf"),
    "scoring": ("customers:read", "rules:read", "rules:write", "metrics:read", "on-behalf"),
    "ingest": (*INGEST_SCOPES, "responses:write", "on-behalf"),
    "notify": (
        "messages:read",
        "messages:write",
        "campaigns:read",
        "campaigns:write",
        "templates:write",
        "contacts:write",
        "providers:write",
        "subscriptions:read",
        "subscriptions:write",
        "events:comments",
        "events:people",
        "on-behalf",
    ),
}


class PreparationError(Exception):
    """A server that is needed cannot be prepared; the message says which and why."""


async def prepare_database(admin_dsn: str, passwords: Mapping[str, str], *, services: Sequence[str]) -> str:
    """Bring a server to where the services can start; the administrator's DSN in Otklik's database."""
    try:
        inside = await ensure_database(admin_dsn)
        await bootstrap(inside, passwords)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise PreparationError(f"the database cannot be set up: {type(error).__name__}: {error}") from error
    # One after the other: Alembic keeps its context in a module, and a schema that is up to date takes a moment.
    for service in services:
        url = as_role(inside, service, passwords[service])
        try:
            await upgrade(url, ROOT / "services" / service / "migrations")
            if service == "notify":
                await ship(url)
        except (OSError, SQLAlchemyError) as error:
            raise PreparationError(f"the schema of {service} cannot be migrated: {error}") from error
    return inside


async def prepare_keys(inside: str, secrets: StackSecrets, *, services: Sequence[str]) -> None:
    """Let the keys of the portal and of the operators' commands into the services that these call."""
    keys = (
        ("casework", PORTAL_KEY, PORTAL_SCOPES["casework"], secrets.portal_casework_key),
        ("casework", NOTIFY_KEY, NOTIFY_SCOPES, secrets.notify_casework_key),
        ("scoring", PORTAL_KEY, PORTAL_SCOPES["scoring"], secrets.portal_scoring_key),
        ("scoring", NOTIFY_KEY, NOTIFY_SCORING_SCOPES, secrets.notify_scoring_key),
        ("ingest", PORTAL_KEY, PORTAL_SCOPES["ingest"], secrets.portal_ingest_key),
        ("notify", PORTAL_KEY, PORTAL_SCOPES["notify"], secrets.portal_notify_key),
        ("ingest", OPERATORS_KEY, INGEST_SCOPES, secrets.operators_ingest_key),
    )
    for service, name, scopes, key in keys:
        if service not in services:
            continue
        database = Database.connect(as_role(inside, service, secrets.roles[service]))
        try:
            async with database.transaction() as tx:
                await create_key(tx, name=name, scopes=scopes, key=key)
        finally:
            await database.close()


async def prepare_topics(bootstrap_servers: str, *, replication: int = 1) -> list[str]:
    """Create the topics of the registry where they are missing; the names of the new ones."""
    try:
        return await create_topics(bootstrap_servers, replication=replication)
    except Unavailable as error:
        raise PreparationError(f"Kafka at {bootstrap_servers} cannot be set up: {error}") from error
