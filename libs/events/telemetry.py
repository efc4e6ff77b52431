"""What operators see of a running service: metric names (all of them, here), traces through the headers, log events."""

from __future__ import annotations

import logging
import random
import re
from typing import Final

import structlog
from prometheus_client import Counter, Gauge, Histogram

RECORDS: Final = Counter(
    "otklik_records_total",
    "Records taken from Kafka, by what became of them: handled, duplicate, skipped (unknown type), dead_lettered",
    ["consumer", "outcome"],
)
BATCH_SECONDS: Final = Histogram(
    "otklik_batch_seconds",
    "From a batch in hand to its offsets committed",
    ["consumer"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
RETRIES: Final = Counter("otklik_retries_total", "Attempts after a first failure", ["consumer"])
ISOLATIONS: Final = Counter("otklik_isolated_batches_total", "Batches redone record by record", ["consumer"])
OUTAGES: Final = Counter("otklik_outages_total", "Times a loop found its database or broker away", ["loop"])
OFFSETS_LOST: Final = Counter(
    "otklik_offsets_lost_total",
    "Partitions read again from their earliest record because the committed offset was of no use: missing, truncated "
    "(records were deleted unread), beyond_end",
    ["consumer", "reason"],
)
RELAYED: Final = Counter("otklik_relayed_total", "Outbox rows published and acknowledged", ["service"])
OUTBOX_AGE: Final = Gauge("otklik_outbox_age_seconds", "Age of the oldest unpublished row when last read", ["service"])

# It tells chains apart; nobody is kept out by it. The system's own source costs a call into the kernel each time.
_chance: Final = random.Random().getrandbits  # noqa: S311 - see above
_TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

# Without the frames' variables, which structlog shows by default: they hold comments and contact details.
_TRACEBACKS: Final = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


def new_traceparent() -> str:
    """The W3C trace context of a chain that begins here (https://www.w3.org/TR/trace-context/)."""
    return f"00-{_chance(128) or 1:032x}-{_chance(64) or 1:016x}-01"


def traceparent_or_new(header: str | None) -> str:
    """The caller's trace context where it is well-formed, else a new one."""
    return header if header is not None and _TRACEPARENT.fullmatch(header) else new_traceparent()


def configure_logging(level: int = logging.INFO) -> None:
    """One JSON object a line on standard output, the libraries' records included."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _TRACEBACKS,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _TRACEBACKS,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)
