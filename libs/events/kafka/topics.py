"""Makes the registry's topics on a broker, where they are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from libs.events.errors import Unavailable
from libs.events.kafka.parting import away
from libs.events.topics import DEAD_LETTER_RETENTION, DECISIONS, INBOX_RETENTION, TOPICS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta


async def create_topics(bootstrap_servers: str, *, replication: int = 1) -> list[str]:
    """Create the registry's topics, with those of dead letters, where they are missing; the names of the new ones."""
    kept = {"cleanup.policy": "compact,delete", **_retention(INBOX_RETENTION)}
    wanted = {DECISIONS: NewTopic(DECISIONS, 1, replication, topic_configs=kept)}
    # The largest record that Kafka takes has room there with what is said about it.
    aside = {**_retention(DEAD_LETTER_RETENTION), "max.message.bytes": str(2 * 1024 * 1024)}
    for topic in TOPICS:
        settings = {"cleanup.policy": "compact"} if topic.compacted else _retention(topic.retention)
        wanted[topic.name] = NewTopic(topic.name, topic.partitions, replication, topic_configs=settings)
        for consumer in topic.consumers:
            for name in (topic.dead_letters(consumer), topic.replays(consumer)):
                wanted[name] = NewTopic(name, 1, replication, topic_configs=aside)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    try:
        await admin.start()
        existing = set(await admin.list_topics())
        missing = [new for name, new in wanted.items() if name not in existing]
        if missing and admin._client.cluster.controller is None:  # noqa: SLF001 - the client itself looks into it blindly
            raise Unavailable("the cluster has no controller: it is starting, or it is librdkafka's mock")
        if missing:
            answer = await admin.create_topics(missing)
            for name, code, *_ in answer.topic_errors:
                error = for_code(code)
                # Another process of ours may have been quicker.
                if code and error is not TopicAlreadyExistsError:
                    raise error(name)
        return [new.name for new in missing]
    except (KafkaError, OSError) as error:
        raise away(error) from error
    finally:
        await admin.close()


def _retention(time: timedelta | None) -> Mapping[str, str]:
    return {"retention.ms": str(int(time.total_seconds() * 1000))} if time is not None else {}
