"""Groups so small that showing them would tell what single customers answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

PRIVACY_THRESHOLD: Final = 5
"""How many have to have answered for a group to be shown, unless the company says otherwise."""


def hidden(sizes: Sequence[int], threshold: int) -> set[int]:
    """The places of the groups that must not be shown.

    Those in which fewer than `threshold` answered; and where these alone could be told from the total, the smallest
    others with them, until at least two groups are hidden that are `threshold` or more together. A group of nobody
    tells nothing of anybody, and neither hides nor is hidden.
    """
    small = {place for place, size in enumerate(sizes) if 0 < size < threshold}
    if not small:
        return small
    others = sorted((size, place) for place, size in enumerate(sizes) if size >= threshold)
    found = set(small)
    for size, place in others:
        del size
        if len(found) > 1 and sum(sizes[each] for each in found) >= threshold:
            break
        found.add(place)
    return found
