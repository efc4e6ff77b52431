"""What operators see of messages beyond the ledger: metric names, all of them here."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge

MESSAGES: Final = Counter(
    "otklik_messages_total",
    "Messages by what became of them: sent, failed, doubtful, suppressed, queued (to be tried again)",
    ["kind", "status"],
)
DIGEST_WAITS: Final = Gauge(
    "otklik_digest_waiting_seconds",
    "How long an employees' digest has been due that something it needs could not be had for; 0 where none waits",
    ["kind"],
)
DOUBTS: Final = Gauge("otklik_messages_doubtful", "Messages of which nobody knows whether they arrived")
HOOKS: Final = Counter(
    "otklik_hook_attempts_total",
    "Attempts to deliver events to subscribers, by what came of them: delivered, timeout, connection, tls, "
    "forbidden_address, redirect, status",
    ["outcome"],
)
REPORTS_REFUSED: Final = Counter(
    "otklik_message_reports_refused_total",
    "Web hooks that claim to be a mail provider's and are not signed by it",
    ["provider"],
)
RETURNS: Final = Counter(
    "otklik_messages_returned_total",
    "What came back: hard, soft, complaint; not_understood are mails that no report was found in",
    ["bounce"],
)
