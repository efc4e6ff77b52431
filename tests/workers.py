"""How the tests are shared out among parallel workers: `make test` runs several, each with servers of its own.

A file stays whole, for what its tests share. The tests of the whole stack are one lot, on one worker: two such stacks
at once would take from each other what their deadlines count on. Those of builds with a few services, sabotaged ones
and the drilled one, are another lot, on another worker: they take as long. What takes long goes first, so that no
worker has much left to do when the others have ended.
"""

from collections.abc import Mapping
from itertools import chain
from typing import Final

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from deploy.local import ports

_LOTS: Final[Mapping[str, tuple[str, ...]]] = {
    "builds with a few services": ("tests/faults/test_sabotage.py", "tests/faults/test_drill.py"),
    "the whole stack": ("tests/e2e/", "tests/faults/"),
}
"""By lot: how the ids of its tests begin; the first that fits counts."""
_LONGEST_FIRST: Final = (
    *chain.from_iterable(_LOTS.values()),
    "tests/browser/",
    "tests/runtime/",
    "tests/integration/",
    "tests/handlers/",
)


class StacksInLots(LoadFileScheduling):  # type: ignore[misc]  # xdist publishes no types
    """One lot per file, and two for the stacks, in the order of collection."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        config.option.loadscopereorder = False  # by the number of tests, which says little about their time
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        named = (lot for lot, begins in _LOTS.items() if nodeid.startswith(begins))
        return next(named, None) or str(super()._split_scope(nodeid))


def order(items: list[pytest.Item]) -> None:
    """Put the tests of what takes long first."""
    items.sort(key=_place)


def keep_to_ports_of_its_own(number: int, count: int) -> None:
    """Let a worker choose every `count`th port: two that look at the same moment would both find a port free."""
    ports.FIRST_CHOSEN += number  # type: ignore[misc]
    ports.STEP = count  # type: ignore[misc]


def _place(item: pytest.Item) -> int:
    for place, part in enumerate(_LONGEST_FIRST):
        if item.nodeid.startswith(part):
            return place
    return len(_LONGEST_FIRST)
