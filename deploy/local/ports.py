"""TCP ports on loopback: which are free, and who holds one that is not."""

import contextlib
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"
_LISTENING = "0A"
_ARGUMENTS_SHOWN = 80


def free_ports(count: int) -> list[int]:
    """Find free ports, all different: held together until all are found."""
    with contextlib.ExitStack() as held:
        found = []
        for _ in range(count):
            bound = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            bound.bind((LOOPBACK, 0))
            found.append(int(bound.getsockname()[1]))
        return found


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tried:
        # As servers do: an old connection in TIME_WAIT is no obstacle, a listening server is one.
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, port))
            tried.listen(1)
        except OSError:
            return False
        return True


def is_open(port: int, host: str = LOOPBACK, *, timeout_s: float = 0.5) -> bool:
    """Whether something accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=timeout_s):
            return True
    except OSError:
        return False


def holder(port: int) -> str | None:
    """Name the process that listens on a port, as far as /proc lets us see it."""
    sockets = _listening_sockets(port)
    if not sockets:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        # Processes end while we look, and others may not be looked at.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            for descriptor in (process / "fd").iterdir():
                if str(descriptor.readlink()) in sockets:
                    command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    return f"process {process.name}: {_shortened(command.strip())}"
    return None


def _shortened(command: str) -> str:
    """Keep the program and the end of its arguments: that is where Java and Python programs say what they are."""
    program, _, arguments = command.partition(" ")
    if len(arguments) <= _ARGUMENTS_SHOWN:
        return command
    return f"{program} … {arguments[-_ARGUMENTS_SHOWN:]}"


def _listening_sockets(port: int) -> set[str]:
    found = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if not table.exists():
            continue
        for line in table.read_text(encoding="ascii").splitlines()[1:]:
            _, local, _, state, _, _, _, _, _, inode, *_ = line.split()
            if state == _LISTENING and int(local.rpartition(":")[2], 16) == port:
                found.add(f"socket:[{inode}]")
    return found
