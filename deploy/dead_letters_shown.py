"""How dead letters look in a terminal and as JSON: a table, one in full, a line for programs."""

import json
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from libs.events.dead_letters import DeadLetter, State

STATE_STYLES = {State.OPEN: "bold red", State.REPLAYED: "green", State.DROPPED: "dim"}


def as_table(letters: Sequence[DeadLetter]) -> Table:
    """A few lines each: the id, which names the consumer, when, what, and why; and what was decided about it."""
    table = Table(box=None, pad_edge=False)
    table.add_column("id", no_wrap=True, style="bold")
    table.add_column("set aside", no_wrap=True)
    table.add_column("what and why", overflow="fold")
    for letter in letters:
        told = Text.assemble(
            _type(letter),
            (f" {plain(letter.key_text)}", "cyan"),
            (f" tried {letter.attempts}×", "dim"),
            "\n",
            (plain(letter.headline) or "no reason given", "red" if letter.decision is None else "dim"),
        )
        if letter.decision is not None:
            told.append("\n").append_text(_decided(letter))
        table.add_row(str(letter.id), f"{letter.set_aside_at.astimezone():%Y-%m-%d %H:%M:%S}", told)
    return table


def as_page(letter: DeadLetter) -> Group:
    """Everything about one of them."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, said in (
        ("state", _decided(letter)),
        ("consumer", letter.id.queue.consumer),
        ("set aside", f"{letter.set_aside_at.astimezone():%Y-%m-%d %H:%M:%S %Z}, after {letter.attempts} attempts"),
        ("type", _type(letter)),
        ("subject", plain(letter.subject) or "–"),
        ("key", plain(letter.key_text) or "–"),
        ("stood first", str(letter.origin or "not known")),
        ("failed at", str(letter.failed_at or "not known")),
    ):
        facts.add_row(name, said)
    if letter.decision is not None and letter.decision.reason:
        facts.add_row("because", Text(plain(letter.decision.reason)))
    headers = Table.grid(padding=(0, 2))
    headers.add_column(style="dim", no_wrap=True)
    headers.add_column(overflow="fold")
    for name, raw in letter.headers:
        headers.add_row(plain(name), Text(plain(raw.decode("utf-8", "replace"))))
    size = "an erasure" if letter.size is None else f"{letter.size:,} bytes"
    return Group(
        Panel(facts, title=str(letter.id), title_align="left"),
        Panel(Text(plain(letter.reason) or "no reason given", style="red"), title="reason", title_align="left"),
        Panel(headers, title="headers", title_align="left"),
        Panel(_payload(letter.value), title=f"payload, {size}", title_align="left"),
    )


def as_json(letter: DeadLetter) -> str:
    """One line for programs; without the payload, which `show --raw` gives byte for byte."""
    decision = letter.decision
    return json.dumps(
        {
            "id": str(letter.id),
            "state": letter.state,
            "set_aside_at": letter.set_aside_at.isoformat(),
            "consumer": letter.id.queue.consumer,
            "topic": letter.id.queue.topic,
            "type": letter.type,
            "subject": letter.subject,
            "key": letter.key_text,
            "attempts": letter.attempts,
            "reason": letter.reason,
            "origin": None if letter.origin is None else str(letter.origin),
            "failed_at": None if letter.failed_at is None else str(letter.failed_at),
            "bytes": letter.size,
            "decision": None
            if decision is None
            else {
                "outcome": decision.outcome,
                "at": decision.at.isoformat(),
                "by": decision.by,
                "reason": decision.reason,
            },
        },
        ensure_ascii=False,
    )


def plain(text: str) -> str:
    """The text without what would steer the terminal: it comes from records that nobody could read."""
    return "".join(each if each.isprintable() or each in "\n\t" else "\ufffd" for each in text)


def _type(letter: DeadLetter) -> Text:
    return Text(plain(letter.type)) if letter.type else Text("no event", style="dim")


def _decided(letter: DeadLetter) -> Text:
    decision = letter.decision
    if decision is None:
        return Text("open", style=STATE_STYLES[State.OPEN])
    told = f"{decision.outcome} {decision.at.astimezone():%Y-%m-%d %H:%M} by {plain(decision.by)}"
    if decision.reason:
        told += f": {plain(decision.reason)}"
    return Text(told, style=STATE_STYLES[letter.state])


def _payload(value: bytes | None) -> RenderableType:
    if value is None:
        return Text("none: this record is an erasure", style="dim")
    try:
        written = json.dumps(json.loads(value), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return Text(plain(value.decode("utf-8", "replace")))
    return Syntax(plain(written), "json", background_color="default", word_wrap=True)
