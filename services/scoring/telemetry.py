"""What operators see of scoring."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter

CLASS_MISMATCHES: Final = Counter(
    "otklik_scoring_class_mismatches_total",
    "Answers whose vendor claims another NPS class than the score has, as they were scored",
    ["source"],
)
