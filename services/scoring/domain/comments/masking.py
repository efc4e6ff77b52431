"""Comments as examples: short, and without the numbers and addresses by which somebody could be found."""

from __future__ import annotations

import re
from typing import Final

MASK: Final = "•••"
LONGEST_EXCERPT: Final = 300

_TELLING: Final = re.compile(
    r"""
    \S+@\S+                                     # an e-mail address
    | (?:https?://|www\.)\S+                    # a link
    | (?<!\w)@\w{3,}                            # a name in a messenger
    | \+?\d(?:[\s().\-–]{0,2}\d){4,}            # a phone, a card, a contract: five digits and more
    """,
    re.VERBOSE,
)


def excerpt(comment: str) -> str:
    """The beginning of a comment, masked."""
    # A number that is cut in two would be half there.
    masked = _TELLING.sub(MASK, comment[: 4 * LONGEST_EXCERPT])
    return masked if len(masked) <= LONGEST_EXCERPT else masked[:LONGEST_EXCERPT].rstrip() + "…"
