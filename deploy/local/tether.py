"""Ties a child to its parent, then becomes the child: run as a script, with nothing but the standard library.

`python -I -S tether.py PARENT_PID SIGNAL UID GID PROGRAM ARGUMENT...`

A supervisor that is killed cannot stop its children; on Linux the kernel does it (PR_SET_PDEATHSIG).
The order matters: changing the user clears the death signal, so it is set after that; and a parent that
died before it was set is noticed by looking at who the parent is now.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Drop privileges, ask for the death signal, become the program."""
    parent, death_signal, uid, gid = (int(word) for word in sys.argv[1:5])
    program = sys.argv[5:]
    if uid != os.geteuid():
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
        if os.getppid() != parent:
            sys.exit(1)
    os.execv(program[0], program)  # noqa: S606 - a shell in between would get the death signal instead


if __name__ == "__main__":
    main()
