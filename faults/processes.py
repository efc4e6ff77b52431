"""Child processes that are killed on purpose: started, kept running, kept down, paused, and started again at once.

Unlike the supervisor of a local stack, this one waits the same short time before every start, however often a process
was killed: that is what it is for.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from typing import TYPE_CHECKING, Final

from deploy.local.children import Child, ChildError, clear_remains
from deploy.local.supervisor import last_lines

if TYPE_CHECKING:
    from deploy.local.supervisor import Part

_PAUSE_S: Final = 0.2
_LOOK_EVERY_S: Final = 0.03


class ProcessFailed(Exception):
    """A process did not come up within its bound; the message ends with its log."""


class Process:
    """One part of the stage. All calls come from the main thread: the kernel ties a child to the one that starts it."""

    def __init__(self, part: Part) -> None:
        self.name: Final = part.name
        self._part = part
        self._child: Child | None = None
        self._wanted = False
        self._keeper: asyncio.Task[None] | None = None
        self.starts = 0
        """How often it was started."""

    @property
    def pid(self) -> int:
        """The process id of the present run."""
        if self._child is None:
            raise ProcessFailed(f"{self.name} is not running")
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether a run of it has not ended."""
        return self._child is not None and self._child.alive()

    async def start(self) -> None:
        """Start it, wait until it is ready, and keep it running from then on."""
        self._wanted = True
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.name}")
        await self.until_ready()

    async def until_ready(self) -> None:
        """Return when it is up and ready; raises ProcessFailed where that takes too long."""
        deadline = time.monotonic() + self._part.start_timeout_s
        while not (self._child is not None and self._child.alive() and await self._part.ready(self._child)):
            if self._keeper is not None and self._keeper.done():
                await self._keeper
            if time.monotonic() > deadline:
                raise ProcessFailed(self._complaint())
            await asyncio.sleep(_LOOK_EVERY_S)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the program; one that ends of it is started again."""
        if self._child is not None and self._child.alive():
            self._child.send(number)

    async def down(self, number: signal.Signals, *, bound_s: float = 30.0) -> None:
        """End it by a signal and keep it down; whatever is left after the bound is killed."""
        self._wanted = False
        child = self._child
        if child is None:
            return
        if child.alive():
            child.send(number)
        with contextlib.suppress(TimeoutError):  # the kill follows in any case
            async with asyncio.timeout(bound_s):
                await self.ended()
        child.wipe_out()

    async def ended(self) -> None:
        """Return when the present run has ended."""
        child = self._child
        while child is not None and child.alive():  # noqa: ASYNC110 - a process that ends sets no event
            await asyncio.sleep(_LOOK_EVERY_S)

    async def close(self) -> None:
        """Stop it for good, in order."""
        self._wanted = False
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):  # asked for above
                await self._keeper
            self._keeper = None
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError):  # paused or not, it has ended already
                self._child.send(signal.SIGCONT)
            await self.down(self._child.spec.stop_signal)

    async def _keep(self) -> None:
        while True:
            if self._wanted and not self.alive:
                if self._child is not None:
                    self._child.wipe_out()
                    await asyncio.sleep(_PAUSE_S)
                if self._wanted:
                    await self._begin()
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _begin(self) -> None:
        spec = self._part.spec()
        try:
            # Waiting for the remains of an earlier run blocks, so elsewhere; then nothing keeps the start itself.
            await asyncio.to_thread(clear_remains, spec.name, spec.lock)
            if not self._wanted:
                return
            self._child = Child(spec)
        except (ChildError, OSError) as error:
            raise ProcessFailed(f"{self.name} cannot be started: {error}") from error
        self.starts += 1

    def _complaint(self) -> str:
        log = self._part.spec().where_to_look
        lines = "\n".join(f"    {line}" for line in last_lines(log))
        return f"{self.name} was not ready within {self._part.start_timeout_s:g} s. Its log is {log}\n{lines}"
