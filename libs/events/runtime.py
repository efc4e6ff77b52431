"""Composes a process from its HTTP app, consumers and loops; signals, deadline, health and metrics."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal

import structlog
import uvicorn
import uvloop
from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse, Response

from libs.events import attempts, inbox
from libs.events.consumer import Consumer
from libs.events.direct_protocol import DirectProtocol
from libs.events.health import Health
from libs.events.kafka import KafkaPublisher, KafkaSubscription
from libs.events.loop import Loop, wait_for
from libs.events.offsets import Begun
from libs.events.relay import Relay
from libs.events.telemetry import configure_logging

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Sequence

    from starlette.requests import Request

    from libs.events.consumer import Handler, Wanted
    from libs.events.database import Database
    from libs.events.topics import Topic

log: Final = structlog.get_logger()

Role = Literal["api", "worker", "all"]

STOP_SECONDS: Final = 25.0
"""From the signal to the end; below the 30 seconds after which an orchestrator kills."""
_CLOSE_SECONDS: Final = 3.0
_PRUNE_EVERY: Final = timedelta(hours=1)
_TICK: Final = timedelta(seconds=1)
_READY_SECONDS: Final = 2.0
_COLLECT_EVERY: Final = 20_000
"""New objects, of those that can be part of a cycle: about as many as a batch makes. Python has 700."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, for the runtime has its own, and without looking ten times a second."""

    def __init__(self, config: uvicorn.Config, stop: asyncio.Event) -> None:
        super().__init__(config)
        self._stop = stop

    async def main_loop(self) -> None:
        # Each tick renews the header `Date`, which says whole seconds.
        while not await self.on_tick(0) and not await wait_for(self._stop, _TICK):
            pass

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


class Runtime:
    """One process of a service: `api`, `worker`, or both in `all`."""

    def __init__(
        self,
        name: str,
        database: Database,
        *,
        bootstrap_servers: str,
        host: str,
        port: int,
        trusted_proxies: Sequence[str] | None = None,
    ) -> None:
        """`trusted_proxies` are addresses and networks whose `X-Forwarded-For` tells who the client is.

        An empty sequence: nobody's. None: as uvicorn has it, this machine's, for services that ask no client's address.
        """
        self.health: Final = Health()
        self._name = name
        self._database = database
        self._bootstrap_servers = bootstrap_servers
        self._host = host
        self._port = port
        self._trusted_proxies = trusted_proxies
        self._app: FastAPI | None = None
        self._parts: list[Consumer | Loop | Relay] = []
        self._alone = asyncio.Lock()
        self._closers: list[Callable[[], Awaitable[None]]] = []

    def add_app(self, app: FastAPI) -> None:
        """Serve `app` at the process's address; without one, only health and metrics are served there."""
        self._app = app

    def add_consumer(self, name: str, topic: Topic, handle: Handler, *, wanted: Wanted | None = None) -> None:
        """Consume `topic`, and what is replayed of it, as the consumer group `name`; types not `wanted` are left."""
        if name not in topic.consumers:
            raise ValueError(f"{name} is not among the consumers of {topic.name} in libs.events.topics")
        subscription = KafkaSubscription(
            bootstrap_servers=self._bootstrap_servers,
            group=name,
            topic=topic.name,
            replays=topic.replays(name),
            begun=Begun(name, self._database),
        )
        self._parts.append(
            Consumer(
                name,
                topic,
                handle,
                database=self._database,
                subscription=subscription,
                health=self.health,
                alone=self._alone,
                wanted=wanted,
            )
        )

    def add_loop(self, name: str, step: Callable[[], Awaitable[bool]], *, idle: timedelta) -> None:
        """Run `step` again and again; at once while it returns True, else after `idle`."""
        self._parts.append(Loop(f"{self._name}.{name}", step, idle=idle, health=self.health))

    def add_relay(self, *, pace: timedelta = timedelta(0)) -> None:
        """Publish the outbox, and forget inbox entries that no topic can bring back.

        `pace`: for events that nobody waits for. The first after a pause goes at once, others together.
        """
        publisher = KafkaPublisher(bootstrap_servers=self._bootstrap_servers)
        self._parts.append(Relay(self._name, self._database, publisher, self.health, pace=pace))

        async def prune() -> bool:
            async with self._database.transaction() as tx:
                await attempts.prune(tx)
                return await inbox.prune(tx)

        self.add_loop("inbox_pruning", prune, idle=_PRUNE_EVERY)

    def on_close(self, close: Callable[[], Awaitable[None]]) -> None:
        """Await `close` when everything has stopped; the last one added comes first."""
        self._closers.append(close)

    def run(self) -> None:
        """Run until a signal; leaves with status 1 when a part failed."""
        configure_logging()
        # What the process is made of stays; the records of a batch are no cycles, and go without being looked for.
        gc.freeze()
        gc.set_threshold(_COLLECT_EVERY)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            failed = runner.run(self.serve())
        if failed:
            sys.exit(1)

    async def serve(self) -> bool:
        """Run until SIGTERM or SIGINT, or until a part fails; whether one did."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        app = self._app or FastAPI(title=self._name, openapi_url=None)
        self._add_health_routes(app)
        server = _Server(
            uvicorn.Config(
                app,
                http=DirectProtocol,
                host=self._host,
                port=self._port,
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=self._trusted_proxies is None or len(self._trusted_proxies) > 0,
                forwarded_allow_ips=None if self._trusted_proxies is None else list(self._trusted_proxies),
                timeout_graceful_shutdown=int(STOP_SECONDS) - 5,
                timeout_keep_alive=30,
            ),
            stop,
        )
        for part in self._parts:
            self.health.beat(part.name)  # so that none is thought ready, or alive, that has not come round yet
        tasks = [asyncio.create_task(self._serve_http(server), name="http")]
        tasks += [asyncio.create_task(part.run(stop), name=part.name) for part in self._parts]
        stopping = asyncio.create_task(stop.wait(), name="stop")
        log.info("service.started", service=self._name, parts=[part.name for part in self._parts])
        await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
        log.info("service.stopping", service=self._name, asked=stop.is_set())
        asked = stop.is_set()
        stop.set()
        server.should_exit = True
        stopping.cancel()
        _, late = await asyncio.wait(tasks, timeout=STOP_SECONDS)
        for task in late:
            log.error("service.part_late", service=self._name, part=task.get_name())
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        failed = not asked or bool(late)
        for task, outcome in zip(tasks, outcomes, strict=True):
            if isinstance(outcome, Exception):
                failed = True
                log.error("service.part_failed", part=task.get_name(), exc_info=outcome)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        try:
            async with asyncio.timeout(_CLOSE_SECONDS), contextlib.AsyncExitStack() as closing:
                closing.push_async_callback(self._database.close)
                for close in self._closers:
                    closing.push_async_callback(close)
        except TimeoutError:
            # Database, broker or mail server is away: nothing is lost with what is cut off here, but it is said.
            log.warning("service.close_cut_off", service=self._name, after_seconds=_CLOSE_SECONDS)
        log.info("service.stopped", service=self._name, failed=failed)
        return failed

    async def _serve_http(self, server: uvicorn.Server) -> None:
        try:
            await server.serve()
        except SystemExit as error:
            # uvicorn leaves this way when it cannot bind; the other parts must still stop in order.
            raise OSError(f"cannot serve on {self._host}:{self._port}: is the port taken?") from error

    def _add_health_routes(self, app: FastAPI) -> None:
        health = self.health
        database = self._database

        async def livez(_: Request) -> Response:
            stuck = health.stuck()
            return JSONResponse({"stuck": stuck}, 503 if stuck else 200)

        async def readyz(_: Request) -> Response:
            not_ready = health.not_ready()
            try:
                async with asyncio.timeout(_READY_SECONDS):
                    await database.ping()
            except Exception as error:  # noqa: BLE001 - whatever it is, the answer is "not ready", with its name
                not_ready["database"] = type(error).__name__
            return JSONResponse({"not_ready": not_ready}, 503 if not_ready else 200)

        async def metrics(_: Request) -> Response:
            return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

        app.add_route("/livez", livez, include_in_schema=False)
        app.add_route("/readyz", readyz, include_in_schema=False)
        app.add_route("/metrics", metrics, include_in_schema=False)
