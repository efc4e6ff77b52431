"""`otklik deliveries`: what survey vendors delivered, and having it understood again."""

import json
import sys
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from typing import Annotated, Any, Final
from uuid import UUID

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from deploy.cli_dead_letters import since_when
from deploy.deliveries_shown import as_page, as_table
from deploy.ingest_calls import IngestCalls, ingest
from deploy.options import DataDir, settings_of
from deploy.troubles import CommandError

SHOWN: Final = 50
_AT_ONCE: Final = 200
_BATCH: Final = 100


class Status(StrEnum):
    """What became of a delivery."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"
    IGNORED = "ignored"


commands = typer.Typer(
    help="What vendors delivered, understood or not: look at it, and have it understood again.", no_args_is_help=True
)

SourceName = Annotated[str | None, typer.Option("--source", help="Only what this source delivered.")]
Since = Annotated[str | None, typer.Option("--since", help="Only what came since: 30m, 2h, 7d or a date.")]


@commands.command("list")
def list_(
    status: Annotated[Status | None, typer.Option(help="Only what is in this state.")] = None,
    source: SourceName = None,
    since: Since = None,
    *,
    limit: Annotated[int, typer.Option(min=1, help="At most so many lines.")] = SHOWN,
    json_: Annotated[bool, typer.Option("--json", help="All of them, a JSON object a line.")] = False,
    data_dir: DataDir = None,
) -> None:
    """List deliveries, the newest first."""
    with ingest(settings_of(data_dir)) as calls:
        found = _newest(calls, status, source, _moment(since))
        if json_:
            for each in found:
                print(json.dumps(each, ensure_ascii=False))  # noqa: T201 - no wrapping, no colour
            return
        shown = list(islice(found, limit + 1))
    console = Console(highlight=False)
    if not shown:
        console.print("There are no deliveries like that.")
        return
    console.print(as_table(shown[:limit]))
    if len(shown) > limit:
        console.print(f"The newest {limit}; there are more: --limit, a filter, or --json for all.", style="dim")


@commands.command()
def show(
    id_: Annotated[UUID, typer.Argument(metavar="ID", help="As the list shows it.")],
    *,
    raw: Annotated[bool, typer.Option("--raw", help="The body alone, byte for byte.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="For programs: JSON.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Show everything about one. The body may hold contact details and what a customer wrote."""
    if raw and json_:
        raise CommandError("Either --raw or --json")
    with ingest(settings_of(data_dir)) as calls:
        delivery = calls.get(f"/v1/deliveries/{id_}")
    if raw:
        sys.stdout.buffer.write(b64decode(delivery["body_base64"]))
    elif json_:
        print(json.dumps(delivery, ensure_ascii=False))  # noqa: T201 - no wrapping, no colour
    else:
        Console(highlight=False).print(as_page(delivery))


@commands.command()
def replay(
    ids: Annotated[list[UUID] | None, typer.Argument(metavar="[ID]...", help="As the list shows them.")] = None,
    status: Annotated[Status | None, typer.Option(help="What is in this state; in quarantine by default.")] = None,
    source: SourceName = None,
    since: Since = None,
    *,
    everything: Annotated[
        bool, typer.Option("--everything", help="All that is in quarantine; needed where nothing else is said.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Have deliveries understood again by today's field maps. A second time changes nothing more."""
    filtered = status is not None or source is not None or since is not None
    if ids and (filtered or everything):
        raise CommandError("Either ids or filters: both at once could mean two things")
    if not (ids or filtered or everything):
        raise CommandError("Which? Say ids, --source, --status, --since or --everything")
    settings, moment = settings_of(data_dir), _moment(since)
    wanted = status or Status.QUARANTINED
    with ingest(settings) as calls:
        counts: dict[str, int] = {}
        chosen = list(dict.fromkeys(str(each) for each in ids or ()))
        for each in (
            [calls.get(f"/v1/deliveries/{id_}") for id_ in chosen] if ids else _newest(calls, wanted, source, moment)
        ):
            counts[each["source"]] = counts.get(each["source"], 0) + 1
    total = sum(counts.values())
    if not total:
        Console().print("No deliveries are like that.")
        return
    preview = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
    Console(stderr=True, highlight=False).print(f"Replay {total:,}: {preview}")
    # Nothing is held open while somebody thinks.
    if not yes:
        typer.confirm("Go on?", abort=True, err=True)
    done: dict[str, int] = {}
    with ingest(settings) as calls, _progress() as progress:
        task = progress.add_task("Replay", total=total)
        for batch in _one_by_one(calls, chosen) if ids else _batches(calls, wanted, source, moment):
            for replayed in batch:
                done[replayed["status"]] = done.get(replayed["status"], 0) + 1
            progress.advance(task, len(batch))
    became = ", ".join(f"{name} {count:,}" for name, count in sorted(done.items()))
    Console(highlight=False).print(f"Replayed: {sum(done.values()):,}. They are now: {became or 'gone'}.")


def _newest(
    calls: IngestCalls, status: Status | None, source: str | None, since: datetime | None
) -> Iterator[dict[str, Any]]:
    filters = {name: value for name, value in (("status", status), ("source", source)) if value is not None}
    for page in calls.pages("/v1/deliveries", {**filters, "limit": _AT_ONCE}):
        for each in page:
            if since is not None and datetime.fromisoformat(each["received_at"]) < since:
                return
            yield each


def _one_by_one(calls: IngestCalls, ids: list[str]) -> Iterator[list[dict[str, Any]]]:
    for id_ in ids:
        yield [calls.post(f"/v1/deliveries/{id_}/replay")]


def _batches(
    calls: IngestCalls, status: Status, source: str | None, since: datetime | None
) -> Iterator[list[dict[str, Any]]]:
    """The oldest first; what is replayed may leave the state that is asked for, and the cursor goes on behind it."""
    cursor: str | None = None
    while True:
        body: dict[str, object] = {"status": status, "source": source, "limit": _BATCH, "cursor": cursor}
        page = calls.post(
            "/v1/deliveries/replay", body | ({} if since is None else {"received_from": since.isoformat()})
        )
        yield page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _moment(since: str | None) -> datetime | None:
    return None if since is None else since_when(since, datetime.now(UTC))


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
