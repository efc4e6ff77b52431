"""Dead letters, for people: what was set aside, why, and what was decided about it."""

from libs.events.dead_letters.desk import DeadLetterDesk, Entry, Log, OpenLog, Page
from libs.events.dead_letters.letter import (
    DeadLetter,
    Decision,
    LetterId,
    NoSuchLetter,
    Outcome,
    Place,
    Queue,
    State,
    Wanted,
    parse_id,
    queues_of,
)

__all__ = [
    "DeadLetter",
    "DeadLetterDesk",
    "Decision",
    "Entry",
    "LetterId",
    "Log",
    "NoSuchLetter",
    "OpenLog",
    "Outcome",
    "Page",
    "Place",
    "Queue",
    "State",
    "Wanted",
    "parse_id",
    "queues_of",
]
