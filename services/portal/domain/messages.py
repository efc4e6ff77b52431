"""Messages as the portal lists them: by what one can look for, and what one can find out about a doubt."""

from __future__ import annotations

from typing import Final, get_args

from libs.events.contracts.messages import HoldReason, MessageKind, SuppressionReason

STATUSES: Final = ("waiting", "queued", "sending", "transmitting", "sent", "failed", "doubtful", "suppressed")
KINDS: Final[tuple[str, ...]] = get_args(MessageKind)
REASONS: Final[tuple[str, ...]] = tuple(dict.fromkeys((*get_args(HoldReason), *get_args(SuppressionReason))))
_RESOLVABLE: Final[dict[str, tuple[str, ...]]] = {
    "doubtful": ("sent", "resend"),
    "failed": ("resend",),
    "suppressed": ("resend",),
}


def outcomes(status: str) -> tuple[str, ...]:
    """What somebody may say became of it; nothing where that is known."""
    return _RESOLVABLE.get(status, ())
