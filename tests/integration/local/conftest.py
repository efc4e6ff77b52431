import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Not pytest's own: as root, PostgreSQL runs as another user, who cannot pass through a closed folder."""
    made = Path(tempfile.mkdtemp(prefix="otklik-"))
    yield made
    shutil.rmtree(made)
