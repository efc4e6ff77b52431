"""A real Kafka broker over a folder: Apache Kafka in KRaft mode, broker and controller in one Java process."""

import base64
import os
import secrets
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.local.children import Child, ChildError, ChildSpec
from deploy.local.kafka_jars import POM, class_archive, classpath, ensure_jars, find_java

START_TIMEOUT_S: Final = 240.0
NODE: Final = 1
_COMPILE_LITTLE: Final = "-XX:TieredStopAtLevel=1"

_PROPERTIES: Final = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={node}@127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
listeners=BROKER://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=BROKER://127.0.0.1:{port}
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=BROKER
log.dirs={data}
# Topics come from the registry, and from nowhere else.
auto.create.topics.enable=false
# There is one node: each copy would be the same copy.
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# Members join at once instead of waiting three seconds for others.
group.initial.rebalance.delay.ms=0
# A small machine: fewer threads, a cleaner that does not take a quarter of the heap, fewer idle records.
num.network.threads=2
num.io.threads=4
background.threads=2
log.cleaner.dedupe.buffer.size=16777216
metadata.max.idle.interval.ms=5000
# A broker that was killed may come back when its old session has ended: soon, where nothing else depends on it.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=1000
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaBroker:
    """One broker in a folder: how to make it, run it and reach it."""

    folder: Path
    log: Path
    port: int
    controller_port: int
    heap_mb: int = 512
    quick_start: bool = False
    """Compile little: starts sooner, and is slower for good. For tests."""
    write_archive: Path | None = None
    """Where to write the archive of the classes that were needed, when the broker stops."""

    @property
    def bootstrap_servers(self) -> str:
        """Where clients connect."""
        return f"127.0.0.1:{self.port}"

    @property
    def data(self) -> Path:
        """The broker's data folder."""
        return self.folder.absolute() / "data"

    def prepare(self) -> None:
        """Find Java and the jars, write the properties and, once, format the data folder."""
        find_java()
        ensure_jars()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if not (self.data / "meta.properties").exists():
            self._format()
        self._write_properties(self.data)

    def spec(self) -> ChildSpec:
        """Describe the broker as a child; SIGTERM is its orderly stop."""
        return ChildSpec(
            name="kafka",
            argv=(
                *self._java(f"-Xms{self.heap_mb // 2}m", f"-Xmx{self.heap_mb}m", *self._starting()),
                "kafka.Kafka",
                str(self._properties),
            ),
            environment=_environment(),
            folder=self.folder.absolute(),
            log=self.log.with_suffix(".out"),
            diary=self.log,
            lock=self.folder / "lock",
            stop_signal=signal.SIGTERM,
            death_signal=signal.SIGTERM,
        )

    def ready(self) -> bool:
        """Whether the broker is in the cluster and answers; asks it, with a bound of two seconds."""
        return answers(self.bootstrap_servers)

    def start(self) -> Child:
        """Prepare and run the broker, and wait until it answers: for tests and scripts."""
        self.prepare()
        child = Child(self.spec())
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.ready():
            if not child.alive() or time.monotonic() > deadline:
                child.stop()
                raise ChildError(f"Kafka did not start; see {self.log}")
            time.sleep(0.05)
        return child

    @property
    def _properties(self) -> Path:
        return self.folder.absolute() / "server.properties"

    def _write_properties(self, data: Path) -> None:
        self._properties.write_text(
            _PROPERTIES.format(node=NODE, port=self.port, controller_port=self.controller_port, data=data),
            encoding="utf-8",
        )

    def _format(self) -> None:
        """Format a folder beside the place and move it there when it is whole, under a new cluster id."""
        unfinished = self.folder.absolute() / "data.new"
        for folder in (unfinished, self.data):
            if folder.exists():
                shutil.rmtree(folder)
        self._write_properties(unfinished)
        cluster_id = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode("ascii").rstrip("=")
        done = subprocess.run(  # noqa: S603 - the argument list is our own
            (
                *self._java(_COMPILE_LITTLE),
                "kafka.tools.StorageTool",
                "format",
                f"--cluster-id={cluster_id}",
                f"--config={self._properties}",
            ),
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise ChildError(f"Kafka's folder could not be formatted: {done.stderr.strip() or done.stdout.strip()}")
        unfinished.rename(self.data)

    def _starting(self) -> tuple[str, ...]:
        """Choose how Java starts: with the archived classes where they are there."""
        archive = class_archive(find_java())
        if self.write_archive is not None:
            return (f"-XX:ArchiveClassesAtExit={self.write_archive}",)
        options = (f"-XX:SharedArchiveFile={archive}",) if archive.exists() else ()
        return (*options, _COMPILE_LITTLE) if self.quick_start else options

    def _java(self, *options: str) -> tuple[str, ...]:
        return (
            find_java().program,
            *options,
            "-XX:+ExitOnOutOfMemoryError",
            "-XX:MaxGCPauseMillis=50",
            "-XX:-UsePerfData",
            "-Djava.awt.headless=true",
            f"-Dlog4j2.configurationFile={POM.with_name('log4j2.properties')}",
            f"-Dotklik.kafka.log={self.log.absolute()}",
        )


def _environment() -> dict[str, str]:
    return {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "CLASSPATH": classpath()}


def answers(bootstrap_servers: str, *, timeout_s: float = 2.0) -> bool:
    """Whether a Kafka cluster with at least one live broker is at this address."""
    client = AdminClient(
        {
            "bootstrap.servers": bootstrap_servers,
            "log_level": 0,
            "reconnect.backoff.max.ms": 100,
            "socket.timeout.ms": 2000,
        }
    )
    try:
        return bool(client.list_topics(timeout=timeout_s).brokers)
    except KafkaException:
        return False
