"""The registry of topics is data, and these are its rules."""

import importlib
import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from libs.events.contracts.customers import CustomerErased
from libs.events.topics import CONTRACTS, DEAD_LETTER_RETENTION, DECISIONS, INBOX_RETENTION, TOPICS, Topic

SERVICES = ("ingest", "scoring", "casework", "notify", "portal")
ROOT = Path(__file__).parents[2]
SECRET = "s" * 32


def test_every_type_belongs_to_exactly_one_topic() -> None:
    contracts = [contract for topic in TOPICS for contract in topic.types]
    assert len({contract.TYPE for contract in contracts}) == len(contracts)
    assert set(CONTRACTS.values()) == set(contracts)


def test_every_contract_that_is_written_down_is_on_a_topic() -> None:
    written = set()
    for path in (ROOT / "libs/events/contracts").glob("*.py"):
        module = importlib.import_module(f"libs.events.contracts.{path.stem}")
        written |= {each.TYPE for each in vars(module).values() if isinstance(each, type) and hasattr(each, "TYPE")}
    assert written == set(CONTRACTS)


def test_every_type_says_its_version() -> None:
    assert all(re.fullmatch(r"[a-z]+(\.[a-z]+)+\.v[1-9][0-9]*", type_) for type_ in CONTRACTS)


def test_topics_and_dead_letters_have_names_of_their_own_that_kafka_takes() -> None:
    names = [topic.name for topic in TOPICS]
    names += [topic.dead_letters(consumer) for topic in TOPICS for consumer in topic.consumers]
    names += [topic.replays(consumer) for topic in TOPICS for consumer in topic.consumers]
    names.append(DECISIONS)
    assert len(set(names)) == len(names)
    # Kafka's metrics cannot tell a dot from an underscore.
    assert len({name.replace(".", "_") for name in names}) == len(names)
    assert all(re.fullmatch(r"[a-z.-]{1,200}", name) for name in names)


def test_every_topic_has_a_producer_and_readers_among_the_services() -> None:
    for topic in TOPICS:
        assert topic.producer in SERVICES
        assert topic.consumers
        assert {consumer.partition(".")[0] for consumer in topic.consumers} <= set(SERVICES)


def test_the_inbox_remembers_longer_than_any_topic() -> None:
    assert all(topic.retention < INBOX_RETENTION for topic in TOPICS if topic.retention is not None)
    assert DEAD_LETTER_RETENTION < INBOX_RETENTION


def test_what_erasure_must_forget_is_kept_for_a_stated_time_or_compacted_by_customer() -> None:
    for topic in TOPICS:
        if topic.compacted:
            assert topic.key == "customer"
            assert CustomerErased in topic.types
        else:
            assert topic.retention is not None
            assert timedelta(0) < topic.retention <= timedelta(days=30)


class RecordingRuntime:
    """Notes what a service composes, and runs nothing."""

    consumers: set[tuple[str, str]]

    def __init__(self, *_: object, **__: object) -> None:
        self.consumers = set()
        RecordingRuntime.last = self

    last: "RecordingRuntime"

    def add_consumer(self, name: str, topic: Topic, _handle: object, **_: object) -> None:
        self.consumers.add((name, topic.name))

    def __getattr__(self, _name: str) -> Any:  # noqa: ANN401 - whatever else is composed
        return lambda *_, **__: None


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for service in SERVICES:
        monkeypatch.setenv(f"{service.upper()}_DATABASE_URL", "postgresql://nobody@localhost/nothing")
    for name in ("PORTAL_SESSION_SECRET", "NOTIFY_LINK_SECRET"):
        monkeypatch.setenv(name, SECRET)
    for name in ("PORTAL_CASEWORK_KEY", "PORTAL_SCORING_KEY", "PORTAL_INGEST_KEY", "PORTAL_NOTIFY_KEY"):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("NOTIFY_SENDER", "Otklik <otklik@localhost>")


@pytest.mark.usefixtures("environment")
def test_the_registry_names_exactly_the_consumers_that_the_services_run(monkeypatch: pytest.MonkeyPatch) -> None:
    running = set()
    for service in SERVICES:
        module = importlib.import_module(f"services.{service}.__main__")
        monkeypatch.setattr(module, "Runtime", RecordingRuntime)
        monkeypatch.setattr(sys, "argv", [service, "all"])
        module.main()
        running |= RecordingRuntime.last.consumers
    assert running == {(consumer, topic.name) for topic in TOPICS for consumer in topic.consumers}
