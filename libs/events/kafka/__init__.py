"""Kafka, as far as the rest of libs.events needs it. With kafka_log, the only importer of aiokafka."""

from libs.events.kafka.parting import away
from libs.events.kafka.publisher import KafkaPublisher
from libs.events.kafka.reading import following, record_of
from libs.events.kafka.subscription import KafkaSubscription, Offsets
from libs.events.kafka.topics import create_topics

__all__ = [
    "KafkaPublisher",
    "KafkaSubscription",
    "Offsets",
    "away",
    "create_topics",
    "following",
    "record_of",
]
