"""`otklik import`: a file of responses into ingest, shown before it starts, and resumed wherever it stopped."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from deploy.import_sending import Ingest, SeenFile, ingest, look_through
from deploy.import_shown import as_page, as_summary, rows_of, write_errors
from services.ingest.domain.columns import COLUMN_FIELDS

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.local.settings import StackSettings

INTERRUPTED: Final = 130
"""What a shell reports of a program that Ctrl-C ended."""


def run(settings: StackSettings, path: Path, said: dict[str, Any], *, dry_run: bool, yes: bool) -> None:
    """Look through the file, show what was found, ask, send, and say what became of it."""
    console, errors = Console(highlight=False), Console(stderr=True, highlight=False)
    with _progress(errors) as progress:
        looking = progress.add_task("Looking through", total=path.stat().st_size, counts="")
        seen = look_through(path, lambda size: progress.advance(looking, size))
    query = {name: value for name, value in said.items() if value}
    if seen.encoding is not None:
        query.setdefault("encoding", seen.encoding)
    with ingest(settings, purpose=f"import {seen.digest[:12]}", tell=errors.print) as server:
        preview = server.preview(seen, query)
        console.print(as_page(preview, size=seen.size, source=said["source"]))
        if dry_run:
            return
        if not yes:
            typer.confirm("Import it?", abort=True, err=True)
        _import(server, seen, _exactly(said["source"], preview["layout"]), console, errors)


def _exactly(source: str, layout: dict[str, Any]) -> dict[str, Any]:
    """All that was shown, so that nothing is guessed anew: what is nowhere is said to be nowhere."""
    wanted = {name: layout[name] for name in ("format", "encoding", "separator", "times") if layout[name] is not None}
    columns = [f"{field}={layout['map'].get(field, '')}" for field in COLUMN_FIELDS]
    return {"source": source, **wanted, "map": columns}


def _import(server: Ingest, seen: SeenFile, query: dict[str, Any], console: Console, errors: Console) -> None:
    import_ = server.begin(seen, query)
    if import_["finished"]:
        console.print(f"This file was imported before; nothing is added. {as_summary(import_)}")
    elif import_["offset"]:
        console.print(f"Going on after {rows_of(import_):,} rows, at byte {import_['offset']:,} of {seen.size:,}.")
    began, before = time.monotonic(), rows_of(import_)
    try:
        with _progress(errors) as progress:
            sending = progress.add_task("Importing", total=seen.size, completed=import_["offset"], counts="")
            for now in server.send(seen, import_):
                import_ = now
                rate = (rows_of(now) - before) / max(time.monotonic() - began, 0.001)
                counts = f"{rows_of(now):,} rows, {rate:,.0f}/s, {now['errors']:,} errors"
                progress.update(sending, completed=now["offset"], counts=counts)
    except KeyboardInterrupt:
        errors.print(f"\nStopped after {as_summary(import_)}. The same command goes on there.")
        raise typer.Exit(INTERRUPTED) from None
    if rows_of(import_) > before:
        seconds = time.monotonic() - began
        console.print(f"{as_summary(import_)}; {(rows_of(import_) - before) / seconds:,.0f} rows/s.")
    if import_["errors"]:
        target = write_errors(seen.path, import_, server.errors(import_["id"]))
        console.print(f"The errors are in {target}", style="yellow", soft_wrap=True)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[counts]}"),
        console=console,
        transient=True,
    )
