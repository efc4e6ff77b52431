import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from faults.servers import Servers


@pytest.fixture(scope="session")
async def fault_servers() -> AsyncIterator[Servers]:
    """PostgreSQL and Kafka with their links, for one build after another."""
    folder = Path(tempfile.mkdtemp(prefix="otklik-"))
    servers = Servers(folder)
    try:
        await servers.start()
        yield servers
    finally:
        await servers.stop()
        shutil.rmtree(folder)


@pytest.fixture
def build_folder() -> Iterator[Path]:
    """Where a build keeps its logs, and its tree if that is another than ours."""
    folder = Path(tempfile.mkdtemp(prefix="otklik-"))
    yield folder
    shutil.rmtree(folder)
