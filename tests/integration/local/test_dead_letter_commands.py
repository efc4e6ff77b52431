"""`otklik dead-letters` over a real broker: list, show, replay and drop, and what they say when they cannot."""

import asyncio
import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from deploy.cli import main
from deploy.cli_dead_letters import since_when
from deploy.dead_letters_shown import plain
from deploy.troubles import CommandError
from libs.events.codec import Record
from libs.events.dead_letters import Entry
from libs.events.kafka import create_topics
from libs.events.kafka_log import kafka_log
from libs.events.topics import NOTIFY_MESSAGES

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
CONSUMER = "casework.messages"
NOWHERE = "127.0.0.1:1"


@dataclass(frozen=True)
class Done:
    """What a command said, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


Otklik = Callable[..., Done]


@pytest.fixture
def otklik(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Otklik:
    """Run the command with these arguments on this broker."""

    def run(*arguments: str, servers: str, stdin: str = "", columns: str = "200") -> Done:
        monkeypatch.setattr(sys, "argv", ["otklik", "dead-letters", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        monkeypatch.setenv("OTKLIK_KAFKA_BOOTSTRAP_SERVERS", servers)
        monkeypatch.setenv("COLUMNS", columns)
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return Done(int(left.value.code or 0), said.out, said.err)

    return run


async def _set_aside(servers: str, type_: str, reasons: tuple[str, ...]) -> None:
    await create_topics(servers)
    async with kafka_log(servers) as log:
        await log.append(
            [
                Entry(
                    NOTIFY_MESSAGES.dead_letters(CONSUMER),
                    b"anna",
                    b'{"comment": "terrible", "round": %d}' % number,
                    (
                        ("ce_id", str(uuid4()).encode()),
                        ("ce_type", type_.encode()),
                        ("dlq_reason", reason.encode()),
                        ("dlq_topic", b"notify.messages"),
                        ("dlq_partition", b"0"),
                        ("dlq_offset", b"%d" % number),
                        ("dlq_key", b"anna"),
                        ("dlq_attempts", b"5"),
                        ("dlq_time", datetime.now(UTC).isoformat().encode()),
                    ),
                )
                for number, reason in enumerate(reasons)
            ]
        )


@pytest.fixture
def set_aside(kafka: str, otklik: Otklik) -> Callable[..., tuple[str, list[str]]]:
    """Dead letters of a type of the test's own; that type, and their ids in the order of setting aside."""

    def make(*reasons: str) -> tuple[str, list[str]]:
        type_ = f"test.{uuid4().hex}.v1"
        asyncio.run(_set_aside(kafka, type_, reasons))
        listed = otklik("list", "--type", type_, "--json", servers=kafka)
        return type_, [json.loads(line)["id"] for line in reversed(listed.stdout.splitlines())]

    return make


@pytest.mark.kafka
def test_letters_are_listed_shown_replayed_and_dropped(
    kafka: str, otklik: Otklik, set_aside: Callable[..., tuple[str, list[str]]]
) -> None:
    type_, (first, second, third) = set_aside("ValueError: one\nmore", "ValueError: two", "ValueError: \x1b[31mthree")
    here = {"servers": kafka}

    listed = otklik("list", "--type", type_, "--since", "1h", "--consumer", CONSUMER, **here)
    assert listed.returncode == 0
    assert listed.stdout.index(third) < listed.stdout.index(second) < listed.stdout.index(first)
    assert "ValueError: one\n" in "".join(f"{line.rstrip()}\n" for line in listed.stdout.splitlines())
    assert "more" not in listed.stdout
    assert "\x1b" not in listed.stdout

    shown = otklik("show", first, **here)
    assert all(said in shown.stdout for said in (first, "notify.messages/0/0", "more", '"comment": "terrible"', "open"))
    assert otklik("show", first, "--raw", **here).stdout == '{"comment": "terrible", "round": 0}'

    replayed = otklik("replay", first, "--yes", "--reason", "repaired", **here)
    assert (replayed.returncode, replayed.stdout.split(". ")[0]) == (0, "Replayed: 1")

    refused = otklik("drop", "--type", type_, "--reason", "of no use", stdin="n\n", **here)
    assert refused.returncode == 1
    assert f"Drop 2: {CONSUMER} 2" in refused.stderr
    dropped = otklik("drop", "--type", type_, "--reason", "of no use", stdin="y\n", **here)
    assert dropped.stdout.strip() == "Dropped: 2."

    assert otklik("list", "--type", type_, **here).stdout == "No open dead letters.\n"
    of_all = otklik("list", "--type", type_, "--all", **here).stdout
    assert of_all.count(": of no use") == 2
    assert of_all.count(": repaired") == 1

    again = otklik("drop", second, "--reason", "twice", "--yes", **here)
    assert again.returncode == 1
    assert f"{second} was dropped" in again.stderr
    second_time = otklik("replay", first, "--yes", **here)
    assert second_time.returncode == 0
    assert f"{first} was replayed" in second_time.stderr

    replays = asyncio.run(_replays(kafka, type_))
    assert [record.key for record in replays] == [b"anna", b"anna"]
    assert {dict(record.headers)["replay_of"] for record in replays} == {b"notify.messages/0/0"}
    assert not any(name.startswith("dlq_") for record in replays for name, _ in record.headers)


async def _replays(servers: str, type_: str) -> list[Record]:
    topic = NOTIFY_MESSAGES.replays(CONSUMER)
    async with kafka_log(servers) as log:
        first, end = (await log.bounds([topic]))[topic]
        return [record async for record in log.read(topic, first, end) if ("ce_type", type_.encode()) in record.headers]


@pytest.mark.kafka
def test_hundreds_are_replayed_at_once(
    kafka: str, otklik: Otklik, set_aside: Callable[..., tuple[str, list[str]]]
) -> None:
    type_, ids = set_aside(*(f"ValueError: {number}" for number in range(1_200)))
    assert len(ids) == 1_200
    done = otklik("replay", "--type", type_, "--yes", servers=kafka)
    assert done.stdout.startswith("Replayed: 1,200.")
    assert len(asyncio.run(_replays(kafka, type_))) == 1_200


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("show", "casework"), "they look like scoring.responses:17"),
        (("show", "billing:1"), "There is no consumer billing"),
        (("show", "portal.events:1"), "portal.events reads several topics"),
        (("list", "--consumer", "billing"), "There is no billing: casework.customers"),
        (("list", "--since", "yesterday"), "--since yesterday is not understood"),
        (("replay",), "Which? Say ids"),
        (("replay", "casework.scores:1", "--everything"), "Either ids or filters"),
        (("drop", "casework.scores:1", "--reason", " "), "is dropped for a reason"),
        (("list",), "Not reachable"),
        (("replay", "casework.scores:1", "--yes"), "Not reachable"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: tuple[str, ...], says: str, otklik: Otklik) -> None:
    done = otklik(*arguments, servers=NOWHERE, columns="500")

    assert done.returncode == 1
    assert says in done.stderr


def test_a_drop_without_a_reason_is_a_wrong_call(otklik: Otklik) -> None:
    done = otklik("drop", "casework.scores:1", servers=NOWHERE)
    assert done.returncode == 2
    assert "--reason" in done.stderr


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("30m", NOON - timedelta(minutes=30)),
        ("2h", NOON - timedelta(hours=2)),
        ("7d", NOON - timedelta(days=7)),
        ("2026-03-01T10:00:00Z", datetime(2026, 3, 1, 10, tzinfo=UTC)),
    ],
)
def test_since_is_a_span_or_a_date(written: str, meant: datetime) -> None:
    assert since_when(written, NOON) == meant


def test_a_date_without_a_zone_is_this_machines() -> None:
    assert since_when("2026-03-01", NOON) == datetime(2026, 3, 1).astimezone()
    with pytest.raises(CommandError):
        since_when("2h30", NOON)


def test_what_would_steer_the_terminal_is_shown_as_unprintable() -> None:
    assert plain("a\x1b[2Jb\n\tc\u202e") == "a\ufffd[2Jb\n\tc\ufffd"
