"""The templates of a release go into the database with its migrations."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from libs.events.contracts.messages import MessageKind
from libs.events.database import Database
from services.notify.store import templates
from services.notify.templating import shipped
from services.notify.texts import LANGUAGES

if TYPE_CHECKING:
    from libs.events.contracts.customers import Language
    from services.notify.templating import Source


def release() -> dict[tuple[MessageKind, Language], Source]:
    """The templates of this release, by kind and language."""
    return {(kind, language): shipped(language, kind) for kind in get_args(MessageKind) for language in LANGUAGES}


async def ship(database_url: str) -> None:
    """Keep them as versions; they are used where the company has published none of its own."""
    database = Database.connect(database_url, pool_size=1)
    try:
        async with database.transaction() as tx:
            await templates.ship(tx, release())
    finally:
        await database.close()
