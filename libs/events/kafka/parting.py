"""What aiokafka leaves behind: its errors, its tasks, acknowledgements that nobody waits for any more."""

from __future__ import annotations

import asyncio

from libs.events.errors import Unavailable


def away(error: Exception) -> Unavailable:
    """What an error of aiokafka's means to whoever waits."""
    return Unavailable(f"broker away: {error!r}")


def look_at(outcome: asyncio.Future[object]) -> None:
    """Take note of an outcome that came after another one had already failed the batch."""
    if not outcome.cancelled():
        outcome.exception()


async def end_tasks(*tasks: asyncio.Task[object] | None) -> None:
    """Cancel tasks of aiokafka until they have ended: some take the first cancellation as a wish to finish."""
    left = {task for task in tasks if task is not None}
    while left:
        for task in left:
            task.cancel()
        ended, left = await asyncio.wait(left, timeout=1)
        for task in ended:
            look_at(task)
