"""How deliveries look in a terminal: a table, one in full."""

import json
from base64 import b64decode
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from deploy.dead_letters_shown import plain

STYLES: Final = {"accepted": "green", "quarantined": "bold red", "duplicate": "dim", "ignored": "dim"}
_LINE: Final = 16
_MOST_LINES: Final = 64


def moment(written: str) -> str:
    """A time of JSON, in this machine's zone."""
    return f"{datetime.fromisoformat(written).astimezone():%Y-%m-%d %H:%M:%S}"


def as_table(deliveries: Sequence[dict[str, Any]]) -> Table:
    """One or two lines each: the id, when, of which source, and what was made of it."""
    table = Table(box=None, pad_edge=False)
    table.add_column("id", no_wrap=True, style="bold")
    table.add_column("received", no_wrap=True)
    table.add_column("source and verdict", overflow="fold")
    for each in deliveries:
        told = Text.assemble((plain(each["source"]), "cyan"), " ", (each["status"], STYLES.get(each["status"], "")))
        if each["copies"] > 1:
            told.append(f" came {each['copies']}×", style="dim")
        if each["reason"]:
            told.append(f"\n{plain(each['reason'])}", style="dim")
        table.add_row(each["id"], moment(each["received_at"]), told)
    return table


def as_page(delivery: dict[str, Any]) -> Group:
    """Everything about one of them."""
    facts = _grid(
        ("status", Text(delivery["status"], style=STYLES.get(delivery["status"], ""))),
        ("reason", Text(plain(delivery["reason"] or "–"))),
        ("source", Text(plain(delivery["source"]))),
        ("came by", Text(delivery["via"])),
        ("received", Text(f"{moment(delivery['received_at'])}, {delivery['copies']}×")),
        ("known as", Text(plain(delivery["key"]))),
        ("response", Text(delivery["response_id"] or "–")),
        ("events", Text("\n".join(delivery["event_ids"]) or "–")),
        ("read again", Text(moment(delivery["replayed_at"]) if delivery["replayed_at"] else "–")),
        ("content type", Text(plain(delivery["content_type"]))),
    )
    headers = _grid(*((plain(name), Text(plain(value))) for name, value in sorted(delivery["headers"].items())))
    return Group(
        Panel(facts, title=delivery["id"], title_align="left"),
        Panel(headers, title="headers, without secrets and signatures", title_align="left"),
        Panel(_body(delivery), title=f"body, {delivery['size']:,} bytes", title_align="left"),
    )


def _grid(*rows: tuple[str, Text]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, said in rows:
        grid.add_row(name, said)
    return grid


def _body(delivery: dict[str, Any]) -> RenderableType:
    if not delivery["size"]:
        return Text("no longer kept: its time is over, or the customer asked to be forgotten", style="dim")
    body = delivery["body"]
    if body is None:
        return Text(_bytes(b64decode(delivery["body_base64"])))
    try:
        written = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return Text(plain(body))
    return Syntax(plain(written), "json", background_color="default", word_wrap=True)


def _bytes(content: bytes) -> str:
    lines = [
        f"{at:06x}  {content[at : at + _LINE].hex(' ')}"
        for at in range(0, min(len(content), _LINE * _MOST_LINES), _LINE)
    ]
    rest = len(content) - _LINE * _MOST_LINES
    return "\n".join([*lines, f"… and {rest:,} bytes more: --raw gives all"] if rest > 0 else lines)
