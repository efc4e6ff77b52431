"""`otklik migrate`: what must be there before services start, on servers that are given by address."""

import asyncio
from urllib.parse import unquote, urlsplit

from rich.console import Console

from deploy.local.preparation import prepare_database, prepare_topics
from deploy.local.settings import SERVICES, StackSettings, service_urls
from deploy.troubles import CommandError


def run(settings: StackSettings, *, replication: int) -> None:
    """Set up the database and, where its address is given, Kafka."""
    console = Console(highlight=False)
    asyncio.run(_migrate(settings, console, replication=replication))


async def _migrate(settings: StackSettings, console: Console, *, replication: int) -> None:
    if settings.database_url is None:
        raise CommandError(
            "Set OTKLIK_DATABASE_URL to an administrator's address, for example "
            "postgresql://postgres:…@db.example:5432/postgres. (`otklik up` needs no migrate: it does this itself.)"
        )
    await prepare_database(settings.database_url, role_passwords(service_urls()), services=SERVICES)
    console.print("Database, roles, schemas and tables are up to date.")
    if settings.kafka_bootstrap_servers is None:
        console.print("OTKLIK_KAFKA_BOOTSTRAP_SERVERS is not set: no topics were created.", style="yellow")
        return
    made = await prepare_topics(settings.kafka_bootstrap_servers, replication=replication)
    console.print(f"Topics are up to date; {len(made)} new.")


def role_passwords(urls: dict[str, str]) -> dict[str, str]:
    """Take each role's password from the URL that its service uses, so that both agree."""
    missing = [f"{service.upper()}_DATABASE_URL" for service in SERVICES if service not in urls]
    if missing:
        raise CommandError(f"Set the services' own addresses, whose passwords the roles get: {', '.join(missing)}")
    passwords: dict[str, str] = {}
    for service in SERVICES:
        parts = urlsplit(urls[service])
        if parts.username != service or not parts.password:
            raise CommandError(f"{service.upper()}_DATABASE_URL must name the role {service} and its password")
        passwords[service] = unquote(parts.password)
    return passwords
