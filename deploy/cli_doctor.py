"""`otklik doctor`: looks at everything that Otklik needs here, and says what to do about what is missing."""

import asyncio
import smtplib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

import asyncpg
import httpx
from confluent_kafka import Consumer, KafkaException, TopicPartition
from rich.console import Console
from rich.table import Table

from deploy.local.kafka import answers
from deploy.local.kafka_jars import KafkaUnavailableError, find_java, jars_present, require_jars_or_maven
from deploy.local.ports import holder, is_free
from deploy.local.running import Addresses, of_running_stack
from deploy.local.settings import SERVICES, Ports, StackSettings, service_urls
from libs.events.topics import TOPICS

State = Literal["well", "note", "wrong"]
SIGNS: Final[dict[State, str]] = {"well": "[green]✓[/green]", "note": "[yellow]·[/yellow]", "wrong": "[red]✗[/red]"}
TIMEOUT_S: Final = 5.0
LAG_WORTH_A_NOTE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, and what to do about it."""

    name: str
    state: State
    says: str
    advice: str = ""


def run(settings: StackSettings) -> bool:
    """Print the findings; whether nothing is wrong."""
    console = Console()
    table = Table(box=None, show_header=False)
    well = True
    for finding in examine(settings):
        well = well and finding.state != "wrong"
        table.add_row(SIGNS[finding.state], finding.name, finding.says, f"[dim]{finding.advice}[/dim]")
    console.print(table)
    return well


def examine(settings: StackSettings) -> Iterator[Finding]:
    """Look at one thing after the other."""
    running = of_running_stack(settings.data_dir)
    servers = settings.kafka_bootstrap_servers or (running.bootstrap_servers if running else None)
    if settings.kafka_bootstrap_servers is None:
        yield from _java()
    if running is None:
        yield Finding("stack", "note", f"none runs over {settings.data_dir}", "`otklik up` or `make run` starts it")
        yield from _ports(settings)
    else:
        yield Finding("stack", "well", f"runs over {settings.data_dir}")
    yield from _databases(settings, running)
    if servers is not None:
        yield _kafka(servers, in_memory=running is not None and running.kafka_in_memory)
    smtp_url = settings.smtp_url or (running.smtp_url if running else None)
    if smtp_url is not None:
        yield _smtp(smtp_url)
    if running is not None:
        yield from (_service(name, running.urls[name]) for name in SERVICES if name in running.urls)
    if servers is not None and answers(servers):
        yield from _lags(servers)


def _java() -> Iterator[Finding]:
    try:
        java = find_java()
        yield Finding("java", "well", f"{java.program}, version {java.version}")
        require_jars_or_maven()
        if jars_present():
            yield Finding("kafka jars", "well", "are there")
        else:
            yield Finding("kafka jars", "note", "are not there yet", "`make setup` fetches them")
    except KafkaUnavailableError as error:
        yield Finding("kafka", "note", "streams would be in memory, for a look", str(error))


def _ports(settings: StackSettings) -> Iterator[Finding]:
    ports = Ports()
    given = {"smtp": settings.smtp_url, "mailbox": settings.smtp_url}
    given |= {"kafka": settings.kafka_bootstrap_servers, "kafka_controller": settings.kafka_bootstrap_servers}
    for name in Ports.model_fields:
        port = ports.of(name)
        if given.get(name) is not None:
            continue
        if is_free(port):
            yield Finding(f"port {port}", "well", f"is free for {name}")
        else:
            says = f"({name}) is taken by {holder(port) or 'another process'}"
            yield Finding(f"port {port}", "wrong", says, f"stop it, or set {Ports.setting(name)}")


def _databases(settings: StackSettings, running: Addresses | None) -> Iterator[Finding]:
    urls = {**(running.databases if running else {}), **service_urls()}
    if settings.database_url is not None:
        urls = {"administrator": settings.database_url, **urls}
    for name, url in urls.items():
        yield asyncio.run(_database(name, url))


async def _database(name: str, url: str) -> Finding:
    try:
        connection = await asyncpg.connect(url, timeout=TIMEOUT_S)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        advice = "is PostgreSQL up? is the address right? `otklik migrate` makes roles on a given server"
        return Finding(f"database of {name}", "wrong", f"{type(error).__name__}: {error}", advice)
    try:
        version = connection.get_server_version()
    finally:
        await connection.close()
    return Finding(f"database of {name}", "well", f"PostgreSQL {version.major}.{version.micro} answers")


def _kafka(servers: str, *, in_memory: bool) -> Finding:
    if not answers(servers):
        return Finding("kafka", "wrong", f"{servers} does not answer", "is it up? is the address right?")
    if in_memory:
        return Finding("kafka", "note", f"{servers} answers, in memory only", "install Java 17 and Maven for real work")
    return Finding("kafka", "well", f"{servers} answers")


def _smtp(url: str) -> Finding:
    parts = urlsplit(url)
    try:
        with smtplib.SMTP(parts.hostname or "127.0.0.1", parts.port or 25, timeout=TIMEOUT_S) as server:
            server.noop()
    except (OSError, smtplib.SMTPException) as error:
        return Finding("mail", "wrong", f"{url}: {error}", "is the mail server up? is OTKLIK_SMTP_URL right?")
    return Finding("mail", "well", f"{parts.hostname}:{parts.port} answers")


def _service(name: str, url: str) -> Finding:
    try:
        answer = httpx.get(f"{url}/readyz", timeout=TIMEOUT_S, trust_env=False)
    except httpx.TransportError as error:
        return Finding(name, "wrong", f"{url} does not answer: {error}", f"its log is logs/{name}.log")
    if answer.status_code == httpx.codes.OK:
        return Finding(name, "well", f"{url} is ready")
    return Finding(name, "wrong", f"{url} is not ready: {answer.text}", f"its log is logs/{name}.log")


def _lags(servers: str) -> Iterator[Finding]:
    """Say how far behind each consumer is."""
    for topic in TOPICS:
        for group in topic.consumers:
            try:
                lag = _lag(servers, group, topic.name)
            except KafkaException as error:
                yield Finding(group, "note", f"its place in {topic.name} is unknown: {error}")
                continue
            if lag is None:
                yield Finding(group, "note", f"has not read {topic.name} yet")
            elif lag > LAG_WORTH_A_NOTE:
                yield Finding(group, "note", f"is {lag:,} records behind in {topic.name}", "is it up? is it stuck?")
            else:
                yield Finding(group, "well", f"is {lag:,} records behind in {topic.name}")


def _lag(servers: str, group: str, topic: str) -> int | None:
    """Compare the group's offsets with the ends; nothing if it has none. Asks, and does not join the group."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": group, "log_level": 0})
    try:
        known = consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions
        committed = consumer.committed([TopicPartition(topic, number) for number in known], timeout=TIMEOUT_S)
        if all(place.offset < 0 for place in committed):
            return None
        behind = 0
        for place in committed:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, place.partition), timeout=TIMEOUT_S)
            behind += high - max(place.offset, low)
        return behind
    finally:
        consumer.close()
