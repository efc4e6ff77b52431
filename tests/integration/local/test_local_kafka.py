import signal
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from deploy.local.kafka import KafkaBroker, answers
from deploy.local.ports import free_ports

pytestmark = pytest.mark.kafka


def topics(bootstrap_servers: str) -> set[str]:
    return set(AdminClient({"bootstrap.servers": bootstrap_servers}).list_topics(timeout=10).topics)


def test_a_broker_that_was_killed_comes_back_with_its_topics(tmp_path: Path) -> None:
    port, controller_port = free_ports(2)
    broker = KafkaBroker(
        folder=tmp_path / "kafka", log=tmp_path / "kafka.log", port=port, controller_port=controller_port
    )
    child = broker.start()
    client = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    for made in client.create_topics([NewTopic("kept", num_partitions=2)]).values():
        made.result(timeout=10)
    child.send(signal.SIGKILL)

    again = broker.start()
    try:
        assert topics(broker.bootstrap_servers) == {"kept"}
    finally:
        again.stop()
        child.wipe_out()


def test_the_broker_of_the_tests_is_there(kafka: str) -> None:
    assert answers(kafka)
