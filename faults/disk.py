"""A small disk of PostgreSQL's own: a file with a file system in it, so that it can be full and keeps what is flushed.

Mounting takes root, Linux and the usual programs; where they are missing, no disk is full.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_MAKE, _MOUNT, _UNMOUNT = "mkfs.ext4", "mount", "umount"
_SIZE: Final = 4 << 30
_PIECE: Final = 64 << 20
_SMALLEST: Final = 4096


def can_mount() -> bool:
    """Whether such a disk can be had here."""
    return os.geteuid() == 0 and all(map(shutil.which, (_MAKE, _MOUNT, _UNMOUNT)))


class Disk:
    """The disk behind a folder."""

    def __init__(self, image: Path, folder: Path) -> None:
        self._image = image
        self._folder = folder
        self._filler = folder / "filler"

    def mount(self) -> None:
        """Make it and mount it on the folder."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._image.open("wb") as image:
            image.truncate(_SIZE)
        # Nothing is kept back for root, who fills it.
        _run(_MAKE, "-q", "-F", "-m", "0", str(self._image))
        _run(_MOUNT, "-o", "loop", str(self._image), str(self._folder))

    def unmount(self) -> None:
        """Take it away again."""
        _run(_UNMOUNT, str(self._folder))

    def fill(self) -> int:
        """Leave no block; how many bytes that took."""
        taken, size = 0, _PIECE
        with self._filler.open("wb") as filler:
            while size >= _SMALLEST:
                try:
                    os.posix_fallocate(filler.fileno(), taken, size)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    size //= 4
                else:
                    taken += size
        return taken

    def make_room(self) -> None:
        """Give all of it back."""
        self._filler.unlink(missing_ok=True)


def _run(program: str, *arguments: str) -> None:
    subprocess.run((shutil.which(program) or program, *arguments), check=True)  # noqa: S603 - the arguments are our own
