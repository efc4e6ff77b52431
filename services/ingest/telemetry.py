"""What operators see of ingest: its metrics, counted by batch where that is possible."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

DELIVERIES: Final = Counter(
    "otklik_ingest_deliveries_total",
    "Deliveries that were kept, by what became of them: accepted, duplicate, quarantined, ignored",
    ["status"],
)
REFUSED: Final = Counter(
    "otklik_ingest_refused_total",
    "Webhook requests that were refused: unknown_source, missing, wrong, stale, network, content_type, too_large, "
    "queue_full, unavailable",
    ["reason"],
)
BATCH: Final = Histogram(
    "otklik_ingest_batch_deliveries",
    "Deliveries that shared one transaction",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
)
WAITING: Final = Gauge("otklik_ingest_waiting_bytes", "Bytes of bodies that wait for their transaction")
ISOLATED: Final = Counter(
    "otklik_ingest_isolated_batches_total", "Batches that were recorded one by one after an error"
)
FETCHED: Final = Counter(
    "otklik_ingest_fetches_total",
    "Attempts to fetch announced answers from vendors' APIs: fetched, failed, refused, withdrawn, given_up",
    ["outcome"],
)
RECONCILED: Final = Counter(
    "otklik_ingest_reconciled_responses_total",
    "Responses that polls of vendors' APIs brought: missed (the webhooks had lost them), known",
    ["outcome"],
)
