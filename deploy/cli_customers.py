"""`otklik customers import`: files of customers and accounts into scoring, resumed wherever they stopped."""

import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from deploy.customer_import import CustomerImport, Progress, look_at, scoring
from deploy.customer_rows import ATTRIBUTES, FIELDS, What
from deploy.import_sending import look_through
from deploy.import_shown import SEPARATORS
from deploy.options import DataDir, settings_of
from deploy.troubles import CommandError
from services.ingest.domain.detection import Detected, Given

INTERRUPTED: Final = 130
"""What a shell reports of a program that Ctrl-C ended."""

commands = typer.Typer(help="Customers and their accounts: import.", no_args_is_help=True)


@commands.command("import")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="CSV or JSON Lines.")],
    *,
    accounts: Annotated[bool, typer.Option("--accounts", help="The file holds accounts.")] = False,
    map_: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="FIELD=COLUMN", help="What is not said is guessed and shown; FIELD= is nowhere."),
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="utf-8, utf-8-sig or windows-1251")] = None,
    separator: Annotated[str | None, typer.Option(help="comma, semicolon, tab or pipe")] = None,
    language: Annotated[str, typer.Option(help="Of customers whose row does not say: ru or en.")] = "ru",
    time_zone: Annotated[str, typer.Option(help="Of customers whose row does not say.")] = "Europe/Moscow",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what was found, and stop.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Load a file of customers or accounts; the same command goes on where it stopped."""
    console, errors = Console(highlight=False), Console(stderr=True, highlight=False)
    with _bar(errors) as bar:
        looking = bar.add_task("Looking through", total=file.stat().st_size, counts="")
        seen = look_through(file, lambda size: bar.advance(looking, size))
    if separator is not None and separator not in SEPARATORS:
        raise CommandError(f"--separator is one of {', '.join(SEPARATORS)}")
    what: What = "accounts" if accounts else "customers"
    given: Any = Given(None, encoding or seen.encoding, SEPARATORS.get(separator or ""))  # type: ignore[arg-type]  # checked by what reads them
    found, columns = look_at(seen, given, what, _said(map_ or []))
    defaults = {} if accounts else {"language": language, "time_zone": time_zone}
    import_ = CustomerImport(seen, found, what, columns, defaults)
    console.print(_page(found, what, columns, import_.progress))
    if dry_run:
        return
    if not yes:
        typer.confirm("Load it?", abort=True, err=True)
    began = time.monotonic()
    with scoring(settings_of(data_dir), purpose=f"import {seen.digest[:12]}", tell=errors.print) as server:
        try:
            with _bar(errors) as bar:
                sending = bar.add_task("Loading", total=seen.size, completed=import_.progress.offset, counts="")
                for progress in import_.send(server):
                    rate = sum(progress.counts.values()) / max(time.monotonic() - began, 0.001)
                    counts = f"{sum(progress.counts.values()):,} rows, {rate:,.0f}/s"
                    bar.update(sending, completed=progress.offset, counts=counts)
        except KeyboardInterrupt:
            errors.print(f"\nStopped after {_summary(import_.progress)}. The same command goes on there.")
            raise typer.Exit(INTERRUPTED) from None
    console.print(_summary(import_.progress))
    if import_.progress.counts.get("invalid"):
        console.print(f"The errors are in {import_.errors}", style="yellow", soft_wrap=True)


def _said(pairs: list[str]) -> dict[str, str]:
    split = [each.partition("=") for each in pairs]
    if wrong := next((each for each, (_, equals, _) in zip(pairs, split, strict=True) if not equals), None):
        raise CommandError(f"--map {wrong}: say FIELD=COLUMN")
    return {name: column for name, _, column in split}


def _summary(progress: Progress) -> str:
    told = ", ".join(f"{n:,} {status}" for status, n in sorted(progress.counts.items()) if n)
    return f"{sum(progress.counts.values()):,} rows: {told or 'none'}"


def _page(found: Detected, what: What, columns: dict[str, str], progress: Progress) -> Table:
    page = Table(box=None, show_header=False)
    page.add_column(style="cyan")
    page.add_column()
    layout = found.layout
    page.add_row("format", f"{layout.format}, {layout.encoding} {layout.separator or ''}".strip())
    for field in FIELDS[what]:
        page.add_row(field, Text(columns[field]) if field in columns else Text("–", style="dim"))
    attributes = [field.removeprefix(ATTRIBUTES) for field in columns if field.startswith(ATTRIBUTES)]
    page.add_row("attributes", Text(", ".join(attributes) or "–"))
    left = [column for column in found.columns if column not in columns.values()]
    page.add_row("not used", Text(", ".join(left) or "–", style="dim"))
    if progress.counts:
        page.add_row("done already", _summary(progress))
    return page


def _bar(console: Console) -> Bar:
    parts = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    return Bar(*parts, TextColumn("{task.fields[counts]}"), console=console, transient=True)
