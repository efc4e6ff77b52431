"""Gets Kafka ready once: `python -m deploy.local.kafka_setup` fetches the jars and archives the classes of a start.

A broker that finds the archive starts in about half the time: its classes are loaded and checked beforehand. The
archive is made by one short run over a folder that is thrown away; without it everything works the same.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from deploy.local.children import ChildError
from deploy.local.kafka import KafkaBroker
from deploy.local.kafka_jars import (
    JARS,
    STAMP,
    Java,
    KafkaUnavailableError,
    class_archive,
    fetch_jars,
    find_java,
    jars_present,
)
from deploy.local.ports import free_ports


def main() -> None:
    """Get ready what is missing and say so; a machine without Java is a note here, not a failure."""
    try:
        java = find_java()
        if not jars_present():
            _say("Fetching Apache Kafka by Maven (about 45 MB, once) …")
            fetch_jars()
        if not class_archive(java).exists():
            _say("Preparing its start (once) …")
            archive_classes(java)
    except (KafkaUnavailableError, ChildError) as error:
        sys.stderr.write(f"No real Kafka on this machine: {error}\n")
        return
    (JARS / STAMP).touch()  # newer than the pom from now on, for make
    _say(f"Apache Kafka is in {JARS.name}/, Java {java.version} runs it")


def archive_classes(java: Java) -> None:
    """Run a broker over a folder of its own, use it a little, and keep the classes that this needed."""
    port, controller_port = free_ports(2)
    folder = Path(tempfile.mkdtemp(prefix="otklik-"))
    unfinished = folder / "classes.jsa"
    broker = KafkaBroker(
        folder=folder / "kafka",
        log=folder / "kafka.log",
        port=port,
        controller_port=controller_port,
        write_archive=unfinished,
    )
    try:
        child = broker.start()
        client = AdminClient({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0})
        for made in client.create_topics([NewTopic("any", num_partitions=1)]).values():
            made.result(timeout=10)
        child.stop()
        if unfinished.exists():
            shutil.move(unfinished, class_archive(java))
    except KafkaException as error:
        raise ChildError(f"Kafka starts and does not work: {error}") from error
    finally:
        shutil.rmtree(folder)


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - for whoever runs make


if __name__ == "__main__":
    main()
