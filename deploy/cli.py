"""The operators' command line, `otklik …`. Each command's work is in a module beside this one."""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from deploy import (
    cli_accounts,
    cli_customers,
    cli_dead_letters,
    cli_deliveries,
    cli_doctor,
    cli_import,
    cli_keys,
    cli_migrate,
    cli_sources,
    cli_tail,
    cli_up,
)
from deploy.local.settings import SERVICES, StackSettings
from deploy.options import DataDir, settings_of
from deploy.troubles import understood

INTERRUPTED: Final = 130
"""What a shell reports of a program that Ctrl-C ended."""

app = typer.Typer(
    name="otklik",
    help="Closes the loop on survey feedback: from one unhappy answer to a customer who says that it is solved.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
keys = typer.Typer(help="API keys of a service: make, list, revoke.", no_args_is_help=True)
app.add_typer(keys, name="keys")
app.add_typer(cli_accounts.commands, name="accounts")
app.add_typer(cli_customers.commands, name="customers")
app.add_typer(cli_sources.commands, name="sources")
app.add_typer(cli_deliveries.commands, name="deliveries")
app.add_typer(cli_dead_letters.commands, name="dead-letters")

Service = Annotated[str, typer.Argument(help="ingest, scoring, casework, notify or portal")]


@app.command()
def up(
    *,
    only: Annotated[list[str] | None, typer.Option(help="Only this service; may be repeated. All by default.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Start everything on this machine, in the foreground, and keep it running until Ctrl-C."""
    cli_up.run(settings_of(data_dir), services=only or SERVICES)


@app.command()
def demo(
    data_dir: DataDir = None,
    *,
    serve: Annotated[bool, typer.Option("--serve", help="Keep serving after the story, until Ctrl-C.")] = False,
) -> None:
    """Load a small company and play a short real story through the loop, on the running stack or a new one."""
    from deploy.demo import play  # noqa: PLC0415 - nothing else needs the story

    cli_up.demo(settings_of(data_dir), play, keep_serving=serve)


@app.command()
def migrate(
    replication: Annotated[int, typer.Option(help="Copies of each topic that is created.")] = 3,
) -> None:
    """Set up servers given by address (OTKLIK_DATABASE_URL and so on): roles, schemas, tables, topics."""
    cli_migrate.run(StackSettings(), replication=replication)


@app.command()
def tail(
    *,
    topic: Annotated[list[str] | None, typer.Option(help="Only this topic; may be repeated. All by default.")] = None,
    type_: Annotated[str, typer.Option("--type", help="Only types like this, for example 'case.*'.")] = "*",
    subject: Annotated[str, typer.Option(help="Only subjects like this.")] = "*",
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Everything that is kept, then on.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Show contact details and comments, too.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Follow the event streams, until Ctrl-C."""
    wanted = cli_tail.Wanted(topics=tuple(topic or ()), type_like=type_, subject_like=subject)
    cli_tail.run(settings_of(data_dir), wanted, from_beginning=from_beginning, full=full)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="CSV or JSON Lines.")],
    source: Annotated[str, typer.Option(help="Whose program, instrument and time zone apply.")],
    *,
    map_: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="FIELD=COLUMN", help="What is not said is guessed and shown; FIELD= is nowhere."),
    ] = None,
    format_: Annotated[str | None, typer.Option("--format", help="csv or jsonl")] = None,
    encoding: Annotated[str | None, typer.Option(help="utf-8, utf-8-sig or windows-1251")] = None,
    separator: Annotated[str | None, typer.Option(help="comma, semicolon, tab or pipe")] = None,
    times: Annotated[str | None, typer.Option(help="iso, day-first or month-first")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what was found, and stop.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Import a file of responses of any size; the same command goes on where it stopped."""
    said = {"format": format_, "encoding": encoding, "separator": separator, "times": times, "map": map_}
    cli_import.run(settings_of(data_dir), file, {"source": source, **said}, dry_run=dry_run, yes=yes)


@app.command()
def doctor(data_dir: DataDir = None) -> None:
    """Look at everything that Otklik needs here, and say what to do about what is missing."""
    if not cli_doctor.run(settings_of(data_dir)):
        raise typer.Exit(1)


@keys.command("create")
def keys_create(
    service: Service,
    name: Annotated[str, typer.Argument(help="What the key is for; shown in the list.")],
    scope: Annotated[list[str], typer.Option(help="A right, for example sources:write; may be repeated.")],
    data_dir: DataDir = None,
) -> None:
    """Make a key. It is printed once and kept nowhere: only its hash is stored."""
    cli_keys.create(settings_of(data_dir), service, name=name, scopes=scope)


@keys.command("list")
def keys_list(service: Service, data_dir: DataDir = None) -> None:
    """List the keys of a service, revoked ones too."""
    cli_keys.show(settings_of(data_dir), service)


@keys.command("revoke")
def keys_revoke(
    service: Service,
    key_id: Annotated[str, typer.Argument(help="The id that `otklik keys list` shows.")],
    data_dir: DataDir = None,
) -> None:
    """Revoke a key; takes effect within seconds."""
    cli_keys.revoke(settings_of(data_dir), service, key_id=key_id)


def main() -> None:
    """Run the command; expected trouble is a message and status 1, not a traceback."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        message = understood(error)
        if message is None:
            raise
        Console(stderr=True).print(message, style="bold red", markup=False, highlight=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
