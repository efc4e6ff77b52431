"""For tests of whatever stands on this package: a broker in memory, events to deliver, and waiting without sleeping."""

from libs.events.testing.effects import Effects
from libs.events.testing.factories import NOON, a_broken_record, a_record, a_topic, an_answer, an_outgoing
from libs.events.testing.memory import MemoryBroker, MemoryLog, MemoryPublisher, MemorySubscription
from libs.events.testing.waiting import eventually, running
from libs.events.testing.workbench import CONSUMER, Workbench

__all__ = [
    "CONSUMER",
    "NOON",
    "Effects",
    "MemoryBroker",
    "MemoryLog",
    "MemoryPublisher",
    "MemorySubscription",
    "Workbench",
    "a_broken_record",
    "a_record",
    "a_topic",
    "an_answer",
    "an_outgoing",
    "eventually",
    "running",
]
