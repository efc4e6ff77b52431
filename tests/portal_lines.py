"""What stands between the portal and the services in its tests: a clock that is set, and lines that are cut."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI


class SetClock:
    """The system's clock until a test sets it."""

    def __init__(self) -> None:
        self.shift = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.shift


@dataclass
class Outage:
    """Lets the requests to a service through until a test says otherwise."""

    transport: httpx.AsyncBaseTransport
    error: Exception | None = None
    answer: httpx.Response | None = None
    seen: list[httpx.Request] = field(default_factory=list)


class Sending(httpx.AsyncByteStream):
    """What is sent, and what its sender broke it off with."""

    def __init__(self, body: httpx.AsyncByteStream) -> None:
        self._body = body
        self.error: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._body:
                yield piece
        except Exception as error:
            self.error = error
            raise


class Line(httpx.AsyncBaseTransport):
    """The line to a service, which a test can cut."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.state = Outage(httpx.ASGITransport(app))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.state.seen.append(request)
        if self.state.error is not None:
            raise self.state.error
        if self.state.answer is not None:
            return self.state.answer
        assert isinstance(request.stream, httpx.AsyncByteStream)
        request.stream = sending = Sending(request.stream)
        answer = await self.state.transport.handle_async_request(request)
        if sending.error is not None:
            raise sending.error  # as over a network: the service sees a broken line, and the sender their own error
        return answer
