"""How the tests are shared out among parallel workers: `make test` runs several, each with servers of its own.

A file stays whole, for what its tests share. Builds of the product with servers of their own are one lot, on one
worker: two of them at once take from each other what their deadlines count on. What takes long goes first, so that no
worker has much left to do when the others have ended.
"""

from typing import Final

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from deploy.local import ports

_BUILDS: Final = ("tests/e2e/", "tests/faults/")
"""How the ids of the tests of builds begin."""
_LONGEST_FIRST: Final = (
    *_BUILDS,
    "tests/browser/",
    "tests/runtime/",
    "tests/integration/",
    "tests/handlers/",
)


class BuildsInOneLot(LoadFileScheduling):  # type: ignore[misc]  # xdist publishes no types
    """One lot per file, and one for all builds, in the order of collection."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        config.option.loadscopereorder = False  # by the number of tests, which says little about their time
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return "builds" if nodeid.startswith(_BUILDS) else str(super()._split_scope(nodeid))


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
