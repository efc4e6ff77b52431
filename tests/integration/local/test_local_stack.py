import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from confluent_kafka.admin import AdminClient

from deploy.local.kafka import answers
from deploy.local.postgres import THROW_AWAY, PostgresServer
from deploy.local.running import of_running_stack
from deploy.local.settings import Ports, StackSettings
from deploy.local.stack import LocalStack, StackError
from libs.events.topics import TOPICS

START_S = 90.0


@pytest.fixture
def given_nothing(monkeypatch: pytest.MonkeyPatch) -> StackSettings:
    for name in ("OTKLIK_DATABASE_URL", "OTKLIK_KAFKA_BOOTSTRAP_SERVERS", "OTKLIK_SMTP_URL"):
        monkeypatch.delenv(name, raising=False)
    return StackSettings()


@pytest.fixture
def without_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")


def a_stack(folder: Path, given: StackSettings, tell: Callable[[str], None] = lambda _line: None) -> LocalStack:
    return LocalStack(folder, ports=Ports.random(), given=given, services=(), tell=tell)


def topics(bootstrap_servers: str) -> set[str]:
    return set(AdminClient({"bootstrap.servers": bootstrap_servers}).list_topics(timeout=60).topics)


def folders_open_to_others(data_dir: Path) -> list[str]:
    return [path.name for path in data_dir.iterdir() if path.is_dir() and path.stat().st_mode & 0o077]


def answers_http(url: str) -> bool:
    return httpx.get(url, trust_env=False).is_success


@pytest.mark.kafka
async def test_servers_that_are_killed_come_back_with_what_they_kept(
    open_folder: Path, given_nothing: StackSettings
) -> None:
    told: list[str] = []
    async with a_stack(open_folder, given_nothing, told.append) as stack:
        for name in ("postgres", "kafka", "mailbox"):
            stack.kill(name)
        async with asyncio.timeout(START_S):
            await stack.until_ready("postgres", "kafka", "mailbox")

        assert topics(stack.bootstrap_servers) >= {topic.name for topic in TOPICS}
        assert answers_http(f"{stack.urls['mailbox']}/api/messages")
        assert of_running_stack(open_folder) is not None
        assert folders_open_to_others(open_folder) == []

    assert sum("ended (killed by SIGKILL)" in line for line in told) == 3
    assert of_running_stack(open_folder) is None


@pytest.mark.usefixtures("without_java")
async def test_without_java_streams_are_in_memory_and_the_stack_says_so(
    open_folder: Path, given_nothing: StackSettings
) -> None:
    told: list[str] = []
    async with a_stack(open_folder, given_nothing, told.append) as stack:
        before = stack.bootstrap_servers
        stack.kill("kafka")
        async with asyncio.timeout(START_S):
            await stack.until_ready("kafka")

        assert stack.kafka_in_memory
        assert stack.bootstrap_servers != before
        assert answers(stack.bootstrap_servers)

    assert any("for a look, not for work" in line for line in told)


@pytest.mark.usefixtures("without_java")
async def test_a_second_stack_over_the_same_folder_is_refused(open_folder: Path, given_nothing: StackSettings) -> None:
    async with a_stack(open_folder, given_nothing):
        with pytest.raises(StackError, match=f"already runs over .* as process {os.getpid()}"):
            await a_stack(open_folder, given_nothing).start()


@pytest.mark.usefixtures("without_java")
async def test_a_taken_port_is_named_with_its_setting_and_its_holder(
    tmp_path: Path, given_nothing: StackSettings
) -> None:
    stack = a_stack(tmp_path, given_nothing)
    with socket.socket() as server:
        server.bind(("127.0.0.1", stack.ports.mailbox))
        server.listen()

        with pytest.raises(StackError) as refused:
            await stack.start()

    message = str(refused.value)
    assert f"Port {stack.ports.mailbox} (mailbox) is taken by process {os.getpid()}" in message
    assert "OTKLIK_MAILBOX_PORT" in message


@pytest.mark.kafka
async def test_servers_that_are_given_are_used(tmp_path: Path, open_folder: Path, kafka: str) -> None:
    # Not the server that all tests share: setting it up changes the passwords of its roles.
    server = PostgresServer(folder=open_folder / "given", password="x", log=open_folder / "log", settings=THROW_AWAY)
    child = server.start()
    given = StackSettings(
        database_url=server.dsn("postgres"), kafka_bootstrap_servers=kafka, smtp_url="smtp://mail.example:25"
    )
    async with a_stack(tmp_path, given) as stack:
        assert stack.running == ()
        assert stack.bootstrap_servers == kafka
        assert stack.smtp_url == "smtp://mail.example:25"
        assert "mailbox" not in stack.urls
    child.stop()


async def test_a_database_that_does_not_answer_is_named(tmp_path: Path, given_nothing: StackSettings) -> None:
    given = given_nothing.model_copy(
        update={"database_url": "postgresql://a:b@127.0.0.1:1/otklik", "kafka_bootstrap_servers": "127.0.0.1:1"}
    )
    with pytest.raises(StackError, match="the database cannot be set up: ConnectionRefusedError"):
        await a_stack(tmp_path, given).start()
