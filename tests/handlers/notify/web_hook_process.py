"""A process that delivers web hooks, for the tests to kill: `python web_hook_process.py DATABASE_URL`."""

import asyncio
import sys
from datetime import timedelta

from libs.events.database import Database
from services.notify.domain.addresses import Networks
from services.notify.hook_sending import HookSender
from services.notify.receivers import Receivers


async def main() -> None:
    receivers = Receivers(networks=Networks.parse(["127.0.0.0/8"]), in_flight=4, timeout=timedelta(seconds=30))
    sender = HookSender(Database.connect(sys.argv[1]), receivers, in_flight=4, per_subscription=4)
    while True:
        await sender.step()
        await asyncio.sleep(0.01)


asyncio.run(main())
