"""Generates the reference in `docs/api/`: `python -m libs.events.generate [--check]`.

    schemas/<type>.json      JSON Schema of each event's payload
    asyncapi.json            all streams: channels, messages with examples, keys, partitions, retention, dead letters
    openapi-<service>.json   each service's HTTP, from its own app

It writes nothing while an event type changed in a way that its readers would not survive. `--check` writes nothing at
all and fails where a committed file is not what would be written.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from libs.events.asyncapi import asyncapi
from libs.events.json_schemas import ADVICE, event_schema, incompatible_changes
from libs.events.topics import TOPIC_OF_TYPE, TOPICS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from libs.events.topics import Topic

REFERENCE: Final = Path(__file__).parents[2] / "docs" / "api"
EXAMPLES: Final = Path(__file__).parent / "contracts" / "examples"
_SCHEMAS: Final = "schemas/"


def examples() -> dict[str, dict[str, Any]]:
    """One record per event type: its key, headers and payload."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(EXAMPLES.glob("*.json"))}


def event_documents(topics: Sequence[Topic] = TOPICS) -> dict[str, str]:
    """The documents of the streams, by their names below `docs/api/`."""
    documents = {
        f"{_SCHEMAS}{contract.TYPE}.json": _written(event_schema(contract, topic))
        for topic in topics
        for contract in topic.types
    }
    documents["asyncapi.json"] = _written(asyncapi(topics, examples()))
    return documents


def http_documents() -> dict[str, str]:
    """The documents of the services, by their names below `docs/api/`."""
    # By name, because the library must not know the services; this is the one tool that speaks of both.
    apps: Mapping[str, Any] = importlib.import_module("services.reference").apps()
    return {f"openapi-{service}.json": _written(app.openapi()) for service, app in apps.items()}


def committed(folder: Path) -> dict[str, str]:
    """The documents that are there."""
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.glob("**/*.json"))}


def breaking(before: Mapping[str, str], after: Mapping[str, str], *, unpublished: Collection[str] = ()) -> list[str]:
    """What readers of the events would not survive; `unpublished` are types that nobody can have read yet."""
    found = []
    for name, old in before.items():
        type_ = name.removeprefix(_SCHEMAS).removesuffix(".json")
        if not name.startswith(_SCHEMAS) or type_ in unpublished:
            continue
        if name not in after:
            found.append(f"{type_}: removed")
        else:
            found += [f"{type_}{change}" for change in incompatible_changes(json.loads(old), json.loads(after[name]))]
    return found


def differing(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """The names of the documents that are missing, superfluous or not what they should be."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def main(arguments: Sequence[str]) -> int:
    """Generate or check; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m libs.events.generate", description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file is not up to date")
    parser.add_argument(
        "--unpublished",
        action="append",
        default=[],
        choices=sorted(TOPIC_OF_TYPE),
        metavar="TYPE",
        help="an event type that was never released and may still change in any way",
    )
    parser.add_argument("--to", type=Path, default=REFERENCE, help="another folder than docs/api")
    options = parser.parse_args(arguments)
    before = committed(options.to)
    after = event_documents() | http_documents()
    broken = breaking(before, after, unpublished=options.unpublished)
    for change in broken:
        print(f"incompatible: {change} ({ADVICE})", file=sys.stderr)  # noqa: T201 - a command speaks to whoever runs it
    if broken:
        return 1
    stale = differing(before, after)
    if options.check:
        for name in stale:
            print(f"not up to date: {options.to / name} (python -m libs.events.generate)", file=sys.stderr)  # noqa: T201
        return 1 if stale else 0
    for name in stale:
        path = options.to / name
        if name in after:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(after[name])
        else:
            path.unlink()
    return 0


def _written(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
