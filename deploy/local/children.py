"""Child processes that cannot outlive their supervisor, nor be started twice over the same folder.

Each child runs in its own process group, tied to its parent (see `tether`), and inherits an open, locked
file. The lock belongs to the open file, which the child and everything it forks share: it is free again
exactly when the last of them is gone. So whoever starts a child waits for the remains of the one before,
whatever became of it, and no file left behind by a crash can mislead anybody.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

TETHER = Path(__file__).with_name("tether.py")
LOG_BYTES_KEPT = 10_000_000
REMAINS_GRACE_S = 15.0


class ChildError(Exception):
    """A child process could not be started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The user that a child runs as, where that is not the one who starts it."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """What to run and how to stop it; signals are those that the program itself takes as an orderly stop."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    lock: Path
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGTERM
    stop_timeout_s: float = 30.0
    diary: Path | None = None  # the log that the program writes itself, where that says more than its output
    before_start: Callable[[], None] = lambda: None  # called when nothing of an earlier run is left

    @property
    def where_to_look(self) -> Path:
        """The file that says what happened."""
        return self.diary or self.log


@dataclass(slots=True)
class Child:
    """One run of a `ChildSpec`."""

    spec: ChildSpec
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        spec = self.spec
        spec.log.parent.mkdir(parents=True, exist_ok=True)
        _keep_log_small(spec.log)
        account = spec.account or Account(uid=os.geteuid(), gid=os.getegid())
        tether = (
            sys.executable,
            "-I",
            "-S",
            str(TETHER),
            str(os.getpid()),
            str(int(spec.death_signal)),
            str(account.uid),
            str(account.gid),
        )
        with _locked_when_free(spec.name, spec.lock, REMAINS_GRACE_S) as lock, spec.log.open("ab") as log:
            spec.before_start()
            # The kernel ties the child to the *thread* that starts it: call this from a thread that stays.
            self.process = subprocess.Popen(  # noqa: S603 - the argument lists are our own
                (*tether, *spec.argv),
                cwd=spec.folder,
                env=dict(spec.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock.fileno(),),
                start_new_session=True,
            )
            lock.truncate(0)
            lock.write(str(self.process.pid))
            lock.flush()

    @property
    def pid(self) -> int:
        """Its process id, which is also its process group's."""
        return self.process.pid

    def alive(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the program itself (not to what it forked)."""
        self.process.send_signal(number)

    def wipe_out(self) -> None:
        """Kill its whole process group, at once."""
        with contextlib.suppress(ProcessLookupError):  # everything in it has ended: what was wanted
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """Stop in order, within the bound of its spec; kill what is left of it after that."""
        if self.alive():
            self.send(self.spec.stop_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):  # the kill follows in any case
            self.process.wait(self.spec.stop_timeout_s)
        self.wipe_out()


def clear_remains(name: str, lock: Path, *, grace_s: float = REMAINS_GRACE_S) -> None:
    """Wait until nothing is left of an earlier run of this child, and kill what does not end by itself."""
    with _locked_when_free(name, lock, grace_s):
        pass


@contextlib.contextmanager
def _locked_when_free(name: str, path: Path, grace_s: float) -> Iterator[IO[str]]:
    """Open and lock the child's file when it is free; the child's inherited copy keeps the lock after us."""
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + grace_s
    killed = False
    with path.open("a+", encoding="ascii") as lock:
        while not _try_lock(lock):
            if time.monotonic() > deadline:
                if killed:
                    raise ChildError(f"{name}: an earlier run holds {path} and does not end")
                killed = _kill_remains(lock)
                deadline = time.monotonic() + grace_s
            time.sleep(0.05)
        yield lock


def _try_lock(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _kill_remains(lock: IO[str]) -> bool:
    """Kill the process group named in the file; that it is the right one is what the held lock says."""
    lock.seek(0)
    group = lock.read().strip()
    if group.isdigit():
        with contextlib.suppress(ProcessLookupError):  # ended in this moment
            os.killpg(int(group), signal.SIGKILL)
    return True


def _keep_log_small(log: Path) -> None:
    if log.exists() and log.stat().st_size > LOG_BYTES_KEPT:
        log.replace(log.with_name(f"{log.name}.1"))
