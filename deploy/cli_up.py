"""`otklik up` and `otklik demo`: the stack in the foreground, with one line for everything that happens to it."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from rich.console import Console
from rich.table import Table

from deploy.local.running import Addresses, of_running_stack
from deploy.local.settings import SERVICES, StackSettings
from deploy.local.stack import LocalStack
from deploy.troubles import CommandError

Story = Callable[[Addresses, Console], Awaitable[None]]


def demo(settings: StackSettings, story: Story, *, keep_serving: bool) -> None:
    """Play the story on the stack that runs here; where none runs, start one."""
    running = of_running_stack(settings.data_dir)
    if running is None:
        run(settings, then=story, keep_serving=keep_serving)
    else:
        asyncio.run(_play(story, running))


async def _play(story: Story, addresses: Addresses) -> None:
    await story(addresses, Console(highlight=False))


def run(
    settings: StackSettings,
    *,
    services: Sequence[str] = SERVICES,
    then: Story | None = None,
    keep_serving: bool = True,
) -> None:
    """Start the stack, play the story if there is one, and serve until Ctrl-C."""
    unknown = sorted(set(services) - set(SERVICES))
    if unknown:
        raise CommandError(f"There is no service {', '.join(unknown)}: {', '.join(SERVICES)}")
    console = Console(highlight=False)

    def tell(line: str) -> None:
        moment = datetime.now().astimezone().strftime("%H:%M:%S")
        console.print(f"[dim]{moment}[/dim] ", end="")
        console.print(line, markup=False, style="yellow" if _worries(line) else None)

    stack = LocalStack(settings.data_dir, given=settings, services=services, tell=tell)
    asyncio.run(_serve(stack, console, then=then, keep_serving=keep_serving))


async def _serve(stack: LocalStack, console: Console, *, then: Story | None, keep_serving: bool) -> None:
    life = asyncio.create_task(_live(stack, console, then=then, keep_serving=keep_serving))
    asked = 0

    def stop() -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            console.print("\nStopping; press Ctrl-C again to stop at once.", style="dim")
            life.cancel()
        else:
            stack.wipe_out()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        await life
    except asyncio.CancelledError:
        console.print("Stopped. The data is kept.", style="dim")


async def _live(stack: LocalStack, console: Console, *, then: Story | None, keep_serving: bool) -> None:
    async with stack:
        if then is not None:
            await then(stack.addresses(), console)
        else:
            console.print(_table(stack))
        if keep_serving:
            console.print("Serving. Ctrl-C stops everything; the data is kept.", style="bold")
            await asyncio.Event().wait()


def _table(stack: LocalStack) -> Table:
    """Show where everything is."""
    table = Table(title="Otklik", title_justify="left", title_style="bold", show_header=False, box=None)
    table.add_column(style="cyan")
    table.add_column()
    for name, url in stack.urls.items():
        table.add_row(name, url)
    table.add_row("mail", stack.smtp_url)
    table.add_row("kafka", stack.bootstrap_servers + (" (in memory)" if stack.kafka_in_memory else ""))
    table.add_row("logs", str(stack.data_dir / "logs"))
    return table


def _worries(line: str) -> bool:
    return any(word in line for word in (" ended ", "cannot", "did not", "memory"))
