from collections.abc import AsyncIterator, Callable

import pytest
from sqlalchemy import text

from libs.events.database import Database
from libs.webapi.schema import WEBAPI_V1


@pytest.fixture
async def database(make_database: Callable[[], str]) -> AsyncIterator[Database]:
    database = Database.connect(make_database(), pool_size=5)
    async with database.transaction() as tx:
        for statement in WEBAPI_V1:
            await tx.execute(text(statement))
        await tx.execute(text("CREATE TABLE done (command_id uuid PRIMARY KEY, what text NOT NULL)"))
    yield database
    await database.close()
