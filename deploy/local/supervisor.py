"""Keeps child processes running: starts them, waits until they are ready, starts them again when they end.

Everything here happens on the thread of the event loop, which must be the main one: the kernel ties a child to the
thread that started it (see `children`).
"""

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from deploy.local.children import Child, ChildError, ChildSpec, clear_remains

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
STEADY_AFTER_S: Final = 60.0
"""A part that has run for so long starts again after the shortest pause."""
_THAT_END: Final = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGABRT})
_LOOK_EVERY_S: Final = 0.05
_LOG_LINES_SHOWN: Final = 12
_LOG_LINE_SHOWN: Final = 300

Tell = Callable[[str], None]


class PartFailedError(Exception):
    """A part did not start; the message ends with the last lines of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A child process with the question whether it is ready. The spec is asked for anew at each start."""

    name: str
    spec: Callable[[], ChildSpec]
    ready: Callable[[Child], Awaitable[bool]]
    start_timeout_s: float = 180.0
    """Long: what cannot start ends, and is noticed at once; slow machines need it."""
    after_restart: Callable[[], None] | None = None


@dataclass(slots=True)
class _Run:
    part: Part
    child: Child
    started_at: float
    pauses: int = 0
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    watch: asyncio.Task[None] | None = None


class Supervisor:
    """The running parts, by name. `tell` gets one line for a person whenever something happens to one of them."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._runs: dict[str, _Run] = {}

    async def start(self, part: Part) -> None:
        """Start a part and return when it is ready; raises PartFailedError if it ends or takes too long."""
        child = await _start_child(part)
        run = _Run(part, child, time.monotonic())
        self._runs[part.name] = run
        try:
            async with asyncio.timeout(part.start_timeout_s):
                alive = await _until_ready(run)
        except TimeoutError as error:
            raise PartFailedError(_failure(part, f"was not ready after {part.start_timeout_s:g} s", child)) from error
        if not alive:
            raise PartFailedError(_failure(part, f"did not start ({ending(child)})", child))
        run.watch = asyncio.create_task(self._watch(run), name=f"watch {part.name}")

    def child(self, name: str) -> Child:
        """The present run of a part; a KeyError for a name that is not supervised."""
        return self._runs[name].child

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parts that are supervised."""
        return tuple(self._runs)

    async def until_ready(self, names: Iterable[str]) -> None:
        """Return when all of these parts are up and ready, after a restart too."""
        for name in names:
            run = self._runs[name]
            await run.ready.wait()
            while not run.child.alive():  # it ended a moment ago, which has not been noticed yet
                await asyncio.sleep(_LOOK_EVERY_S)
                await run.ready.wait()

    def kill(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a part; it is not ready any more if it ends of it."""
        run = self._runs[name]
        if number in _THAT_END:
            run.ready.clear()
        run.child.send(number)

    async def stop(self, names: Iterable[str]) -> None:
        """Stop these parts side by side, each within its bound."""
        await asyncio.gather(*(self._stop(name) for name in names if name in self._runs))

    def renew(self, names: Iterable[str]) -> None:
        """Ask these parts to end; they are started again, with what their specs say by then."""
        for name in names:
            if name in self._runs:
                self.kill(name, self._runs[name].child.spec.stop_signal)

    def wipe_out(self) -> None:
        """Kill everything at once: for somebody who does not want to wait."""
        for run in self._runs.values():
            if run.watch is not None:
                run.watch.cancel()
            run.child.wipe_out()

    async def _stop(self, name: str) -> None:
        run = self._runs[name]
        if run.watch is not None:
            run.watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):  # the cancellation asked for above
                await run.watch
        child = run.child
        child.send(child.spec.stop_signal)
        try:
            async with asyncio.timeout(child.spec.stop_timeout_s):
                await _ended(child)
        except TimeoutError:
            self._tell(f"{name} did not stop within {child.spec.stop_timeout_s:g} s and is killed")
        child.wipe_out()
        del self._runs[name]

    async def _watch(self, run: _Run) -> None:
        """Start the part again, as often as it ends, after growing pauses."""
        part = run.part
        while True:
            await _ended(run.child)
            run.ready.clear()
            run.child.wipe_out()
            pause = self._pause(run)
            self._tell(
                f"{part.name} ended ({ending(run.child)}): again in {pause:g} s; log: {run.child.spec.where_to_look}"
            )
            await asyncio.sleep(pause)
            began = time.monotonic()
            try:
                run.child = await _start_child(part)
            except (ChildError, OSError) as error:
                self._tell(f"{part.name} cannot be started: {error}")
                continue
            run.started_at = began
            if await _until_ready(run):
                self._tell(f"{part.name} is back ({time.monotonic() - began:.1f} s)")
                if part.after_restart is not None:
                    part.after_restart()

    def _pause(self, run: _Run) -> float:
        if time.monotonic() - run.started_at > STEADY_AFTER_S:
            run.pauses = 0
        pause = min(FIRST_PAUSE_S * 2**run.pauses, LONGEST_PAUSE_S)
        run.pauses += 1
        return float(pause)


async def _start_child(part: Part) -> Child:
    spec = part.spec()
    # Waiting for the remains of an earlier run blocks, so elsewhere; then nothing keeps the start itself.
    await asyncio.to_thread(clear_remains, spec.name, spec.lock)
    return Child(spec)


async def _until_ready(run: _Run) -> bool:
    """Wait until the part is ready, as long as it takes; false if it ends before."""
    while run.child.alive():
        if await run.part.ready(run.child):
            run.ready.set()
            return True
        await asyncio.sleep(_LOOK_EVERY_S)
    return False


async def _ended(child: Child) -> None:
    while child.alive():  # noqa: ASYNC110 - a process that ends sets no event
        await asyncio.sleep(_LOOK_EVERY_S)


def ending(child: Child) -> str:
    """Say how a child ended, in words."""
    code = child.process.returncode
    if code is None:
        return "still running"
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit status {code}"


def _failure(part: Part, what: str, child: Child) -> str:
    lines = "\n".join(f"    {line}" for line in last_lines(child.spec.where_to_look))
    return f"{part.name} {what}. Its log is {child.spec.where_to_look}\n{lines}".rstrip()


def last_lines(log: Path) -> list[str]:
    """Read the end of a log, as much as fits on a terminal."""
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 20_000))
        lines = file.read().decode(errors="replace").splitlines()[-_LOG_LINES_SHOWN:]
    return [line if len(line) <= _LOG_LINE_SHOWN else f"{line[:_LOG_LINE_SHOWN]} …" for line in lines]
