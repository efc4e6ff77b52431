"""`otklik tail`: the event streams, as they happen."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Final

from rich.console import Console
from rich.text import Text

from deploy.local.running import of_running_stack
from deploy.local.settings import StackSettings
from deploy.troubles import CommandError
from libs.events.codec import Record
from libs.events.kafka import following
from libs.events.topics import TOPICS

TOPIC_COLOURS: Final = {
    "survey.responses": "cyan",
    "survey.scores": "blue",
    "customers": "magenta",
    "casework.cases": "yellow",
    "notify.messages": "green",
}
HIDDEN: Final = frozenset({"name", "email", "phone", "comment", "account_name"})
"""What is only shown when it is asked for: contact details, and what customers wrote."""
_UNSAID: Final[tuple[object, ...]] = (None, "", [], {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which events to show."""

    topics: tuple[str, ...] = ()
    type_like: str = "*"
    subject_like: str = "*"

    def includes(self, type_: str, subject: str) -> bool:
        """Whether an event of this type and subject is wanted; the version may be left out."""
        versionless = type_.rpartition(".v")[0]
        type_fits = any(fnmatchcase(each, self.type_like) for each in (type_, versionless))
        return type_fits and fnmatchcase(subject, self.subject_like)


def run(settings: StackSettings, wanted: Wanted, *, from_beginning: bool, full: bool) -> None:
    """Follow until Ctrl-C."""
    known = tuple(topic.name for topic in TOPICS)
    unknown = [name for name in wanted.topics if name not in known]
    if unknown:
        raise CommandError(f"There is no topic {', '.join(unknown)}: {', '.join(known)}")
    with contextlib.suppress(KeyboardInterrupt):  # how one stops watching
        asyncio.run(_follow(bootstrap_servers(settings), wanted.topics or known, wanted, from_beginning, full))


def bootstrap_servers(settings: StackSettings) -> str:
    """Find Kafka: the setting, else the local stack that runs."""
    if settings.kafka_bootstrap_servers is not None:
        return settings.kafka_bootstrap_servers
    addresses = of_running_stack(settings.data_dir)
    if addresses is None:
        raise CommandError("Nothing runs here: start it with `otklik up`, or set OTKLIK_KAFKA_BOOTSTRAP_SERVERS")
    return addresses.bootstrap_servers


async def _follow(servers: str, topics: tuple[str, ...], wanted: Wanted, from_beginning: bool, full: bool) -> None:  # noqa: FBT001
    console = Console(highlight=False)
    console.print(f"Following {', '.join(topics)}; Ctrl-C ends.", style="dim")
    async with following(servers, topics, from_beginning=from_beginning) as records:
        async for record in records:
            line = described(record, wanted, full=full)
            if line is not None:
                console.print(line, soft_wrap=True)


def described(record: Record, wanted: Wanted, *, full: bool) -> Text | None:
    """Write one line for an event; nothing if it is not wanted."""
    headers = {name: value.decode(errors="replace") for name, value in record.headers}
    type_ = headers.get("ce_type", "?")
    subject = headers.get("ce_subject", (record.key or b"").decode(errors="replace"))
    if not wanted.includes(type_, subject):
        return None
    colour = TOPIC_COLOURS.get(record.topic, "white")
    return Text.assemble(
        (f"{_moment(headers.get('ce_time'))} ", "dim"),
        (f"{record.topic}/{record.partition}@{record.offset} ", "dim"),
        (f"{type_} ", f"bold {colour}"),
        (f"{subject} ", colour),
        " ".join(_fields(record.value, full=full)),
    )


def _moment(time: str | None) -> str:
    if time is None:
        return "--:--:--"
    try:
        return datetime.fromisoformat(time).astimezone().strftime("%H:%M:%S")
    except ValueError:
        return time


def _fields(value: bytes | None, *, full: bool) -> Iterator[str]:
    if value is None:
        yield "(erased)"
        return
    try:
        payload = json.loads(value)
    except ValueError:
        yield f"({len(value)} bytes that are not JSON)"
        return
    yield from _flat(payload, full=full) if isinstance(payload, dict) else (str(payload),)


def _flat(payload: dict[str, object], *, full: bool, prefix: str = "") -> Iterator[str]:
    for name, value in payload.items():
        if value in _UNSAID:
            continue
        if isinstance(value, dict):
            yield from _flat(value, full=full, prefix=f"{prefix}{name}.")
        elif name in HIDDEN and not full:
            yield f"{prefix}{name}=…"
        else:
            yield f"{prefix}{name}={value}"
