"""A sending process for the tests to kill: `python sending_process.py DATABASE_URL SMTP_URL [KILL_POINT]`.

It sends what is due until it dies. At the kill point `marked` it kills itself: the mark before the last dot is
committed, and the dot is not out.
"""

import asyncio
import os
import signal
import sys
from datetime import timedelta

from libs.events.database import Database
from services.notify.clients import MailServer
from services.notify.domain.messages import Entry
from services.notify.jobs import Sender
from services.notify.journal import Journal
from services.notify.letters import Letters
from services.notify.links import ConfirmationLinks
from services.notify.mime import Mailbox
from services.notify.presence import Presence


class DeadlyJournal(Journal):
    """Dies as soon as the mark is committed."""

    async def before_last_dot(self, entry: Entry) -> bool:
        allowed = await super().before_last_dot(entry)
        os.kill(os.getpid(), signal.SIGKILL)
        return allowed


async def main() -> None:
    database = Database.connect(sys.argv[1])
    sender = Sender(
        database=database,
        server=MailServer(sys.argv[2], connections=1, timeout=timedelta(seconds=60)),
        letters=Letters(
            sender=Mailbox("Ромашка", "care@romashka.example"),
            links=ConfirmationLinks("https://otklik.example", ["the present secret, thirty-two characters"]),
            portal_url="https://portal.example",
            time_zone="Europe/Moscow",
        ),
        journal=DeadlyJournal(database) if sys.argv[3:] == ["marked"] else Journal(database),
        presence=Presence(database),
        connections=1,
    )
    while True:
        await sender.step()
        await asyncio.sleep(0.01)


asyncio.run(main())
