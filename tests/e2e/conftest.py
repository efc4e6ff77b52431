import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """Not pytest's own folder: as root, PostgreSQL runs as another user, who cannot pass through a closed one."""
    made = Path(tempfile.mkdtemp(prefix="otklik-"))
    yield made
    shutil.rmtree(made)
