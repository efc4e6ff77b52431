"""`otklik keys`: API keys in a service's own schema."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.table import Table

from deploy.local.running import of_running_stack
from deploy.local.settings import SERVICES, StackSettings, service_urls
from deploy.troubles import CommandError
from libs.events.database import Database, Tx
from libs.webapi.keys import create_key, list_keys, revoke_key

Result = TypeVar("Result")


def create(settings: StackSettings, service: str, *, name: str, scopes: Sequence[str]) -> None:
    """Make a key; the key alone goes to standard output, so that it can be piped."""
    key = _in_service(settings, service, lambda tx: create_key(tx, name=name, scopes=scopes))
    Console(stderr=True).print("This key is shown once. It works within seconds.", style="dim")
    print(key)  # noqa: T201 - no wrapping, no colour


def show(settings: StackSettings, service: str) -> None:
    """List the keys."""
    table = Table(box=None)
    for heading in ("id", "name", "scopes", "made", "last used", "revoked"):
        table.add_column(heading)
    for key in _in_service(settings, service, list_keys):
        table.add_row(
            key.id,
            key.name,
            " ".join(sorted(key.scopes)),
            f"{key.created_at:%Y-%m-%d %H:%M}",
            str(key.last_used_on or "never"),
            f"{key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else "",
            style="dim" if key.revoked_at else None,
        )
    Console().print(table)


def revoke(settings: StackSettings, service: str, *, key_id: str) -> None:
    """Revoke a key by its id."""
    if not _in_service(settings, service, lambda tx: revoke_key(tx, key_id=key_id)):
        raise CommandError(f"{service} has no active key {key_id}: `otklik keys list {service}` shows them")
    Console().print(f"Revoked: {key_id}")


def database_url(settings: StackSettings, service: str) -> str:
    """Find the service's database: its own setting, else the local stack that runs."""
    if service not in SERVICES:
        raise CommandError(f"There is no service {service}: {', '.join(SERVICES)}")
    given = service_urls().get(service)
    if given is not None:
        return given
    addresses = of_running_stack(settings.data_dir)
    if addresses is None:
        raise CommandError(f"Nothing runs here: start it with `otklik up`, or set {service.upper()}_DATABASE_URL")
    return addresses.databases[service]


def _in_service(settings: StackSettings, service: str, work: Callable[[Tx], Awaitable[Result]]) -> Result:
    return asyncio.run(_in_transaction(database_url(settings, service), work))


async def _in_transaction(url: str, work: Callable[[Tx], Awaitable[Result]]) -> Result:
    database = Database.connect(url)
    try:
        async with database.transaction() as tx:
            return await work(tx)
    finally:
        await database.close()
