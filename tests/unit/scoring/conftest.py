from collections.abc import Callable
from typing import Any

import pytest

from libs.events.contracts.responses import Instrument


@pytest.fixture(scope="session")
def an_instrument() -> Callable[..., Instrument]:
    def make(**changes: object) -> Instrument:
        asked: dict[str, Any] = {
            "metric": "nps",
            "question": "How likely are you to recommend us to a friend?",
            "scale_min": 0,
            "scale_max": 10,
            "kind": "transactional",
            "channel": "email",
        }
        return Instrument(**(asked | changes))

    return make
