import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest


class Server(Protocol):
    @property
    def admin_dsn(self) -> str: ...


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Not pytest's own: as root, PostgreSQL runs as another user, who cannot pass through a closed folder."""
    made = Path(tempfile.mkdtemp(prefix="otklik-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def postgres_admin_dsn(postgres: Server) -> str:
    return postgres.admin_dsn
