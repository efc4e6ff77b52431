"""How long anything may take that aiokafka itself would wait for without end: in almost all that it does, that is."""

from typing import Final

START_SECONDS: Final = 20.0
COMMIT_SECONDS: Final = 10.0
PUBLISH_SECONDS: Final = 15.0
STOP_SECONDS: Final = 5.0
REQUEST_MS: Final = 10_000
METADATA_MS: Final = 30_000
"""After how long a topic or a partition that was added is noticed."""
