import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from deploy.local.children import Child, ChildSpec, clear_remains
from deploy.local.supervisor import Part, PartFailedError, Supervisor

DEADLINE_S = 20.0

# Says that it is ready by a file of its own, and then does nothing.
READY_AND_WAIT = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {READY_AND_WAIT}"
BROKEN = "import sys; sys.exit('no such table')"
# A child with a child of its own, which holds on when the parent is killed.
CLINGING = """
import pathlib, subprocess, sys, time
held = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], close_fds=False)
unfinished = pathlib.Path(sys.argv[1] + ".new")
unfinished.write_text(str(held.pid))
unfinished.rename(sys.argv[1])
time.sleep(600)
"""
SUPERVISING = """
import sys, time
from pathlib import Path
from deploy.local.children import Child, ChildSpec
folder = Path(sys.argv[1])
argv = (sys.executable, "-c", sys.argv[2], str(folder / "part.ready"))
spec = ChildSpec(name="part", argv=argv, environment={}, folder=folder, log=folder / "log", lock=folder / "lock")
child = Child(spec)
time.sleep(600)
"""
ROOT = Path(__file__).parents[3]


def a_spec(folder: Path, program: str, *, name: str = "part", stop_timeout_s: float = 10.0) -> ChildSpec:
    return ChildSpec(
        name=name,
        argv=(sys.executable, "-c", program, str(folder / f"{name}.ready")),
        environment={},
        folder=folder,
        log=folder / f"{name}.log",
        lock=folder / f"{name}.lock",
        stop_timeout_s=stop_timeout_s,
    )


def a_part(folder: Path, program: str = READY_AND_WAIT, *, stop_timeout_s: float = 10.0) -> Part:
    spec = a_spec(folder, program, stop_timeout_s=stop_timeout_s)

    async def ready(_child: Child) -> bool:
        return (folder / "part.ready").exists()

    return Part(name="part", spec=lambda: spec, ready=ready, start_timeout_s=DEADLINE_S)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
async def supervisor(told: list[str]) -> AsyncIterator[Supervisor]:
    made = Supervisor(told.append)
    yield made
    await made.stop(made.names)


async def test_a_part_that_is_killed_is_started_again(supervisor: Supervisor, told: list[str], tmp_path: Path) -> None:
    await supervisor.start(a_part(tmp_path))
    before = supervisor.child("part").pid
    (tmp_path / "part.ready").unlink()

    supervisor.kill("part", signal.SIGKILL)
    async with asyncio.timeout(DEADLINE_S):
        await supervisor.until_ready(["part"])

    assert supervisor.child("part").pid != before
    assert told[0].startswith("part ended (killed by SIGKILL): again in 0.5 s")
    assert told[1].startswith("part is back")


async def test_a_part_that_fails_at_the_start_says_why(supervisor: Supervisor, tmp_path: Path) -> None:
    with pytest.raises(PartFailedError, match=r"part did not start \(exit status 1\)[\s\S]*no such table"):
        await supervisor.start(a_part(tmp_path, BROKEN))


async def test_a_part_that_does_not_stop_is_killed_after_its_bound(
    supervisor: Supervisor, told: list[str], tmp_path: Path
) -> None:
    await supervisor.start(a_part(tmp_path, DEAF, stop_timeout_s=0.2))
    child = supervisor.child("part")

    await supervisor.stop(["part"])

    assert not child.alive()
    assert told == ["part did not stop within 0.2 s and is killed"]


def test_what_a_killed_run_left_behind_is_gone_before_the_next_starts(tmp_path: Path) -> None:
    spec = a_spec(tmp_path, CLINGING)
    first = Child(spec)
    wait_until((tmp_path / "part.ready").exists)
    left_behind = int((tmp_path / "part.ready").read_text())
    first.send(signal.SIGKILL)
    first.process.wait()
    assert is_running(left_behind)

    clear_remains(spec.name, spec.lock, grace_s=0.2)

    assert not is_running(left_behind)


def test_children_die_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen((sys.executable, "-c", SUPERVISING, str(tmp_path), READY_AND_WAIT), cwd=ROOT)
    wait_until((tmp_path / "part.ready").exists)
    child = int((tmp_path / "lock").read_text())

    parent.kill()
    parent.wait()

    wait_until(lambda: not is_running(child))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
