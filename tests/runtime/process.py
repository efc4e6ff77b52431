"""A process of a service as the runtime composes it, for tests to start, ask and stop.

`python process.py DATABASE_URL BOOTSTRAP_SERVERS PORT SCENARIO`, where the scenario is `healthy`, `failing` (a loop
raises when the table `effects` has a row), `late` (a loop does not take notice of the stop) or `idle`.
"""

import asyncio
import sys
from datetime import timedelta

from sqlalchemy import text

from libs.events import runtime as runtime_module
from libs.events.database import Database
from libs.events.runtime import Runtime

COUNT = text("SELECT count(*) FROM effects")
NOTE_END = text("INSERT INTO effects (customer) VALUES ('closed')")


def main() -> None:
    url, servers, port, scenario = sys.argv[1:]
    database = Database.connect(url)
    runtime = Runtime("test", database, bootstrap_servers=servers, host="127.0.0.1", port=int(port))

    async def step() -> bool:
        async with database.reading() as tx:
            (row,) = await tx.fetch(COUNT)
        if row[0]:
            raise ValueError("there is a row")
        return False

    async def dawdle() -> bool:
        await asyncio.Event().wait()
        return False

    async def note_end() -> None:
        async with database.transaction() as tx:
            await tx.execute(NOTE_END)

    if scenario == "failing":
        runtime.add_loop("watching", step, idle=timedelta(milliseconds=10))
    if scenario == "late":
        runtime_module.STOP_SECONDS = 0.5  # type: ignore[misc]  # so that the test need not wait for 25 s
        runtime.add_loop("dawdling", dawdle, idle=timedelta(seconds=1))
    runtime.add_relay()
    runtime.on_close(note_end)
    runtime.run()


if __name__ == "__main__":
    main()
