"""A process that makes and tells digests, for the tests to kill: `python digest_process.py DATABASE_URL ANSWERS NOW`.

ANSWERS is a file with what casework and scoring answer; OTKLIK_CRASHPOINTS says where it dies. It ends when everything
is told.
"""

import asyncio
import json
import sys
from datetime import datetime
from pathlib import Path

import httpx

from libs.events.database import Database
from services.notify.digest_reports import Reports
from services.notify.digests import Digests


async def main(answers: dict[str, object]) -> None:
    now = datetime.fromisoformat(sys.argv[3])

    def answer(request: httpx.Request) -> httpx.Response:
        asked = [f"{name}={request.url.params[name]}" for name in ("by", "cursor") if name in request.url.params]
        return httpx.Response(200, json=answers["?".join([request.url.path, *asked])])

    transport = httpx.MockTransport(answer)
    reports = Reports(
        casework_url="http://casework",
        casework_key="k",
        scoring_url="http://scoring",
        scoring_key="k",
        transports={"casework": transport, "scoring": transport},
    )
    database = Database.connect(sys.argv[1], clock=lambda: now)
    digests = Digests(database, reports, time_zone="Europe/Moscow")
    while await digests.step():
        pass
    await database.close()


asyncio.run(main(json.loads(Path(sys.argv[2]).read_text())))
