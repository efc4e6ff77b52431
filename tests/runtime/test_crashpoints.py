"""Points at which the fault tests have a process kill itself: once, one process, and only when asked."""

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

from libs.events import crashpoint as crashpoint_module
from libs.events.crashpoint import VARIABLE

ROOT = Path(__file__).parents[2]
CHILD = """
import sys
from libs.events.crashpoint import crashpoint
for _ in range(3):
    print("passes", flush=True)
    crashpoint("test.point")
"""


async def passing(folder: Path | None) -> tuple[int | None, int]:
    """Let a process pass the point three times: its exit status, and how often it came to the point."""
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    if folder is not None:
        environment[VARIABLE] = str(folder)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    return process.returncode, output.count(b"passes")


async def test_a_process_kills_itself_at_the_point_that_was_asked_for_and_the_next_one_passes(tmp_path: Path) -> None:
    (tmp_path / "test.point").touch()

    assert await passing(tmp_path) == (-signal.SIGKILL, 1)
    assert not (tmp_path / "test.point").exists()
    assert await passing(tmp_path) == (0, 3)


async def test_one_of_several_processes_is_struck(tmp_path: Path) -> None:
    (tmp_path / "test.point").touch()

    ends = await asyncio.gather(*(passing(tmp_path) for _ in range(3)))

    assert sorted(ends, key=str) == [(-signal.SIGKILL, 1), (0, 3), (0, 3)]


async def test_other_points_strike_nobody(tmp_path: Path) -> None:
    (tmp_path / "test.other").touch()

    assert await passing(tmp_path) == (0, 3)
    assert (tmp_path / "test.other").exists()


async def test_without_the_variable_there_are_no_points(tmp_path: Path) -> None:
    (tmp_path / "test.point").touch()

    assert await passing(None) == (0, 3)
    assert crashpoint_module.crashpoint.__name__ == "_absent"


def test_the_points_that_are_listed_are_those_in_the_code() -> None:
    listed = set(
        re.findall(
            r"(?:<consumer>|relay|ingest|notify|scoring)\.[a-z_]+(?:\.[a-z_]+)?", crashpoint_module.__doc__ or ""
        )
    )
    in_code = {
        name.replace("{self._consumer}", "<consumer>")
        for folder in ("libs", "services")
        for path in (ROOT / folder).rglob("*.py")
        for name in re.findall(r'crashpoint\(f?"([^"]+)"\)', path.read_text())
    }

    assert in_code == listed
