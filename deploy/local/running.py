"""Where the parts of a running local stack are, written down for the command line beside it."""

import fcntl
import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where a stack can be reached. The databases' addresses hold passwords: the file is for its owner only."""

    urls: dict[str, str]
    databases: dict[str, str]
    bootstrap_servers: str
    smtp_url: str
    kafka_in_memory: bool


def write_down(data_dir: Path, addresses: Addresses) -> None:
    """Tell others where this stack is."""
    path = _path(data_dir)
    path.touch(mode=0o600)
    path.write_text(json.dumps(asdict(addresses), indent=2), encoding="utf-8")


def forget(data_dir: Path) -> None:
    """Take it back when the stack stops."""
    _path(data_dir).unlink(missing_ok=True)


def of_running_stack(data_dir: Path) -> Addresses | None:
    """Find the stack over this folder; nothing if none runs, whatever a killed one left written."""
    path = _path(data_dir)
    if not path.exists() or not is_running(data_dir):
        return None
    return Addresses(**json.loads(path.read_text(encoding="utf-8")))


def is_running(data_dir: Path) -> bool:
    """Whether a stack holds this folder."""
    lock = data_dir / "lock"
    if not lock.exists():
        return False
    with lock.open("r", encoding="ascii") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _path(data_dir: Path) -> Path:
    return data_dir / "run" / "addresses.json"
