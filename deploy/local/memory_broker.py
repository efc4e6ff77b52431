"""The in-memory broker: librdkafka's mock cluster in a process of its own, for a look where there is no Java.

`python -m deploy.local.memory_broker FILE` writes the address it listens on into the file and serves until it is
told to stop. Topics appear when they are first used; everything is gone when it ends.
"""

import signal
import sys
from pathlib import Path
from typing import Final

from confluent_kafka import Producer

BANNER: Final = (
    "Streams in memory, for a look, not for work: neither Java 17 with Maven nor OTKLIK_KAFKA_BOOTSTRAP_SERVERS "
    "is there, so events live in an in-memory broker and are gone when it stops.\n"
    "Потоки событий в памяти: посмотреть можно, работать нельзя. Для настоящей Kafka нужны Java 17 и Maven или "
    "адрес в OTKLIK_KAFKA_BOOTSTRAP_SERVERS."
)
_TIMEOUT_S: Final = 10.0


def serve(address_file: Path) -> None:
    """Start the cluster, publish its address, and wait for a signal."""
    # The cluster lives as long as this client does.
    producer = Producer({"bootstrap.servers": "127.0.0.1", "test.mock.num.brokers": 1})
    brokers = producer.list_topics(timeout=_TIMEOUT_S).brokers.values()
    addresses = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
    unfinished = address_file.with_suffix(".new")
    unfinished.write_text(addresses, encoding="ascii")
    unfinished.replace(address_file)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    producer.flush(0)


if __name__ == "__main__":
    # Blocked from the start, so that none can come between publishing the address and waiting.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    serve(Path(sys.argv[1]))
