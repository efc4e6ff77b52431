"""What processes use, by their ids, as the kernel accounts for it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PARENT, _OWN, _REAPED = 1, slice(11, 13), slice(13, 15)


def family_cpu_seconds(pid: int) -> float:
    """CPU time of a process and of all that it started: those that live, and those whose end it has seen."""
    return sum(_seconds(fields[_OWN]) + _seconds(fields[_REAPED]) for fields in _family(pid))


def memory_mb(pid: int, *, peak: bool = False) -> float:
    """Resident memory in megabytes of a million bytes, now or at its highest."""
    name = "VmHWM:" if peak else "VmRSS:"
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024 / 1_000_000
    raise LookupError(name)


def forget_peak(pid: int) -> None:
    """Let the peak of memory begin anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")


def _family(pid: int) -> list[list[str]]:
    everybody = {}
    for folder in Path("/proc").glob("[0-9]*"):
        # Processes end while we look.
        with suppress(FileNotFoundError, ProcessLookupError):
            stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
            everybody[int(folder.name)] = stat.rpartition(")")[2].split()
    members = {pid}
    while more := {child for child, fields in everybody.items() if int(fields[_PARENT]) in members} - members:
        members |= more
    return [everybody[member] for member in members if member in everybody]


def _seconds(ticks: list[str]) -> float:
    return sum(map(int, ticks)) / _TICKS
