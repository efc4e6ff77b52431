"""A mailbox for one machine: takes every mail over SMTP on loopback, keeps it, and shows it in the browser.

`python -m deploy.local.mail --folder .data/mail --smtp-port 1025 --http-port 8025`
"""

import argparse
import asyncio
import contextlib
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import uvicorn
from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.local.mail_store import MailStore
from deploy.local.mail_web import create_app

MESSAGE_BYTES_AT_MOST: Final = 25 * 1024 * 1024


class Mailbox:
    """Answers the SMTP server's questions: everybody is known, and what is accepted is on the disk."""

    def __init__(self, store: MailStore) -> None:
        self._store = store
        self._one_at_a_time = asyncio.Lock()

    async def handle_DATA(  # noqa: N802 - the name is aiosmtpd's
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Keep the message; only then say so."""
        content = envelope.content
        if not isinstance(content, bytes):
            raise TypeError("the server is set to hand over bytes")
        async with self._one_at_a_time:
            identity = await asyncio.to_thread(
                self._store.keep,
                content,
                sender=envelope.mail_from or "",
                recipients=envelope.rcpt_tos,
                received_at=datetime.now(UTC),
            )
        return f"250 2.0.0 kept as {identity}"


class _WebServer(uvicorn.Server):
    """uvicorn without its signal handlers: the mailbox stops both of its servers itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(folder: Path, *, host: str, smtp_port: int, http_port: int) -> None:
    """Serve SMTP and HTTP until a signal comes."""
    store = MailStore(folder)
    mailbox = Mailbox(store)
    loop = asyncio.get_running_loop()
    smtp = await loop.create_server(
        lambda: SMTP(
            mailbox,
            hostname="mailbox.otklik.local",
            ident="Otklik mailbox",
            enable_SMTPUTF8=True,
            data_size_limit=MESSAGE_BYTES_AT_MOST,
            loop=loop,
        ),
        host,
        smtp_port,
    )
    app = create_app(store, hosts=[host, "127.0.0.1", "localhost"])
    web = _WebServer(
        uvicorn.Config(
            app, host=host, port=http_port, log_level="warning", access_log=False, timeout_graceful_shutdown=2
        )
    )

    def stop() -> None:
        web.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await web.serve()
    smtp.close()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.mail", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the messages are kept")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--smtp-port", type=int, default=1025)
    parser.add_argument("--http-port", type=int, default=8025)
    given = parser.parse_args()
    asyncio.run(serve(given.folder, host=given.host, smtp_port=given.smtp_port, http_port=given.http_port))


if __name__ == "__main__":
    main()
