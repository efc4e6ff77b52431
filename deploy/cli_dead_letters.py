"""`otklik dead-letters`: what consumers set aside, and what becomes of it."""

import asyncio
import getpass
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from deploy.cli_tail import bootstrap_servers
from deploy.dead_letters_shown import as_json, as_page, as_table
from deploy.local.settings import StackSettings
from deploy.options import DataDir, settings_of
from deploy.troubles import CommandError
from libs.events.database import utc_now
from libs.events.dead_letters import DeadLetter, DeadLetterDesk, State, Wanted, parse_id, queues_of
from libs.events.errors import Unavailable
from libs.events.kafka_log import kafka_log
from libs.events.topics import TOPICS

SHOWN: Final = 50
_UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_SPAN: Final = re.compile(r"([0-9]{1,4})([mhdw])")

commands = typer.Typer(
    help="Records that a consumer could not handle: look at them, replay them to that consumer alone, or drop them.",
    no_args_is_help=True,
)

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="As the list shows them: casework.scores:17")]
ConsumerName = Annotated[str | None, typer.Option("--consumer", help="Only what this consumer set aside.")]
TopicName = Annotated[str | None, typer.Option("--topic", help="Only records of this topic.")]
TypeLike = Annotated[str, typer.Option("--type", help="Only event types like this, for example 'case.*'.")]
Since = Annotated[str | None, typer.Option("--since", help="Only what was set aside since: 30m, 2h, 7d or a date.")]
Everything = Annotated[bool, typer.Option("--everything", help="All that is open; needed where nothing else is said.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

Act = Callable[[DeadLetterDesk, Sequence[DeadLetter]], Awaitable[Sequence[DeadLetter]]]
"""Returns those about which nothing was done."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which letters a command is about: by their ids, or by what they have in common."""

    ids: tuple[str, ...]
    wanted: Wanted


@commands.command("list")
def list_(
    consumer: ConsumerName = None,
    topic: TopicName = None,
    type_: TypeLike = "*",
    since: Since = None,
    *,
    decided: Annotated[
        bool, typer.Option("--all", help="Also what was replayed or dropped, with who and why.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many lines.")] = SHOWN,
    json: Annotated[bool, typer.Option("--json", help="All of them, a JSON object a line.")] = False,
    data_dir: DataDir = None,
) -> None:
    """List dead letters, the newest first."""
    wanted = _wanted(consumer, topic, type_, since, state=None if decided else State.OPEN)
    work = _print_json(settings_of(data_dir), wanted) if json else _print_table(settings_of(data_dir), wanted, limit)
    asyncio.run(work)


@commands.command()
def show(
    id_: Annotated[str, typer.Argument(metavar="ID", help="As the list shows it.")],
    *,
    raw: Annotated[bool, typer.Option("--raw", help="The payload alone, byte for byte.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Show everything about one. The payload may hold contact details and what a customer wrote."""
    letter = asyncio.run(_one(settings_of(data_dir), id_))
    if raw:
        sys.stdout.buffer.write(letter.value or b"")
    else:
        Console(highlight=False).print(as_page(letter))


@commands.command()
def replay(
    ids: Ids = None,
    consumer: ConsumerName = None,
    topic: TopicName = None,
    type_: TypeLike = "*",
    since: Since = None,
    reason: Annotated[str, typer.Option(help="Why it will work now; kept with the decision.")] = "",
    *,
    everything: Everything = False,
    yes: Yes = False,
    data_dir: DataDir = None,
) -> None:
    """Give records to the consumer that failed, and to no other, once more. What fails again comes back."""
    chosen = _chosen(ids, _wanted(consumer, topic, type_, since), everything=everything)

    async def act(desk: DeadLetterDesk, letters: Sequence[DeadLetter]) -> Sequence[DeadLetter]:
        return await desk.replay(letters, by=_person(), reason=reason)

    done = asyncio.run(_do(settings_of(data_dir), chosen, act, verb="Replay", yes=yes))
    if done:
        Console().print(f"Replayed: {done:,}. What fails again comes back to `otklik dead-letters list`.")


@commands.command()
def drop(
    reason: Annotated[str, typer.Option(help="Why nobody needs them; kept with the decision.")],
    ids: Ids = None,
    consumer: ConsumerName = None,
    topic: TopicName = None,
    type_: TypeLike = "*",
    since: Since = None,
    *,
    everything: Everything = False,
    yes: Yes = False,
    data_dir: DataDir = None,
) -> None:
    """Let records be, for a reason. They can still be seen with `list --all`, and replayed by id."""
    if not reason.strip():
        raise CommandError("What is dropped is dropped for a reason: say --reason")
    chosen = _chosen(ids, _wanted(consumer, topic, type_, since), everything=everything)

    async def act(desk: DeadLetterDesk, letters: Sequence[DeadLetter]) -> Sequence[DeadLetter]:
        await desk.drop(letters, by=_person(), reason=reason)
        return ()

    done = asyncio.run(_do(settings_of(data_dir), chosen, act, verb="Drop", yes=yes, only_open=True))
    if done:
        Console().print(f"Dropped: {done:,}.")


def since_when(written: str, now: datetime) -> datetime:
    """Read a span before now (`2h`) or a date, with or without time; without a zone it is this machine's."""
    if span := _SPAN.fullmatch(written):
        return now - int(span[1]) * _UNITS[span[2]]
    try:
        return datetime.fromisoformat(written).astimezone()
    except ValueError as error:
        raise CommandError(
            f"--since {written} is not understood: 30m, 2h, 7d, 2026-03-02 or 2026-03-02T10:00"
        ) from error


def _wanted(
    consumer: str | None, topic: str | None, type_: str, since: str | None, *, state: State | None = State.OPEN
) -> Wanted:
    queues = queues_of(TOPICS)
    for said, known in (
        (consumer, sorted({queue.consumer for queue in queues})),
        (topic, sorted({queue.topic for queue in queues})),
    ):
        if said is not None and said not in known:
            raise CommandError(f"There is no {said}: {', '.join(known)}")
    moment = None if since is None else since_when(since, datetime.now(UTC))
    return Wanted(consumer=consumer, topic=topic, type_like=type_, since=moment, state=state)


def _chosen(ids: Sequence[str] | None, wanted: Wanted, *, everything: bool) -> Chosen:
    filtered = wanted != Wanted()
    if ids and (filtered or everything):
        raise CommandError("Either ids or filters: both at once could mean two things")
    if not (ids or filtered or everything):
        raise CommandError("Which? Say ids, --consumer, --topic, --type, --since or --everything")
    return Chosen(tuple(dict.fromkeys(ids or ())), wanted)


@asynccontextmanager
async def _desk(settings: StackSettings) -> AsyncIterator[DeadLetterDesk]:
    async with kafka_log(bootstrap_servers(settings)) as log:
        yield DeadLetterDesk(log, TOPICS, clock=utc_now)


async def _one(settings: StackSettings, written: str) -> DeadLetter:
    id_ = parse_id(written, queues_of(TOPICS))
    async with _desk(settings) as desk:
        return await desk.one(id_)


async def _print_json(settings: StackSettings, wanted: Wanted) -> None:
    async with _desk(settings) as desk:
        async for letter in desk.newest(wanted):
            print(as_json(letter))  # noqa: T201 - no wrapping, no colour


async def _print_table(settings: StackSettings, wanted: Wanted, limit: int) -> None:
    async with _desk(settings) as desk:
        page = await desk.page(wanted, limit=limit)
        more = page.rest is not None and (await desk.page(wanted, limit=1, ends=page.rest)).letters != []
    console = Console(highlight=False)
    if not page.letters:
        console.print("No dead letters." if wanted.state is None else "No open dead letters.")
        return
    console.print(as_table(page.letters))
    if more:
        console.print(f"The newest {limit}; there are more: --limit, a filter, or --json for all.", style="dim")


async def _do(
    settings: StackSettings, chosen: Chosen, act: Act, *, verb: str, yes: bool, only_open: bool = False
) -> int:
    """Preview, ask, act in batches; for how many it was done."""
    ids = [parse_id(written, queues_of(TOPICS)) for written in chosen.ids]
    async with _desk(settings) as desk:
        if ids:
            letters = await desk.some(ids)
            _look_at_decisions(letters, only_open=only_open)
            counts = {str(letter.id): 1 for letter in letters}
            total = len(letters)
        else:
            counts = {queue.name: count for queue, count in (await desk.count(chosen.wanted)).items()}
            total = sum(counts.values())
        if not total:
            Console().print("No open dead letters are like that.")
            return 0
    preview = ", ".join(counts) if ids else ", ".join(f"{name} {count:,}" for name, count in counts.items())
    Console(stderr=True, highlight=False).print(f"{verb} {total:,}: {preview}")
    # Nothing is held open while somebody thinks.
    if not yes:
        typer.confirm("Go on?", abort=True, err=True)
    done = 0
    try:
        async with _desk(settings) as desk:
            with _progress() as progress:
                task = progress.add_task(verb, total=total)
                async for batch in _batches(desk, chosen, letters if ids else None):
                    left = await act(desk, batch)
                    done += len(batch) - len(left)
                    progress.advance(task, len(batch))
                    for letter in left:
                        progress.console.print(f"{letter.id}: its key has a newer record; drop it", style="yellow")
    except Unavailable as error:
        if not done:
            raise
        raise CommandError(
            f"Stopped after {done:,} of about {total:,}, and what is done is noted: {error}. "
            "The same command does the rest."
        ) from error
    return done


async def _batches(
    desk: DeadLetterDesk, chosen: Chosen, letters: Sequence[DeadLetter] | None
) -> AsyncIterator[Sequence[DeadLetter]]:
    if letters is not None:
        yield letters
        return
    async for batch in desk.batches(chosen.wanted):
        yield batch


def _look_at_decisions(letters: Sequence[DeadLetter], *, only_open: bool) -> None:
    for letter in letters:
        if letter.decision is not None:
            told = f"{letter.id} was {letter.state} {letter.decision.at:%Y-%m-%d %H:%M} by {letter.decision.by}"
            if only_open:
                raise CommandError(f"{told}; nothing is dropped")
            Console(stderr=True, highlight=False).print(f"{told}: once more, then", style="yellow", markup=False)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def _person() -> str:
    """Who does this: the account on this machine, or its number where it has no name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"user {os.getuid()}"
