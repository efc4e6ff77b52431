"""`otklik sources`: the surveys at vendors whose answers ingest takes. They are set up in the portal."""

import json
from typing import Annotated, Any, Final

import typer
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from deploy.dead_letters_shown import plain
from deploy.deliveries_shown import moment
from deploy.ingest_calls import ingest
from deploy.options import DataDir, settings_of

_AT_ONCE: Final = 200

commands = typer.Typer(help="Surveys at vendors whose answers come in: list, show.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="For programs: JSON.")]


@commands.command("list")
def list_(
    vendor: Annotated[str | None, typer.Option(help="Only sources of this vendor.")] = None,
    program: Annotated[str | None, typer.Option(help="Only sources of this survey programme.")] = None,
    *,
    json_: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List the sources, by name."""
    with ingest(settings_of(data_dir)) as calls:
        found = [
            source
            for page in calls.pages("/v1/sources", {"limit": _AT_ONCE})
            for source in page
            if vendor in (None, source["vendor"]) and program in (None, source["program"])
        ]
    if json_:
        for source in found:
            print(json.dumps(source, ensure_ascii=False))  # noqa: T201 - no wrapping, no colour
    elif found:
        Console(highlight=False).print(_table(found))
    else:
        Console().print("There are no sources like that: the portal sets them up.")


@commands.command()
def show(
    name: Annotated[str, typer.Argument(help="As the list shows it.")],
    *,
    json_: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show everything about one, but its secrets, which nobody can look up."""
    with ingest(settings_of(data_dir)) as calls:
        source = calls.get(f"/v1/sources/{name}")
        newest = calls.get("/v1/deliveries", {"source": name, "limit": 1})["items"]
    if json_:
        print(json.dumps(source, ensure_ascii=False))  # noqa: T201 - no wrapping, no colour
    else:
        Console(highlight=False).print(_page(source, newest))


def _table(sources: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "vendor", "program", "score", "changed"):
        table.add_column(heading, overflow="fold")
    for source in sources:
        table.add_row(
            Text(source["name"], style="bold"),
            source["vendor"],
            Text(plain(source["program"])),
            Text(_place(source["field_map"].get("score")) or "the vendor's own"),
            moment(source["updated_at"]),
            style=None if source["enabled"] else "dim",
        )
    return table


def _page(source: dict[str, Any], newest: list[dict[str, Any]]) -> Group:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    instrument = source["instrument"]
    secrets = [
        "in use" if secret["valid_until"] is None else f"valid until {moment(secret['valid_until'])}"
        for secret in source["secrets"]
    ]
    for name, said in (
        ("state", "takes deliveries" if source["enabled"] else "switched off"),
        ("vendor", source["vendor"]),
        ("program", source["program"]),
        ("path", source["webhook"]),
        ("question", instrument["question"]),
        ("metric", f"{instrument['metric']}, {instrument['scale_min']} to {instrument['scale_max']}"),
        ("asked", f"{instrument['kind']}, by {instrument['channel']}, sampling: {instrument['sampling']}"),
        ("touchpoint", source["touchpoint"]),
        ("language", source["language"]),
        ("time zone", source["time_zone"]),
        ("kept for", None if source["keep_days"] is None else f"{source['keep_days']} days"),
        ("networks", ", ".join(source["networks"]) or "anywhere"),
        ("secrets", ", ".join(secrets)),
        *((field, _place(place)) for field, place in source["field_map"].items()),
        ("last delivery", f"{moment(newest[0]['received_at'])}, {newest[0]['status']}" if newest else "none yet"),
    ):
        if said:
            facts.add_row(name, Text(plain(str(said))))
    return Group(Panel(facts, title=source["name"], title_align="left"))


def _place(reference: dict[str, str | None] | None) -> str:
    told = [f"{place} {name}" for place, name in (reference or {}).items() if name is not None]
    return plain(told[0]) if told else ""
