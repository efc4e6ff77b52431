"""The floor of mails: aiosmtplib, kept connections, bytes ready.

python -m bench.floors.smtp_aiosmtplib PORT CONNECTIONS MAILS FILE

FILE holds one mail; each mail sent is that one with a Message-ID of its own, made before the first is sent. Prints the
CPU time of a mail in microseconds and, on the last line, mails a second.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from pathlib import Path

import uvloop
from aiosmtplib import SMTP

PORT, CONNECTIONS, MAILS = (int(argument) for argument in sys.argv[1:4])
MAIL = Path(sys.argv[4]).read_bytes()


async def send(smtp: SMTP, mails: list[tuple[str, bytes]]) -> None:
    """Over one connection, one after the other."""
    for recipient, content in mails:
        await smtp.sendmail("care@company.example", [recipient], content)


async def main() -> None:
    """Connect, then send all."""
    mails = [
        (f"customer-{number}@mail.example", re.sub(rb"Message-ID: <\w+", b"Message-ID: <%032x" % number, MAIL, count=1))
        for number in range(MAILS)
    ]
    lines = [SMTP(hostname="127.0.0.1", port=PORT, start_tls=False) for _ in range(CONNECTIONS)]
    for line in lines:
        await line.connect()
        await line.ehlo()
    began, used = time.perf_counter(), time.process_time()
    async with asyncio.TaskGroup() as group:
        for number, line in enumerate(lines):
            group.create_task(send(line, mails[number::CONNECTIONS]))
    took, used = time.perf_counter() - began, time.process_time() - used
    for line in lines:
        await line.quit()
    print(used / MAILS * 1e6)  # noqa: T201
    print(MAILS / took)  # noqa: T201


if __name__ == "__main__":
    uvloop.run(main())
