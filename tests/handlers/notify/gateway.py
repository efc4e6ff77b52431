"""A provider of other ways to send than mail, on this machine, for the tests of notify."""

import asyncio
import json
from contextlib import suppress
from typing import Any


class Gateway:
    """A provider on this machine: remembers keys, and answers as it is told (`cut`: takes it and hangs up)."""

    def __init__(self) -> None:
        self.asked: list[tuple[dict[str, str], Any]] = []
        self.sent: dict[str, Any] = {}
        self.script: list[Any] = []
        self.answer = '{"status": "ok"}'
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            headers = {
                name.lower(): value for name, _, value in (line.partition(": ") for line in head.split("\r\n")[1:])
            }
            body = json.loads(await reader.readexactly(int(headers["content-length"])))
            self.asked.append((headers, body))
            action = self.script.pop(0) if self.script else 200
            if action in (200, "cut"):
                self.sent[headers.get("x-key", str(len(self.asked)))] = body
            if callable(action):
                action()
                await reader.read()  # until who asked is gone
            if action != "cut":
                answer = self.answer.encode()
                writer.write(
                    f"HTTP/1.1 {action} X\r\nContent-Length: {len(answer)}\r\nConnection: close\r\n\r\n".encode()
                    + answer
                )
                await writer.drain()
        writer.close()
