"""TCP ports on loopback: which are free, and who holds one that is not."""

import contextlib
import socket
from pathlib import Path
from random import SystemRandom
from typing import Final

LOOPBACK = "127.0.0.1"
_LISTENING = "0A"
FIRST_CHOSEN: Final = 20_000
STEP: Final = 1
_CHOICE_AT_LEAST = 5_000
_FIRST_DYNAMIC = 49_152  # by the registry of port numbers; macOS keeps to it
_ARGUMENTS_SHOWN = 80


def free_ports(count: int) -> list[int]:
    """Find free ports, all different, below those that the system gives to outgoing connections.

    Otherwise a stranger's connection may take a port of ours while its server restarts; or a client that tries again
    and again connects to itself, and keeps the server from coming back.
    """
    chance = SystemRandom()
    first_outgoing = max(_first_outgoing_port(), FIRST_CHOSEN + _CHOICE_AT_LEAST)
    with contextlib.ExitStack() as held:
        found: list[int] = []
        while len(found) < count:
            port = chance.randrange(FIRST_CHOSEN, first_outgoing, STEP)
            tried = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            with contextlib.suppress(OSError):  # taken: there are others
                tried.bind((LOOPBACK, port))
                found.append(port)
        return found


def _first_outgoing_port() -> int:
    setting = Path("/proc/sys/net/ipv4/ip_local_port_range")
    return int(setting.read_text(encoding="ascii").split()[0]) if setting.exists() else _FIRST_DYNAMIC


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
